package orchestrator

import (
	"cmp"
	"context"
	"net/url"
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
	if provider.IsAddress(r.Provider) {
		p, err := o.resource(ctx, r.Provider, r.Challenge)
		if err != nil {
			return Started{}, err
		}
		r.Provider = p.ID
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
	if err := o.warm(a, r.IfNeeded); err != nil {
		return Started{}, err
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
	if err := p.ErrUnfilled(); err != nil {
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
	// A gateway sees the code. What keeps it from using it is the verifier or
	// the client's secret, and one of them has to be known to be asked for.
	if r.Transport == "gateway" && p.PKCE == "unverified" && client.Secret.IsZero() {
		return nil, fault.New(fault.GatewayRequiresPKCE, "%s does not document PKCE, so without a client secret a gateway could use the code that it passes on. Add the secret to the OAuth app: keyturn apps upsert --provider %s", p.Name, p.ID)
	}
	server := p.Server()
	if server.DPoP {
		client.Key = oauth.NewKey()
	}
	a := &attempt{
		request:  r,
		provider: p,
		server:   server,
		client:   client,
		authz: oauth.AuthorizationRequest{
			Server:      server,
			Client:      client,
			Scopes:      r.Scopes,
			State:       oauth.NewState(),
			Verifier:    oauth.NewVerifier(),
			Nonce:       oauth.NewNonce(),
			AccountHint: r.Account,
			Choose:      r.Choose,

			ProviderID:   p.AppsAt(),
			ProviderName: p.Name,
			Redirect:     p.RedirectRule(o.port),
		},
		prompted: make(chan struct{}),
	}
	if server.Authorize.PushedURL != "" {
		a.authz.Push = func(ctx context.Context, params url.Values) (string, error) {
			return o.http.Push(ctx, server, client, params)
		}
	}
	return a, nil
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
		var first error // of the best one
		for _, t := range works {
			err := o.canCarry(p, t)
			if err == nil {
				return t, nil
			}
			first = cmp.Or(first, err)
		}
		return "", fault.New(fault.BadRequest, "%s cannot send its callback to this computer directly. %s", p.Name, fault.MessageOf(first))
	}
	if err := o.canCarry(p, asked); err != nil {
		return "", err
	}
	if !slices.Contains(works, asked) {
		return "", fault.New(fault.BadRequest, "%s does not work with the callback transport %s. It works with: %s.", p.Name, asked, strings.Join(works, ", "))
	}
	return asked, nil
}

// canCarry returns nil if a callback transport is there and set up for p.
func (o *Orchestrator) canCarry(p provider.Provider, name string) error {
	if name == "loopback" && p.RedirectRule(o.port).HTTPS && (o.httpsLoopback == nil || !o.httpsLoopback()) {
		return fault.New(fault.BadRequest, "%s wants https, which is not switched on for this computer. Set up a gateway (keyturn gateway add https://…), or set https_loopback = true in the settings.", p.Name)
	}
	t := o.transports[name]
	if t == nil {
		return fault.New(fault.BadRequest, "The callback transport %s is not set up here.", name)
	}
	if r, ok := t.(readier); ok {
		return r.Ready()
	}
	return nil
}

// covering returns a connection that already gives what r asks for.
func (o *Orchestrator) covering(r ConnectRequest) (Connection, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, c := range o.byProvider[r.Provider] {
		if c.rec.ClientID == r.ClientID && c.rec.Status != NeedsReconnect &&
			(c.renewable || alive(&c.rec, o.now())) &&
			(r.Account == "" || isAccount(&c.rec, r.Account)) &&
			len(without(r.Scopes, c.rec.Granted)) == 0 {
			return o.view(c), true
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
	now := o.now()
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
		Expires:      now.Add(a.life()),
	}
	a.timer = time.AfterFunc(a.life(), func() { o.expire(a) })
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
		a.view.UserCode, a.view.VerificationURI = p.UserCode, p.VerificationURI
		a.paste, a.view.Pastes = p.Paste, p.Paste != nil
		a.confirm, a.view.Confirms = p.Confirm, p.Confirm != nil
		if p.Held != nil {
			o.goLocked(func() { o.awaitConfirmation(a, p.Held) })
		}
		if !p.Expires.IsZero() && a.view.Status == Pending { // the provider sets the time
			left := min(p.Expires.Sub(o.now()), DeviceLife)
			a.view.Expires = o.now().Add(left)
			a.timer.Reset(left)
		}
		o.ringLocked()
		o.mu.Unlock()
		close(a.prompted)
	})
	if err != nil {
		o.abandon(a, err)
		return
	}
	reply.Tell(o.respond(a, reply))
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
	if a.view.Status == Error { // ended before it had a prompt
		err = fault.New(a.view.Code, "%s", a.view.Message)
	}
	a.failed = err
	a.view.Status = Error
	a.timer.Stop()
	a.cancel()
	delete(o.attempts, a.view.Handle)
	close(a.prompted)
}
