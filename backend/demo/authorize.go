package demo

import (
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"keyturn/backend/text"
)

// authorizationRequest is a request that passed every check (RFC 6749 section
// 4.1.1, RFC 7636 section 4.3).
type authorizationRequest struct {
	client      Client
	redirectURI string
	state       string
	scopes      []string
	challenge   string
	nonce       string
	hint        string
	device      string // the device code, where there is no redirect URI
}

// unfit is why a request is answered with a page of ours: there is no redirect
// URI to trust (RFC 6749 section 4.1.2.1).
type unfit struct{ sentence string }

// read checks an authorization request. A request with an error that the
// client may hear of comes back with its code; one without a redirect URI to
// trust as unfit.
func (s *Server) read(q url.Values) (a authorizationRequest, errorCode string, no *unfit) {
	one := func(name string) string {
		if len(q[name]) == 1 {
			return q[name][0]
		}
		return ""
	}
	client, ok := s.clients[one("client_id")]
	if !ok {
		return a, "", &unfit{"The program that sent you here is not registered with this server (client_id)."}
	}
	a.client = client
	a.redirectURI = one("redirect_uri")
	if !slices.ContainsFunc(client.RedirectURIs, func(registered string) bool { return matches(registered, a.redirectURI) }) {
		return a, "", &unfit{"The program that sent you here asks to send you back to an address that is not registered for it (redirect_uri)."}
	}
	a.state, a.challenge, a.nonce = one("state"), one("code_challenge"), one("nonce")
	a.hint = text.Clean(one("login_hint"), 100)
	scopeParam := s.opts.Quirks.ScopeParam
	if scopeParam == "" {
		scopeParam = "scope"
	}
	asked := strings.FieldsFunc(one(scopeParam), func(r rune) bool { return strings.ContainsRune(s.separator(), r) })
	if len(asked) == 0 {
		asked = defaultScopes
	}
	for _, name := range asked {
		if !slices.Contains(a.scopes, name) {
			a.scopes = append(a.scopes, name)
		}
	}
	switch {
	case repeated(q) != "":
		return a, "invalid_request", nil
	case one("response_type") == "":
		return a, "invalid_request", nil
	case one("response_type") != "code":
		return a, "unsupported_response_type", nil
	case one("response_mode") != "" && one("response_mode") != "query":
		return a, "invalid_request", nil
	case one("code_challenge_method") != "S256" || !validChallenge(a.challenge):
		return a, "invalid_request", nil
	case slices.ContainsFunc(a.scopes, func(name string) bool { return !knownScope(name) }):
		return a, "invalid_scope", nil
	case one("prompt") == "none":
		return a, "interaction_required", nil // OpenID Connect Core 3.1.2.6
	}
	return a, "", nil
}

// validChallenge checks the form of an S256 code_challenge: 32 bytes.
func validChallenge(c string) bool {
	b, err := base64url.Strict().DecodeString(c)
	return err == nil && len(b) == 32
}

