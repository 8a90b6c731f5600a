package oauth

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// How much a server may cost us.
const (
	dialTimeout   = 10 * time.Second
	tlsTimeout    = 10 * time.Second
	headerTimeout = 15 * time.Second
	totalTimeout  = 30 * time.Second

	maxHeader   = 64 << 10
	maxBody     = 1 << 20   // token, revocation and identity answers
	maxDocument = 512 << 10 // discovery and JWKS documents
)

// HTTPOptions are the parts an HTTP is built from. The zero value will do.
type HTTPOptions struct {
	// Transport carries the requests; nil means the guarded default: the
	// address rules of this package, no connection used twice (a server may
	// close an idle one at the moment a code is on its way), and the proxy that
	// the environment names. It sees CONNECT and no more: plain http is for
	// loopback hosts, which net/http never sends through a proxy.
	Transport http.RoundTripper
	// RootCAs replaces the system's certificate authorities.
	RootCAs *x509.CertPool
	// UserAgent names the program; "" means "keyturn".
	UserAgent string
	// Log gets warnings about answers that are usable but odd; nil means none.
	Log *slog.Logger
	// Now is the wall clock that lifetimes count from; nil means time.Now.
	Now func() time.Time
}

// HTTP makes the calls of this package. Its methods may be called from any
// goroutine. Nothing is remembered between calls but the keys of
// JWKS documents and the newest DPoP nonces.
type HTTP struct {
	transport http.RoundTripper
	resources http.RoundTripper // for Resource
	proxy     func(*http.Request) (*url.URL, error)
	userAgent string
	log       *slog.Logger
	now       func() time.Time
	keys      keyCache
	nonces    nonces
}

// NewHTTP returns an HTTP.
func NewHTTP(opts HTTPOptions) *HTTP {
	h := &HTTP{transport: opts.Transport, userAgent: opts.UserAgent, log: opts.Log, now: opts.Now, resources: opts.Transport}
	if h.now == nil {
		h.now = time.Now
	}
	if h.userAgent == "" {
		h.userAgent = "keyturn"
	}
	if h.log == nil {
		h.log = slog.New(slog.DiscardHandler)
	}
	if h.transport == nil {
		h.proxy = http.ProxyFromEnvironment
		h.transport = guarded(opts.RootCAs)
		h.resources = guardedForResources(opts.RootCAs)
	}
	return h
}

func guarded(roots *x509.CertPool) *http.Transport {
	dialer := &net.Dialer{Timeout: dialTimeout, ControlContext: control}
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            dialer.DialContext,
		TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    tlsTimeout,
		ResponseHeaderTimeout:  headerTimeout,
		MaxResponseHeaderBytes: maxHeader,
		DisableCompression:     true,
		DisableKeepAlives:      true,
	}
}

// call is one request.
type call struct {
	op     string
	server Server
	method string
	url    string
	header http.Header
	body   []byte
	limit  int64
}

// answer is one response, read to its end.
type answer struct {
	status int
	header http.Header
	body   []byte
	asked  time.Time // when the request was made: lifetimes count from here
}

