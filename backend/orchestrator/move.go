package orchestrator

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"keyturn/backend/activity"
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

	contents, out, there := o.contents(all)
	if o.storeError() != nil {
		return Exported{}, o.storeError()
	}
	if err := keep(contents); err != nil {
		return Exported{}, err
	}
	o.activity.Add(activity.Event{At: o.now(), Kind: activity.Exported})
	if move {
		out.Kept = o.forgetAll(context.WithoutCancel(ctx), there)
	}
	return out, nil
}

// contents returns what is in memory. Callers have the lanes of all.
func (o *Orchestrator) contents(all []*connection) (c Contents, out Exported, there []*connection) {
	for _, p := range o.catalogue.All() {
		if p.Custom {
			c.Providers = append(c.Providers, p)
		}
	}
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
		o.left(c)
		o.mu.Lock()
		c.rec.Token = oauth.Token{} // it is in the file, and nowhere else
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

// Import adds what a file holds. What is there already stays, and is listed,
// unless replace. A failure leaves what was added before, and says so; the same
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
	ctx = context.WithoutCancel(ctx)
	defer func() {
		if len(out.Connections)+out.Apps+out.Providers > 0 {
			o.activity.Add(activity.Event{At: o.now(), Kind: activity.Imported})
		}
		o.mu.Lock()
		defer o.mu.Unlock()
		o.ringLocked()
	}()
	for _, p := range c.Providers {
		if err := o.importProvider(ctx, p, replace, &out); err != nil {
			return out, out.until(err)
		}
	}
	for _, a := range c.Apps {
		if err := o.importApp(ctx, a, replace, &out); err != nil {
			return out, out.until(err)
		}
	}
	for _, r := range c.Connections {
		if err := o.importConnection(ctx, r, replace, &out); err != nil {
			return out, out.until(err)
		}
	}
	return out, nil
}

// until adds to the failure that ended an import what was taken before it.
func (i Imported) until(err error) error {
	n := len(i.Connections) + i.Apps + i.Providers
	if n == 0 {
		return err
	}
	return fault.Wrap(err, fault.CodeOf(err), "%s Taken before that: connections %d, OAuth apps %d, providers %d. The same import again goes on from there.",
		fault.MessageOf(err), len(i.Connections), i.Apps, i.Providers)
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
	if other, used := o.apps[a.ID]; !taken && (used && other.ID != "" || !o.plainLocked("app", a.ID, "app_")) {
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
	c, err := o.sameGrant(ctx, r)
	if err != nil {
		return err
	}
	isNew := c == nil
	if isNew {
		c = &connection{lane: make(chan struct{}, 1), release: o.use(r.Provider)}
		c.lane <- struct{}{}
	}
	defer leave(c.lane)
	o.mu.Lock()
	was := c.rec
	if isNew {
		_, taken := o.connections[r.ID]
		_, revoking := o.revoking[r.ID]
		if taken || revoking || !o.plainLocked("connection", r.ID, "con_") {
			r.ID = newID("con_")
		}
	} else {
		r.ID, r.Generation = was.ID, max(r.Generation, was.Generation)+1
	}
	o.mu.Unlock()
	if !isNew && !replace {
		out.Skipped = append(out.Skipped, Skipped{"connection", r.Provider, r.Account.Label, "It is connected already."})
		return nil
	}
	if err := o.settle(ctx, c, r, false); err != nil {
		if isNew {
			c.release()
		}
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if c.gone { // the disconnect that waits revokes what was in the file
		out.Skipped = append(out.Skipped, Skipped{"connection", r.Provider, r.Account.Label, "It was disconnected meanwhile."})
		return nil
	}
	c.failures, c.refusals, c.nextTry = 0, 0, time.Time{}
	o.spareLocked(&r)
	out.Connections = append(out.Connections, o.view(c))
	return nil
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
		disconnected := found.gone
		o.mu.Unlock()
		if !disconnected {
			return found, nil
		}
		leave(found.lane)
	}
}
