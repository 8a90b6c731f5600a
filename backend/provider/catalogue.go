package provider

import (
	"cmp"
	"embed"
	"fmt"
	"slices"
	"strings"
	"sync"

	"keyturn/backend/fault"
)

//go:embed catalogue/*.yaml
var files embed.FS

// Catalogue holds the providers that come with the program and the user's own.
// Its methods may be called from any goroutine. The providers it returns are
// shared: nobody changes their maps and slices.
type Catalogue struct {
	mu   sync.RWMutex // guards byID
	byID map[string]Provider
}

// Builtin returns a new catalogue of the providers that come with the program.
func Builtin() (*Catalogue, error) {
	entries, err := files.ReadDir("catalogue")
	if err != nil {
		return nil, err
	}
	c := &Catalogue{byID: make(map[string]Provider, len(entries))}
	for _, e := range entries {
		data, err := files.ReadFile("catalogue/" + e.Name())
		if err != nil {
			return nil, err
		}
		p, err := Parse(e.Name(), data)
		if err != nil {
			return nil, err
		}
		if e.Name() != p.ID+".yaml" {
			return nil, fmt.Errorf("catalogue: %s holds the provider %s", e.Name(), p.ID)
		}
		c.byID[p.ID] = p
	}
	return c, nil
}

// isBuiltin reports whether an id belongs to a provider of the program: an
// entry of the catalogue is named after it.
func isBuiltin(id string) bool {
	f, err := files.Open("catalogue/" + id + ".yaml")
	if err != nil {
		return false
	}
	f.Close()
	return true
}

// Lookup returns one provider.
func (c *Catalogue) Lookup(id string) (Provider, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	p, ok := c.byID[id]
	return p, ok
}

// ByResource returns the provider whose tokens are for the resource at an
// address.
func (c *Catalogue) ByResource(address string) (Provider, bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for _, p := range c.byID {
		if p.Resource.URL == address {
			return p, true
		}
	}
	return Provider{}, false
}

// All lists the providers by name.
func (c *Catalogue) All() []Provider {
	c.mu.RLock()
	list := make([]Provider, 0, len(c.byID))
	for _, p := range c.byID {
		list = append(list, p)
	}
	c.mu.RUnlock()
	slices.SortFunc(list, func(a, b Provider) int {
		return cmp.Or(strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name)), strings.Compare(a.ID, b.ID))
	})
	return list
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
	c.byID[p.ID] = p
	return nil
}

// Delete forgets a provider of the user's own.
func (c *Catalogue) Delete(id string) error {
	if isBuiltin(id) {
		return errBuiltin(id)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.byID[id]; !ok {
		return fault.New(fault.UnknownProvider, "There is no provider named %s to delete.", shown(id))
	}
	delete(c.byID, id)
	return nil
}

// Suggest returns the id that was probably meant by one that is not there, or "".
func (c *Catalogue) Suggest(id string) string {
	if len(id) > maxID {
		return ""
	}
	id = strings.ToLower(id)
	c.mu.RLock()
	defer c.mu.RUnlock()
	ids := make([]string, 0, len(c.byID))
	for known := range c.byID {
		if known == id {
			return known
		}
		ids = append(ids, known)
	}
	slices.Sort(ids)
	return nearest(id, ids)
}

func errBuiltin(id string) error {
	return fault.New(fault.Conflict, "The provider %s comes with Keyturn and cannot be changed or deleted. Register yours under another key.", id)
}
