// Package hub is the gateway's side of the relay: it passes callbacks on to the
// apps that hold a connection to it (see package relay for the whole).
//
//	Keys      one secret text; makes enrolments, needs no connection
//	Hub       Deliver: one callback to its app, answered or refused
//	Handler   where apps connect: NATS in a WebSocket, behind the gateway's own TLS
//
// # Its rules
//
//   - A Hub keeps nothing about any app or attempt. Several hubs with the same
//     Keys on one NATS cluster are one gateway; any of them delivers anything.
//   - By default the NATS server is inside the Hub: one program is a whole
//     gateway. Cluster names the nodes of an existing one instead.
//   - An app may subscribe to its own subject, answer what it was asked, and do
//     nothing else: its token says so and every NATS server holds it to that.
//   - What no app can have asked for never reaches NATS: a state that an
//     enrolled app did not make, of another provider, of a revoked app, or
//     parameters that are no authorization response.
//   - Nothing is logged that came with a callback.
//
// An app costs one descriptor, and a second one where NATS is elsewhere.
package hub

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"keyturn/backend/relay"
)

// DefaultMaxApps is how many apps may be connected to one Hub.
const DefaultMaxApps = 20_000

// Options set up a Hub. Only Keys must be given.
type Options struct {
	Keys    *Keys
	Cluster *Cluster     // nil: the NATS server inside
	Revoked []string     // ids of apps that are not served
	MaxApps int          // 0: DefaultMaxApps
	Log     *slog.Logger // nil: nothing is logged
}

// Cluster names an existing NATS cluster. Its nodes take our users by
// Keys.NodeConfig, or have an account whose key Keys.InAccount knows; revoking
// there is also a matter of that account's own token.
type Cluster struct {
	Servers    []string // nats:// or tls:// addresses, for the hub
	WebSockets []string // ws:// or wss:// addresses of the same nodes, where Handler leads apps
}

// Hub passes callbacks on. Its methods may be called from any goroutine.
type Hub struct {
	keys    *Keys
	log     *slog.Logger
	server  *embedded // nil with a cluster
	conn    *nats.Conn
	apps    pipes
	counts  counts
	patient time.Duration // how long one try of Deliver waits for its answer

	mu      sync.Mutex
	revoked map[string]bool
	closed  bool
	work    sync.WaitGroup // deliveries
}

// NewHub starts a Hub. With a cluster of which no node answers yet it starts as
// well, and delivers once one does.
func NewHub(opts Options) (*Hub, error) {
	if opts.Keys == nil {
		return nil, errors.New("relay hub: no keys")
	}
	h := &Hub{keys: opts.Keys, log: opts.Log, revoked: map[string]bool{}, patient: 2 * time.Second}
	if h.log == nil {
		h.log = slog.New(slog.DiscardHandler)
	}
	for _, id := range opts.Revoked {
		if _, err := userOf(id); err != nil {
			return nil, err
		}
		h.revoked[id] = true
	}
	if opts.MaxApps == 0 {
		opts.MaxApps = DefaultMaxApps
	}
	options := []nats.Option{
		nats.Name("keyturn-gateway"),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(200 * time.Millisecond),
		nats.ReconnectJitter(100*time.Millisecond, 100*time.Millisecond),
		nats.ReconnectBufSize(-1), // Deliver tries again by itself, and knows when to stop
		nats.RetryOnFailedConnect(true),
		nats.PingInterval(10 * time.Second),
		nats.MaxPingsOutstanding(2),
	}
	admission, err := h.admission()
	if err != nil {
		return nil, err
	}
	options = append(options, admission)
	var servers string
	if opts.Cluster == nil {
		if h.server, err = startEmbedded(opts.Keys, opts.MaxApps, opts.Revoked); err != nil {
			return nil, err
		}
		options = append(options, nats.InProcessServer(h.server))
		h.apps.to = inMemory{h.server}
	} else {
		if h.apps.to, err = parseNodes(opts.Cluster.WebSockets); err != nil {
			return nil, err
		}
		if len(opts.Cluster.Servers) == 0 {
			return nil, errors.New("relay hub: the cluster has no servers")
		}
		servers = strings.Join(opts.Cluster.Servers, ",")
	}
	h.apps.most = opts.MaxApps
	if h.conn, err = nats.Connect(servers, options...); err != nil {
		h.Close()
		return nil, fmt.Errorf("relay hub: %w", err)
	}
	return h, nil
}

// admission makes the hub's own user, with a key that lives as long as it does.
func (h *Hub) admission() (nats.Option, error) {
	pair, err := nkeys.CreateUser()
	if err != nil {
		return nil, err
	}
	public, err := pair.PublicKey()
	if err != nil {
		return nil, err
	}
	claims := jwt.NewUserClaims(public)
	claims.Pub.Allow.Add(relay.Subject("*"))
	claims.Sub.Allow.Add("_INBOX.>")
	token, err := h.keys.admit(claims)
	if err != nil {
		return nil, err
	}
	return nats.UserJWT(
		func() (string, error) { return token, nil },
		pair.Sign,
	), nil
}

// Enrol is Keys.Enrol.
func (h *Hub) Enrol(name string, urls ...string) (relay.Enrolment, error) {
	return h.keys.Enrol(name, urls...)
}

// Revoke stops serving the app with this id, now and, by Options.Revoked, for
// as long as the caller remembers it. Each replica must be told. With the server
// inside, the app's connection is closed too and none is accepted again.
func (h *Hub) Revoke(id string) error {
	if _, err := userOf(id); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.revoked[id] = true
	if h.server == nil || h.closed {
		return nil
	}
	return h.server.revoke(slices.Collect(maps.Keys(h.revoked)))
}

// Ready reports whether callbacks can be delivered at all: for health checks.
func (h *Hub) Ready() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.closed && h.conn.IsConnected()
}

// Drain takes no more callbacks or apps, waits for the deliveries under way or
// until ctx ends, and closes.
func (h *Hub) Drain(ctx context.Context) {
	h.shut()
	done := make(chan struct{})
	go func() { h.work.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
	}
	h.Close()
}

// Close ends everything now. The apps connect again, here or to another replica.
func (h *Hub) Close() {
	h.shut()
	if h.conn != nil {
		h.conn.Close()
	}
	h.apps.close()
	if h.server != nil {
		h.server.Shutdown()
		h.server.WaitForShutdown()
	}
	h.work.Wait()
}

func (h *Hub) shut() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	h.apps.refuse()
}
