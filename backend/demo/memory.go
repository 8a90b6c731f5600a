package demo

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"syscall"
)

// RoundTrip answers a request in memory, as if it had gone over a connection:
// to another host than the issuer's nobody listens, an answer may get lost,
// and a client that gives up does not keep the request from taking effect.
func (s *Server) RoundTrip(req *http.Request) (*http.Response, error) {
	trace := httptrace.ContextClientTrace(req.Context())
	if trace != nil && trace.GetConn != nil {
		trace.GetConn(req.URL.Host)
	}
	in, err := arrive(req)
	if err != nil {
		return nil, err
	}
	if req.URL.Host != s.issuer.Host || s.unreachable(in) {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	}
	if trace != nil && trace.GotConn != nil {
		trace.GotConn(httptrace.GotConnInfo{})
	}
	if trace != nil && trace.WroteRequest != nil {
		trace.WroteRequest(httptrace.WroteRequestInfo{})
	}
	done := make(chan *http.Response, 1)
	go func() {
		w := &answer{header: http.Header{}}
		defer func() {
			if r := recover(); r != nil && r != http.ErrAbortHandler {
				panic(r)
			} else if r != nil {
				done <- nil
				return
			}
			done <- w.response(req)
		}()
		s.ServeHTTP(w, in)
	}()
	select {
	case resp := <-done:
		if resp == nil {
			return nil, io.ErrUnexpectedEOF
		}
		return resp, nil
	case <-req.Context().Done():
		return nil, context.Cause(req.Context())
	}
}

// unreachable reports whether a fault keeps a request from being sent.
func (s *Server) unreachable(in *http.Request) bool {
	body, _ := io.ReadAll(in.Body)
	in.Body = io.NopCloser(bytes.NewReader(body))
	q := readRequest(in, s.op(in))
	in.Body = io.NopCloser(bytes.NewReader(body))
	s.mu.Lock()
	defer s.mu.Unlock()
	_, unreachable := s.dueLocked(q, func(f Fault) bool { return f.Drop == Unreachable })
	return unreachable
}

// arrive makes of an outgoing request the incoming one.
func arrive(req *http.Request) (*http.Request, error) {
	var body []byte
	if req.Body != nil {
		var err error
		body, err = io.ReadAll(req.Body)
		closeBody(req)
		if err != nil {
			return nil, err
		}
	}
	// Without the client's context: it may give up, the request has arrived.
	in := req.Clone(context.Background())
	in.URL = &url.URL{Path: req.URL.Path, RawPath: req.URL.RawPath, RawQuery: req.URL.RawQuery}
	in.RequestURI = in.URL.RequestURI()
	if in.Host == "" {
		in.Host = req.URL.Host
	}
	in.Body = io.NopCloser(bytes.NewReader(body))
	in.ContentLength = int64(len(body))
	in.RemoteAddr = "127.0.0.1:1"
	return in, nil
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		req.Body.Close()
	}
}

// answer is an http.ResponseWriter that keeps the answer.
type answer struct {
	header http.Header
	sent   http.Header
	status int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status, a.sent = status, a.header.Clone()
	}
}

func (a *answer) Write(b []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(b)
}

func (a *answer) response(req *http.Request) *http.Response {
	a.WriteHeader(http.StatusOK)
	return &http.Response{
		Status:        http.StatusText(a.status),
		StatusCode:    a.status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        a.sent,
		Body:          io.NopCloser(bytes.NewReader(a.body.Bytes())),
		ContentLength: int64(a.body.Len()),
		Request:       req,
	}
}
