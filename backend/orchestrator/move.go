package orchestrator

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"keyturn/backend/fault"
	"keyturn/backend/oauth"
	"keyturn/backend/provider"
)

// exportLimit is how long an export waits for refreshes in flight: what they
// bring is what has to be in the file.
const exportLimit = 40 * time.Second

// Exported is what went into a file.
type Exported struct {
	Connections []Connection
	Apps        int
	Providers   int
	// Rotating lists the connections whose refresh token ends when it is
	// used: of two computers with the same one, the second loses the grant.
	Rotating []Connection
	// Kept lists what a move could not delete here although it is in the file.
	Kept []Connection
}

// Export gives everything to keep, as new as it is in memory, and with move
// forgets the connections here once keep has returned nil. Nothing is revoked:
// the grants live on elsewhere. No connection is refreshed between the moment
// that is in the file and the end, so no file is out of date when it is made.
func (o *Orchestrator) Export(ctx context.Context, move bool, keep func(Contents) error) (Exported, error) {
	if err := o.open(ctx); err != nil {
		return Exported{}, err
	}
	waiting, cancel := context.WithTimeout(ctx, exportLimit)
	defer cancel()
	if err := enter(waiting, o.lane); err != nil {
		return Exported{}, err
	}
	defer leave(o.lane)
	o.mu.Lock()
	all := slices.Collect(maps.Values(o.connections))
	o.mu.Unlock()
	for i, c := range all {
		if err := enter(waiting, c.lane); err != nil {
			for _, c := range all[:i] {
				leave(c.lane)
			}
			if ctx.Err() == nil {
				err = fault.New(fault.Conflict, "A refresh with %s is still in progress. Try again in a minute.", o.nameOf(c.rec.Provider))
			}
			return Exported{}, err
		}
	}
	defer func() {
		for _, c := range all {
			leave(c.lane)
		}
	}()

	if err := o.storeError(); err != nil { // locked while we waited
		return Exported{}, err
	}
	contents, out, there := o.contents(all)
	if err := keep(contents); err != nil {
		return Exported{}, err
	}
	if move {
		out.Kept = o.forgetAll(context.WithoutCancel(ctx), there)
	}
	return out, nil
}

// contents returns what is in memory. Callers have the lanes of all.
func (o *Orchestrator) contents(all []*connection) (c Contents, out Exported, there []*connection) {
	c.Providers = o.catalogue.Own()
	c.Apps = o.Apps()
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, conn := range all {
		if conn.gone {
			continue // disconnected while we waited
		}
		there = append(there, conn)
		c.Connections = append(c.Connections, conn.rec)
		v := o.view(conn)
		out.Connections = append(out.Connections, v)
		p, _ := o.catalogue.Lookup(conn.rec.Provider)
		if conn.renewable && p.Refresh.Rotation != "never" {
			out.Rotating = append(out.Rotating, v)
		}
	}
	out.Apps, out.Providers = len(c.Apps), len(c.Providers)
	return c, out, there
}

