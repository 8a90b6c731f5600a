// Package demo is a small, real authorization server. It is the demo provider
// inside the app, with which a newcomer connects within a minute, and the
// fixture of our tests: the same code, once on a port and once in memory.
//
// It is strict, because a client that passes here should pass elsewhere:
//
//   - only the authorization code grant, always with PKCE S256 (RFC 7636,
//     RFC 9700 section 2.1.1), and the device authorization grant (RFC 8628),
//     which makes who polls too fast slower;
//   - the redirect URI must be a registered one, to the letter; only the port
//     of a loopback address is free (RFC 8252 section 7.3). Otherwise nothing
//     is sent there (RFC 6749 section 4.1.2.1);
//   - every parameter at most once (RFC 6749 section 3.1);
//   - a code lives 60 seconds, for one client, one redirect URI, one verifier,
//     and one use; a second use ends the grant (section 4.1.2);
//   - refresh tokens rotate; a second use of one ends the grant (RFC 9700
//     section 4.14.2), except within Options.Grace;
//   - a client authenticates as it is registered, in one way at a time
//     (section 2.3);
//   - responses name their issuer (RFC 9207);
//   - consent needs a page that this server has just shown: its ticket works
//     once, for one request.
//
// The accounts are Ada and Grace. Where other servers depart from the RFCs,
// Quirks departs with them, and Script has answers fail in ways that happen.
//
// A Server is an http.Handler, and an http.RoundTripper that answers in
// memory, without sockets, so that it runs inside a testing/synctest bubble.
// Its only clock is package time. On disk it keeps SHA-256 hashes of tokens.
package demo

