package demo

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"time"
)

// digest is what is kept of a secret: its SHA-256.
type digest string

func digestOf(secret string) digest {
	sum := sha256.Sum256([]byte(secret))
	return digest(hex.EncodeToString(sum[:]))
}

// random returns a secret of 256 bits.
func random(prefix string) string {
	var b [32]byte
	rand.Read(b[:])
	return prefix + base64.RawURLEncoding.EncodeToString(b[:])
}

// ticket is a consent page that was shown and not answered yet.
type ticket struct {
	request authorizationRequest
	expires time.Time
}

// code is an authorization code.
type code struct {
	request authorizationRequest
	account Account
	scopes  []string
	issued  time.Time
	expires time.Time
	grant   string // once used
}

// grant is what an account granted to a client. It ends by being deleted.
type grant struct {
	ID      string    `json:"id"`
	Client  string    `json:"client"`
	Account string    `json:"account"` // subject
	Scopes  []string  `json:"scopes"`
	Created time.Time `json:"created"`
	// Access and Refresh are the tokens of this grant, oldest first.
	Access  []issued `json:"access"`
	Refresh []issued `json:"refresh"`
}

// issued is a token as it is kept.
type issued struct {
	Hash    digest    `json:"sha256"`
	Scopes  []string  `json:"scopes,omitempty"`
	Expires time.Time `json:"expires,omitzero"` // zero: never
	Used    time.Time `json:"used,omitzero"`    // refresh tokens: when they were rotated away
}

func (t issued) alive(now time.Time) bool { return t.Expires.IsZero() || now.Before(t.Expires) }

// What is kept at most: a demo needs no more, and nobody fills the disk.
const (
	maxGrants  = 1000
	maxTokens  = 100 // of each kind, per grant
	maxTickets = 1000
	ticketLife = 10 * time.Minute
	codeLife   = 60 * time.Second
	usedLife   = time.Hour // how long a used code is remembered
)

// tokens are what a token request yields.
type tokens struct {
	access, refresh, id string
	grant               string // its id
	scopes              []string
	expiresIn           time.Duration
	refreshExpiresIn    time.Duration
}

// copyOf returns a grant that can be changed and thrown away.
func copyOf(g *grant) *grant {
	c := *g
	c.Access = slices.Clone(g.Access)
	c.Refresh = slices.Clone(g.Refresh)
	return &c
}

// issue adds an access token to g, and a refresh token when asked to.
func (s *Server) issue(g *grant, scopes []string, refresh bool) tokens {
	now := time.Now()
	t := tokens{access: random("at_"), scopes: scopes, expiresIn: s.opts.AccessTTL}
	g.Access = slices.DeleteFunc(g.Access, func(t issued) bool { return !t.alive(now) })
	g.Access = newest(append(g.Access, issued{Hash: digestOf(t.access), Scopes: scopes, Expires: now.Add(s.opts.AccessTTL)}))
	if refresh && !s.opts.Quirks.NoRefresh {
		t.refresh = random("rt_")
		next := issued{Hash: digestOf(t.refresh)}
		if s.opts.RefreshTTL > 0 {
			next.Expires, t.refreshExpiresIn = now.Add(s.opts.RefreshTTL), s.opts.RefreshTTL
		}
		g.Refresh = newest(append(g.Refresh, next))
	}
	return t
}

func newest(list []issued) []issued {
	return list[max(0, len(list)-maxTokens):]
}

// putLocked keeps a grant, durably when there is a folder. The caller holds s.mu.
func (s *Server) putLocked(g *grant) error {
	before, had := s.grants[g.ID]
	s.grants[g.ID] = g
	for len(s.grants) > maxGrants {
		oldest := g
		for _, other := range s.grants {
			if cmp.Or(other.Created.Compare(oldest.Created), cmp.Compare(other.ID, oldest.ID)) < 0 {
				oldest = other
			}
		}
		delete(s.grants, oldest.ID)
	}
	if err := s.saveLocked(); err != nil {
		delete(s.grants, g.ID)
		if had {
			s.grants[g.ID] = before
		}
		return err
	}
	return nil
}

// endLocked ends a grant and every token of it. The caller holds s.mu.
func (s *Server) endLocked(id string) {
	if _, ok := s.grants[id]; !ok {
		return
	}
	delete(s.grants, id)
	if err := s.saveLocked(); err != nil {
		s.opts.Log.Error("demo: a revoked grant may come back after a restart", "error", err)
	}
}

// findLocked returns the grant of a token and the token itself. The caller holds s.mu.
func (s *Server) findLocked(secret string, refresh bool) (*grant, int) {
	want := digestOf(secret)
	for _, g := range s.grants {
		list := g.Access
		if refresh {
			list = g.Refresh
		}
		if i := slices.IndexFunc(list, func(t issued) bool { return t.Hash == want }); i >= 0 {
			return g, i
		}
	}
	return nil, -1
}

// End ends every grant of an account, as its owner could on a settings page.
func (s *Server) End(accountName string) {
	a, _ := account(accountName)
	s.mu.Lock()
	defer s.mu.Unlock()
	for id, g := range s.grants {
		if g.Account == a.Subject {
			s.endLocked(id)
		}
	}
}

// sweepLocked forgets tickets and codes that are over. The caller holds s.mu.
func (s *Server) sweepLocked(now time.Time) {
	for k, t := range s.tickets {
		if !now.Before(t.expires) {
			delete(s.tickets, k)
		}
	}
	for k, d := range s.devices {
		if now.After(d.expires.Add(time.Minute)) { // for a while they are expired, not unknown
			delete(s.devices, k)
		}
	}
	for k, c := range s.codes {
		if now.After(c.issued.Add(usedLife)) {
			delete(s.codes, k)
		}
	}
}