// do makes the call once. There is no second try here, no redirect and no
// cookie: http.Client, which knows all three, is not used.
func (h *HTTP) do(ctx context.Context, c call) (answer, *Error) {
	failed := &Error{Op: c.op, Kind: Outage, Unsent: true}
	if ValidEndpoint(c.url, c.server.AllowLoopbackHTTP) != nil {
		failed.reason = "endpoint is not a valid https URL"
		return answer{}, failed
	}
	ctx, cancel := context.WithTimeout(ctx, totalTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, c.method, c.url, bytes.NewReader(c.body))
	if err != nil {
		failed.reason = "request cannot be built"
		return answer{}, failed
	}
	req.GetBody = nil // nothing to send a second time
	if c.header != nil {
		req.Header = c.header
	}
	for name, value := range map[string]string{
		"Accept":          "application/json",
		"Accept-Encoding": "identity", // a compressed answer may be a thousand times its size
		"User-Agent":      h.userAgent,
	} {
		if req.Header.Get(name) == "" || name == "Accept-Encoding" {
			req.Header.Set(name, value)
		}
	}

	if err := cmp.Or(ctx.Err(), h.limitReach(req, c.server)); err != nil {
		failed.reason, failed.cause = reasonFor(err), err
		return answer{}, failed
	}
	var seen progress
	req = req.WithContext(httptrace.WithClientTrace(req.Context(), seen.trace()))
	a := answer{asked: h.now().Round(0).UTC()}
	resp, err := h.transport.RoundTrip(req)
	if err != nil {
		failed.reason, failed.cause = reasonFor(err), err
		failed.Unsent = seen.unsent(err)
		if !failed.Unsent {
			failed.Kind = OutcomeUnknown
		}
		return answer{}, failed
	}
	defer resp.Body.Close()
	a.status, a.header = resp.StatusCode, resp.Header
	failed.Status, failed.Unsent = a.status, false
	failed.RetryAfter = retryAfter(a.header.Get("Retry-After"), a.asked)
	unusable := func(reason string) (answer, *Error) {
		failed.reason = reason
		if a.status == http.StatusOK {
			failed.Kind = Malformed
		}
		return answer{}, failed
	}
	if coding := a.header.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		return unusable("answer is compressed")
	}
	a.body, err = io.ReadAll(io.LimitReader(resp.Body, c.limit+1))
	switch {
	case int64(len(a.body)) > c.limit:
		return unusable("answer is too long")
	case err != nil:
		failed.reason, failed.cause = "answer was cut off", err
		if a.status < 300 {
			failed.Kind = OutcomeUnknown
		}
		return answer{}, failed
	case a.status >= 300 && a.status < 400:
		failed.reason = "answered with a redirect"
		return answer{}, failed
	}
	return a, nil
}

// limitReach puts into the request's context how far it may be connected.
func (h *HTTP) limitReach(req *http.Request, s Server) error {
	r := s.reachOf(req.URL.Hostname())
	if h.proxy != nil {
		proxy, err := h.proxy(req)
		if err != nil {
			return errors.New("proxy setting is not a URL")
		}
		if proxy != nil {
			if err := r.checkBehindProxy(req.Context(), req.URL.Hostname()); err != nil {
				return err
			}
			r.proxied = true
		}
	}
	*req = *req.WithContext(context.WithValue(req.Context(), reachKey{}, r))
	return nil
}

// progress is how far a request came, as the transport reports it.
type progress struct{ started, connected atomic.Bool }

func (p *progress) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GetConn: func(string) { p.started.Store(true) },
		GotConn: func(httptrace.GotConnInfo) { p.connected.Store(true) },
	}
}

// unsent reports whether nothing of the request can have been sent: there
// never was a connection. A transport that does not report is believed only
// when it failed to dial.
func (p *progress) unsent(err error) bool {
	if p.started.Load() {
		return !p.connected.Load()
	}
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}

// retryAfter reads the header (RFC 9110 section 10.2.3): seconds or a date,
// held between a second and an hour. 0 means that it says nothing.
func retryAfter(value string, now time.Time) time.Duration {
	if value == "" || len(value) > 64 {
		return 0
	}
	wait := time.Hour
	if seconds, err := strconv.ParseInt(value, 10, 64); err == nil {
		if seconds < 3600 {
			wait = time.Duration(max(seconds, 0)) * time.Second
		}
	} else if errors.Is(err, strconv.ErrRange) {
		if value[0] == '-' {
			wait = 0
		}
	} else if date, err := http.ParseTime(value); err == nil {
		wait = date.Sub(now)
	} else {
		return 0
	}
	return min(max(wait, time.Second), time.Hour)
}

// judge sorts an answer that is no success (RFC 6749 section 5.2).
func judge(op string, a answer, code string) *Error {
	e := &Error{Op: op, Status: a.status, Code: code, Kind: Outage,
		RetryAfter: retryAfter(a.header.Get("Retry-After"), a.asked)}
	switch {
	case a.status == http.StatusTooManyRequests || a.status >= 500:
		// Whatever it says about the grant, it says so while it is not well.
	case code != "":
		e.Kind = Refused
	case isHTML(a):
		e.reason = "answered with a page"
	case a.status == http.StatusUnauthorized || a.status == http.StatusForbidden:
		e.Kind = Refused
	}
	return e
}
