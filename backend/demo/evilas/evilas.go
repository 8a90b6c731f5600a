// Package evilas is an authorization server for tests: a correct one until a
// script makes it hostile, and a witness always.
//
// As a server it publishes metadata (OpenID Connect Discovery and RFC 8414),
// insists on PKCE with S256, takes a code once and revokes what came of it
// when it is used again, demands the identical redirect URI, rotates refresh
// tokens and ends the family when an old one comes back, signs ID tokens,
// answers userinfo and takes revocations. Consent plays the user who approves.
//
// Script replaces the answers of one path, one Step per request; when the
// steps are used up the server behaves again. A Step can choose
//
//	Status, Header, Body    what to say, and how often to Repeat the body
//	Delay                   how long to wait before the status line
//	BytesPerSecond          how slowly to send the body
//	Gzip                    compress, whatever the client accepts
//	RedirectTo              send the client elsewhere, with 307 or Status
//	CloseAfter              promise the whole body, break off after so many bytes
//	Hangup                  read the request and close the connection
//	Raw                     bytes of any kind instead of an HTTP response
//	Behave                  do and answer what a correct server would, after Delay;
//	                        with Hangup: do it, and lose the answer
//
// As a witness it keeps every byte that was received, by connection and with
// the time; over TLS as they are after decryption. Tests ask it, not the
// client, what happened: Requests, Saw, Count, Connections.
package evilas

import (
	"crypto/x509"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"
)

// ConfidentialSecret is the secret of the client "confidential". It has to be
// form-encoded before it goes into Basic (RFC 6749 section 2.3.1).
const ConfidentialSecret = "s3cret:with/specials+%"

// Config is how a Server differs from the usual one.
type Config struct {
	// TLS serves https, with a certificate authority of its own; see RootCAs.
	TLS bool
	// Hosts are names in the certificate beside 127.0.0.1.
	Hosts []string
	// Path makes the issuer longer than its origin, such as "/tenant".
	Path string
	// Clients are the registered clients and their secrets, "" for a public
	// one. nil means "public" and "confidential".
	Clients map[string]string
	// Lifetime of access tokens; 0 means an hour.
	Lifetime time.Duration
	// NoRotation keeps refresh tokens as they are; NoRefresh issues none.
	NoRotation, NoRefresh bool
	// Scopes, when not nil, are granted whatever was asked for.
	Scopes []string
	// Pushed has the server insist on pushed authorization requests (RFC 9126).
	Pushed bool
	// Subject and Email are who consents; "" means a user named Ada.
	Subject, Email string
}

// Server is one authorization server. Its methods may be called from any
// goroutine.
type Server struct {
	config Config
	issuer string
	roots  *x509.CertPool
	log    transcript
	signer *signer
	ended  chan struct{} // closed when the test is over, so that slow answers give up

	mu      sync.Mutex
	scripts map[string][]Step
	grants  grants
}

// New starts a server that ends with the test.
func New(t testing.TB, config Config) *Server {
	t.Helper()
	if config.Clients == nil {
		config.Clients = map[string]string{"public": "", "confidential": ConfidentialSecret}
	}
	if config.Lifetime == 0 {
		config.Lifetime = time.Hour
	}
	if config.Subject == "" {
		config.Subject = "248289761001"
	}
	if config.Email == "" {
		config.Email = "ada@example.test"
	}
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{
		config: config, signer: newSigner(), ended: make(chan struct{}),
		scripts: map[string][]Step{}, grants: newGrants(),
		issuer: "http://" + tcp.Addr().String() + config.Path,
	}
	listener := &recordingListener{Listener: tcp, log: &s.log}
	if config.TLS {
		s.issuer = "https://" + tcp.Addr().String() + config.Path
		listener.tls, s.roots = newAuthority(t, config.Hosts)
	}
	server := &http.Server{Handler: s, ErrorLog: quiet}
	done := make(chan struct{})
	go func() {
		defer close(done)
		server.Serve(listener)
	}()
	t.Cleanup(func() {
		close(s.ended)
		server.Close()
		<-done
	})
	return s
}

// URL is the issuer: scheme, host, port and Config.Path, no slash at the end.
func (s *Server) URL() string { return s.issuer }

// RootCAs trusts this server; nil without TLS.
func (s *Server) RootCAs() *x509.CertPool { return s.roots }

// ServeHTTP answers by the script of the path, else correctly.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.log.request(r)
	step, scripted := s.next(r.URL.Path)
	if !scripted {
		s.behave(w, r)
		return
	}
	step.play(s, w, r)
}
