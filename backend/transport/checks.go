package transport

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"io"
	"mime"
	"net"
	"net/http"
	"regexp"
	"strings"
	"time"

	"keyturn/backend/oauth"
	"keyturn/backend/page"
)

const donePath = "/oauth/done/"

// resultID is the last element of a result's address: 128 random bits.
var resultID = regexp.MustCompile(`^[A-Za-z0-9_-]{22}$`)

// call is one request on its way through the checks.
type call struct {
	*http.Request
	loopback *Loopback
	on       *listener
	conn     *conn

	path, query string // as they came, before anybody cleaned or decoded them
	response    oauth.AuthorizationResponse
	state       string
	attempt     *attempt
}

// The checks, in the order of the contract: cheap ones first, and those that
// tell a stranger least. The cap on connections comes before them (listener.go),
// iss and the exchange after (orchestrator). None of them changes anything.
var (
	anyRequest = []func(*call) refusal{
		(*call).hasMethod,
		(*call).isForUs,
		(*call).hasKnownPath,
		(*call).isNavigation,
	}
	callbackRequest = []func(*call) refusal{
		(*call).isWellFormed,
		(*call).hasKnownState,
		(*call).cameWhereItShould,
		(*call).isFromOurUser,
	}
)

func (c *call) pass(checks []func(*call) refusal) refusal {
	for _, check := range checks {
		if no := check(c); no != none {
			return no
		}
	}
	return none
}

// hasMethod: HEAD is what link scanners send, POST what forms of other sites
// send. The latter is taken while an attempt of this listener waits for a form.
func (c *call) hasMethod() refusal {
	if c.Method == http.MethodGet || c.posted() {
		return none
	}
	return notGET
}

// posted reports whether c brings a form to where one may be waited for.
func (c *call) posted() bool {
	return c.Method == http.MethodPost && c.on.posted.Load() > 0 && !strings.HasPrefix(c.RequestURI, donePath)
}

// isForUs compares Host with the names we gave out. It is what stops a page
// whose name was rebound to 127.0.0.1: such a request carries no Sec-Fetch
// headers, and Host is what the browser does not let the page choose.
func (c *call) isForUs() refusal {
	if !strings.HasPrefix(c.RequestURI, "/") { // absolute-form would replace Host (RFC 9112 section 3.2.2)
		return notOriginForm
	}
	if !c.on.answersTo(c.Host) {
		return foreignHost
	}
	return none
}

func (c *call) hasKnownPath() refusal {
	c.path, c.query, _ = strings.Cut(c.RequestURI, "?")
	for _, prefix := range []string{callbackPath, gatewayPath} {
		if id, ok := strings.CutPrefix(c.path, prefix); ok && providerID.MatchString(id) {
			return none
		}
	}
	if id, ok := strings.CutPrefix(c.path, donePath); ok && resultID.MatchString(id) {
		return none
	}
	return unknownPath
}

// navigation is what a browser says about a page that the user sees. What a
// browser does not send is not asked for.
var navigation = map[string]string{
	"Sec-Fetch-Mode": "navigate",
	"Sec-Fetch-Dest": "document",
}

// speculation is how browsers mark a page that the user may never see.
var speculation = []string{"Sec-Purpose", "Purpose", "X-Purpose", "X-Moz"}

func (c *call) isNavigation() refusal {
	for name, want := range navigation {
		for _, got := range c.Header[name] {
			if got != want {
				return notNavigation
			}
		}
	}
	for _, name := range speculation {
		if len(c.Header[name]) > 0 {
			return notNavigation
		}
	}
	// A WebSocket handshake carries no Sec-Fetch headers.
	if strings.EqualFold(c.Header.Get("Upgrade"), "websocket") {
		return notNavigation
	}
	return none
}

// isWellFormed reads the query, or the form in its place: at most 8 KiB, each
// parameter once, code or error but not both.
func (c *call) isWellFormed() refusal {
	if c.Method == http.MethodPost {
		if no := c.readForm(); no != none {
			return no
		}
	}
	state, response, err := oauth.ParseAuthorizationResponse(c.query)
	if err != nil || state == "" {
		return malformed
	}
	c.state, c.response = state, response
	return none
}

// maxForm is the longest form that is read.
const maxForm = 8 << 10

