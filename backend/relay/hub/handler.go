package hub

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	dialTimeout = 5 * time.Second
	// chunk is what is copied at once. Most connections are silent, and each
	// holds two of these.
	chunk = 1 << 10
)

// Handler is where apps connect; the gateway puts it at a path of its own. It
// takes WebSocket handshakes (RFC 6455 section 4.2.1) over HTTP/1.1 that no
// browser sent, and joins each to a NATS server, which asks the app who it is.
func (h *Hub) Handler() http.Handler { return &h.apps }

// backend is the WebSocket listener of a NATS server.
type backend struct {
	address string      // host:port
	tls     *tls.Config // nil: none
}

func backends(urls []string) ([]backend, error) {
	var to []backend
	for _, text := range urls {
		u, err := url.Parse(text)
		if err != nil || u.Host == "" || u.Port() == "" || (u.Scheme != "ws" && u.Scheme != "wss") {
			return nil, fmt.Errorf("relay hub: %q is not ws://HOST:PORT or wss://HOST:PORT", text)
		}
		b := backend{address: u.Host}
		if u.Scheme == "wss" {
			b.tls = &tls.Config{ServerName: u.Hostname(), MinVersion: tls.VersionTLS12}
		}
		to = append(to, b)
	}
	if len(to) == 0 {
		return nil, errors.New("relay hub: the cluster has no WebSocket addresses")
	}
	return to, nil
}

func (b backend) dial(ctx context.Context) (net.Conn, error) {
	d := &net.Dialer{Timeout: dialTimeout}
	if b.tls == nil {
		return d.DialContext(ctx, "tcp", b.address)
	}
	return (&tls.Dialer{NetDialer: d, Config: b.tls}).DialContext(ctx, "tcp", b.address)
}

// pipes are the connections of apps, each joined to one of a NATS server.
type pipes struct {
	to                []backend
	most              int
	total, turnedAway atomic.Uint64

	mu      sync.Mutex
	open    map[*pipe]struct{}
	coming  int // accepted and not joined yet
	refused bool
	copying sync.WaitGroup // two for each pipe
}

// pipe joins two connections.
type pipe struct{ app, nats net.Conn }

func (p *pipe) close() {
	p.app.Close()
	p.nats.Close()
}

// ServeHTTP joins one app to a NATS server and returns; the copying goes on.
func (p *pipes) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	status, says := p.join(w, r)
	if status != 0 {
		p.turnedAway.Add(1)
		w.Header().Set("Cache-Control", "no-store")
		http.Error(w, says, status)
	}
}

// join returns the status to answer with, or 0 when the connection is taken.
func (p *pipes) join(w http.ResponseWriter, r *http.Request) (status int, says string) {
	switch {
	case r.Method != http.MethodGet:
		w.Header().Set("Allow", http.MethodGet)
		return http.StatusMethodNotAllowed, "Keyturn connects here, by WebSocket."
	case r.Header.Get("Origin") != "":
		return http.StatusForbidden, "Keyturn connects here, and no browser."
	case r.ProtoMajor != 1 || !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") || len(r.Header.Get("Sec-WebSocket-Key")) != 24:
		w.Header().Set("Upgrade", "websocket")
		return http.StatusUpgradeRequired, "Keyturn connects here, by WebSocket."
	}
	if !p.come() {
		w.Header().Set("Retry-After", "30")
		return http.StatusServiceUnavailable, "The relay takes no more connections now."
	}
	var joined *pipe
	defer func() { p.arrive(joined) }()
	server, err := p.dial(r.Context())
	if err != nil {
		w.Header().Set("Retry-After", "5")
		return http.StatusBadGateway, "The relay has no server now."
	}
	// Only what the handshake needs goes on; what else the client or a proxy
	// says is not for the server behind.
	_, err = fmt.Fprintf(server, "GET / HTTP/1.1\r\nHost: relay\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n\r\n",
		r.Header.Get("Sec-WebSocket-Key"))
	if err != nil {
		server.Close()
		return http.StatusBadGateway, "The relay has no server now."
	}
	app, early, err := http.NewResponseController(w).Hijack()
	if err != nil {
		server.Close()
		return http.StatusInternalServerError, "The relay cannot take this connection over."
	}
	app.SetDeadline(time.Time{})
	// What came with the handshake must not stay behind in the HTTP server.
	if n := early.Reader.Buffered(); n > 0 {
		b, _ := early.Reader.Peek(n)
		server.Write(b)
	}
	joined = &pipe{app: app, nats: server}
	return 0, ""
}

// dial tries the servers in random order.
func (p *pipes) dial(ctx context.Context) (conn net.Conn, err error) {
	for _, i := range rand.Perm(len(p.to)) {
		if conn, err = p.to[i].dial(ctx); err == nil {
			return conn, nil
		}
	}
	return nil, err
}

// come reserves a place.
func (p *pipes) come() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refused || len(p.open)+p.coming >= p.most {
		return false
	}
	p.coming++
	return true
}

// arrive turns the place into a connection, or gives it back when new is nil.
func (p *pipes) arrive(joined *pipe) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.coming--
	switch {
	case joined == nil:
	case p.refused:
		joined.close()
	default:
		if p.open == nil {
			p.open = map[*pipe]struct{}{}
		}
		p.open[joined] = struct{}{}
		p.total.Add(1)
		p.copying.Add(2)
		go p.copy(joined, joined.nats, joined.app)
		go p.copy(joined, joined.app, joined.nats)
	}
}

// copy passes bytes on until either end closes, and then closes both. It is not
// io.Copy, whose buffer is 32 KiB for each direction of each app.
func (p *pipes) copy(of *pipe, to, from net.Conn) {
	defer p.copying.Done()
	b := make([]byte, chunk)
	for {
		n, err := from.Read(b)
		if n > 0 {
			to.SetWriteDeadline(time.Now().Add(10 * time.Second))
			if _, err := to.Write(b[:n]); err != nil {
				break
			}
		}
		if err != nil {
			break
		}
	}
	of.close()
	p.mu.Lock()
	delete(p.open, of)
	p.mu.Unlock()
}

func (p *pipes) connected() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.open)
}

// refuse takes no more connections.
func (p *pipes) refuse() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.refused = true
}

// close ends all connections; refuse was called before.
func (p *pipes) close() {
	p.mu.Lock()
	for open := range p.open {
		open.close()
	}
	p.mu.Unlock()
	p.copying.Wait()
}
