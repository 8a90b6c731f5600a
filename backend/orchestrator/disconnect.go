package orchestrator

import (
	"context"
	"time"

	"keyturn/backend/activity"
	"keyturn/backend/fault"
)

// disconnectLimit is how long a disconnect may take once it has begun.
const disconnectLimit = time.Minute

// Disconnect ends the use of a grant at once, revokes it at the provider, then
// forgets it. A provider that cannot be asked is asked again later, for which
// its tokens are kept, sealed, and used for nothing else. A refresh in flight
// is waited for, so that the token it brings is the one that is revoked.
// Disconnecting what waits to be revoked tries that again now.
func (o *Orchestrator) Disconnect(ctx context.Context, id string) (Disconnected, error) {
	if err := o.open(ctx); err != nil {
		return Disconnected{}, err
	}
	// From here on the caller's patience does not matter: a half-done
	// disconnect is worse than a slow one.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), disconnectLimit)
	defer cancel()

	o.mu.Lock()
	if c := o.revoking[id]; c != nil {
		d := Disconnected{Connection: o.view(c), Pending: true}
		o.mu.Unlock()
		return o.revokeAgain(ctx, c, d)
	}
	c, err := o.byIDLocked(id)
	if err != nil {
		o.mu.Unlock()
		return Disconnected{}, err
	}
	d := Disconnected{Connection: o.view(c)}
	c.gone = true
	o.removeLocked(c)
	o.leaving[id] = c
	o.ringLocked()
	o.mu.Unlock()

	defer o.left(c)
	if err := enter(ctx, c.lane); err != nil {
		o.putBack(c)
		return d, err
	}
	defer leave(c.lane)
	o.mu.Lock()
	r, err := c.rec, o.storeErr
	o.mu.Unlock()
	if err != nil { // locked meanwhile
		o.putBack(c)
		return d, err
	}
	return o.disconnect(ctx, c, r, d)
}

// disconnect does what is left when nobody can use the connection any more.
// The wish is written down before the provider is asked: it survives a crash.
func (o *Orchestrator) disconnect(ctx context.Context, c *connection, r Record, d Disconnected) (Disconnected, error) {
	was := r
	r.to(ended, "", o.now())
	saved := false
	if o.revocable(r) {
		err := o.store.SaveConnection(ctx, r)
		if saved = err == nil; !saved {
			o.log.Error("disconnect not written down", "connection", r.ID, "error", err.Error())
		}
	}
	o.record(activity.Disconnected, &r, "")
	switch o.revoke(ctx, r) {
	case done:
		d.Revoked = true
		o.record(activity.Revoked, &r, "")
	case notNow:
		o.record(activity.RevocationFailed, &r, fault.ProviderUnavailable)
		if saved {
			d.Pending = true
			o.keepRevoking(c, r)
			return d, nil
		}
	}
	if err := o.store.DeleteConnection(ctx, r.ID); err != nil {
		o.log.Error("connection not deleted", "connection", r.ID, "error", err.Error())
		if saved { // deleted as soon as the disk lets us
			d.Pending = true
			o.keepRevoking(c, r)
			return d, nil
		}
		o.putBack(c)
		if d.Revoked { // what was put back is of no use any more
			was.to(gone, fault.GrantGone, o.now())
		}
		_ = o.settle(ctx, c, was, true)
		return d, err
	}
	c.release()
	o.log.Info("disconnected", "provider", r.Provider, "connection", r.ID, "revoked", d.Revoked)
	return d, nil
}

// left ends what Disconnect began, whatever came of it.
func (o *Orchestrator) left(c *connection) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.leaving, c.rec.ID)
}

// putBack shows a connection again that could not be forgotten. Once Lock has
// emptied the memory there is nothing to show: the row is as it was.
func (o *Orchestrator) putBack(c *connection) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.leaving[c.rec.ID] != c {
		return
	}
	c.gone = false
	delete(o.leaving, c.rec.ID)
	if o.connections[c.rec.ID] == nil {
		o.addLocked(c)
	}
	o.ringLocked()
}
