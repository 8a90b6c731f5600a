package orchestrator

import (
	"cmp"
	"context"
	"fmt"
	"reflect"

	"keyturn/backend/fault"
	"keyturn/backend/oauth"
	"keyturn/backend/provider"
)

// A protected resource, such as an MCP server, is connected by its address. What
// it says about itself is asked for at every connect, because it may name
// another authorization server by then; the provider made of it and the client
// that was registered are kept, each under the issuer that it belongs to.

// providerAt returns the provider that was found by a resource's address.
func (o *Orchestrator) providerAt(typed string) (provider.Provider, error) {
	address, _, err := provider.Address(typed)
	if err != nil {
		return provider.Provider{}, err
	}
	if p, ok := o.catalogue.ByResource(address); ok {
		return p, nil
	}
	return provider.Provider{}, fault.New(fault.UnknownProvider, "Nothing was connected at this address yet. Connect it with: keyturn connect %s", address)
}

// resource finds out who issues tokens for the resource at an address, and has
// a client registered there. It returns the provider to connect.
func (o *Orchestrator) resource(ctx context.Context, typed string, challenge *oauth.Challenge) (provider.Provider, error) {
	if err := enter(ctx, o.finds); err != nil {
		return provider.Provider{}, err
	}
	defer leave(o.finds)
	p, m, err := o.find(ctx, typed, challenge)
	if err != nil {
		return provider.Provider{}, err
	}
	return p, o.ensureClient(ctx, p, m)
}

// find makes a provider of what the resource at an address says about itself,
// and keeps it.
func (o *Orchestrator) find(ctx context.Context, typed string, challenge *oauth.Challenge) (p provider.Provider, m oauth.Metadata, err error) {
	address, loopbackHTTP, err := provider.Address(typed)
	if err != nil {
		return p, m, err
	}
	known, there := o.catalogue.ByResource(address)
	found, err := o.http.DiscoverResource(ctx, address, loopbackHTTP, challenge, o.issuersOf(known.ID))
	if err != nil {
		return p, m, err
	}
	id := known.ID
	if !there {
		id = provider.IDFor(address, func(id string) bool { _, taken := o.catalogue.Lookup(id); return taken })
	}
	p, err = provider.FromResource(id, found, loopbackHTTP)
	if err != nil {
		return p, m, err
	}
	if !there || !reflect.DeepEqual(known, p) {
		if err := o.saveProvider(ctx, p); err != nil {
			return p, m, err
		}
		o.moved(p)
	}
	return p, found.Server, nil
}

// issuersOf lists where a client is registered for a provider already.
func (o *Orchestrator) issuersOf(providerID string) (issuers []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, a := range o.apps {
		if a.Provider == providerID && a.Issuer != "" {
			issuers = append(issuers, a.Issuer)
		}
	}
	return issuers
}

// ensureClient has a client registered with the issuer of p: one that the user
// has added, one of an earlier connect, the document that describes this
// client, or a new registration (RFC 7591), in this order.
func (o *Orchestrator) ensureClient(ctx context.Context, p provider.Provider, m oauth.Metadata) error {
	app, err := o.appFor(p, "")
	if err == nil && (app.Ends.IsZero() || o.now().Before(app.Ends)) && !o.disowned(p, app) {
		return nil
	}
	if err != nil && fault.CodeOf(err) != fault.NoApp {
		return err
	}
	a := App{ID: newID("app_"), Provider: p.ID, Issuer: p.Issuer, Dynamic: true}
	document := ""
	if o.clientDocument != nil && m.ClientIDDocuments {
		document = o.clientDocument()
	}
	switch {
	case document != "":
		a.Client = oauth.Client{ID: document, Auth: oauth.AuthNone}
	case m.RegistrationURL != "":
		r, err := o.http.Register(ctx, p.Server(), m.RegistrationURL, oauth.ClientMetadata{
			Name:         "Keyturn",
			RedirectURIs: []string{p.RedirectURI(cmp.Or(o.port, 27419), "")},
			Scopes:       p.Scope.Default,
			Auth:         preferred(m.TokenAuthMethods),
		})
		if err != nil {
			return err
		}
		a.Client, a.Management, a.Ends = r.Client, r.Management, r.Ends
	default:
		return fault.New(fault.NoApp, "%s needs an OAuth app of yours: its authorization server, %s, registers none by itself. Register one there and add it with: keyturn apps upsert --provider %s", p.Name, p.Issuer, p.ID)
	}
	return o.saveDynamic(ctx, a)
}

// preferred is how Keyturn would like to authenticate: as a public client,
// which a native application is (RFC 8252 section 8.4), unless that is not on
// offer.
func preferred(offered []string) oauth.AuthMethod {
	for _, m := range []oauth.AuthMethod{oauth.AuthNone, oauth.AuthBasic, oauth.AuthPost} {
		for _, o := range offered {
			if o == string(m) {
				return m
			}
		}
	}
	return oauth.AuthNone
}

// disowned reports whether the server has refused a dynamic client: it may have
// forgotten the registration.
func (o *Orchestrator) disowned(p provider.Provider, a App) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, c := range o.byProvider[p.ID] {
		if a.Dynamic && c.rec.ClientID == a.Client.ID && c.rec.Reason == fault.ClientRefused {
			return true
		}
	}
	return false
}

// saveDynamic keeps a client that Keyturn has registered.
func (o *Orchestrator) saveDynamic(ctx context.Context, a App) error {
	if err := enter(ctx, o.lane); err != nil {
		return err
	}
	defer leave(o.lane)
	a.Created = o.now()
	a.Updated = a.Created
	o.mu.Lock()
	for _, known := range o.apps {
		if known.Provider == a.Provider && known.Client.ID == a.Client.ID {
			a.ID, a.Created = known.ID, known.Created
		}
	}
	o.mu.Unlock()
	if err := o.store.SaveApp(ctx, a); err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.apps[a.ID] = a
	o.ringLocked()
	o.log.Info("client registered", "provider", a.Provider, "issuer", a.Issuer)
	return nil
}

// unregister deletes a dynamic registration at its server. It is best effort:
// without Keyturn's keys the registration is of no use to anybody.
func (o *Orchestrator) unregister(a App) {
	p, ok := o.catalogue.Lookup(a.Provider)
	if a.Management.URL == "" || !ok || p.Issuer != a.Issuer {
		return
	}
	o.wg.Go(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(o.ctx), revokeLimit)
		defer cancel()
		if err := o.http.Unregister(ctx, p.Server(), a.Management); err != nil {
			o.log.Warn("registration not deleted", "provider", a.Provider, "error", fmt.Sprint(err))
		}
	})
}