// readForm puts the body in the place of the query, which may hold anything
// then and is not looked at.
func (c *call) readForm() refusal {
	media, _, err := mime.ParseMediaType(c.Header.Get("Content-Type"))
	if err != nil || media != "application/x-www-form-urlencoded" {
		return malformed
	}
	if c.ContentLength > maxForm {
		return tooLong
	}
	body, err := io.ReadAll(io.LimitReader(c.Body, maxForm+1))
	switch {
	case err != nil:
		return malformed
	case len(body) > maxForm:
		return tooLong
	}
	c.query = string(body)
	return none
}

// hasKnownState finds the attempt by the hash of the state, so that the time
// it takes tells nothing about states that exist.
func (c *call) hasKnownState() refusal {
	key := digest(sha256.Sum256([]byte(c.state)))
	c.loopback.mu.Lock()
	a := c.loopback.attempts[key]
	c.loopback.mu.Unlock()
	if a == nil || subtle.ConstantTimeCompare(a.state[:], key[:]) != 1 {
		return unknownState
	}
	c.attempt = a
	return none
}

// cameWhereItShould holds the address against the one that this very attempt
// waits at, and the method: host, port, way and provider. It notices a response of one provider
// on the path of another (RFC 9700 section 4.4).
func (c *call) cameWhereItShould() refusal {
	if c.on.scheme()+c.Host+c.path != c.attempt.landing || c.attempt.posted != (c.Method == http.MethodPost) {
		return wrongTarget
	}
	return none
}

// isFromOurUser asks the system whose connection it is. The authorization URL,
// state included, can be read by other users of the machine in the arguments
// of the browser's process; they must not bring an account of their own.
func (c *call) isFromOurUser() refusal {
	if c.loopback.anyUser {
		return none
	}
	switch peerOf(c.conn.Conn) {
	case peerForeign:
		return foreignUser
	case peerGone:
		return hungUp
	case peerUnknown:
		c.loopback.counts.unknownUser.Add(1)
	}
	return none
}

// IsForeign reports whether a connection over loopback is certainly another
// user's, or one that cannot be asked any more.
func IsForeign(c net.Conn) bool {
	p := peerOf(c)
	return p == peerForeign || p == peerGone
}

// door answers the requests of one listener.
type door struct {
	loopback *Loopback
	on       *listener
}

func (d door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &call{Request: r, loopback: d.loopback, on: d.on}
	c.conn = r.Context().Value(connKey{}).(*conn)
	c.conn.begin()
	defer c.conn.end()
	if r.ContentLength != 0 && !c.posted() {
		// No other request has a body. Whatever follows is not waited for.
		w.Header().Set("Connection", "close")
		_ = http.NewResponseController(w).SetReadDeadline(time.Now())
	}
	if no := c.pass(anyRequest); no != none {
		d.loopback.refuse(w, no)
		return
	}
	if id, ok := strings.CutPrefix(c.path, donePath); ok {
		d.loopback.result(w, c, id)
		return
	}
	if no := c.pass(callbackRequest); no != none {
		d.loopback.refuse(w, no)
		return
	}
	d.loopback.handOver(w, c)
}

// handOver gives the response to Authorize and the browser a clean address.
func (l *Loopback) handOver(w http.ResponseWriter, c *call) {
	a := c.attempt
	if !a.progress.CompareAndSwap(waiting, answered) {
		l.refuse(w, alreadyUsed)
		return
	}
	c.conn.spare()
	l.counts.delivered.Add(1)
	id := newResultID()
	l.mu.Lock()
	if l.attempts[a.state] == a {
		a.result = sha256.Sum256([]byte(id))
		l.results[a.result] = a
	}
	l.mu.Unlock()
	l.forgetAfter(a, l.limits.untold)
	a.response <- c.response
	l.log.Info("authorization response received", "provider", a.provider)

	page.Header(w)
	w.Header().Set("Location", donePath+id)
	w.WriteHeader(http.StatusSeeOther)
}

// result shows how the attempt behind a result's address went on.
func (l *Loopback) result(w http.ResponseWriter, c *call, id string) {
	key := digest(sha256.Sum256([]byte(id)))
	l.mu.Lock()
	a := l.results[key]
	l.mu.Unlock()
	if a == nil {
		l.refuse(w, resultGone)
		return
	}
	c.conn.spare()
	wait := time.NewTimer(l.limits.patience)
	defer wait.Stop()
	select {
	case <-a.told:
		page.Write(w, http.StatusOK, page.Render(page.Outcome(a.outcome, a.provider)))
		return
	case <-wait.C:
	case <-c.Context().Done():
	case <-l.closing:
		page.Write(w, http.StatusOK, page.Render(closedPage))
		return
	}
	page.Write(w, http.StatusOK, finishing)
}

func newResultID() string {
	var b [16]byte
	rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}
