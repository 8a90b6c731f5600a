package request_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"keyturn/backend/fault"
	"keyturn/backend/oauth"
	"keyturn/backend/orchestrator"
	"keyturn/backend/provider"
	"keyturn/backend/request"
)

// latency is how long everything takes at the other end.
const latency = time.Millisecond

// seen is a request as a host saw it.
type seen struct {
	origin string // https://api.example.com
	method string
	path   string
	header http.Header
	body   string
}

// network is all the hosts there are: handlers by origin. What is not in it
// does not answer.
type network struct {
	hosts map[string]http.HandlerFunc

	mu   sync.Mutex
	seen []seen
}

func (n *network) RoundTrip(r *http.Request) (*http.Response, error) {
	time.Sleep(latency)
	s := seen{origin: r.URL.Scheme + "://" + r.URL.Host, method: r.Method, path: r.URL.RequestURI(), header: r.Header.Clone()}
	if r.Body != nil {
		data, err := io.ReadAll(r.Body)
		r.Body.Close()
		if err != nil {
			return nil, err
		}
		s.body = string(data)
		r.Body = io.NopCloser(bytes.NewReader(data))
	}
	n.mu.Lock()
	n.seen = append(n.seen, s)
	n.mu.Unlock()
	h := n.hosts[s.origin]
	if h == nil {
		return nil, fmt.Errorf("no such host")
	}
	rec := httptest.NewRecorder()
	h(rec, r)
	return rec.Result(), nil
}

// at lists what an origin saw, or, with "", everything.
func (n *network) at(origin string) []seen {
	n.mu.Lock()
	defer n.mu.Unlock()
	var all []seen
	for _, s := range n.seen {
		if origin == "" || s.origin == origin {
			all = append(all, s)
		}
	}
	return all
}

// grants is an orchestrator with one connection.
type grants struct {
	provider provider.Provider
	key      oauth.Secret // what the token is bound to
	granted  []string

	mu         sync.Mutex
	generation uint64
	reads      int
	renewals   int
	renewErr   error
	tooYoung   bool
}

const connectionID = "con_00000000000000aa"

func (g *grants) Provider(id string) (provider.Provider, error) {
	if id != g.provider.ID {
		return provider.Provider{}, fault.New(fault.UnknownProvider, "There is no provider %s.", id)
	}
	return g.provider, nil
}

func (g *grants) Connection(id string) (orchestrator.Connection, error) {
	if id != connectionID {
		return orchestrator.Connection{}, fault.New(fault.NotConnected, "There is no connection with this id.")
	}
	return orchestrator.Connection{ID: id, Provider: g.provider.ID, ProviderName: g.provider.Name, Account: "ada"}, nil
}

// token is the canary that everything here looks for.
func token(generation uint64) string { return fmt.Sprintf("canary-token-%d", generation) }

func (g *grants) tokenLocked() orchestrator.AccessToken {
	return orchestrator.AccessToken{Token: oauth.NewSecret(token(g.generation)), Type: "Bearer", Key: g.key, Granted: g.granted, ConnectionID: connectionID, Generation: g.generation}
}

func (g *grants) Token(context.Context, orchestrator.TokenQuery) (orchestrator.AccessToken, error) {
	time.Sleep(latency)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.reads++
	return g.tokenLocked(), nil
}

func (g *grants) Renew(_ context.Context, _ string, generation uint64) (orchestrator.AccessToken, error) {
	time.Sleep(5 * latency)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.renewErr != nil {
		return orchestrator.AccessToken{}, g.renewErr
	}
	if generation == g.generation && !g.tooYoung {
		g.renewals++
		g.generation++
	}
	return g.tokenLocked(), nil
}

func (g *grants) counts() (reads, renewals int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.reads, g.renewals
}

// acme is a provider with an API on two hosts and whatever is below a third.
func acme() *grants {
	return &grants{generation: 1, provider: provider.Provider{
		ID: "acme", Name: "Acme", API: provider.API{Hosts: []string{"api.acme.example", "up.acme.example:8443", "*.acmeapis.example"}},
	}}
}

const api = "https://api.acme.example"

func call(url string) request.Call {
	return request.Call{Grant: orchestrator.TokenQuery{Provider: "acme"}, URL: url}
}

// do makes a call on a network and reads the whole answer.
func do(t *testing.T, g *grants, n http.RoundTripper, c request.Call) (*request.Answer, string, error) {
	t.Helper()
	s := request.New(g, oauth.NewHTTP(oauth.HTTPOptions{Transport: n}))
	a, err := s.Do(t.Context(), c)
	if err != nil {
		return nil, "", err
	}
	defer a.Body.Close()
	data, err := io.ReadAll(a.Body)
	return a, string(data), err
}

// mustNotHold asserts that no token is in what people or callers see.
func mustNotHold(t *testing.T, what, text string) {
	t.Helper()
	if strings.Contains(text, "canary") {
		t.Errorf("%s holds a token: %s", what, text)
	}
}

func answers(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

func points(status int, to string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", to)
		w.WriteHeader(status)
		io.WriteString(w, "moved")
	}
}
