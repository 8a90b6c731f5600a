package hub_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"keyturn/backend/oauth"
	"keyturn/backend/relay"
	"keyturn/backend/relay/hub"
)

// gateway is a hub behind a real HTTPS server, and what it logged.
type gateway struct {
	*hub.Hub
	url  string // of the relay path
	tls  *tls.Config
	logs *record
}

// record is a log that several goroutines write.
type record struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (r *record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.b.Write(p)
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.b.String()
}

func (r *record) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(r, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

func startGateway(t testing.TB, opts hub.Options) *gateway {
	t.Helper()
	logs := &record{}
	if opts.Keys == nil {
		opts.Keys = hub.NewKeys()
	}
	if opts.Log == nil {
		opts.Log = logs.logger()
	}
	h, err := hub.NewHub(opts)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/relay", h.Handler())
	s := httptest.NewUnstartedServer(mux)
	s.Config.ErrorLog = slog.NewLogLogger(logs.logger().Handler(), slog.LevelDebug)
	s.StartTLS()
	t.Cleanup(func() {
		h.Close()
		s.Close()
	})
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	return &gateway{Hub: h, url: s.URL + "/relay", tls: &tls.Config{RootCAs: roots}, logs: logs}
}

// nats is the address of the relay path as the NATS library writes it.
func (g *gateway) nats() string { return strings.Replace(g.url, "https:", "wss:", 1) }

// enrol returns the enrolment of a new app.
func (g *gateway) enrol(t testing.TB, name string) relay.Enrolment {
	t.Helper()
	e, err := g.Enrol(name, g.url)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// run keeps a client with this enrolment connected until the test ends, and
// waits for its first connection.
func (g *gateway) run(t testing.TB, e relay.Enrolment) *relay.Client {
	t.Helper()
	c := relay.NewClient(e, relay.Options{TLS: g.tls, Log: g.logs.logger()})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { c.Run(ctx); close(done) }()
	t.Cleanup(func() { cancel(); <-done })
	patience, stop := context.WithTimeout(ctx, 10*time.Second)
	defer stop()
	if err := c.Ready(patience); err != nil {
		t.Fatal(err, c.Status())
	}
	return c
}

func expect(t testing.TB, c *relay.Client, provider string) *relay.Attempt {
	t.Helper()
	a, err := c.Expect(provider)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Cancel)
	return a
}

// callback is what the provider's redirect carries.
func callback(a *relay.Attempt, code string) url.Values {
	return url.Values{"state": {a.State()}, "code": {code}}
}

// response is what the attempt gave out, if it has by now.
func response(a *relay.Attempt) (oauth.AuthorizationResponse, bool) {
	select {
	case r := <-a.Response():
		return r, true
	case <-time.After(50 * time.Millisecond):
		return oauth.AuthorizationResponse{}, false
	}
}

func held(a *relay.Attempt) bool {
	select {
	case <-a.Held():
		return true
	default:
		return false
	}
}