// forgetAll deletes connections without revoking them, and returns those that
// could not be deleted. Callers have their lanes.
func (o *Orchestrator) forgetAll(ctx context.Context, all []*connection) (kept []Connection) {
	for _, c := range all {
		o.mu.Lock()
		if c.gone { // a disconnect waits for the lane: it does the rest
			o.mu.Unlock()
			continue
		}
		v := o.view(c)
		c.gone = true
		o.removeLocked(c)
		o.leaving[v.ID] = c
		o.mu.Unlock()
		if err := o.store.DeleteConnection(ctx, v.ID); err != nil {
			o.log.Error("moved connection not deleted", "connection", v.ID, "error", err.Error())
			o.putBack(c)
			kept = append(kept, v)
			continue
		}
		o.mu.Lock()
		delete(o.leaving, v.ID)
		c.rec.Token = oauth.Token{}
		o.mu.Unlock()
		c.release()
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ringLocked()
	return kept
}

// Imported is what came out of a file.
type Imported struct {
	Connections []Connection
	Apps        int
	Providers   int
	Skipped     []Skipped
}

// Skipped is what was in a file and is not taken.
type Skipped struct {
	Kind     string // "connection", "app" or "provider"
	Provider string
	Name     string // account, or client id
	Says     string // why
}

// Any reports whether something was taken.
func (i *Imported) Any() bool { return len(i.Connections)+i.Apps+i.Providers > 0 }

// Import adds what a file holds. What is there already stays, and is listed,
// unless replace. A failure leaves what was added before and says so; the same
// import again goes on from there.
func (o *Orchestrator) Import(ctx context.Context, c Contents, replace bool) (Imported, error) {
	var out Imported
	if err := o.open(ctx); err != nil {
		return out, err
	}
	if err := importable(c); err != nil {
		return out, err
	}
	if err := enter(ctx, o.lane); err != nil {
		return out, err
	}
	defer leave(o.lane)
	if err := o.storeError(); err != nil { // locked while we waited
		return out, err
	}
	err := o.importAll(context.WithoutCancel(ctx), c, replace, &out)
	o.mu.Lock()
	o.ringLocked()
	o.mu.Unlock()
	return out, out.until(err)
}

func (o *Orchestrator) importAll(ctx context.Context, c Contents, replace bool, out *Imported) error {
	for _, p := range c.Providers {
		if err := o.importProvider(ctx, p, replace, out); err != nil {
			return err
		}
	}
	for _, a := range c.Apps {
		if err := o.importApp(ctx, a, replace, out); err != nil {
			return err
		}
	}
	for _, r := range c.Connections {
		if err := o.importConnection(ctx, r, replace, out); err != nil {
			return err
		}
	}
	return nil
}

// until adds to the failure that ended an import what was taken before it.
func (i *Imported) until(err error) error {
	if err == nil || !i.Any() {
		return err
	}
	return fault.Wrap(err, fault.CodeOf(err), "%s Taken before that: %s, %s, %s. The same import again goes on from there.", fault.MessageOf(err),
		count(len(i.Connections), "connection"), count(i.Apps, "OAuth app"), count(i.Providers, "provider"))
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// importable refuses what Keyturn cannot have written, before anything is
// changed.
func importable(c Contents) error {
	odd := func(what string) error {
		return fault.New(fault.FileDamaged, "The file holds %s that makes no sense. Nothing was imported.", what)
	}
	for _, p := range c.Providers {
		if p.Validate() != nil {
			return odd("a provider")
		}
	}
	for _, a := range c.Apps {
		if !validClientID(a.Client.ID) || a.Provider == "" {
			return odd("an OAuth app")
		}
	}
	for _, r := range c.Connections {
		known := r.Status == Connected || r.Status == Retrying || r.Status == NeedsReconnect
		if !known || r.Provider == "" || r.Token.Access.IsZero() && r.Token.Refresh.IsZero() {
			return odd("a connection")
		}
	}
	return nil
}

func (o *Orchestrator) importProvider(ctx context.Context, p provider.Provider, replace bool, out *Imported) error {
	skip := func(why string) error {
		out.Skipped = append(out.Skipped, Skipped{"provider", p.ID, p.Name, why})
		return nil
	}
	p.Custom = true
	was, there := o.catalogue.Lookup(p.ID)
	switch {
	case there && !was.Custom:
		return skip("A provider of this name comes with Keyturn.")
	case there && equalProviders(was, p):
		return skip("It is there already.")
	case there && !replace:
		return skip("Another provider of this name is there already.")
	}
	if err := o.store.SaveProvider(ctx, p); err != nil {
		return err
	}
	if err := o.catalogue.Put(p); err != nil {
		return err
	}
	out.Providers++
	o.moved(p)
	return nil
}

func equalProviders(a, b provider.Provider) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && string(x) == string(y)
}

func (o *Orchestrator) importApp(ctx context.Context, a App, replace bool, out *Imported) error {
	taken := false
	o.mu.Lock()
	for _, known := range o.apps {
		if known.Provider == a.Provider && known.Client.ID == a.Client.ID {
			a.ID, taken = known.ID, true
		}
	}
	if _, used := o.apps[a.ID]; !taken && (used || !o.plainLocked("app", a.ID, "app_")) {
		a.ID = newID("app_")
	}
	o.mu.Unlock()
	if taken && !replace {
		out.Skipped = append(out.Skipped, Skipped{"app", a.Provider, a.Client.ID, "It is there already."})
		return nil
	}
	if err := o.store.SaveApp(ctx, a); err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.putAppLocked(a)
	out.Apps++
	return nil
}

// plainLocked reports whether id is one of ours and not that of a damaged row,
// which is kept. Callers hold mu.
func (o *Orchestrator) plainLocked(kind, id, prefix string) bool {
	return len(id) == len(prefix)+16 && id[:len(prefix)] == prefix &&
		!slices.ContainsFunc(o.damaged, func(d Damaged) bool { return d.Kind == kind && d.ID == id })
}

func (o *Orchestrator) importConnection(ctx context.Context, r Record, replace bool, out *Imported) error {
	skip := func(why string) {
		out.Skipped = append(out.Skipped, Skipped{"connection", r.Provider, r.Account.Label, why})
	}
	c, err := o.sameGrant(ctx, r)
	if err != nil {
		return err
	}
	isNew := c == nil
	switch {
	case isNew:
		c = &connection{lane: make(chan struct{}, 1), release: o.use(r.Provider)}
		c.lane <- struct{}{}
	case !replace:
		leave(c.lane)
		skip("It is there already.")
		return nil
	}
	defer leave(c.lane)
	o.mu.Lock()
	if isNew {
		r.ID = o.freeIDLocked(r.ID)
	} else {
		r.ID, r.Generation = c.rec.ID, max(r.Generation, c.rec.Generation)+1
	}
	o.mu.Unlock()
	if err := o.settle(ctx, c, r, false); err != nil {
		if isNew {
			c.release()
		}
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if c.gone { // it waits for the lane, and revokes what came
		skip("It is being disconnected.")
		return nil
	}
	c.failures, c.refusals, c.nextTry = 0, 0, time.Time{}
	o.spareLocked(&r)
	out.Connections = append(out.Connections, o.view(c))
	return nil
}

// freeIDLocked returns id if a new connection can have it, else another.
// Callers hold mu.
func (o *Orchestrator) freeIDLocked(id string) string {
	taken := o.connections[id] != nil || o.revoking[id] != nil || o.leaving[id] != nil
	if taken || !o.plainLocked("connection", id, "con_") {
		return newID("con_")
	}
	return id
}

// sameGrant returns the connection of the same provider, app and account, with
// its lane taken, or nil. An account that is not known is like no other.
func (o *Orchestrator) sameGrant(ctx context.Context, r Record) (*connection, error) {
	for {
		var found *connection
		o.mu.Lock()
		for _, c := range o.byProvider[r.Provider] {
			equal := c.rec.Account.ID == r.Account.ID && r.Account.ID != "" || c.rec.ID == r.ID
			if equal && c.rec.ClientID == r.ClientID && c.rec.Issuer == r.Issuer {
				found = c
				break
			}
		}
		o.mu.Unlock()
		if found == nil {
			return nil, nil
		}
		waiting, cancel := context.WithTimeout(ctx, exportLimit)
		err := enter(waiting, found.lane)
		cancel()
		if err != nil {
			return nil, fault.New(fault.Conflict, "A refresh with %s is still in progress. Try again in a minute.", o.nameOf(r.Provider))
		}
		o.mu.Lock()
		disconnected, err := found.gone, o.storeErr
		o.mu.Unlock()
		if err == nil && !disconnected {
			return found, nil
		}
		leave(found.lane)
		if err != nil {
			return nil, err
		}
	}
}
