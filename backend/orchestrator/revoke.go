package orchestrator

import (
	"context"
	"errors"
	"time"

	"keyturn/backend/activity"
	"keyturn/backend/fault"
	"keyturn/backend/oauth"
)

// Times of revocation.
const (
	revokeLimit = 10 * time.Second // for one try
	firstRevoke = time.Minute      // until the second try; doubling
	lastRevoke  = 6 * time.Hour
	// revokeLife is how long a provider is asked. Few refresh tokens live on
	// that long without being used.
	revokeLife = 30 * 24 * time.Hour
)

// answer is what came of a revocation.
type answer int

const (
	done   answer = iota // the provider confirmed
	no                   // it has no way to revoke, or refuses for good
	notNow               // it cannot be reached, or is not well
)

// revocable reports whether there is an address to revoke r at. Nothing is
// sent to an origin that the grant was not made with.
func (o *Orchestrator) revocable(r Record) bool {
	_, server, _, err := o.serverFor(r)
	return err == nil && server.Revoke.URL != "" && bound(r, server.Revoke.URL)
}

// revoke asks the provider to end a stored grant.
func (o *Orchestrator) revoke(ctx context.Context, r Record) answer {
	if !o.revocable(r) {
		return no
	}
	_, server, client, err := o.serverFor(r)
	if err != nil {
		return no
	}
	ctx, cancel := context.WithTimeout(ctx, revokeLimit)
	defer cancel()
	return o.revokeToken(ctx, server, client, r.Token)
}

// revokeToken revokes the refresh token, then the access token (RFC 7009
// section 2.1: with the first, many servers end the second too, but they need
// not). What counts is the token that could renew the grant.
func (o *Orchestrator) revokeToken(ctx context.Context, s oauth.Server, c oauth.Client, t oauth.Token) answer {
	if s.Revoke.URL == "" {
		return no
	}
	came := no
	if !t.Refresh.IsZero() && !s.Revoke.AccessOnly {
		came = o.revokeOne(ctx, s, c, t.Refresh, "refresh_token")
		if came == notNow {
			return notNow // the access token would fare no better, and would be spent
		}
	}
	if !t.Access.IsZero() {
		if access := o.revokeOne(ctx, s, c, t.Access, "access_token"); came != done {
			came = access
		}
	}
	return came
}

func (o *Orchestrator) revokeOne(ctx context.Context, s oauth.Server, c oauth.Client, token oauth.Secret, hint string) answer {
	err := o.http.Revoke(ctx, s, c, token, hint)
	if err == nil {
		return done
	}
	o.log.Warn("token not revoked", "kind", hint, "error", err.Error())
	if wire, ok := errors.AsType[*oauth.Error](err); ok && wire.Kind == oauth.Refused {
		return no
	}
	return notNow
}

// keepRevoking goes on with a revocation that did not work now. Callers have
// the lane of c.
func (o *Orchestrator) keepRevoking(c *connection, r Record) {
	o.mu.Lock()
	defer o.mu.Unlock()
	r.Reason = fault.ProviderUnavailable
	c.rec = r
	c.nextTry = o.now().Add(min(firstRevoke<<min(c.failures, 10), lastRevoke))
	c.failures++
	o.revoking[r.ID] = c
	o.ringLocked()
}

// revokeDueLocked tries again what is due. Callers hold mu.
func (o *Orchestrator) revokeDueLocked(now time.Time) {
	for _, c := range o.revoking {
		slot := o.slotLocked(c.rec.Provider)
		if c.waits(now) || len(c.lane) > 0 || len(slot) >= unasked {
			continue
		}
		o.goLocked(func() {
			if enter(o.ctx, slot) == nil {
				defer leave(slot)
				_, _ = o.revokeAgain(o.ctx, c, Disconnected{})
			}
		})
	}
}

// revokeAgain tries once more to revoke, and forgets c when there is nothing
// left to try.
func (o *Orchestrator) revokeAgain(ctx context.Context, c *connection, d Disconnected) (Disconnected, error) {
	if err := enter(ctx, c.lane); err != nil {
		return d, err
	}
	defer leave(c.lane)
	o.mu.Lock()
	r, pending := c.rec, o.revoking[c.rec.ID] == c
	o.mu.Unlock()
	if !pending { // somebody else was faster
		return d, nil
	}
	came := o.revoke(ctx, r)
	if o.ctx.Err() != nil {
		return d, errStopping
	}
	now := o.now()
	over := !r.Token.RefreshExpiry.IsZero() && now.After(r.Token.RefreshExpiry) || now.Sub(r.Since) > revokeLife
	if came == notNow && !over {
		o.keepRevoking(c, r)
		return d, nil
	}
	if err := o.forgetRevoking(ctx, c); err != nil {
		o.keepRevoking(c, r)
		return d, err
	}
	d.Pending, d.Revoked = false, came == done
	if d.Revoked {
		o.record(activity.Revoked, &r, "")
	} else {
		o.record(activity.RevocationFailed, &r, fault.ProviderError)
	}
	o.log.Info("revocation ended", "provider", r.Provider, "connection", r.ID, "revoked", d.Revoked)
	return d, nil
}

// forgetRevoking deletes what was kept for a revocation. Callers have the lane.
func (o *Orchestrator) forgetRevoking(ctx context.Context, c *connection) error {
	if err := o.store.DeleteConnection(context.WithoutCancel(ctx), c.rec.ID); err != nil {
		o.log.Error("revoked connection not deleted", "connection", c.rec.ID, "error", err.Error())
		return err
	}
	o.mu.Lock()
	delete(o.revoking, c.rec.ID)
	o.ringLocked()
	o.mu.Unlock()
	c.release()
	return nil
}

// spareLocked gives up revocations of the account that r connects anew. There
// are providers where revoking one token ends all that the app has for an
// account: a late revocation must not take the new grant with it. Callers hold
// mu.
func (o *Orchestrator) spareLocked(r *Record) {
	for _, c := range o.revoking {
		if c.rec.Provider != r.Provider || c.rec.ClientID != r.ClientID || c.rec.Account.ID != r.Account.ID {
			continue
		}
		delete(o.revoking, c.rec.ID)
		o.log.Info("revocation given up: the account is connected again", "provider", r.Provider, "connection", c.rec.ID)
		o.goLocked(func() {
			if enter(o.ctx, c.lane) == nil {
				_ = o.forgetRevoking(o.ctx, c)
				leave(c.lane)
			}
		})
	}
}
