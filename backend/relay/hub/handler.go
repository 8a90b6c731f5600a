package hub

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// chunk is what is copied at once. Most connections are silent, and each
	// holds two of these.
	chunk = 1 << 10
	// stuck is how long an app may take to read a chunk.
	stuck = 10 * time.Second
	// lastWords is how long a connection stays open for reading once NATS is done with it.
	lastWords = time.Second
)

// Handler is where apps connect; the gateway puts it at a path of its own. It
// takes WebSocket handshakes (RFC 6455 section 4.2.1) over HTTP/1.1 that no
// browser sent, and joins each to a NATS server, which asks the app who it is.
func (h *Hub) Handler() http.Handler { return &h.apps }

// A backend is a NATS server, as the connection of an app sees it.
type backend interface {
	// open connects. key is the Sec-WebSocket-Key of the app's handshake.
	open(ctx context.Context, key string) (net.Conn, error)
	// begin is called once the app's connection is ours, before anything is copied.
	begin(app net.Conn, key string) error
	// up and down copy until either end closes.
	up(nats net.Conn, app io.Reader, back *frames) error
	down(app *frames, nats net.Conn) error
}

// pipes are the connections of apps, each joined to one of a NATS server.
type pipes struct {
	to                backend
	most              int
	total, turnedAway atomic.Uint64

	mu      sync.Mutex
	open    map[*pipe]struct{}
	coming  int // accepted and not joined yet
	refused bool
	copying sync.WaitGroup // two for each pipe
}

// pipe joins two connections.
type pipe struct {
	app, nats net.Conn
	early     []byte // what the HTTP server had read already
}

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
	case r.ProtoMajor != 1 || !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") || len(r.Header.Get("Sec-WebSocket-Key")) != 24 || r.Header.Get("Sec-WebSocket-Version") != "13":
		w.Header().Set("Upgrade", "websocket")
		return http.StatusUpgradeRequired, "Keyturn connects here, by WebSocket."
	}
	if !p.come() {
		w.Header().Set("Retry-After", "30")
		return http.StatusServiceUnavailable, "The relay takes no more connections now."
	}
	var joined *pipe
	defer func() { p.arrive(joined) }()
	key := r.Header.Get("Sec-WebSocket-Key")
	server, err := p.to.open(r.Context(), key)
	if err != nil {
		w.Header().Set("Retry-After", "5")
		return http.StatusBadGateway, "The relay has no server now."
	}
	app, read, err := http.NewResponseController(w).Hijack()
	if err != nil {
		server.Close()
		return http.StatusInternalServerError, "The relay cannot take this connection over."
	}
	_ = app.SetDeadline(time.Time{})
	// What came with the handshake must not stay behind in the HTTP server, nor
	// its buffers with us.
	early, _ := read.Reader.Peek(read.Reader.Buffered())
	joined = &pipe{app: app, nats: server, early: bytes.Clone(early)}
	if p.to.begin(app, key) != nil {
		joined.close() // and the copying sees it
	}
	return 0, ""
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
		go p.copy(joined)
	}
}

// copy passes bytes on in both directions until either end closes, and then
// closes both. What NATS says last, which is why it throws an app out, must
// arrive: until the app has closed too, or for as long as lastWords, the rest
// of what it sends is read and dropped.
func (p *pipes) copy(of *pipe) {
	back := &frames{to: of.app}
	go func() {
		defer p.copying.Done()
		_ = p.to.down(back, of.nats)
		of.nats.Close()
		_ = of.app.SetReadDeadline(time.Now().Add(lastWords))
	}()
	defer p.copying.Done()
	var from io.Reader = of.app
	if len(of.early) > 0 {
		from = io.MultiReader(bytes.NewReader(of.early), of.app)
		of.early = nil
	}
	_ = p.to.up(of.nats, from, back)
	of.nats.Close()
	_, _ = io.Copy(io.Discard, of.app)
	p.end(of)
}

func (p *pipes) end(of *pipe) {
	of.close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, of)
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
