package orchestrator

import (
	"crypto/rand"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"keyturn/backend/fault"
	"keyturn/backend/oauth"
	"keyturn/backend/provider"
)

// A connection is a Record with what is only in memory about it.
type connection struct {
	// lane orders store writes, refreshes and the disconnect of this connection.
	lane chan struct{}
	// release lets the server inside this program go that hosts the provider.
	release func()

	// Guarded by Orchestrator.mu. The slices of rec are never changed in place.
	rec        Record
	refreshing *refresh  // the one in flight
	failures   int       // refreshes, or revocations, that failed in a row
	refusals   int       // of these, refusals in a row
	nextTry    time.Time // no refresh, or revocation, before this
	due        time.Time // when the token is renewed unasked if it is in use
	last       time.Time // when the grant is renewed even if nobody uses it
	renewable  bool      // there is something to renew it with
	lastUsed   time.Time
	unsaved    fault.Code // why the store has not got rec; "" when it has
	kept       uint64     // the generation that the store has
	gone       bool       // disconnected: nothing may be stored any more
}

// view returns what anyone may see. Callers hold mu, or have a copy of their own.
func (o *Orchestrator) view(c *connection) Connection {
	r := &c.rec
	v := Connection{
		ID:              r.ID,
		Provider:        r.Provider,
		ProviderName:    o.nameOf(r.Provider),
		Resource:        o.resourceOf(r.Provider),
		ClientID:        r.ClientID,
		Account:         r.Account.Label,
		Granted:         r.Granted,
		Missing:         without(r.Requested, r.Granted),
		Status:          r.Status,
		Reason:          r.Reason,
		Since:           r.Since,
		Unsaved:         c.unsaved != "" && c.kept != r.Generation,
		Expiry:          r.Token.Expiry,
		HasRefreshToken: !r.Token.Refresh.IsZero(),
		Created:         r.Created,
		Refreshed:       r.Refreshed,
		LastUsed:        c.lastUsed,
	}
	if r.Status == Retrying || r.Status == Revoking {
		v.NextTry = c.nextTry
	}
	now := o.now()
	v.Health = health(v, c.unsaved, now)
	if r.Status == Connected || r.Status == Retrying {
		p, _ := o.catalogue.Lookup(r.Provider)
		v.Forecast = forecast(&p, r, c.renewable, now)
	}
	return v
}

// nameOf returns what people call a provider; a deleted one by its id.
func (o *Orchestrator) nameOf(providerID string) string {
	if p, ok := o.catalogue.Lookup(providerID); ok {
		return p.Name
	}
	return providerID
}

func (o *Orchestrator) resourceOf(providerID string) string {
	p, _ := o.catalogue.Lookup(providerID)
	return p.Resource.URL
}

// addLocked, removeLocked and replaceLocked keep the three indexes equal.
// Callers hold mu.
func (o *Orchestrator) addLocked(c *connection) {
	o.planLocked(c)
	o.connections[c.rec.ID] = c
	o.byProvider[c.rec.Provider] = append(o.byProvider[c.rec.Provider], c)
	for _, a := range aliases(&c.rec) {
		o.byAlias[a] = append(o.byAlias[a], c)
	}
}

func (o *Orchestrator) removeLocked(c *connection) {
	delete(o.connections, c.rec.ID)
	takeOut(o.byProvider, c.rec.Provider, c)
	for _, a := range aliases(&c.rec) {
		takeOut(o.byAlias, a, c)
	}
}

// replaceLocked gives c another record of the same id; the account in it may
// be known under another name since.
func (o *Orchestrator) replaceLocked(c *connection, r Record) {
	defer o.planLocked(c)
	if o.connections[c.rec.ID] != c {
		c.rec = r
		return
	}
	for _, a := range aliases(&c.rec) {
		takeOut(o.byAlias, a, c)
	}
	c.rec = r
	for _, a := range aliases(&c.rec) {
		o.byAlias[a] = append(o.byAlias[a], c)
	}
}

// takeOut takes c out of the list at key. Readers of the old list keep it whole.
func takeOut[K comparable](index map[K][]*connection, key K, c *connection) {
	left := slices.DeleteFunc(slices.Clone(index[key]), func(x *connection) bool { return x == c })
	if len(left) == 0 {
		delete(index, key)
		return
	}
	index[key] = left
}

// alias is how a caller names a connection: its provider, and a word for the account.
type alias struct{ provider, word string }

// aliases returns those of r, each once. The words are the account's label,
// the provider's identifier of it, and the connection's id.
func aliases(r *Record) []alias {
	words := []string{r.Account.Label, r.Account.ID, r.ID}
	slices.Sort(words)
	var all []alias
	for _, w := range slices.Compact(words) {
		if w != "" {
			all = append(all, alias{r.Provider, w})
		}
	}
	return all
}

// isAccount reports whether a word names the account of r, a label in whatever
// letter case.
func isAccount(r *Record, word string) bool {
	return strings.EqualFold(r.Account.Label, word) || r.Account.ID == word || r.ID == word
}

