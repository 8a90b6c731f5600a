package demo

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// bearer finds the account that an access token speaks for (RFC 6750 section
// 2.1), and answers when there is none or it may not.
func (s *Server) bearer(w http.ResponseWriter, r *http.Request, scope string) (Account, issued, bool) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		w.Header().Set("WWW-Authenticate", "Bearer")
		writeJSON(w, "", http.StatusUnauthorized, map[string]string{"message": "An access token is needed."})
		return Account{}, issued{}, false
	}
	s.mu.Lock()
	g, i := s.findLocked(token, false)
	var t issued
	var a Account
	if g != nil {
		t = g.Access[i]
		a, _ = account(g.Account)
	}
	s.mu.Unlock()
	switch {
	case g == nil || !t.alive(time.Now()):
		w.Header().Set("WWW-Authenticate", `Bearer error="invalid_token"`)
		writeJSON(w, "", http.StatusUnauthorized, map[string]string{"message": "The access token is wrong, expired or revoked."})
		return Account{}, issued{}, false
	case scope != "" && !slices.Contains(t.Scopes, scope):
		w.Header().Set("WWW-Authenticate", `Bearer error="insufficient_scope", scope="`+scope+`"`)
		writeJSON(w, "", http.StatusForbidden, map[string]string{"message": "The access token does not reach this far."})
		return Account{}, issued{}, false
	}
	return a, t, true
}

// userinfo says whose token it is (OpenID Connect Core 5.3), as far as its
// scopes go.
func (s *Server) userinfo(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodPost {
		w.Header().Set("Allow", "GET, POST")
		http.Error(w, "Use GET or POST.", http.StatusMethodNotAllowed)
		return
	}
	a, t, ok := s.bearer(w, r, "")
	if !ok {
		return
	}
	if s.opts.Identity != nil {
		writeJSON(w, "", http.StatusOK, s.opts.Identity(a))
		return
	}
	who := map[string]string{"sub": a.Subject}
	if slices.Contains(t.Scopes, "profile") {
		who["name"], who["preferred_username"] = a.Name, a.Username
	}
	if slices.Contains(t.Scopes, "email") {
		who["email"] = a.Email
	}
	writeJSON(w, "", http.StatusOK, who)
}

// notes is a resource worth a token.
func (s *Server) notes(w http.ResponseWriter, r *http.Request) {
	if a, _, ok := s.bearer(w, r, "notes.read"); ok {
		writeJSON(w, "", http.StatusOK, map[string]any{"account": a.Username, "notes": a.Notes})
	}
}

// revoke ends the grant of a token (RFC 7009), or does it in the way of
// Quirks.Revoke. An unknown token is revoked already (section 2.2).
func (s *Server) revoke(w http.ResponseWriter, r *http.Request) {
	q := requestOf(r)
	var secret, clientID string
	switch s.opts.Quirks.Revoke {
	case "bearer":
		_, secret, _ = strings.Cut(q.Header.Get("Authorization"), " ")
	case "json":
		user, _, ok := basic(q.Header.Get("Authorization"))
		if _, bad := s.authenticate(&Request{Header: q.Header}); !ok || bad != nil || !q.isJSON() {
			writeJSON(w, "", http.StatusUnauthorized, map[string]string{"error": "invalid_client"})
			return
		}
		clientID, secret = user, q.Form.Get("token")+q.Form.Get("access_token")
	case "open":
		secret = q.Form.Get("token")
	default:
		if q.Method != http.MethodPost {
			w.Header().Set("Allow", "POST")
			http.Error(w, "Use POST.", http.StatusMethodNotAllowed)
			return
		}
		client, bad := s.authenticate(q)
		switch {
		case q.malformed != nil || repeated(q.Form) != "" || q.isJSON():
			bad = refuse("invalid_request", "The request body cannot be read.")
		case bad == nil && q.Form.Get("token") == "":
			bad = refuse("invalid_request", "token is missing.")
		}
		if bad != nil {
			s.writeRefusal(w, q, bad)
			return
		}
		clientID, secret = client.ID, q.Form.Get("token")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	g, _ := s.findLocked(secret, true)
	if g == nil {
		g, _ = s.findLocked(secret, false)
	}
	if g != nil && (clientID == "" || g.Client == clientID) {
		s.counts.Revocations++
		s.endLocked(g.ID)
	}
	w.WriteHeader(http.StatusOK)
}
