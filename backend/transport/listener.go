package transport

import (
	"cmp"
	"context"
	"crypto/tls"
	"log"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

const (
	maxConns      = 64       // open connections per listener
	maxHeader     = 12 << 10 // net/http adds 4 KiB; cookies of other ports on 127.0.0.1 come along
	headerTimeout = 5 * time.Second
	writeTimeout  = 10 * time.Second
	idleTimeout   = 30 * time.Second
	closeTimeout  = time.Second
)

// listener is one port on the loopback interface with a server of its own.
type listener struct {
	port   int
	server *http.Server
	socks  []net.Listener // guarded by Loopback.binding, like both and users
	secure *tls.Config    // nil: http
	both   bool           // nothing is left to bind for localhost
	users  int            // attempts and results

	// Attempts and results by the name in their redirect URI: only a name in
	// use is answered.
	literal, named atomic.Int32
	posted         atomic.Int32 // those of them whose response comes by POST

	evicted *atomic.Uint64
	serving sync.WaitGroup

	mu    sync.Mutex
	conns map[*conn]struct{}
	clock uint64 // counts events, to tell older from newer
}

// newListener serves sockets.
func newListener(l *Loopback, sockets []net.Listener, both bool, secure *tls.Config) *listener {
	on := &listener{
		port:    portOf(sockets[0]),
		both:    both,
		secure:  secure,
		evicted: &l.counts.evicted,
		conns:   map[*conn]struct{}{},
	}
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	on.server = &http.Server{
		Handler:           door{l, on},
		Protocols:         &protocols,
		ReadHeaderTimeout: headerTimeout,
		ReadTimeout:       headerTimeout, // a body is never waited for longer
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          log.New(complaints{l}, "", 0),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, counted(c))
		},

		DisableGeneralOptionsHandler: true,
	}
	for _, socket := range sockets {
		on.serve(socket)
	}
	return on
}

// serve accepts from one more socket.
func (on *listener) serve(socket net.Listener) {
	on.socks = append(on.socks, socket)
	var accepts net.Listener = capped{socket, on}
	if on.secure != nil {
		accepts = tls.NewListener(accepts, on.secure)
	}
	on.serving.Go(func() { _ = on.server.Serve(accepts) })
}

// unbind gives the port back.
func (on *listener) unbind() {
	for _, socket := range on.socks {
		socket.Close()
	}
}

// windDown ends the connections. Those that nobody is answering are closed
// first: Shutdown would wait seconds for a silent one.
func (on *listener) windDown() {
	on.mu.Lock()
	var silent []*conn
	for c := range on.conns {
		if !c.busy {
			silent = append(silent, c)
		}
	}
	on.mu.Unlock()
	for _, c := range silent {
		c.Close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	if on.server.Shutdown(ctx) != nil {
		on.server.Close()
	}
	on.serving.Wait()
}

// answersTo reports whether a Host header is exactly one that we gave out.
func (on *listener) answersTo(host string) bool {
	return on.literal.Load() > 0 && host == on.name(false) ||
		on.named.Load() > 0 && host == on.name(true)
}

type connKey struct{}

// counted returns the connection below TLS, as the cap knows it.
func counted(c net.Conn) net.Conn {
	if t, ok := c.(*tls.Conn); ok {
		return t.NetConn()
	}
	return c
}

// conn is one connection, as the cap on connections sees it.
type conn struct {
	net.Conn
	on *listener

	// Guarded by on.mu.
	served  bool   // got an answer already
	busy    bool   // gets one now
	genuine bool   // brought a genuine response, or reads a result
	since   uint64 // when that was
}

// capped accepts connections for a listener.
type capped struct {
	net.Listener
	on *listener
}

func (s capped) Accept() (net.Conn, error) {
	raw, err := s.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: raw, on: s.on}
	if old := s.on.admit(c); old != nil {
		s.on.evicted.Add(1)
		old.Close()
	}
	return c, nil
}

// admit takes c in. Beyond maxConns the one that matters least has to go: it is
// never the new one, which may be the user's browser.
func (on *listener) admit(c *conn) (evict *conn) {
	on.mu.Lock()
	defer on.mu.Unlock()
	if len(on.conns) >= maxConns {
		for old := range on.conns {
			if evict == nil || old.compare(evict) < 0 {
				evict = old
			}
		}
		delete(on.conns, evict)
	}
	on.clock++
	c.since = on.clock
	on.conns[c] = struct{}{}
	return evict
}

// compare orders connections by how little is lost with them, then by age:
// idle after an answer, silent so far, being answered, genuine.
func (c *conn) compare(other *conn) int {
	return cmp.Or(cmp.Compare(c.worth(), other.worth()), cmp.Compare(c.since, other.since))
}

func (c *conn) worth() int {
	switch {
	case c.genuine:
		return 3
	case c.busy:
		return 2
	case c.served:
		return 0
	}
	return 1
}

// begin and end frame one request.
func (c *conn) begin() { c.mark(func() { c.busy = true }) }
func (c *conn) end()   { c.mark(func() { c.busy, c.served = false, true }) }

// spare keeps c from being evicted.
func (c *conn) spare() { c.mark(func() { c.genuine = true }) }

func (c *conn) mark(change func()) {
	c.on.mu.Lock()
	defer c.on.mu.Unlock()
	c.on.clock++
	c.since = c.on.clock
	change()
}

func (c *conn) Close() error {
	c.on.mu.Lock()
	delete(c.on.conns, c)
	c.on.mu.Unlock()
	return c.Conn.Close()
}

// CloseWrite lets the server end an answer before it drops what was not read.
func (c *conn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return c.Conn.Close()
}