// Connection returns one by id; fault.NotConnected when there is none.
func (o *Orchestrator) Connection(id string) (Connection, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	c, err := o.byIDLocked(id)
	if err != nil {
		return Connection{}, err
	}
	return o.view(c), nil
}

// Find returns the one connection that a provider and, when not empty, an
// account and a client id name; fault.NotConnected or fault.Ambiguous (the
// message lists the accounts).
func (o *Orchestrator) Find(providerID, account, clientID string) (Connection, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	c, err := o.findLocked(providerID, account, clientID)
	if err != nil {
		return Connection{}, err
	}
	return o.view(c), nil
}

func (o *Orchestrator) byIDLocked(id string) (*connection, error) {
	if o.storeErr != nil {
		return nil, o.storeErr
	}
	if c := o.connections[id]; c != nil {
		return c, nil
	}
	return nil, fault.New(fault.NotConnected, "There is no connection with this id. See: keyturn status")
}

// findLocked is on the path of every cached token: it allocates only when it fails.
func (o *Orchestrator) findLocked(providerID, account, clientID string) (*connection, error) {
	if o.storeErr != nil {
		return nil, o.storeErr
	}
	if provider.IsAddress(providerID) {
		p, err := o.providerAt(providerID)
		if err != nil {
			return nil, err
		}
		providerID = p.ID
	}
	all := o.byProvider[providerID]
	named := all
	if account != "" {
		named = o.byAlias[alias{providerID, account}]
	}
	found, n := oneOf(named, "", clientID)
	if n == 0 && account != "" {
		found, n = oneOf(all, account, clientID)
	}
	if n != 1 {
		return nil, o.notOneLocked(providerID, account, all, n)
	}
	return found, nil
}

// oneOf finds the connection with a client id and, in whatever letter case, an
// account label, and counts how many there are; "" is any.
func oneOf(all []*connection, label, clientID string) (found *connection, n int) {
	for _, c := range all {
		if (label == "" || strings.EqualFold(c.rec.Account.Label, label)) && (clientID == "" || c.rec.ClientID == clientID) {
			found = c
			n++
		}
	}
	return found, n
}

// notOneLocked says why there is not exactly one connection.
func (o *Orchestrator) notOneLocked(providerID, account string, all []*connection, n int) error {
	p, err := o.Provider(providerID)
	if err != nil && len(all) == 0 {
		return err
	}
	name := p.Name
	if name == "" {
		name = providerID
	}
	var accounts []string
	for _, c := range all {
		if c.rec.Account.Label == "" {
			accounts = append(accounts, c.rec.ID)
			continue
		}
		accounts = append(accounts, c.rec.Account.Label)
	}
	slices.Sort(accounts)
	list := strings.Join(slices.Compact(accounts), ", ")
	switch {
	case n > 1 && account == "":
		return fault.New(fault.Ambiguous, "%s is connected with several accounts: %s. Name one with --account.", name, list)
	case n > 1:
		return fault.New(fault.Ambiguous, "%s has several connections that match. Name one with --client-id or by its id.", name)
	case len(all) > 0:
		return fault.New(fault.NotConnected, "%s is not connected with that account. Connected: %s.", name, list)
	}
	return fault.New(fault.NotConnected, "%s is not connected. Connect it with: keyturn connect %s", name, providerID)
}

// serverFor returns the authorization server and the client of a record as
// they are configured now; the error says why they cannot be used.
func (o *Orchestrator) serverFor(r Record) (provider.Provider, oauth.Server, oauth.Client, error) {
	p, ok := o.catalogue.Lookup(r.Provider)
	if !ok {
		return p, oauth.Server{}, oauth.Client{}, fault.New(fault.UnknownProvider, "The provider %s is no longer known. Register it again, or disconnect.", r.Provider)
	}
	app, err := o.appFor(p, r.ClientID)
	if err != nil {
		return p, oauth.Server{}, oauth.Client{}, err
	}
	app.Client.Key = r.Token.Key
	return p, p.Server(), app.Client, nil
}

// origins lists where the secrets of a grant at s may be sent: one
// string, because it is sealed together with them.
func origins(s oauth.Server) string {
	var all []string
	for _, u := range []string{s.Token.URL, s.Token.RefreshURL, s.Revoke.URL, s.Identity.URL} {
		if o := oauth.Origin(u); o != "" && !slices.Contains(all, o) {
			all = append(all, o)
		}
	}
	return strings.Join(all, " ")
}

// bound reports whether the secrets of r may be sent to url.
func bound(r Record, url string) bool {
	origin := oauth.Origin(url)
	return origin != "" && slices.Contains(strings.Fields(r.Origin), origin)
}

// without returns the elements of a that are not in b.
func without(a, b []string) []string {
	var out []string
	for _, s := range a {
		if !slices.Contains(b, s) {
			out = append(out, s)
		}
	}
	return out
}

// newID returns prefix and 16 random hex digits.
func newID(prefix string) string { return prefix + randomHex(8) }

func randomHex(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	return hex.EncodeToString(b)
}
