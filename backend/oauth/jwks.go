package oauth

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	// keysLiveFor is how long a key set is used without looking again.
	keysLiveFor = time.Hour
	// refetchPause is the least time between two fetches that were caused by a
	// kid nobody knows: ID tokens must not make us flood the server.
	refetchPause = 5 * time.Minute
	maxKeys      = 64 // in a set; sets in the cache
)

// keyCache holds the key sets of the servers that sign ID tokens. mu guards
// the map only; each set has its own lock, held while it is fetched, so that a
// slow server slows only itself.
type keyCache struct {
	mu   sync.Mutex
	sets map[string]*keySet
}

type keySet struct {
	turn      chan struct{} // of size one: the lock, which a context can give up on
	keys      []jose.JSONWebKey
	fetched   time.Time
	refetched time.Time // the last fetch because of an unknown kid
}

func (c *keyCache) set(url string) *keySet {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.sets == nil || len(c.sets) >= maxKeys && c.sets[url] == nil {
		c.sets = map[string]*keySet{}
	}
	if c.sets[url] == nil {
		c.sets[url] = &keySet{turn: make(chan struct{}, 1)}
	}
	return c.sets[url]
}

// keysFor returns the keys that may have signed a token with this kid. When
// none fits, the server may have changed its keys (OpenID Connect Core
// 10.1.1): the set is fetched again, but not more often than refetchPause.
func (h *HTTP) keysFor(ctx context.Context, s Server, kid string) ([]jose.JSONWebKey, error) {
	set := h.keys.set(s.JWKSURL)
	select {
	case set.turn <- struct{}{}:
		defer func() { <-set.turn }()
	case <-ctx.Done():
		return nil, &Error{Op: opJWKS, Kind: Outage, reason: reasonFor(ctx.Err()), cause: ctx.Err()}
	}
	now := time.Now()
	stale := now.Sub(set.fetched) > keysLiveFor
	if stale {
		if err := h.fetchKeys(ctx, s, set); err != nil {
			return nil, err
		}
	}
	found := matching(set.keys, kid)
	if len(found) == 0 && !stale && now.Sub(set.refetched) > refetchPause {
		set.refetched = now
		if err := h.fetchKeys(ctx, s, set); err != nil {
			return nil, err
		}
		found = matching(set.keys, kid)
	}
	return found, nil
}

// matching returns the signing keys with this kid, or all of them for a token
// without one.
func matching(keys []jose.JSONWebKey, kid string) []jose.JSONWebKey {
	var found []jose.JSONWebKey
	for _, key := range keys {
		if kid == "" || key.KeyID == kid {
			found = append(found, key)
		}
	}
	return found
}

func (h *HTTP) fetchKeys(ctx context.Context, s Server, set *keySet) error {
	a, failed := h.do(ctx, call{op: opJWKS, server: s, method: http.MethodGet, url: s.JWKSURL, limit: maxDocument})
	if failed != nil {
		return failed
	}
	if a.status != http.StatusOK {
		return judge(opJWKS, a, "")
	}
	top, reason := object(a.body)
	var raw []json.RawMessage
	if top == nil || json.Unmarshal(top["keys"], &raw) != nil || len(raw) > maxKeys {
		if reason == "" {
			reason = "not a JWK set"
		}
		return &Error{Op: opJWKS, Status: a.status, Kind: Malformed, reason: reason}
	}
	set.keys, set.fetched = nil, time.Now()
	for _, k := range raw {
		// A key of a kind that is not known is left out (RFC 7517 section 5).
		var key jose.JSONWebKey
		if key.UnmarshalJSON(k) == nil && key.Valid() && (key.Use == "" || key.Use == "sig") {
			set.keys = append(set.keys, key)
		}
	}
	return nil
}
