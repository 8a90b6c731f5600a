package orchestrator

import (
	"context"
	"time"

	"keyturn/backend/fault"
	"keyturn/backend/oauth"
	"keyturn/backend/provider"
)

// Providers lists the catalogue and the user's own by name.
func (o *Orchestrator) Providers() []provider.Provider { return o.catalogue.All() }

// ProviderList lists them with no more than a list shows.
func (o *Orchestrator) ProviderList() []provider.Listing { return o.catalogue.List() }

// OwnProviders lists the user's own.
func (o *Orchestrator) OwnProviders() []provider.Provider { return o.catalogue.Own() }

// Provider returns one; fault.UnknownProvider with a suggestion when there is none.
// The address of a resource stands for the provider that was found by it.
func (o *Orchestrator) Provider(id string) (provider.Provider, error) {
	if provider.IsAddress(id) {
		return o.providerAt(id)
	}
	if p, ok := o.catalogue.Lookup(id); ok {
		return p, nil
	}
	if near := o.catalogue.Suggest(id); near != "" {
		return provider.Provider{}, fault.New(fault.UnknownProvider, "There is no provider with this name. Did you mean %s?", near)
	}
	return provider.Provider{}, fault.New(fault.UnknownProvider, "There is no provider with this name. See: keyturn providers list")
}

// RegisterProvider adds a provider of the user's own, discovering its
// metadata when the registration names an issuer. fault.Conflict when the id is taken.
func (o *Orchestrator) RegisterProvider(ctx context.Context, r provider.Registration) (provider.Provider, error) {
	if err := o.open(ctx); err != nil {
		return provider.Provider{}, err
	}
	if p, taken := o.catalogue.Lookup(r.ProviderKey); taken && (p.Custom || p.ErrUnfilled() == nil) {
		return provider.Provider{}, fault.New(fault.Conflict, "There is a provider %s already. Choose another key, or change it with: keyturn providers update", r.ProviderKey)
	}
	m, err := o.discover(ctx, r.Issuer, r.AllowLoopbackHTTP)
	if err != nil {
		return provider.Provider{}, err
	}
	p, err := provider.FromRegistration(r, m)
	if err != nil {
		return provider.Provider{}, err
	}
	return p, o.saveProvider(ctx, p)
}

// discover fetches the metadata of an issuer; nil without one.
func (o *Orchestrator) discover(ctx context.Context, issuer string, allowLoopbackHTTP bool) (*oauth.Metadata, error) {
	if issuer == "" {
		return nil, nil
	}
	m, err := o.http.Discover(ctx, issuer, allowLoopbackHTTP)
	if err != nil {
		if fault.CodeOf(err) != fault.Internal {
			return nil, err
		}
		return nil, fault.Wrap(err, fault.DiscoveryFailed, "The issuer's metadata could not be read. Check the URL, or give --auth-url and --token-url.")
	}
	return &m, nil
}

// saveProvider keeps a provider of the user's own.
func (o *Orchestrator) saveProvider(ctx context.Context, p provider.Provider) error {
	if err := enter(ctx, o.lane); err != nil {
		return err
	}
	defer leave(o.lane)
	if err := o.store.SaveProvider(ctx, p); err != nil {
		return err
	}
	p.Custom = true
	if err := o.catalogue.Put(p); err != nil {
		return err
	}
	o.mu.Lock()
	o.ringLocked()
	o.mu.Unlock()
	return nil
}

// UpdateProvider changes fields of a provider of the user's own: zero fields of
// r keep what is there. Connections whose token endpoint moved to another
// origin need to be reconnected; their old tokens are sent nowhere.
func (o *Orchestrator) UpdateProvider(ctx context.Context, r provider.Registration) (provider.Provider, error) {
	if err := o.open(ctx); err != nil {
		return provider.Provider{}, err
	}
	old, err := o.Provider(r.ProviderKey)
	if err != nil {
		return provider.Provider{}, err
	}
	if !old.Custom {
		return provider.Provider{}, fault.New(fault.Conflict, "%s comes with Keyturn and cannot be changed. Register one of your own under another key.", old.Name)
	}
	if o.isFromFile(old.ID) {
		return provider.Provider{}, errFromFile(old)
	}
	m, err := o.discover(ctx, r.Issuer, r.AllowLoopbackHTTP || old.AllowLoopbackHTTP)
	if err != nil {
		return provider.Provider{}, err
	}
	p, err := r.ApplyTo(old, m)
	if err != nil {
		return provider.Provider{}, err
	}
	if err := o.saveProvider(ctx, p); err != nil {
		return provider.Provider{}, err
	}
	o.moved(p)
	return p, nil
}

