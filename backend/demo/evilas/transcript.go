package evilas

import (
	"bytes"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Connection is one connection that was made, and every byte it brought.
type Connection struct {
	At       time.Time
	From     string
	Received []byte
}

// Request is one HTTP request.
type Request struct {
	At     time.Time
	Method string
	Path   string
	Query  url.Values
	Header http.Header
	Body   string
	Form   url.Values // the body as a form; empty when it is none
}

type transcript struct {
	mu          sync.Mutex
	connections []*Connection
	requests    []Request
}

// request notes r and gives it its body back.
func (t *transcript) request(r *http.Request) {
	body, _ := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	r.Body = io.NopCloser(bytes.NewReader(body))
	form, _ := url.ParseQuery(string(body))
	if !strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		form = url.Values{}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.requests = append(t.requests, Request{
		At: time.Now(), Method: r.Method, Path: r.URL.Path, Query: r.URL.Query(),
		Header: r.Header.Clone(), Body: string(body), Form: form,
	})
}

// Requests returns the requests for a path, or all of them for "".
func (s *Server) Requests(path string) []Request {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	var found []Request
	for _, r := range s.log.requests {
		if path == "" || r.Path == path {
			found = append(found, r)
		}
	}
	return found
}

// Connections returns every connection, also those that brought nothing.
func (s *Server) Connections() []Connection {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	var all []Connection
	for _, c := range s.log.connections {
		all = append(all, Connection{At: c.At, From: c.From, Received: bytes.Clone(c.Received)})
	}
	return all
}

// Count returns how often something was received, as it is or form-encoded.
func (s *Server) Count(what string) int {
	n := 0
	encoded := url.QueryEscape(what)
	for _, c := range s.Connections() {
		n += bytes.Count(c.Received, []byte(what))
		if encoded != what {
			n += bytes.Count(c.Received, []byte(encoded))
		}
	}
	return n
}

// Saw reports whether something was received, as it is or form-encoded.
func (s *Server) Saw(what string) bool { return s.Count(what) > 0 }

// recordingListener notes each connection and what is read from it.
type recordingListener struct {
	net.Listener
	tls *tls.Config // nil: plain
	log *transcript
}

func (l *recordingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	note := &Connection{At: time.Now(), From: conn.RemoteAddr().String()}
	l.log.mu.Lock()
	l.log.connections = append(l.log.connections, note)
	l.log.mu.Unlock()
	if l.tls != nil {
		conn = tls.Server(conn, l.tls)
	}
	return &recordingConn{conn, note, l.log}, nil
}

type recordingConn struct {
	net.Conn
	note *Connection
	log  *transcript
}

func (c *recordingConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.log.mu.Lock()
	c.note.Received = append(c.note.Received, p[:n]...)
	c.log.mu.Unlock()
	return n, err
}

// quiet drops what net/http says about clients that hang up.
var quiet = log.New(io.Discard, "", 0)
