package orchestrator

import (
	"context"
	"time"

	"keyturn/backend/fault"
	"keyturn/backend/oauth"
)

// revokeLimit is how long a disconnect waits for the provider.
const revokeLimit = 10 * time.Second

// Disconnect revokes the grant at the provider, then forgets it, whatever the
// provider says. revoked reports whether the provider confirmed. Hand-outs end
// at once; a refresh in flight is waited for, so that the token it brings is
// the one that is revoked.
func (o *Orchestrator) Disconnect(ctx context.Context, id string) (Connection, bool, error) {
	if err := o.open(ctx); err != nil {
		return Connection{}, false, err
	}
	o.mu.Lock()
	c, err := o.byIDLocked(id)
	if err != nil {
		o.mu.Unlock()
		return Connection{}, false, err
	}
	v := o.viewLocked(c)
	c.gone = true
	o.removeLocked(c)
	o.ringLocked()
	o.mu.Unlock()

	// From here on the caller's patience does not matter: a half-done
	// disconnect is worse than a slow one.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	if err := enter(ctx, c.lane); err != nil {
		o.putBack(c)
		return v, false, err
	}
	defer leave(c.lane)
	o.mu.Lock()
	r := c.rec
	o.mu.Unlock()

	revoked := o.revoke(ctx, r)
	if err := o.store.DeleteConnection(ctx, r.ID); err != nil {
		o.log.Error("connection not deleted", "connection", r.ID, "error", err.Error())
		o.putBack(c)
		if revoked { // what was put back is of no use any more
			r.Status, r.Reason = step(r.Status, gone), fault.GrantGone
			_ = o.settle(ctx, c, r, true)
		}
		return v, revoked, err
	}
	c.release()
	o.log.Info("disconnected", "provider", r.Provider, "connection", r.ID, "revoked", revoked)
	return v, revoked, nil
}

// putBack shows a connection again that could not be forgotten.
func (o *Orchestrator) putBack(c *connection) {
	o.mu.Lock()
	defer o.mu.Unlock()
	c.gone = false
	if o.connections[c.rec.ID] == nil {
		o.addLocked(c)
	}
	o.ringLocked()
}

// revoke asks the provider to end a stored grant. Nothing is sent to an origin
// that the grant was not made with.
func (o *Orchestrator) revoke(ctx context.Context, r Record) bool {
	_, server, client, err := o.serverFor(r)
	if err != nil || server.Revoke.URL == "" || !bound(r, server.Revoke.URL) {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, revokeLimit)
	defer cancel()
	return o.revokeToken(ctx, server, client, r.Token)
}

// revokeToken revokes the refresh token, then the access token (RFC 7009
// section 2.1: with the first, many servers end the second too, but they need
// not). The grant is gone when the token that could renew it is.
func (o *Orchestrator) revokeToken(ctx context.Context, s oauth.Server, c oauth.Client, t oauth.Token) bool {
	if s.Revoke.URL == "" {
		return false
	}
	tried, ok := false, true
	if !t.Refresh.IsZero() && !s.Revoke.AccessOnly {
		tried = true
		if err := o.http.Revoke(ctx, s, c, t.Refresh, "refresh_token"); err != nil {
			ok = false
			o.log.Warn("refresh token not revoked", "error", err.Error())
		}
	}
	if !t.Access.IsZero() {
		err := o.http.Revoke(ctx, s, c, t.Access, "access_token")
		if err != nil {
			o.log.Warn("access token not revoked", "error", err.Error())
		}
		if !tried {
			tried, ok = true, err == nil
		}
	}
	return tried && ok
}
