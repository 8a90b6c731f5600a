package orchestrator

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"keyturn/backend/fault"
	"keyturn/backend/oauth"
	"keyturn/backend/provider"
)

// Apps lists OAuth apps by provider and age; the Secret is there but redacts itself.
func (o *Orchestrator) Apps() []App {
	o.mu.Lock()
	all := slices.Collect(maps.Values(o.apps))
	o.mu.Unlock()
	slices.SortFunc(all, func(a, b App) int {
		return cmp.Or(cmp.Compare(a.Provider, b.Provider), a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
	})
	return all
}

// appFor returns the app of a client id at p; with an empty client id the one
// last updated, else the one that the catalogue brings along.
func (o *Orchestrator) appFor(p provider.Provider, clientID string) (App, error) {
	o.mu.Lock()
	var found App
	for _, a := range o.apps {
		if a.Provider != p.AppsAt() || clientID != "" && a.Client.ID != clientID || p.Resource.URL != "" && a.Issuer != p.Issuer {
			continue
		}
		if found.ID == "" || a.Updated.After(found.Updated) {
			found = a
		}
	}
	o.mu.Unlock()
	switch {
	case found.ID != "":
	case p.Client.ID != "" && (clientID == "" || clientID == p.Client.ID):
		found = App{Provider: p.ID, Client: oauth.Client{ID: p.Client.ID}}
	case clientID != "":
		return App{}, fault.New(fault.UnknownApp, "No OAuth app with this client id is registered for %s. Add it with: keyturn apps upsert --provider %s --client-id …", p.Name, p.ID)
	default:
		return App{}, fault.New(fault.NoApp, "%s needs an OAuth app of yours first. See: keyturn providers get %s", p.Name, p.ID)
	}
	if found.Dynamic { // authenticates as it was registered
		return found, nil
	}
	// The entry may say meanwhile how the client has to authenticate.
	auth, err := p.AuthFor(found.Client.Secret)
	if err != nil {
		return App{}, err
	}
	found.Client.Auth = auth
	return found, nil
}

// UpsertApp adds or changes the app of a provider and client id. A zero secret
// keeps the one that is there unless public is true. Connections that the
// provider refused because of their app are tried again.
func (o *Orchestrator) UpsertApp(ctx context.Context, providerID, clientID string, secret oauth.Secret, public bool) (App, error) {
	if err := o.open(ctx); err != nil {
		return App{}, err
	}
	p, err := o.Provider(providerID)
	if fault.CodeOf(err) == fault.UnknownProvider && provider.IsAddress(providerID) {
		p, _, err = o.find(ctx, providerID, nil)
	}
	if err != nil {
		return App{}, err
	}
	switch {
	case public && !secret.IsZero():
		return App{}, fault.New(fault.BadRequest, "Give a client secret or say that there is none, not both.")
	case !validClientID(clientID):
		return App{}, fault.New(fault.BadRequest, "A client id is made of visible ASCII characters; this one is not. Copy it again from the provider's console.")
	}
	if err := enter(ctx, o.lane); err != nil {
		return App{}, err
	}
	defer leave(o.lane)

	now := o.now()
	a := App{ID: newID("app_"), Provider: p.AppsAt(), Created: now}
	o.mu.Lock()
	for _, known := range o.apps {
		if known.Provider == a.Provider && known.Client.ID == clientID {
			a = known
		}
	}
	o.mu.Unlock()
	if secret.IsZero() && !public {
		secret = a.Client.Secret
	}
	a.Client.ID, a.Client.Secret, a.Updated = clientID, secret, now
	if a.Dynamic, a.Issuer = false, ""; p.Resource.URL != "" {
		a.Issuer = p.Issuer
	}
	if a.Client.Auth, err = p.AuthFor(secret); err != nil {
		return App{}, err
	}
	if err := o.store.SaveApp(ctx, a); err != nil {
		return App{}, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.putAppLocked(a)
	return a, nil
}

// putAppLocked shows a saved app, and tries again the connections that the
// provider refused because of it. Callers hold mu.
func (o *Orchestrator) putAppLocked(a App) {
	o.apps[a.ID] = a
	for _, c := range o.usersLocked(a) {
		if c.rec.Reason == fault.ClientRefused {
			o.goLocked(func() { o.change(c, mend) })
		}
	}
	o.ringLocked()
}

// usersLocked lists the connections that an app made: at its own provider and
// by presets of it. Callers hold mu.
func (o *Orchestrator) usersLocked(a App) (users []*connection) {
	for id, all := range o.byProvider {
		if p, ok := o.catalogue.Lookup(id); id != a.Provider && (!ok || p.AppsAt() != a.Provider) {
			continue
		}
		for _, c := range all {
			if c.rec.ClientID == a.Client.ID {
				users = append(users, c)
			}
		}
	}
	return users
}

// validClientID reports whether s is a client_id (RFC 6749 appendix A.1)
// without blanks, which no provider issues and copying adds.
func validClientID(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return s != "" && len(s) <= 512
}

// DeleteApp forgets an app; fault.Conflict while a connection uses it.
func (o *Orchestrator) DeleteApp(ctx context.Context, id string) error {
	if err := o.open(ctx); err != nil {
		return err
	}
	if err := enter(ctx, o.lane); err != nil {
		return err
	}
	defer leave(o.lane)
	o.mu.Lock()
	a, ok := o.apps[id]
	used := len(o.usersLocked(a))
	o.mu.Unlock()
	switch {
	case !ok:
		return fault.New(fault.UnknownApp, "There is no OAuth app with this id. See: keyturn apps list")
	case used > 0:
		return fault.New(fault.Conflict, "%d connection(s) use this OAuth app. Disconnect them first.", used)
	}
	if err := o.store.DeleteApp(ctx, id); err != nil {
		return err
	}
	o.mu.Lock()
	delete(o.apps, id)
	for _, at := range o.attempts {
		if at.provider.AppsAt() == a.Provider && at.client.ID == a.Client.ID {
			o.failLocked(at, fault.New(fault.Cancelled, "The OAuth app was deleted before this was done."))
		}
	}
	o.ringLocked()
	o.mu.Unlock()
	o.unregister(a)
	return nil
}

// mend gives a connection another chance whose app was refused before.
func mend(c *connection, r *Record, now time.Time) {
	if r.Status == NeedsReconnect && r.Reason == fault.ClientRefused {
		r.to(mended, r.Reason, now)
	}
	c.nextTry, c.refusals = time.Time{}, 0
}