import (
	"crypto"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Port is the port of the demo provider.
const Port = 27420

// DefaultIssuer is the issuer of the demo provider.
const DefaultIssuer = "http://127.0.0.1:27420"

// ClientID is the public client that needs no registration.
const ClientID = "keyturn-demo"

// Options say how a Server differs from the demo provider of the app. The
// zero Options are that provider without a file.
type Options struct {
	// Issuer is the server's own address; "" means DefaultIssuer. Requests
	// with another Host are refused.
	Issuer string
	// Dir is the folder that keeps grants between runs; "" keeps them in memory.
	Dir string
	// Clients are registered beside ClientID, or in its place when one has that id.
	Clients []Client

	AccessTTL  time.Duration // life of an access token; 0 means one hour
	RefreshTTL time.Duration // life of a refresh token; 0 means without end
	// KeepRefresh leaves refresh tokens as they are instead of rotating them.
	KeepRefresh bool
	// Grace is how long a rotated refresh token may be used again, for clients
	// whose answer was lost.
	Grace time.Duration
	// Latency comes before every answer.
	Latency time.Duration
	// SigningAlg of ID tokens: "ES256" (default) or "RS256".
	SigningAlg string
	// Identity replaces what userinfo says of an account.
	Identity func(Account) any
	Quirks   Quirks
	// Record keeps every request for Requests, secrets included: for tests.
	Record bool
	Log    *slog.Logger // nil: no log
}

// Client is a registered client (RFC 6749 section 2).
type Client struct {
	ID     string
	Secret string // "" makes it public
	Name   string // shown when asking for consent; "" means the id
	// Auth is how it authenticates: "none", "basic", "post"; "" means "none"
	// without a secret, and either of the others with one.
	Auth string
	// RedirectURIs it may use. Those on a loopback host match with any port.
	RedirectURIs []string
	// Verify replaces the comparison with Secret, for a client that signs its own.
	Verify func(secret string) bool
}

// Server is the authorization server. Its methods may be called from any goroutine.
type Server struct {
	opts    Options
	issuer  *url.URL
	clients map[string]Client
	mux     *http.ServeMux
	key     func() signingKey

	mu      sync.Mutex // guards what follows
	tickets map[digest]ticket
	devices map[digest]*device
	codes   map[digest]*code
	grants  map[string]*grant
	script  []Fault
	seen    []Request
	counts  Counts
}

// signingKey signs ID tokens.
type signingKey struct {
	id     string
	signer crypto.Signer
}

// New returns a server. With a folder it goes on with the grants found there;
// a file that cannot be read is set aside.
func New(opts Options) *Server {
	if opts.Issuer == "" {
		opts.Issuer = DefaultIssuer
	}
	if opts.AccessTTL == 0 {
		opts.AccessTTL = time.Hour
	}
	if opts.SigningAlg == "" {
		opts.SigningAlg = "ES256"
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	issuer, err := url.Parse(opts.Issuer)
	if err != nil || issuer.Host == "" || strings.HasSuffix(opts.Issuer, "/") {
		panic("demo: the issuer must be an address without a slash at the end")
	}
	s := &Server{
		opts:   opts,
		issuer: issuer,
		clients: map[string]Client{ClientID: {
			ID:           ClientID,
			Name:         "Keyturn",
			RedirectURIs: []string{"http://127.0.0.1/oauth/callback/demo", "http://[::1]/oauth/callback/demo", "http://localhost/oauth/callback/demo"},
		}},
		tickets: map[digest]ticket{},
		devices: map[digest]*device{},
		codes:   map[digest]*code{},
		grants:  map[string]*grant{},
	}
	for _, c := range opts.Clients {
		s.clients[c.ID] = c
	}
	s.key = sync.OnceValue(s.newKey)
	s.routes()
	s.load()
	return s
}

// Issuer returns the server's address.
func (s *Server) Issuer() string { return s.opts.Issuer }

func (s *Server) routes() {
	s.mux = http.NewServeMux()
	base := s.issuer.Path
	for pattern, h := range map[string]http.HandlerFunc{
		"GET " + base + "/.well-known/oauth-authorization-server": s.metadata,
		"GET " + base + "/.well-known/openid-configuration":       s.metadata,
		"GET " + base + "/jwks":                                   s.jwks,
		"GET " + base + "/authorize":                              s.authorize,
		"POST " + base + "/consent":                               s.consent,
		"POST " + base + "/device_authorization":                  s.deviceAuthorization,
		"GET " + base + "/device":                                 s.enter,
		"POST " + base + "/device":                                s.enter,
		"POST " + base + "/token":                                 s.token,
		"POST " + base + "/refresh":                               s.token,
		base + "/revoke":                                          s.revoke,
		base + "/userinfo":                                        s.userinfo,
		"GET " + base + "/notes":                                  s.notes,
		"GET " + base + "/{$}":                                    s.home,
	} {
		s.mux.HandleFunc(pattern, h)
	}
}

// maxBody is more than any request here needs.
const maxBody = 64 << 10

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Referrer-Policy", "same-origin")
	w.Header().Set("Cross-Origin-Opener-Policy", "same-origin")
	w.Header().Set("Cross-Origin-Resource-Policy", "same-origin")
	// A name that leads here by way of DNS is another site's (rebinding).
	if r.Host != s.issuer.Host {
		http.Error(w, "This server answers to "+s.issuer.Host+" only.", http.StatusMisdirectedRequest)
		return
	}
	if r.Body != nil {
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	}
	req := readRequest(r, s.op(r))
	fault := s.record(req)
	sleep(r, s.opts.Latency+fault.Delay)
	if fault.Drop == Lost || fault.Drop == Unreachable {
		panic(http.ErrAbortHandler)
	}
	if fault.answers() {
		fault.write(w)
		return
	}
	if fault.Drop == Unanswered {
		s.mux.ServeHTTP(discard{}, r.WithContext(withRequest(r.Context(), req)))
		panic(http.ErrAbortHandler)
	}
	s.mux.ServeHTTP(w, r.WithContext(withRequest(r.Context(), req)))
}

// discard is a ResponseWriter whose answer nobody gets.
type discard struct{}

func (discard) Header() http.Header         { return http.Header{} }
func (discard) Write(b []byte) (int, error) { return len(b), nil }
func (discard) WriteHeader(int)             {}

// sleep waits, or until the client has gone.
func sleep(r *http.Request, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-r.Context().Done():
	}
}