// matches compares a redirect URI with a registered one: to the letter (RFC
// 9700 section 2.1), but for the port of a loopback address (RFC 8252 section
// 7.3).
func matches(registered, asked string) bool {
	if registered == asked {
		return true
	}
	r, err := url.Parse(registered)
	if err != nil || r.Scheme != "http" || !isLoopback(r.Hostname()) {
		return false
	}
	a, err := url.Parse(asked)
	if err != nil || a.Port() == "" {
		return false
	}
	return a.Hostname() == r.Hostname() && strings.Replace(asked, "://"+a.Host, "://"+r.Host, 1) == registered
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// respond returns the redirect URI with an authorization response (RFC 6749
// section 4.1.2, RFC 9207 section 2).
func (s *Server) respond(a authorizationRequest, name, value string) string {
	u, err := url.Parse(a.redirectURI)
	if err != nil {
		return s.opts.Issuer // cannot be: it matched a registered one
	}
	q := u.Query()
	q.Set(name, value)
	if a.state != "" {
		q.Set("state", a.state)
	}
	if !s.opts.Quirks.NoIss {
		q.Set("iss", s.opts.Issuer)
	}
	u.RawQuery = q.Encode()
	return u.String()
}

// authorize is the authorization endpoint: it asks for consent.
func (s *Server) authorize(w http.ResponseWriter, r *http.Request) {
	a, code, no := s.read(requestOf(r).Query)
	switch {
	case no != nil:
		s.pageError(w, http.StatusBadRequest, no.sentence)
	case code != "":
		http.Redirect(w, r, s.respond(a, "error", code), http.StatusSeeOther)
	default:
		s.pageConsent(w, a, s.show(a))
	}
}

// show remembers a consent page and returns its ticket.
func (s *Server) show(a authorizationRequest) string {
	secret := random("")
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweepLocked(now)
	for k := range s.tickets {
		if len(s.tickets) < maxTickets {
			break
		}
		delete(s.tickets, k)
	}
	s.tickets[digestOf(secret)] = ticket{request: a, expires: now.Add(ticketLife)}
	return secret
}

// take returns the request of a ticket, once.
func (s *Server) take(secret string) (authorizationRequest, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, ok := s.tickets[digestOf(secret)]
	delete(s.tickets, digestOf(secret))
	return t.request, ok && time.Now().Before(t.expires)
}

// consent is where the consent page's form goes.
func (s *Server) consent(w http.ResponseWriter, r *http.Request) {
	q := requestOf(r)
	// Only this server's own page may answer for the user. The ticket says so;
	// what the browser says comes on top.
	if !s.ownPage(q) {
		s.pageError(w, http.StatusForbidden, "This answer did not come from the page that asked. Nothing was granted.")
		return
	}
	a, ok := s.take(q.Form.Get("ticket"))
	if !ok {
		s.pageError(w, http.StatusBadRequest, "This page was answered already, or has been open for too long. Go back to the program and start again.")
		return
	}
	u := answered{
		account: q.Form.Get("account"),
		answer:  q.Form.Get("answer"),
		failure: q.Form.Get("failure"),
		scopes:  q.Form["scope"],
	}
	if a.device != "" {
		s.answer(w, a, u)
		return
	}
	http.Redirect(w, r, s.decide(a, u), http.StatusSeeOther)
}

// ownPage reports whether a form came from a page of this server, as far as
// the browser says.
func (s *Server) ownPage(q *Request) bool {
	site, origin := q.Header.Get("Sec-Fetch-Site"), q.Header.Get("Origin")
	return (site == "" || site == "same-origin") && (origin == "" || origin == s.issuer.Scheme+"://"+s.issuer.Host)
}

// answered is what the user chose.
type answered struct {
	account string   // user name
	answer  string   // "allow", "fail" with failure; anything else denies
	failure string   // an error code to answer with
	scopes  []string // granted
}

// failures are the error codes that the page offers (RFC 6749 section 4.1.2.1).
var failures = []string{"server_error", "temporarily_unavailable", "invalid_scope", "unauthorized_client"}

// decide turns the user's choice into the address to return to.
func (s *Server) decide(a authorizationRequest, u answered) string {
	who, known := account(u.account)
	var granted []string
	for _, name := range a.scopes {
		if slices.Contains(u.scopes, name) {
			granted = append(granted, name)
		}
	}
	switch {
	case u.answer == "fail" && slices.Contains(failures, u.failure):
		return s.respond(a, "error", u.failure)
	case u.answer != "allow" || !known || len(granted) == 0:
		return s.respond(a, "error", "access_denied")
	}
	secret, now := random("code_"), time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweepLocked(now)
	s.codes[digestOf(secret)] = &code{request: a, account: who, scopes: granted, issued: now, expires: now.Add(codeLife)}
	return s.respond(a, "code", secret)
}
