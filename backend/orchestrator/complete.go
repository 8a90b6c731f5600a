package orchestrator

import (
	"context"
	"slices"
	"strings"
	"time"

	"keyturn/backend/fault"
	"keyturn/backend/oauth"
)

// respond takes the one genuine response of an attempt to its end and returns
// what the last page shall say.
func (o *Orchestrator) respond(a *attempt, r oauth.Reply) oauth.Outcome {
	if !o.at(a, Exchanging) {
		if r.Token != nil { // cancelled while the provider said yes
			o.discard(a, *r.Token)
		}
	} else {
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
		Asked:    v.Asked,
		Code:     string(v.Code),
		Message:  v.Message,
	}
}

// complete obtains the token, learns who consented and settles the grant.
func (o *Orchestrator) complete(a *attempt, r oauth.Reply) error {
	// Not a.ctx: once the code is out, a cancel must not leave a token behind
	// that nobody knows of. The HTTP client has limits of its own.
	ctx := o.ctx
	token, err := o.obtain(ctx, a, r)
	if err != nil {
		return err
	}
	if !o.at(a, Identifying) {
		o.discard(a, token)
		return nil
	}
	account, err := o.identify(ctx, a, token)
	if err != nil {
		o.discard(a, token)
		return err
	}
	if !o.at(a, Saving) {
		o.discard(a, token)
		return nil
	}
	return o.grant(context.WithoutCancel(ctx), a, token, account)
}

// obtain returns the token of a reply: the one that came with it, or what its
// code is exchanged for.
func (o *Orchestrator) obtain(ctx context.Context, a *attempt, r oauth.Reply) (oauth.Token, error) {
	if r.Token != nil {
		return *r.Token, nil
	}
	if err := oauth.CheckIss(a.server, r.Response); err != nil {
		return oauth.Token{}, err
	}
	if r.Response.Error != "" {
		return oauth.Token{}, responseFault(r.Response.Error, a.provider.Name)
	}
	token, err := o.http.Exchange(ctx, a.server, a.client, r.Response.Code, a.redirectURI, a.authz.Verifier)
	if err != nil {
		return oauth.Token{}, oauth.Fault(err, a.provider.Name)
	}
	return token, nil
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
		nonce := a.authz.Nonce
		if a.request.Transport == "device" { // its request has none (RFC 8628 section 3.1)
			nonce = oauth.Secret{}
		}
		claims, err = o.http.VerifyIDToken(ctx, a.server, a.client, token.ID, nonce)
		if err != nil {
			return oauth.Account{}, fault.Wrap(err, fault.IdentityFailed, "%s said who you are in a way that does not hold up, so nothing was stored. Try again.", a.provider.Name)
		}
	}
	account, err := o.http.Identify(ctx, a.server, token, claims)
	if err != nil {
		if fault.CodeOf(err) == fault.IdentityFailed {
			return oauth.Account{}, err
		}
		if ctx.Err() != nil {
			return oauth.Account{}, errStopped // not unknown: we did not wait for it
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
		o.discard(a, token)
		return err
	}
	if !o.at(a, Saving) { // ended while it waited for the lanes
		leaveLanes()
		if isNew {
			c.release()
		}
		o.discard(a, token)
		return nil
	}
	err = o.settle(ctx, c, o.granted(c, a, token, account), false)
	leaveLanes()
	if err != nil {
		if isNew {
			c.release()
		}
		o.discard(a, token)
		return err
	}
	o.mu.Lock()
	r := c.rec
	c.failures, c.refusals, c.nextTry = 0, 0, time.Time{}
	o.spareLocked(&r)
	done := o.finishLocked(a, func(v *Attempt) {
		v.Status = Complete
		v.ConnectionID, v.Account = r.ID, r.Account.Label
		v.Granted, v.Missing = r.Granted, without(r.Requested, r.Granted)
		v.Asked = otherThan(a.request.Account, &r)
	})
	o.mu.Unlock()
	if !done && isNew {
		// Cancelled while it was being saved: the user's no comes last. A grant
		// that replaced an older one of the same account stays.
		_, err = o.Disconnect(ctx, r.ID)
	}
	return err
}

// otherThan returns the account that was asked for if r is certainly another
// one. A hint can be an email address where the provider knows people by name,
// or the other way round: that says nothing.
func otherThan(asked string, r *Record) string {
	if asked == "" || r.Account.Label == "" || isAccount(r, asked) || strings.Contains(asked, "@") != strings.Contains(r.Account.Label, "@") {
		return ""
	}
	return asked
}

// granted returns the record of c as the attempt leaves it.
func (o *Orchestrator) granted(c *connection, a *attempt, token oauth.Token, account oauth.Account) Record {
	o.mu.Lock()
	r := c.rec
	o.mu.Unlock()
	now := o.now()
	if r.ID == "" {
		r.ID, r.Created = newID("con_"), now
		r.Provider, r.ClientID = a.provider.ID, a.client.ID
		r.Status, r.Since = Connected, now
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
	r.to(granted, "", now)
	r.RefreshSent = time.Time{}
	r.Authorized, r.Refreshed = now, now
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
// was told already that there is no connection. There are providers where
// revoking one token ends all that the app has for that account; a token of an
// account that is connected is therefore left to end by itself.
func (o *Orchestrator) discard(a *attempt, token oauth.Token) {
	o.wg.Go(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(o.ctx), revokeLimit)
		defer cancel()
		if o.sharesGrant(ctx, a, token) {
			o.log.Info("token left to end by itself", "provider", a.provider.ID)
			return
		}
		o.revokeToken(ctx, a.server, a.client, token)
	})
}

// sharesGrant reports whether a connection may live by the same grant as a
// token that an attempt brought: one of the same app, for all that is known of
// the account.
func (o *Orchestrator) sharesGrant(ctx context.Context, a *attempt, token oauth.Token) bool {
	o.mu.Lock()
	accounts := map[string]bool{}
	for _, c := range o.byProvider[a.provider.ID] {
		if c.rec.ClientID == a.client.ID {
			accounts[c.rec.Account.ID] = true
		}
	}
	o.mu.Unlock()
	if len(accounts) == 0 {
		return false
	}
	account, err := o.http.Identify(ctx, a.server, token, nil)
	return err != nil || account.ID == "" || accounts[account.ID] || accounts[""]
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