// moved marks connections whose provider now names a token endpoint that their
// secrets do not belong to.
func (o *Orchestrator) moved(p provider.Provider) {
	server := p.Server()
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, c := range o.byProvider[p.ID] {
		if !bound(c.rec, refreshURL(server)) {
			o.goLocked(func() { o.change(c, strand) })
		}
	}
}

// strand marks a connection whose provider moved.
func strand(_ *connection, r *Record, now time.Time) {
	r.to(gone, fault.ConfigChanged, now)
}

// refreshURL is where the refresh token of a grant at s is sent.
func refreshURL(s oauth.Server) string {
	if s.Token.RefreshURL != "" {
		return s.Token.RefreshURL
	}
	return s.Token.URL
}

// DeleteProvider forgets a provider of the user's own; fault.Conflict while
// connections or apps use it, unless force, which disconnects them first.
func (o *Orchestrator) DeleteProvider(ctx context.Context, id string, force bool) error {
	if err := o.open(ctx); err != nil {
		return err
	}
	p, err := o.Provider(id)
	if err != nil {
		return err
	}
	if !p.Custom {
		return fault.New(fault.Conflict, "%s comes with Keyturn and cannot be deleted.", p.Name)
	}
	if o.isFromFile(id) {
		return errFromFile(p)
	}
	connections, apps := o.dependants(id)
	if len(connections)+len(apps) > 0 && !force {
		return fault.New(fault.Conflict, "%s is in use: %d connection(s), %d OAuth app(s). --force disconnects and deletes them too.", p.Name, len(connections), len(apps))
	}
	for _, c := range connections {
		if _, err := o.Disconnect(ctx, c); err != nil {
			return err
		}
	}
	for _, a := range apps {
		if err := o.DeleteApp(ctx, a); err != nil {
			return err
		}
	}
	if err := enter(ctx, o.lane); err != nil {
		return err
	}
	defer leave(o.lane)
	if err := o.store.DeleteProvider(ctx, id); err != nil {
		return err
	}
	if err := o.catalogue.Delete(id); err != nil {
		return err
	}
	o.mu.Lock()
	for _, a := range o.attempts {
		if a.view.Provider == id {
			o.failLocked(a, fault.New(fault.Cancelled, "The provider was deleted before this was done."))
		}
	}
	o.ringLocked()
	o.mu.Unlock()
	return nil
}

// dependants returns the ids of the connections and apps of a provider.
func (o *Orchestrator) dependants(id string) (connections, apps []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, c := range o.byProvider[id] {
		connections = append(connections, c.rec.ID)
	}
	for _, a := range o.apps {
		if a.Provider == id {
			apps = append(apps, a.ID)
		}
	}
	return connections, apps
}

// pingLimit is how long a ping waits for the provider.
const pingLimit = 15 * time.Second

// Ping asks the provider's identity endpoint whether the token works.
func (o *Orchestrator) Ping(ctx context.Context, id string) (Pinged, error) {
	token, err := o.Token(ctx, TokenQuery{ConnectionID: id})
	if err != nil {
		return Pinged{}, err
	}
	o.mu.Lock()
	c, err := o.byIDLocked(id)
	if err != nil {
		o.mu.Unlock()
		return Pinged{}, err
	}
	r := c.rec
	o.mu.Unlock()
	p, server, _, err := o.serverFor(r)
	if err != nil {
		return Pinged{}, err
	}
	if server.Identity.URL == "" {
		return Pinged{}, fault.New(fault.BadRequest, "%s has no address to ask whether a token works.", p.Name)
	}
	if !bound(r, server.Identity.URL) {
		return Pinged{}, fault.New(fault.NeedsReconnect, "The address that %s is asked at has changed since you connected. Connect again.", p.Name)
	}
	ctx, cancel := context.WithTimeout(ctx, pingLimit)
	defer cancel()
	status, err := o.http.Probe(ctx, server, oauth.Token{Access: token.Token, Key: token.Key})
	if err != nil && status == 0 {
		return Pinged{}, fault.Wrap(err, fault.ProviderUnavailable, "%s did not answer. Check the network and try again.", p.Name)
	}
	return Pinged{OK: err == nil && status/100 == 2, Status: status, Account: r.Account.Label, Provider: p.ID}, nil
}
