package orchestrator

import (
	"context"
	"slices"
	"strings"
	"time"

	"keyturn/backend/fault"
	"keyturn/backend/oauth"
	"keyturn/backend/provider"
)

// Connect starts an attempt, joins an equal one, or finds that none is needed.
// It returns as soon as there is a URL to open; the attempt goes on without
// the caller and ctx.
func (o *Orchestrator) Connect(ctx context.Context, r ConnectRequest) (Started, error) {
	if err := o.open(ctx); err != nil {
		return Started{}, err
	}
	a, err := o.prepare(r)
	if err != nil {
		return Started{}, err
	}
	if r.IfNeeded {
		if c, ok := o.covering(a.request); ok {
			return Started{Existing: &c}, nil
		}
	}
	// Better to fail now than after the user's consent (nothing was opened yet).
	if err := o.store.Check(ctx); err != nil {
		return Started{}, err
	}
	return o.start(ctx, a)
}

// Restart ends a pending attempt as superseded and starts it anew: the user's
// own Start again.
func (o *Orchestrator) Restart(ctx context.Context, handle, starter string) (Started, error) {
	if err := o.open(ctx); err != nil {
		return Started{}, err
	}
	o.mu.Lock()
	old := o.attempts[handle]
	if old != nil {
		o.failLocked(old, fault.New(fault.Superseded, "You started this again; the newer attempt counts."))
	}
	o.mu.Unlock()
	if old == nil {
		return Started{}, unknownHandle()
	}
	r := old.request
	r.Starter = starter
	r.IfNeeded = false
	return o.Connect(ctx, r)
}

// prepare resolves a request into an attempt that nobody knows of yet: every
// reason to refuse it that needs no I/O is found here.
func (o *Orchestrator) prepare(r ConnectRequest) (*attempt, error) {
	p, err := o.Provider(r.Provider)
	if err != nil {
		return nil, err
	}
	if r.Scopes == nil {
		r.Scopes = p.Scope.Default
	}
	for _, s := range r.Scopes {
		if !validScope(s, p.Scope.Separator) {
			return nil, fault.New(fault.BadRequest, "One of the scopes has a character that scopes cannot have, or is empty.")
		}
	}
	if r.Transport, err = o.transportFor(p, r.Transport); err != nil {
		return nil, err
	}
	app, err := o.appFor(p, r.ClientID)
	if err != nil {
		return nil, err
	}
	client := app.Client
	if !r.Secret.IsZero() {
		client.Secret = r.Secret
		if client.Auth, err = p.AuthFor(r.Secret); err != nil {
			return nil, err
		}
	}
	r.ClientID = client.ID
	server := p.Server()
	return &attempt{
		request:  r,
		provider: p,
		server:   server,
		client:   client,
		authz: oauth.AuthorizationRequest{
			Server:      server,
			ClientID:    client.ID,
			Scopes:      r.Scopes,
			State:       oauth.NewState(),
			Verifier:    oauth.NewVerifier(),
			Nonce:       oauth.NewNonce(),
			AccountHint: r.Account,
			ProviderID:  p.ID,
			Redirect:    p.RedirectRule(o.port),
		},
		prompted: make(chan struct{}),
	}, nil
}

