package provider

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"

	"keyturn/backend/fault"
)

// Catalogue holds the providers that come with the program and the user's own.
// Its methods may be called from any goroutine. The providers it returns are
// shared: nobody changes their maps and slices.
type Catalogue struct {
	builtin map[string]*builtin

	mu  sync.RWMutex        // guards own
	own map[string]Provider // the user's, by id
}

// Builtin returns a new catalogue of the providers that come with the program.
func Builtin() (*Catalogue, error) {
	return &Catalogue{builtin: builtins(), own: map[string]Provider{}}, nil
}

// Lookup returns one provider.
func (c *Catalogue) Lookup(id string) (Provider, bool) {
	c.mu.RLock()
	p, ok := c.own[id]
	c.mu.RUnlock()
	if ok {
		return p, true
	}
	if b := c.builtin[id]; b != nil {
		return b.entry(), true
	}
	return Provider{}, false
}

// List lists all providers by name, without decoding any.
func (c *Catalogue) List() []Listing {
	c.mu.RLock()
	list := make([]Listing, 0, len(c.builtin)+len(c.own))
	own := map[string]bool{}
	for _, p := range c.own {
		own[p.ID] = true
		list = append(list, p.listing())
	}
	c.mu.RUnlock()
	for id, b := range c.builtin {
		if !own[id] {
			list = append(list, b.Listing)
		}
	}
	slices.SortFunc(list, func(a, b Listing) int {
		return cmp.Or(strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)), strings.Compare(a.ID, b.ID))
	})
	return list
}

// Own lists the user's own providers, by id.
func (c *Catalogue) Own() []Provider {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return slices.SortedFunc(maps.Values(c.own), func(a, b Provider) int { return strings.Compare(a.ID, b.ID) })
}

// ByResource returns the provider whose tokens are for the resource at an
// address.
func (c *Catalogue) ByResource(address string) (Provider, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for _, p := range c.own {
		if p.Resource.URL == address {
			return p, true
		}
	}
	return Provider{}, false
}

// All lists the providers by name, each of them whole. It decodes what nobody
// has used yet, which takes milliseconds.
func (c *Catalogue) All() []Provider {
	list := c.List()
	all := make([]Provider, 0, len(list))
	for _, l := range list {
		if p, ok := c.Lookup(l.ID); ok {
			all = append(all, p)
		}
	}
	return all
}

// Put adds or replaces a provider of the user's own. Those that come with the
// program cannot be replaced: their endpoints would receive other secrets
// than the user thinks.
func (c *Catalogue) Put(p Provider) error {
	if isBuiltin(p.ID) {
		return errBuiltin(p.ID)
	}
	if err := p.Validate(); err != nil {
		return err
	}
	p.Custom = true
	c.mu.Lock()
	defer c.mu.Unlock()
	c.own[p.ID] = p
	return nil
}

// Delete forgets a provider of the user's own.
func (c *Catalogue) Delete(id string) error {
	if isBuiltin(id) {
		return errBuiltin(id)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.own[id]; !ok {
		return fault.New(fault.UnknownProvider, "There is no provider named %s to delete.", shown(id))
	}
	delete(c.own, id)
	return nil
}

// Suggest returns the id that was probably meant by one that is not there, or "".
func (c *Catalogue) Suggest(id string) string {
	if len(id) > maxID {
		return ""
	}
	id = strings.ToLower(id)
	var ids []string
	for _, l := range c.List() {
		if l.ID == id {
			return id
		}
		ids = append(ids, l.ID)
	}
	slices.Sort(ids)
	return nearest(id, ids)
}

func errBuiltin(id string) error {
	return fault.New(fault.Conflict, "The provider %s comes with Keyturn and cannot be changed or deleted. Register yours under another key.", id)
}
