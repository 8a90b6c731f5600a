package orchestrator

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"keyturn/backend/activity"
	"keyturn/backend/fault"
	"keyturn/backend/oauth"
	"keyturn/backend/provider"
)

// Times of refresh.
const (
	// useless is a lifetime so short that a refresh is no help: such a token is
	// renewed at most once per tick.
	useless = 2 * time.Second

	firstBackoff = time.Second
	lastBackoff  = 5 * time.Minute
	firstBreaker = 30 * time.Second
	lastBreaker  = 10 * time.Minute
	// enoughRefusals in a row are the user's business.
	enoughRefusals = 3
)

// unsentPauses are the pauses before a request is made again that never left:
// the refresh token was not shown to anybody.
var unsentPauses = []time.Duration{300 * time.Millisecond, time.Second}

// A refresh is one renewal in flight. Callers wait on it; none of them owns it.
type refresh struct {
	generation uint64 // of the token that is to be renewed
	ended      chan struct{}
	err        error // set before ended is closed
}

// done waits for the refresh to end, or for the caller to give up.
func (f *refresh) done(ctx context.Context) error {
	select {
	case <-f.ended:
		return f.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// renewLocked joins the refresh in flight or starts one. Callers hold mu. An
// error means that there is no point in one now.
func (o *Orchestrator) renewLocked(c *connection, now time.Time) (*refresh, error) {
	if c.refreshing != nil {
		return c.refreshing, nil
	}
	if c.waits(now) {
		return nil, o.notYet(c, now)
	}
	f := &refresh{generation: c.rec.Generation, ended: make(chan struct{})}
	slot := o.slotLocked(c.rec.Provider)
	started := o.goLocked(func() {
		f.err = errStopping
		if enter(o.ctx, slot) == nil {
			f.err = o.refresh(c, f.generation)
			leave(slot)
		}
		o.mu.Lock()
		c.refreshing = nil
		if o.behind {
			o.refreshDueLocked(o.now())
		}
		o.mu.Unlock()
		close(f.ended)
	})
	if !started {
		return nil, errStopping
	}
	c.refreshing = f
	return f, nil
}

// notYet says why there is no point in a refresh now.
func (o *Orchestrator) notYet(c *connection, now time.Time) error {
	code := fault.ProviderUnavailable
	switch c.rec.Reason {
	case fault.RateLimited, fault.DiskFull, fault.StoreLocked:
		code = c.rec.Reason
	}
	return fault.New(code, "The token could not be renewed: %s. Keyturn tries again at %s.",
		because(o.nameOf(c.rec.Provider), c.rec.Reason), clock(c.nextTry, now))
}

// Renew returns a token newer than that of a generation, which a provider has
// refused although it should be good. One that is too young to be renewed for
// that comes back as it is, with the same generation: a new one would fare no
// better, and a refresh per refusal would be a storm.
func (o *Orchestrator) Renew(ctx context.Context, connectionID string, generation uint64) (AccessToken, error) {
	q := TokenQuery{ConnectionID: connectionID}
	now := o.now()
	o.mu.Lock()
	c, err := o.byIDLocked(connectionID)
	if err == nil {
		err = o.grantsLocked(c, q)
	}
	if err != nil {
		o.mu.Unlock()
		return AccessToken{}, err
	}
	if c.rec.Generation != generation || !c.renewable || now.Sub(c.rec.Refreshed).Abs() < tick {
		token := accessToken(c)
		o.mu.Unlock()
		return token, nil
	}
	wait, err := o.renewLocked(c, now)
	o.mu.Unlock()
	if err == nil {
		err = wait.done(ctx)
	}
	if err != nil {
		return AccessToken{}, err
	}
	return o.afterRefresh(q, nil)
}

// refresh renews the token of c and settles what came of it, unless another
// way has brought a newer one than that of generation. The error is for the
// callers that wait.
func (o *Orchestrator) refresh(c *connection, generation uint64) error {
	if err := enter(o.ctx, c.lane); err != nil {
		return errStopping
	}
	defer leave(c.lane)
	// The decision is taken again now that nobody else can change the record:
	// a connect may have brought a new token while we waited for the lane.
	o.mu.Lock()
	r, disconnected, renewable := c.rec, c.gone, c.renewable
	o.mu.Unlock()
	now := o.now()
	switch {
	case disconnected:
		return fault.New(fault.NotConnected, "This was disconnected meanwhile.")
	case r.Status == NeedsReconnect:
		return o.reconnectFault(&r)
	case r.Generation != generation:
		return nil
	case !renewable, r.Token.Refresh.IsZero() && !alive(&r, now):
		return o.ended(c, r, fault.NoRefreshToken)
	case lifetime(&r) > 0 && lifetime(&r) < useless && now.Sub(r.Refreshed) < tick:
		return fault.New(fault.ProviderUnavailable, "%s issues tokens that end at once.", o.nameOf(r.Provider))
	}
	p, server, client, err := o.serverFor(r)
	switch {
	case err != nil:
		o.failed(c, r, outage, fault.CodeOf(err), o.backoff(c))
		return err
	case now.Sub(r.Refreshed) < p.Refresh.MinAge && alive(&r, now):
		return nil // the provider would refuse: it serves as it is
	}
	if !bound(r, refreshURL(server)) {
		return o.ended(c, r, fault.ConfigChanged)
	}

	lost := !r.RefreshSent.IsZero() // the answer to an earlier request never came
	noted := r
	noted.RefreshSent = now
	err = o.store.SaveConnection(o.ctx, noted)
	if o.ctx.Err() != nil {
		return errStopping
	}
	if err != nil && p.Refresh.Rotation != "never" {
		// Without the note a crash could cost the grant: rather not now.
		o.failed(c, r, outage, fault.CodeOf(err), firstBackoff)
		return err
	}
	r = noted
	present := r.Token.Refresh
	if server.Token.RefreshWithAccess {
		present = r.Token.Access
	}
	token, unanswered, err := o.send(server, client, present, lost)
	if err != nil {
		return o.refused(c, r, p, err, unanswered)
	}
	if !sameAccount(&r, &p, token) {
		return o.ended(c, r, fault.AccountChanged)
	}
	token.Scopes = p.Granted(r.Granted, token.Scopes)
	return o.renewed(c, r, token)
}

// send makes the token request (RFC 6749 section 6). What never left is sent
// again; what was sent and not answered once more, because the server may not
// have seen it, and because without its answer the token is lost either way.
// unanswered says that a request before the last one was, in an earlier run of
// the program even (lost).
func (o *Orchestrator) send(s oauth.Server, c oauth.Client, present oauth.Secret, lost bool) (token oauth.Token, unanswered bool, err error) {
	// Not interrupted when Keyturn stops: an answer that is on its way holds
	// the only refresh token there is. The HTTP client has limits of its own.
	ctx := context.WithoutCancel(o.ctx)
	unanswered = lost
	for try := 0; ; try++ {
		token, err = o.http.Refresh(ctx, s, c, present)
		wire, ok := errors.AsType[*oauth.Error](err)
		switch {
		case err == nil || !ok || o.ctx.Err() != nil:
			return token, unanswered, err
		case wire.Unsent && try < len(unsentPauses):
			sleep(o.ctx, unsentPauses[try])
		case wire.Kind == oauth.OutcomeUnknown && !unanswered:
			unanswered = true
		default:
			return token, unanswered, err
		}
	}
}

// sleep waits, or returns early when ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// sameAccount reports whether an ID token that came with a refresh, if one
// did, is about the account that was connected (OpenID Connect Core 12.2).
// Where the account is known by something else than sub there is nothing to
// compare.
func sameAccount(r *Record, p *provider.Provider, t oauth.Token) bool {
	if t.ID.IsZero() || p.JWKSURL == "" || r.Account.ID == "" || p.Identity.ID != "" && p.Identity.ID != "sub" {
		return true
	}
	iss, sub, ok := oauth.Subject(t.ID)
	return ok && sub == r.Account.ID && (r.Issuer == "" || iss == r.Issuer)
}

// renewed settles a token response.
func (o *Orchestrator) renewed(c *connection, r Record, t oauth.Token) error {
	if t.Refresh.IsZero() {
		t.Refresh, t.RefreshExpiry = r.Token.Refresh, r.Token.RefreshExpiry // not rotated: the old one stays
	}
	t.ID = oauth.Secret{}
	if t.Scopes != nil {
		r.Granted = t.Scopes
	}
	r.Token = t
	r.Generation++
	now := o.now()
	r.to(granted, "", now)
	r.RefreshSent = time.Time{}
	r.Refreshed = now
	o.mu.Lock()
	c.failures, c.refusals, c.nextTry = 0, 0, time.Time{}
	o.mu.Unlock()
	o.record(activity.Refreshed, &r, "")
	// Settle says in the log when this cannot be saved; the token serves all the same.
	_ = o.settle(context.WithoutCancel(o.ctx), c, r, true)
	return nil
}

// ended settles a grant that only the user can renew.
func (o *Orchestrator) ended(c *connection, r Record, why fault.Code) error {
	now := o.now()
	if why == fault.NoRefreshToken && alive(&r, now) {
		return nil // still good, only not for as long as was asked
	}
	r.to(gone, why, now)
	r.RefreshSent = time.Time{}
	o.record(activity.NeedsReconnect, &r, why)
	o.log.Info("needs to be connected again", "provider", r.Provider, "connection", r.ID, "reason", why)
	_ = o.settle(context.WithoutCancel(o.ctx), c, r, true)
	return o.reconnectFault(&r)
}

// failed settles a failure that may pass. The journal stays open when the
// answer never came.
func (o *Orchestrator) failed(c *connection, r Record, e event, why fault.Code, wait time.Duration) {
	o.mu.Lock()
	c.failures++
	if e == refused {
		c.refusals++
	} else {
		c.refusals = 0
	}
	now := o.now()
	c.nextTry = now.Add(wait)
	o.mu.Unlock()
	r.to(e, why, now)
	o.record(activity.RefreshFailed, &r, why)
	_ = o.settle(context.WithoutCancel(o.ctx), c, r, true)
}

// refused judges a refresh that brought no token. The OAuth error code
// decides, never the HTTP status alone: a proxy's 403 must not log anybody out.
func (o *Orchestrator) refused(c *connection, r Record, p provider.Provider, err error, lost bool) error {
	if o.ctx.Err() != nil {
		return errStopping // the journal says what was sent
	}
	said := oauth.Fault(err, p.Name)
	wire, ok := errors.AsType[*oauth.Error](err)
	if !ok {
		o.failed(c, r, outage, fault.CodeOf(said), o.backoff(c))
		return said
	}
	o.log.Warn("refresh failed", "provider", r.Provider, "connection", r.ID, "error", wire.Error())
	if wire.Kind != oauth.OutcomeUnknown && !lost {
		r.RefreshSent = time.Time{} // there was an answer to all that was sent
	}
	switch judge(wire) {
	case gone:
		if lost {
			return o.ended(c, r, fault.PossibleLostRotation)
		}
		return o.ended(c, r, whyGone(&r, &p, o.now()))
	case refused:
		o.mu.Lock()
		n := c.refusals + 1
		o.mu.Unlock()
		why := fault.ProviderError
		if wire.Code == "" || wire.Code == "invalid_client" || wire.Code == "unauthorized_client" {
			why = fault.ClientRefused
		}
		if n >= enoughRefusals {
			return o.ended(c, r, why)
		}
		o.failed(c, r, refused, why, min(firstBreaker<<(n-1), lastBreaker))
		return said
	}
	wait := o.backoff(c)
	if wire.RetryAfter > 0 {
		wait = wire.RetryAfter
	}
	o.failed(c, r, outage, fault.CodeOf(said), wait)
	return said
}

// whyGone says what is likely behind invalid_grant, which names no reason.
func whyGone(r *Record, p *provider.Provider, now time.Time) fault.Code {
	age := now.Sub(r.Authorized)
	switch {
	case !r.Token.RefreshExpiry.IsZero() && !now.Before(r.Token.RefreshExpiry):
		return fault.RefreshTokenEnds
	case p.Refresh.Testing > 0 && !r.Authorized.IsZero() && age >= p.Refresh.Testing-time.Hour && age < p.Refresh.Testing+24*time.Hour:
		return fault.TestingEnds
	}
	return fault.GrantGone
}

// judge says what an unsuccessful answer to a refresh means.
func judge(e *oauth.Error) event {
	switch {
	case e.Kind == oauth.Refused && e.Code == "invalid_grant":
		return gone
	case e.Kind == oauth.Refused && (e.Code == "temporarily_unavailable" || e.Code == "server_error" || e.Code == "slow_down"):
		return outage
	case e.Kind == oauth.Refused:
		return refused
	}
	return outage
}

// backoff returns how long to wait after the failures so far: doubling, with
// up to a fifth of jitter so that connections do not come back in step.
func (o *Orchestrator) backoff(c *connection) time.Duration {
	o.mu.Lock()
	n := min(c.failures, 10)
	o.mu.Unlock()
	d := min(firstBackoff<<n, lastBackoff)
	return d + time.Duration(rand.Int64N(int64(d/5)+1))
}
