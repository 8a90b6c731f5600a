package orchestrator

import (
	"context"
	"maps"
	"slices"
	"time"

	"keyturn/backend/activity"
	"keyturn/backend/fault"
)

// lockLimit is how long a lock waits for refreshes in flight: their answers
// hold the only refresh tokens there are.
const lockLimit = 40 * time.Second

var errLocked = fault.New(fault.StoreLocked, "Keyturn was locked. Unlock it with: keyturn unlock")

// vault returns the store if it can be locked.
func (o *Orchestrator) vault() (Vault, error) {
	v, ok := o.store.(Vault)
	if !ok {
		return nil, fault.New(fault.BadRequest, "This store has no key that could be locked away.")
	}
	return v, nil
}

// Lock forgets every secret and the key to them, until Unlock. Hand-outs and
// pending attempts end at once; refreshes in flight are waited for and saved,
// and disconnects finished.
// fault.Conflict when the disk has not taken the newest token of a connection:
// it would be lost. Locking what is locked is no error.
func (o *Orchestrator) Lock(ctx context.Context) error {
	v, err := o.vault()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, lockLimit)
	defer cancel()
	if err := enter(ctx, o.lane); err != nil {
		return err
	}
	defer leave(o.lane)

	o.mu.Lock()
	if o.storeErr != nil {
		o.locked = true
		o.mu.Unlock()
		return v.Lock(ctx)
	}
	o.storeErr, o.locked = errLocked, true
	for _, a := range o.attempts {
		o.failLocked(a, errLocked)
	}
	all := slices.Concat(values(o.connections), values(o.revoking), values(o.leaving))
	o.ringLocked()
	o.mu.Unlock()

	entered := 0
	defer func() {
		for _, c := range all[:entered] {
			leave(c.lane)
		}
	}()
	for _, c := range all {
		if err = enter(ctx, c.lane); err != nil {
			break
		}
		entered++
	}
	if err == nil {
		err = o.unsavedFault()
	}
	if err == nil {
		err = v.Lock(ctx)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if err != nil {
		o.storeErr, o.locked = nil, false
		o.ringLocked()
		return err
	}
	// Not all: a disconnect that was waited for has ended some of them.
	for _, c := range slices.Concat(values(o.connections), values(o.revoking), values(o.leaving)) {
		c.gone = true // whoever waits for its lane finds nothing
		c.rec.Token = Record{}.Token
		c.release()
	}
	o.emptyLocked()
	o.activity.Add(activity.Event{At: o.now(), Kind: activity.Locked})
	o.ringLocked()
	return nil
}

func values(m map[string]*connection) []*connection { return slices.Collect(maps.Values(m)) }

// unsavedFault says that locking would cost a token.
func (o *Orchestrator) unsavedFault() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, c := range o.connections {
		if c.unsaved != "" && c.kept != c.rec.Generation {
			return fault.New(fault.Conflict, "The newest token of %s could not be saved yet and would be lost. Free some space on the disk, wait half a minute, and lock again.", o.nameOf(c.rec.Provider))
		}
	}
	return nil
}

// emptyLocked forgets what came from the store. Callers hold mu.
func (o *Orchestrator) emptyLocked() {
	clear(o.connections)
	clear(o.byProvider)
	clear(o.byAlias)
	clear(o.revoking)
	clear(o.leaving)
	clear(o.apps)
	o.damaged = nil
}

// Unlock gets the key again and loads what is sealed with it. The passphrase
// is nil unless that is what guards the key; it is overwritten.
func (o *Orchestrator) Unlock(ctx context.Context, passphrase []byte) error {
	v, err := o.vault()
	if err != nil {
		return err
	}
	if err := v.Unlock(ctx, passphrase); err != nil {
		return err
	}
	o.mu.Lock()
	was := o.storeErr != nil
	o.locked = false
	o.mu.Unlock()
	if err := o.load(ctx); err != nil {
		return err
	}
	if was {
		o.activity.Add(activity.Event{At: o.now(), Kind: activity.Unlocked})
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.refreshDueLocked(o.now())
	return nil
}

// ChangeProtector gives the key into other hands.
func (o *Orchestrator) ChangeProtector(ctx context.Context, to Protection) (Protected, error) {
	v, err := o.vault()
	if err != nil {
		return Protected{}, err
	}
	if err := o.open(ctx); err != nil {
		return Protected{}, err
	}
	came, err := v.ChangeProtector(ctx, to)
	if err != nil {
		return came, err
	}
	o.activity.Add(activity.Event{At: o.now(), Kind: activity.ProtectorChanged})
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ringLocked()
	return came, nil
}
