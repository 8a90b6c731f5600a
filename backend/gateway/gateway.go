// Package gateway is the public https address for providers that refuse to send
// the browser back to the user's own computer. It takes an authorization
// response and has a Way pass it on. Its rules:
//
//   - There is one endpoint, /oauth/callback/<provider>, by GET or, for
//     providers that post (OAuth 2.0 Form Post Response Mode), by POST.
//   - A response is read as strictly as the app reads it, and only what the app
//     needs goes on: code or error, state, iss. The rest ends here.
//   - Nothing of a request is logged, kept in an address or shown: not the
//     query, not the provider's words. What is counted has no names.
//   - It sends the browser to 127.0.0.1 and nowhere else: it is no redirector.
//   - A stranger who floods it slows down himself (limit.go).
//
// What it sees are codes without their verifiers. It can lose them, and so
// block a connect; it cannot use them.
package gateway

import (
	"context"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"keyturn/backend/oauth"
	"keyturn/backend/page"
)

const (
	callbackPath = "/oauth/callback/"
	maxQuery     = 8 << 10
)

// providerID is what may be the last element of the path, as in the app.
var providerID = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,63}$`)

// Callback is one authorization response that was read.
type Callback struct {
	Provider string
	State    string
	Response oauth.AuthorizationResponse
}

// A Way passes callbacks on.
type Way interface {
	// Deliver answers the browser that brought c. It may take as long as ctx.
	Deliver(ctx context.Context, c Callback) Answer
}

// Answer is what the browser gets: an address to go on to, or a page.
type Answer struct {
	Location string
	Status   int
	Page     page.Page
	// Outcome is what is counted: "delivered", or why not.
	Outcome string
}

// Options set up a Gateway.
type Options struct {
	Way Way
	// Client returns the address of who asks, by which requests are limited;
	// nil means the address of the connection. Behind a proxy it is elsewhere.
	Client func(*http.Request) string
	// PerMinute is how many callbacks one address may bring in a minute; 0
	// means 120.
	PerMinute int
	Log       *slog.Logger // nil: nothing is logged
}

// Gateway serves the endpoint. It is an http.Handler.
type Gateway struct {
	way     Way
	client  func(*http.Request) string
	limit   *limit
	log     *slog.Logger
	counted counts
}

// New returns a Gateway.
func New(opts Options) *Gateway {
	g := &Gateway{way: opts.Way, client: opts.Client, log: opts.Log, limit: newLimit(opts.PerMinute)}
	if g.client == nil {
		g.client = func(r *http.Request) string { return r.RemoteAddr }
	}
	if g.log == nil {
		g.log = slog.New(slog.DiscardHandler)
	}
	g.counted.outcomes.Store(&map[string]*atomic.Uint64{})
	return g
}

// maxDelivery is how long a browser waits at most.
const maxDelivery = 25 * time.Second

// ServeHTTP answers one request.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	begun := time.Now()
	a := g.answer(w, r)
	g.counted.count(a.Outcome, time.Since(begun))
	if a.Location != "" {
		goOn(w, r, a.Location)
		return
	}
	if a.Status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", "GET, POST")
	}
	page.Write(w, a.Status, page.Render(a.Page))
}

// goOn sends the browser on. Where the consent was a form, Chromium holds every
// redirect after it to the form-action of the provider's page, which may name
// this gateway and cannot name a port of the user's computer. So a browser gets
// a page that goes on by itself: that is a navigation of its own. Anything else
// gets a redirect.
func goOn(w http.ResponseWriter, r *http.Request, location string) {
	if r.Header.Get("Sec-Fetch-Mode") == "navigate" {
		w.Header().Set("Refresh", "0;url="+location)
		page.Write(w, http.StatusOK, goingOn)
		return
	}
	page.Header(w)
	w.Header().Set("Location", location)
	w.WriteHeader(http.StatusSeeOther)
}

func (g *Gateway) answer(w http.ResponseWriter, r *http.Request) Answer {
	// The path as it came: what was cleaned is another path.
	path, query, _ := strings.Cut(r.RequestURI, "?")
	id, ok := strings.CutPrefix(path, callbackPath)
	if !ok || !providerID.MatchString(id) {
		return refused(http.StatusNotFound, "path", nothingHere)
	}
	if !g.limit.allow(hostOf(g.client(r)), time.Now()) {
		return refused(http.StatusTooManyRequests, "rate", tooMany)
	}
	switch r.Method {
	case http.MethodGet:
	case http.MethodPost:
		body, ok := form(w, r)
		if !ok || query != "" {
			return refused(http.StatusBadRequest, "form", incomplete)
		}
		query = body
	default: // HEAD is what link scanners send
		return refused(http.StatusMethodNotAllowed, "method", nothingHere)
	}
	if speculative(r) {
		return refused(http.StatusForbidden, "not a navigation", nothingHere)
	}
	if len(query) > maxQuery {
		return refused(http.StatusRequestURITooLong, "size", incomplete)
	}
	state, response, err := oauth.ParseAuthorizationResponse(query)
	if err != nil {
		return refused(http.StatusBadRequest, "query", incomplete)
	}
	ctx, cancel := context.WithTimeout(r.Context(), maxDelivery)
	defer cancel()
	return g.way.Deliver(ctx, Callback{Provider: id, State: state, Response: response})
}

// form reads the body of a form post.
func form(w http.ResponseWriter, r *http.Request) (string, bool) {
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || media != "application/x-www-form-urlencoded" {
		return "", false
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxQuery))
	return string(body), err == nil
}

// speculative reports whether nobody sees the page: a code must not be spent on
// a preview.
func speculative(r *http.Request) bool {
	for _, name := range []string{"Sec-Purpose", "Purpose", "X-Purpose", "X-Moz"} {
		if len(r.Header[name]) > 0 {
			return true
		}
	}
	dest, mode := r.Header.Get("Sec-Fetch-Dest"), r.Header.Get("Sec-Fetch-Mode")
	return dest != "" && dest != "document" || mode != "" && mode != "navigate"
}

func refused(status int, why string, p page.Page) Answer {
	return Answer{Status: status, Page: p, Outcome: "refused: " + why}
}
