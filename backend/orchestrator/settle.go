package orchestrator

import (
	"context"
	"time"

	"keyturn/backend/fault"
)

// settle is the only writer of a connection: it saves r durably, then shows
// it. Callers hold the lane of c. When r cannot be saved and keep is true (a
// rotated refresh token would be lost), r is used all the same and saved later.
func (o *Orchestrator) settle(ctx context.Context, c *connection, r Record, keep bool) error {
	o.mu.Lock()
	dropped := c.gone
	if dropped {
		// For the disconnect that waits: it revokes the newest, or puts it back.
		o.replaceLocked(c, r)
		c.unsaved = fault.Internal
	}
	o.mu.Unlock()
	if dropped {
		return nil
	}
	err := o.store.SaveConnection(ctx, r)
	if err != nil {
		o.log.Error("connection not saved", "connection", r.ID, "code", fault.CodeOf(err), "error", err.Error())
		if !keep {
			return err
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.replaceLocked(c, r)
	if c.unsaved = fault.CodeOf(err); err == nil {
		c.kept = r.Generation
	}
	if !c.gone && o.connections[r.ID] == nil {
		o.addLocked(c)
	}
	o.ringLocked()
	return err
}

// change applies a small change to the record of c and settles it. edit is
// called with mu held.
func (o *Orchestrator) change(c *connection, edit func(c *connection, r *Record, now time.Time)) {
	if enter(o.ctx, c.lane) != nil {
		return
	}
	defer leave(c.lane)
	o.mu.Lock()
	r := c.rec
	edit(c, &r, o.now())
	o.mu.Unlock()
	_ = o.settle(o.ctx, c, r, true) // kept in memory when it cannot be saved
}
