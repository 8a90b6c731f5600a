package oauth

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// pipeServer is a client whose every connection ends in serve, without a
// socket, so that time in a bubble passes while both wait.
func pipeServer(serve func(net.Conn)) *HTTP {
	transport := guarded(nil)
	transport.DialContext = func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go func() {
			defer server.Close()
			if _, err := http.ReadRequest(bufio.NewReader(server)); err == nil {
				serve(server)
			}
		}()
		return client, nil
	}
	return NewHTTP(HTTPOptions{Transport: transport})
}

var patient = Server{AllowLoopbackHTTP: true, Token: TokenEndpoint{URL: "http://127.0.0.1/token"}}

func TestASilentServerIsLeftAfter15Seconds(t *testing.T) { // TE-14
	synctest.Test(t, func(t *testing.T) {
		h := pipeServer(func(c net.Conn) { io.Copy(io.Discard, c) })
		start := time.Now()
		_, err := h.Exchange(t.Context(), patient, Client{ID: "c", Auth: AuthNone}, NewSecret("code"), "", NewVerifier())
		e, ok := err.(*Error)
		if !ok || e.Kind != OutcomeUnknown || e.Unsent || e.reason != reasonTimeout {
			t.Errorf("got %v", err)
		}
		if took := time.Since(start); took != headerTimeout {
			t.Errorf("took %v", took)
		}
	})
}

func TestADrippingServerIsLeftAfter30Seconds(t *testing.T) { // TE-12
	synctest.Test(t, func(t *testing.T) {
		h := pipeServer(func(c net.Conn) {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n")
			for {
				if _, err := io.WriteString(c, " "); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		})
		start := time.Now()
		_, err := h.Refresh(t.Context(), patient, Client{ID: "c", Auth: AuthNone}, NewSecret("rt"))
		if e, ok := err.(*Error); !ok || e.Kind != OutcomeUnknown {
			t.Errorf("got %v", err)
		}
		if took := time.Since(start); took != totalTimeout {
			t.Errorf("took %v", took)
		}
		time.Sleep(2 * time.Second) // the server notices with its next byte
	})
}

func TestACallThatIsGivenUpBeforeItStartsIsUnsent(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	h := pipeServer(func(net.Conn) { t.Error("a connection was made") })
	_, err := h.Refresh(ctx, patient, Client{ID: "c", Auth: AuthNone}, NewSecret("rt"))
	if e, ok := err.(*Error); !ok || !e.Unsent || e.Kind != Outage {
		t.Errorf("got %v", err)
	}
}

type seen func(*http.Request)

func (f seen) RoundTrip(r *http.Request) (*http.Response, error) {
	f(r)
	return nil, io.ErrUnexpectedEOF
}

func TestATransportCannotSendABodyTwice(t *testing.T) { // TE-19
	h := NewHTTP(HTTPOptions{Transport: seen(func(r *http.Request) {
		if r.GetBody != nil || r.ContentLength <= 0 {
			t.Errorf("GetBody %v, length %d", r.GetBody != nil, r.ContentLength)
		}
	})})
	_, err := h.Refresh(t.Context(), patient, Client{ID: "c", Auth: AuthNone}, NewSecret("rt"))
	// A transport that does not report how far it came is taken to have sent.
	if e, ok := err.(*Error); !ok || e.Kind != OutcomeUnknown || e.Unsent {
		t.Errorf("got %v", err)
	}
}