// validScope reports whether s is a scope-token (RFC 6749 section 3.3) that
// stays one when scopes are joined.
func validScope(s, separator string) bool {
	if s == "" || len(s) > 512 || separator != "" && strings.Contains(s, separator) {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// transportFor returns the transport that was asked for, or the provider's best.
func (o *Orchestrator) transportFor(p provider.Provider, asked string) (string, error) {
	works := p.Transports()
	if asked == "" {
		for _, t := range works {
			if o.transports[t] != nil {
				return t, nil
			}
		}
		return "", fault.New(fault.BadRequest, "%s accepts only callbacks that this Keyturn cannot receive (%s).", p.Name, strings.Join(works, ", "))
	}
	if o.transports[asked] == nil {
		return "", fault.New(fault.BadRequest, "The callback transport %s is not set up here.", asked)
	}
	if !slices.Contains(works, asked) {
		return "", fault.New(fault.BadRequest, "%s does not work with the callback transport %s. It works with: %s.", p.Name, asked, strings.Join(works, ", "))
	}
	return asked, nil
}

// covering returns a connection that already gives what r asks for.
func (o *Orchestrator) covering(r ConnectRequest) (Connection, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, c := range o.byProvider[r.Provider] {
		if c.rec.ClientID == r.ClientID && c.rec.Status != NeedsReconnect &&
			(r.Account == "" || isAccount(&c.rec, r.Account) || isNearlyAccount(&c.rec, r.Account)) &&
			len(without(r.Scopes, c.rec.Granted)) == 0 {
			return o.viewLocked(c), true
		}
	}
	return Connection{}, false
}

// start records the attempt, or joins an equal one, and waits for the prompt.
func (o *Orchestrator) start(ctx context.Context, a *attempt) (Started, error) {
	release, err := o.host(a.provider)
	if err != nil {
		return Started{}, err
	}
	o.mu.Lock()
	joined, err := o.admitLocked(a)
	switch {
	case err != nil:
	case joined != nil:
	default:
		o.recordLocked(a, release)
		release = nil
	}
	o.mu.Unlock()
	if release != nil {
		release()
	}
	if err != nil {
		return Started{}, err
	}
	if joined != nil {
		return o.prompt(ctx, joined, true)
	}
	return o.prompt(ctx, a, false)
}

// host makes the server inside this program listen that the provider needs, if any.
func (o *Orchestrator) host(p provider.Provider) (release func(), err error) {
	start := o.hosted[p.HostedBy]
	if start == nil {
		return func() {}, nil
	}
	return start()
}

// admitLocked returns an equal pending attempt to join, or an error when there
// is no room for another. Callers hold mu.
func (o *Orchestrator) admitLocked(a *attempt) (join *attempt, err error) {
	if o.ctx.Err() != nil {
		return nil, errStopping
	}
	pending, ofProvider := 0, 0
	for _, other := range o.attempts {
		if other.view.Status != Pending {
			continue
		}
		if other.view.Step == WaitingForBrowser && other.sameAs(a.request) {
			return other, nil
		}
		pending++
		if other.view.Provider == a.provider.ID {
			ofProvider++
		}
	}
	switch {
	case ofProvider >= MaxPendingPerName:
		return nil, fault.New(fault.RateLimited, "%d attempts to connect %s are waiting already. Finish or cancel one first.", ofProvider, a.provider.Name)
	case pending >= MaxPending:
		return nil, fault.New(fault.RateLimited, "%d attempts are waiting already. Finish or cancel one first.", pending)
	}
	return nil, nil
}

// recordLocked makes the attempt known and starts the goroutine that owns it.
// Callers hold mu.
func (o *Orchestrator) recordLocked(a *attempt, release func()) {
	now := time.Now().Round(0)
	a.release = release
	a.ctx, a.cancel = context.WithCancel(o.ctx)
	a.view = Attempt{
		Handle:       randomHex(16),
		Provider:     a.provider.ID,
		ProviderName: a.provider.Name,
		Transport:    a.request.Transport,
		Starter:      a.request.Starter,
		Status:       Pending,
		Step:         WaitingForBrowser,
		Started:      now,
		Expires:      now.Add(PendingLife),
	}
	a.timer = time.AfterFunc(PendingLife, func() { o.expire(a) })
	o.attempts[a.view.Handle] = a
	o.wg.Go(func() { o.carry(a) })
}

// prompt waits until the attempt has a URL to open, or an error.
func (o *Orchestrator) prompt(ctx context.Context, a *attempt, joined bool) (Started, error) {
	select {
	case <-a.prompted:
	case <-ctx.Done():
		return Started{}, ctx.Err()
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if a.failed != nil {
		return Started{}, a.failed
	}
	return Started{Attempt: a.view, Joined: joined}, nil
}

// carry owns an attempt from the prompt to its end.
func (o *Orchestrator) carry(a *attempt) {
	defer a.release()
	reply, err := o.transports[a.request.Transport].Authorize(a.ctx, a.authz, func(p oauth.Prompt) {
		o.mu.Lock()
		a.view.URL, a.redirectURI = p.URL, p.RedirectURI
		o.ringLocked()
		o.mu.Unlock()
		close(a.prompted)
	})
	if err != nil {
		o.abandon(a, err)
		return
	}
	reply.Tell(o.respond(a, reply.Response))
}

// abandon ends an attempt whose transport returned without a response. When it
// never got as far as a prompt, nothing of it is kept.
func (o *Orchestrator) abandon(a *attempt, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ctx.Err() != nil {
		err = errStopped
	}
	if a.view.URL != "" {
		o.failLocked(a, err) // no-op when it was cancelled or has expired
		return
	}
	a.failed = err
	a.view.Status = Error
	a.timer.Stop()
	a.cancel()
	delete(o.attempts, a.view.Handle)
	close(a.prompted)
}

// respond takes the one genuine response of an attempt to its end and returns
// what the last page shall say.
func (o *Orchestrator) respond(a *attempt, r oauth.AuthorizationResponse) oauth.Outcome {
	if o.at(a, Exchanging) {
		if err := o.complete(a, r); err != nil {
			o.log.Info("attempt failed", "provider", a.provider.ID, "code", fault.CodeOf(err), "error", err.Error(), "cause", cause(err))
			o.mu.Lock()
			o.failLocked(a, err)
			o.mu.Unlock()
		}
	}
	o.mu.Lock()
	v := a.view
	o.mu.Unlock()
	return oauth.Outcome{
		OK:       v.Status == Complete,
		Provider: v.ProviderName,
		Account:  v.Account,
		Scopes:   v.Granted,
		Missing:  v.Missing,
		Code:     string(v.Code),
		Message:  v.Message,
	}
}

// complete exchanges the code, learns who consented and settles the grant.
func (o *Orchestrator) complete(a *attempt, r oauth.AuthorizationResponse) error {
	if err := oauth.CheckIss(a.server, r); err != nil {
		return err
	}
	if r.Error != "" {
		return responseFault(r.Error, a.provider.Name)
	}
	// Not a.ctx: once the code is out, a cancel must not leave a token behind
	// that nobody knows of. The HTTP client has limits of its own.
	ctx := o.ctx
	token, err := o.http.Exchange(ctx, a.server, a.client, r.Code, a.redirectURI, a.authz.Verifier)
	if err != nil {
		return oauth.Fault(err, a.provider.Name)
	}
	if !o.at(a, Identifying) {
		o.discard(a.server, a.client, token)
		return nil
	}
	account, err := o.identify(ctx, a, token)
	if err != nil {
		o.discard(a.server, a.client, token)
		return err
	}
	if !o.at(a, Saving) {
		o.discard(a.server, a.client, token)
		return nil
	}
	return o.grant(context.WithoutCancel(ctx), a, token, account)
}

// responseFault turns an authorization error response (RFC 6749 section
// 4.1.2.1) into a failure in our words.
func responseFault(code, name string) error {
	switch code {
	case "access_denied", "consent_required", "interaction_required", "login_required":
		return fault.New(fault.Denied, "%s was not approved: the answer there was no.", name)
	case "temporarily_unavailable", "server_error":
		return fault.New(fault.ProviderUnavailable, "%s says that it cannot do this right now. Try again in a while.", name)
	case "invalid_scope":
		return fault.New(fault.ProviderError, "%s does not know one of the scopes that were asked for (invalid_scope).", name)
	case "unauthorized_client", "invalid_request", "unsupported_response_type", "invalid_client":
		return fault.New(fault.ProviderError, "%s refused the request (%s). Check the OAuth app: its client id, type and redirect URI.", name, code)
	}
	return fault.New(fault.ProviderError, "%s answered with an error (%s).", name, code)
}

// identify learns whose grant it is. A verified ID token is believed; one that
// fails verification ends the attempt. An identity call that does not answer
// costs the label, not the grant.
func (o *Orchestrator) identify(ctx context.Context, a *attempt, token oauth.Token) (oauth.Account, error) {
	var claims map[string]any
	if !token.ID.IsZero() && a.server.JWKSURL != "" && slices.Contains(a.request.Scopes, "openid") {
		var err error
		claims, err = o.http.VerifyIDToken(ctx, a.server, a.client, token.ID, a.authz.Nonce)
		if err != nil {
			return oauth.Account{}, fault.Wrap(err, fault.IdentityFailed, "%s said who you are in a way that does not hold up, so nothing was stored. Try again.", a.provider.Name)
		}
	}
	account, err := o.http.Identify(ctx, a.server, token, claims)
	if err != nil {
		if fault.CodeOf(err) == fault.IdentityFailed {
			return oauth.Account{}, err
		}
		o.log.Warn("account not learned", "provider", a.provider.ID, "error", err.Error())
	}
	return account, nil
}

// grant stores what the attempt obtained, as a new connection or as the next
// token of the one for the same account, and ends the attempt.
func (o *Orchestrator) grant(ctx context.Context, a *attempt, token oauth.Token, account oauth.Account) error {
	c, isNew, leaveLanes, err := o.connectionFor(ctx, a, account.ID)
	if err != nil {
		o.discard(a.server, a.client, token)
		return err
	}
	err = o.settle(ctx, c, o.granted(c, a, token, account), false)
	leaveLanes()
	if err != nil {
		if isNew {
			c.release()
			o.discard(a.server, a.client, token)
		}
		return err
	}
	o.mu.Lock()
	r := c.rec
	c.failures, c.refusals, c.nextTry = 0, 0, time.Time{}
	done := o.finishLocked(a, func(v *Attempt) {
		v.Status = Complete
		v.ConnectionID, v.Account = r.ID, r.Account.Label
		v.Granted, v.Missing = r.Granted, without(r.Requested, r.Granted)
	})
	o.mu.Unlock()
	if !done && isNew {
		// Cancelled while it was being saved: the user's no comes last. A grant
		// that replaced an older one of the same account stays.
		_, _, err = o.Disconnect(ctx, r.ID)
	}
	return err
}

// granted returns the record of c as the attempt leaves it.
func (o *Orchestrator) granted(c *connection, a *attempt, token oauth.Token, account oauth.Account) Record {
	o.mu.Lock()
	r := c.rec
	o.mu.Unlock()
	now := time.Now().Round(0)
	if r.ID == "" {
		r.ID, r.Created = newID("con_"), now
		r.Provider, r.ClientID = a.provider.ID, a.client.ID
		r.Status = Connected
	}
	r.Origin, r.Issuer = origins(a.server), a.server.Issuer
	r.Account = account
	r.Requested, r.Granted = a.request.Scopes, a.provider.Granted(a.request.Scopes, token.Scopes)
	if r.Granted == nil {
		r.Granted = a.request.Scopes // RFC 6749 section 5.1: as asked
	}
	token.ID = oauth.Secret{} // it has done its work
	r.Token = token
	r.Generation++
	r.Status, r.Reason = step(r.Status, granted), ""
	r.RefreshSent = time.Time{}
	r.Refreshed = now
	return r
}

// connectionFor returns the connection that a grant belongs to, with its lane
// taken: the one of the same account and app, or a new one. An account that
// could not be learned never replaces one that is known. Making a new one also
// takes the orchestrator's lane, so that two attempts for one account cannot
// make two.
func (o *Orchestrator) connectionFor(ctx context.Context, a *attempt, accountID string) (c *connection, isNew bool, leaveLanes func(), err error) {
	find := func() *connection {
		o.mu.Lock()
		defer o.mu.Unlock()
		for _, c := range o.byProvider[a.provider.ID] {
			if c.rec.ClientID == a.client.ID && c.rec.Issuer == a.server.Issuer && c.rec.Account.ID == accountID {
				return c
			}
		}
		return nil
	}
	for {
		if c = find(); c == nil {
			if err = enter(ctx, o.lane); err != nil {
				return nil, false, nil, err
			}
			if c = find(); c == nil {
				c = &connection{lane: make(chan struct{}, 1), release: o.use(a.provider.ID)}
				c.lane <- struct{}{}
				return c, true, func() { leave(c.lane); leave(o.lane) }, nil
			}
			leave(o.lane)
		}
		if err = enter(ctx, c.lane); err != nil {
			return nil, false, nil, err
		}
		o.mu.Lock()
		disconnected := c.gone
		o.mu.Unlock()
		if !disconnected {
			return c, false, func() { leave(c.lane) }, nil
		}
		leave(c.lane) // disconnected while we waited: look again
	}
}

// discard revokes a token that nobody will use. It is best effort: the user
// was told already that there is no connection.
func (o *Orchestrator) discard(s oauth.Server, c oauth.Client, token oauth.Token) {
	o.wg.Go(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(o.ctx), revokeLimit)
		defer cancel()
		o.revokeToken(ctx, s, c, token)
	})
}

// cause returns the text behind a failure, for the log. Errors of ours hold no
// secrets and no provider text.
func cause(err error) string {
	type unwrapper interface{ Unwrap() error }
	if u, ok := err.(unwrapper); ok && u.Unwrap() != nil {
		return u.Unwrap().Error()
	}
	return ""
}
