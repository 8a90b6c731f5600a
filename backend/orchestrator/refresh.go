package orchestrator

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"keyturn/backend/fault"
	"keyturn/backend/oauth"
)

// Times of refresh.
const (
	// earlyBy and a tenth of the lifetime, whichever is less: how long before
	// its end a token in use is renewed without being asked for.
	earlyBy = 5 * time.Minute
	// inUse is how recently a token must have been read for that.
	inUse = 7 * 24 * time.Hour
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
	ended chan struct{}
	err   error // set before ended is closed
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
	if now.Before(c.nextTry) {
		return nil, fault.New(fault.ProviderUnavailable, "%s could not renew the token; Keyturn tries again at %s.",
			o.nameOf(c.rec.Provider), c.nextTry.Local().Format("15:04:05"))
	}
	f := &refresh{ended: make(chan struct{})}
	started := o.goLocked(func() {
		f.err = o.refresh(c)
		o.mu.Lock()
		c.refreshing = nil
		o.mu.Unlock()
		close(f.ended)
	})
	if !started {
		return nil, errStopping
	}
	c.refreshing = f
	return f, nil
}

// refreshDue renews what is in use and about to end, tries again what failed
// and is due, and saves again what could not be saved.
func (o *Orchestrator) refreshDue(now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, c := range o.connections {
		if c.unsaved {
			o.goLocked(func() { o.change(c, func(*connection, *Record) {}) })
		}
		if c.rec.Status == NeedsReconnect || c.rec.Token.Expiry.IsZero() {
			continue
		}
		if c.rec.Token.Refresh.IsZero() {
			if !alive(&c.rec, now) {
				_, _ = o.renewLocked(c, now) // finds that only the user can help, and says so unasked
			}
			continue
		}
		life := lifetime(&c.rec)
		early := min(earlyBy, life/10)
		early -= time.Duration(rand.Int64N(int64(early/4) + 1))
		retry := c.rec.Status == Retrying
		if retry || !c.lastUsed.IsZero() && now.Sub(c.lastUsed) < inUse && c.rec.Token.Expiry.Sub(now) < early {
			_, _ = o.renewLocked(c, now) // an error: not yet
		}
	}
}

// refresh renews the token of c and settles what came of it. The error is for
// the callers that wait.
func (o *Orchestrator) refresh(c *connection) error {
	if err := enter(o.ctx, c.lane); err != nil {
		return errStopping
	}
	defer leave(c.lane)
	// The decision is taken again now that nobody else can change the record:
	// a connect may have brought a new token while we waited for the lane.
	o.mu.Lock()
	r, disconnected := c.rec, c.gone
	o.mu.Unlock()
	now := time.Now()
	switch {
	case disconnected:
		return fault.New(fault.NotConnected, "This was disconnected meanwhile.")
	case r.Status == NeedsReconnect:
		return o.reconnectFault(&r)
	case r.Token.Refresh.IsZero():
		return o.ended(c, r, fault.NoRefreshToken)
	case lifetime(&r) > 0 && lifetime(&r) < useless && now.Sub(r.Refreshed) < tick:
		return fault.New(fault.ProviderUnavailable, "%s issues tokens that end at once.", o.nameOf(r.Provider))
	}
	p, server, client, err := o.serverFor(r)
	if err != nil {
		return err
	}
	if !bound(r, refreshURL(server)) {
		return o.ended(c, r, fault.ConfigChanged)
	}

	lost := !r.RefreshSent.IsZero() // the answer to an earlier request never came
	noted := r
	noted.RefreshSent = now.Round(0)
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
	token, unanswered, err := o.send(server, client, r.Token.Refresh)
	if err != nil {
		return o.refused(c, r, p.Name, err, lost || unanswered)
	}
	token.Scopes = p.Granted(r.Granted, token.Scopes)
	return o.renewed(c, r, token)
}

// send makes the token request (RFC 6749 section 6). What never left is sent
// again; what was sent and not answered once more, because the server may not
// have seen it, and because without its answer the token is lost either way.
// unanswered says that a request before the last one was.
func (o *Orchestrator) send(s oauth.Server, c oauth.Client, refreshToken oauth.Secret) (token oauth.Token, unanswered bool, err error) {
	// Not interrupted when Keyturn stops: an answer that is on its way holds
	// the only refresh token there is. The HTTP client has limits of its own.
	ctx := context.WithoutCancel(o.ctx)
	for try := 0; ; try++ {
		token, err = o.http.Refresh(ctx, s, c, refreshToken)
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
	r.Status, r.Reason = step(r.Status, granted), ""
	r.RefreshSent = time.Time{}
	r.Refreshed = time.Now().Round(0)
	o.mu.Lock()
	c.failures, c.refusals, c.nextTry = 0, 0, time.Time{}
	o.mu.Unlock()
	// Settle says in the log when this cannot be saved; the token serves all the same.
	_ = o.settle(context.WithoutCancel(o.ctx), c, r, true)
	return nil
}

// ended settles a grant that only the user can renew.
func (o *Orchestrator) ended(c *connection, r Record, why fault.Code) error {
	if why == fault.NoRefreshToken && alive(&r, time.Now()) {
		return nil // still good, only not for as long as was asked
	}
	r.Status, r.Reason = step(r.Status, gone), why
	r.RefreshSent = time.Time{}
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
	c.nextTry = time.Now().Add(wait).Round(0)
	o.mu.Unlock()
	r.Status, r.Reason = step(r.Status, e), why
	_ = o.settle(context.WithoutCancel(o.ctx), c, r, true)
}

// refused judges a refresh that brought no token. The OAuth error code
// decides, never the HTTP status alone: a proxy's 403 must not log anybody out.
func (o *Orchestrator) refused(c *connection, r Record, name string, err error, lost bool) error {
	if o.ctx.Err() != nil {
		return errStopping // the journal says what was sent
	}
	said := oauth.Fault(err, name)
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
		return o.ended(c, r, fault.GrantGone)
	case refused:
		o.mu.Lock()
		n := c.refusals + 1
		o.mu.Unlock()
		if n >= enoughRefusals {
			return o.ended(c, r, fault.ClientRefused)
		}
		o.failed(c, r, refused, fault.ClientRefused, min(firstBreaker<<(n-1), lastBreaker))
		return said
	}
	wait := o.backoff(c)
	if wire.RetryAfter > 0 {
		wait = wire.RetryAfter
	}
	o.failed(c, r, outage, fault.CodeOf(said), wait)
	return said
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
