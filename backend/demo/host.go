package demo

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/net/netutil"

	"keyturn/backend/fault"
)

// linger is how long the server goes on listening when nobody uses it any
// more: a disconnect is often followed by a connect.
const linger = 30 * time.Second

// Host has the demo provider listen on a port of this computer while somebody
// uses it.
type Host struct {
	address string
	linger  time.Duration
	server  *Server

	mu       sync.Mutex // guards what follows
	users    int
	http     *http.Server // nil: not listening
	listener net.Listener // of http
	ending   *time.Timer
	closed   bool
}

// NewHost returns a host that does not listen yet. Grants are kept in dir, and
// what goes wrong is told to the program's own log.
func NewHost(dir string, port int) *Host {
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	return &Host{
		address: address,
		linger:  linger,
		server:  New(Options{Issuer: "http://" + address, Dir: dir, Log: slog.Default()}),
	}
}

// Use has the server listen until release is called, and a little longer. It
// fails with fault.PortInUse when another program has the port.
func (h *Host) Use() (release func(), err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, fault.New(fault.Internal, "The demo provider is shutting down.")
	}
	if h.http == nil {
		if err := h.listenLocked(); err != nil {
			return nil, err
		}
	}
	if h.ending != nil {
		h.ending.Stop()
		h.ending = nil
	}
	h.users++
	return sync.OnceFunc(h.release), nil
}

// listenLocked starts to listen. The caller holds h.mu.
func (h *Host) listenLocked() error {
	l, err := net.Listen("tcp4", h.address)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fault.Wrap(err, fault.PortInUse, "The demo provider needs %s on this computer, and another program has it. End that program and try again.", h.address)
	}
	if err != nil {
		return fault.Wrap(err, fault.Internal, "The demo provider could not listen on %s. The log has the details.", h.address)
	}
	h.http = &http.Server{
		Handler:           h.server,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       30 * time.Second,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(h.server.opts.Log.Handler(), slog.LevelDebug),
	}
	h.listener = l
	go h.http.Serve(netutil.LimitListener(l, 128))
	return nil
}

func (h *Host) release() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.users--; h.users > 0 || h.closed {
		return
	}
	var t *time.Timer
	t = time.AfterFunc(h.linger, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		if h.ending == t { // nobody came in the meantime
			h.stopLocked()
		}
	})
	h.ending = t
}

// stopLocked ends the listener; what is being answered gets a second. The
// caller holds h.mu.
func (h *Host) stopLocked() {
	if h.http == nil {
		return
	}
	h.listener.Close() // also when Serve has not got to it yet
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if h.http.Shutdown(ctx) != nil {
		h.http.Close()
	}
	h.http, h.ending = nil, nil
}

// Close ends the listener for good.
func (h *Host) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	if h.ending != nil {
		h.ending.Stop()
	}
	h.stopLocked()
}
