// Package orchestrator owns connections and attempts.
package orchestrator

import (
	"context"
	"log/slog"

	"keyturn/backend/oauth"
	"keyturn/backend/provider"
)

// Options are the parts an Orchestrator is built from. All are required but
// Hosted and Log.
type Options struct {
	Store      Store
	Catalogue  *provider.Catalogue
	Transports map[string]Transport // by name: "loopback", …
	HTTP       *oauth.HTTP
	// CallbackPort is the install's documented callback port.
	CallbackPort int
	// Hosted starts an authorization server inside this program, by the name
	// in Provider.HostedBy, and keeps it listening until release is called.
	Hosted map[string]func() (release func(), err error)
	Log    *slog.Logger
}

// Orchestrator is described in the package comment. Its methods may be called
// from any goroutine.
type Orchestrator struct{}

// New returns an Orchestrator without contents; Run loads them.
func New(opts Options) *Orchestrator { panic("being written") }

// Run loads the store, refreshes grants, and returns when ctx has ended and
// everything it started has ended too.
func (o *Orchestrator) Run(ctx context.Context) error { panic("being written") }

// Ready is closed once Run has tried to load the store.
func (o *Orchestrator) Ready() <-chan struct{} { panic("being written") }

// Changes returns a doorbell that rings at least once after every change, and
// once at the start. Read Snapshot when it rings.
func (o *Orchestrator) Changes() (bell <-chan struct{}, stop func()) { panic("being written") }

// Snapshot returns what is now.
func (o *Orchestrator) Snapshot() Snapshot { panic("being written") }

// Connect starts an attempt, joins an equal one, or finds that none is needed.
// It returns as soon as there is a URL to open; the attempt goes on without
// the caller and ctx.
func (o *Orchestrator) Connect(ctx context.Context, r ConnectRequest) (Started, error) {
	panic("being written")
}

// Restart ends a pending attempt as superseded and starts it anew: the user's
// own Start again.
func (o *Orchestrator) Restart(ctx context.Context, handle, starter string) (Started, error) {
	panic("being written")
}

// Attempt returns the attempt with a status handle; fault.StateUnknown when
// there is none or it is forgotten.
func (o *Orchestrator) Attempt(handle string) (Attempt, error) { panic("being written") }

// Cancel ends a pending attempt; ending an ended one is no error.
func (o *Orchestrator) Cancel(handle string) error { panic("being written") }

// Token returns an access token that is fresh, refreshing the grant when needed.
func (o *Orchestrator) Token(ctx context.Context, q TokenQuery) (AccessToken, error) {
	panic("being written")
}

// Find returns the one connection that a provider and, when not empty, an
// account and a client id name; fault.NotConnected or fault.Ambiguous (the
// message lists the accounts).
func (o *Orchestrator) Find(provider, account, clientID string) (Connection, error) {
	panic("being written")
}

// Connection returns one by id; fault.NotConnected when there is none.
func (o *Orchestrator) Connection(id string) (Connection, error) { panic("being written") }

// Ping asks the provider's identity endpoint whether the token works.
func (o *Orchestrator) Ping(ctx context.Context, id string) (Pinged, error) { panic("being written") }

// Disconnect revokes the grant at the provider, then forgets it, whatever the
// provider says. revoked reports whether the provider confirmed.
func (o *Orchestrator) Disconnect(ctx context.Context, id string) (c Connection, revoked bool, err error) {
	panic("being written")
}

// Apps lists OAuth apps by provider and age; the Secret is there but redacts itself.
func (o *Orchestrator) Apps() []App { panic("being written") }

// UpsertApp adds or changes the app of a provider and client id. A zero secret
// keeps the one that is there unless public is true.
func (o *Orchestrator) UpsertApp(ctx context.Context, providerID, clientID string, secret oauth.Secret, public bool) (App, error) {
	panic("being written")
}

// DeleteApp forgets an app; fault.Conflict while a connection uses it.
func (o *Orchestrator) DeleteApp(ctx context.Context, id string) error { panic("being written") }

// Providers lists the catalogue and the user's own by name.
func (o *Orchestrator) Providers() []provider.Provider { panic("being written") }

// Provider returns one; fault.UnknownProvider with a suggestion when there is none.
func (o *Orchestrator) Provider(id string) (provider.Provider, error) { panic("being written") }

// RegisterProvider adds a provider of the user's own, discovering its
// metadata when the registration names an issuer. fault.Conflict when the id is taken.
func (o *Orchestrator) RegisterProvider(ctx context.Context, r provider.Registration) (provider.Provider, error) {
	panic("being written")
}

// UpdateProvider changes fields of a provider of the user's own: zero fields of
// r keep what is there. Connections whose token endpoint moved to another
// origin need to be reconnected.
func (o *Orchestrator) UpdateProvider(ctx context.Context, r provider.Registration) (provider.Provider, error) {
	panic("being written")
}

// DeleteProvider forgets a provider of the user's own; fault.Conflict while
// connections or apps use it, unless force, which disconnects them first.
func (o *Orchestrator) DeleteProvider(ctx context.Context, id string, force bool) error {
	panic("being written")
}
