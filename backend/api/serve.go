package api

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	headerTimeout = 5 * time.Second
	idleTimeout   = 2 * time.Minute
	maxHeader     = 32 << 10 // a Keyturn-Request has a URL and headers in it
	maxConns      = 128      // more than there are places for streams and requests
	graceful      = time.Second
)

// Serve answers the programs of this user on l until ctx ends. Requests in
// progress then have a second to finish; event streams end at once. The
// listener vouches for who connects (see package socket).
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	crowd := newCrowd(l, maxConns)
	server := &http.Server{
		Handler:                      s.Door(Local),
		ReadHeaderTimeout:            headerTimeout,
		IdleTimeout:                  idleTimeout,
		MaxHeaderBytes:               maxHeader,
		DisableGeneralOptionsHandler: true, // answers OPTIONS * without asking the table
		ConnState:                    crowd.watch,
		ConnContext: func(c context.Context, conn net.Conn) context.Context {
			return withCaller(context.WithValue(c, stoppingKey{}, ctx.Done()), conn)
		},
		ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	done := make(chan error, 1)
	go func() { done <- server.Serve(crowd) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), graceful)
	defer cancel()
	if server.Shutdown(limit) != nil {
		server.Close()
	}
	if err := <-done; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

type stoppingKey struct{}

// stopping is closed when the listener that a request came from is about to
// end; nil for a request that came from none.
func stopping(ctx context.Context) <-chan struct{} {
	c, _ := ctx.Value(stoppingKey{}).(<-chan struct{})
	return c
}

// crowd admits a number of connections at a time. When one more comes, the
// connection that has been idle longest makes room: a program that keeps
// connections open for nothing must not lock the others out.
type crowd struct {
	net.Listener
	places chan struct{} // one element per connection
	closed chan struct{}
	once   sync.Once

	mu      sync.Mutex
	idle    []net.Conn // longest first
	waiting bool       // the next one to become idle makes room
}

func newCrowd(l net.Listener, size int) *crowd {
	return &crowd{Listener: l, places: make(chan struct{}, size), closed: make(chan struct{})}
}

func (c *crowd) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err != nil {
		return nil, err
	}
	select {
	case c.places <- struct{}{}:
		return conn, nil
	default:
	}
	c.evict()
	select {
	case c.places <- struct{}{}:
		return conn, nil
	case <-c.closed:
		conn.Close()
		return nil, net.ErrClosed
	}
}

func (c *crowd) Close() error {
	c.once.Do(func() { close(c.closed) })
	return c.Listener.Close()
}

// watch follows the states of the connections (http.Server.ConnState).
func (c *crowd) watch(conn net.Conn, state http.ConnState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forgetLocked(conn)
	switch state {
	case http.StateIdle:
		if c.waiting {
			c.waiting = false
			conn.Close()
			return
		}
		c.idle = append(c.idle, conn)
	case http.StateClosed:
		<-c.places
	}
}

func (c *crowd) evict() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.idle) == 0 {
		c.waiting = true
		return
	}
	c.idle[0].Close()
	c.forgetLocked(c.idle[0])
}

func (c *crowd) forgetLocked(conn net.Conn) {
	for i := range c.idle {
		if c.idle[i] == conn {
			c.idle = append(c.idle[:i], c.idle[i+1:]...)
			return
		}
	}
}
