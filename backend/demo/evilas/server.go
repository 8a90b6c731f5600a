package evilas

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// grant is what one user gave one client.
type grant struct {
	client, redirectURI, challenge, nonce string
	scopes                                []string
	used                                  bool // the code was exchanged
	revoked                               bool
}

// grants are found by the codes and tokens that stand for them.
type grants struct {
	codes, access, refresh map[string]*grant
	rotated                map[string]*grant     // refresh tokens that were replaced
	pushed                 map[string]url.Values // authorization requests by request_uri
}

func newGrants() grants {
	return grants{map[string]*grant{}, map[string]*grant{}, map[string]*grant{}, map[string]*grant{}, map[string]url.Values{}}
}

// behave is the correct server.
func (s *Server) behave(w http.ResponseWriter, r *http.Request) {
	path, own := strings.CutPrefix(r.URL.Path, s.config.Path)
	switch {
	case r.URL.Path == s.config.Path+"/.well-known/openid-configuration",
		r.URL.Path == "/.well-known/oauth-authorization-server"+s.config.Path:
		reply(w, http.StatusOK, s.Metadata())
	case !own:
		http.NotFound(w, r)
	case path == "/jwks":
		reply(w, http.StatusOK, s.signer.set())
	case path == "/authorize" && r.Method == http.MethodGet:
		s.authorize(w, r)
	case path == "/par" && r.Method == http.MethodPost && s.config.Pushed:
		s.push(w, r)
	case path == "/token" && r.Method == http.MethodPost:
		s.token(w, r)
	case path == "/userinfo":
		s.userinfo(w, r)
	case path == "/revoke" && r.Method == http.MethodPost:
		s.revoke(w, r)
	default:
		http.NotFound(w, r)
	}
}

// Metadata is the document the server publishes (RFC 8414 section 2). Scripts
// change a copy of it.
func (s *Server) Metadata() map[string]any {
	m := map[string]any{
		"issuer":                                         s.issuer,
		"authorization_endpoint":                         s.issuer + "/authorize",
		"token_endpoint":                                 s.issuer + "/token",
		"userinfo_endpoint":                              s.issuer + "/userinfo",
		"revocation_endpoint":                            s.issuer + "/revoke",
		"jwks_uri":                                       s.issuer + "/jwks",
		"scopes_supported":                               []string{"openid", "email", "read", "write"},
		"response_types_supported":                       []string{"code"},
		"code_challenge_methods_supported":               []string{"S256"},
		"token_endpoint_auth_methods_supported":          []string{"none", "client_secret_basic", "client_secret_post"},
		"id_token_signing_alg_values_supported":          []string{"ES256"},
		"authorization_response_iss_parameter_supported": true,
	}
	if s.config.Pushed {
		m["pushed_authorization_request_endpoint"] = s.issuer + "/par"
		m["require_pushed_authorization_requests"] = true
	}
	return m
}

// Consent opens an authorization URL as a user who approves, and returns where
// the server sends the browser.
func (s *Server) Consent(t testing.TB, authorizationURL string) *url.URL {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, authorizationURL, nil)
	if err != nil {
		t.Fatal(err)
	}
	w := answerRecorder{header: http.Header{}}
	s.authorize(&w, r)
	to, err := url.Parse(w.header.Get("Location"))
	if err != nil || w.status != http.StatusFound {
		t.Fatalf("authorization request refused with %d: %s", w.status, w.body.String())
	}
	return to
}

// NewCode issues a code as if a user had consented, for tests that start at
// the token endpoint.
func (s *Server) NewCode(client, redirectURI, verifier, nonce string, scopes ...string) string {
	sum := sha256.Sum256([]byte(verifier))
	return s.newCode(&grant{
		client: client, redirectURI: redirectURI, nonce: nonce, scopes: scopes,
		challenge: base64.RawURLEncoding.EncodeToString(sum[:]),
	})
}

func (s *Server) newCode(g *grant) string {
	if s.config.Scopes != nil {
		g.scopes = s.config.Scopes
	}
	code := "code-" + rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.grants.codes[code] = g
	return code
}

// authorize approves at once (RFC 6749 section 4.1.1).
func (s *Server) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if s.config.Pushed {
		s.mu.Lock()
		pushed, ok := s.grants.pushed[q.Get("request_uri")]
		delete(s.grants.pushed, q.Get("request_uri"))
		s.mu.Unlock()
		if !ok || len(q) != 2 || pushed.Get("client_id") != q.Get("client_id") {
			http.Error(w, "push the request first", http.StatusBadRequest)
			return
		}
		q = pushed
	}
	for name, values := range q {
		if len(values) != 1 {
			http.Error(w, name+" came twice", http.StatusBadRequest)
			return
		}
	}
	_, known := s.config.Clients[q.Get("client_id")]
	back, err := url.Parse(q.Get("redirect_uri"))
	switch {
	case !known:
		http.Error(w, "unknown client", http.StatusBadRequest)
		return
	case err != nil || back.Host == "":
		http.Error(w, "no redirect URI", http.StatusBadRequest)
		return
	case q.Get("response_type") != "code", q.Get("code_challenge_method") != "S256", len(q.Get("code_challenge")) != 43:
		http.Error(w, "code with PKCE and S256, please", http.StatusBadRequest)
		return
	}
	code := s.newCode(&grant{
		client: q.Get("client_id"), redirectURI: q.Get("redirect_uri"), challenge: q.Get("code_challenge"),
		nonce: q.Get("nonce"), scopes: strings.Fields(q.Get("scope")),
	})
	answer := back.Query()
	answer.Set("code", code)
	answer.Set("state", q.Get("state"))
	answer.Set("iss", s.issuer)
	back.RawQuery = answer.Encode()
	http.Redirect(w, r, back.String(), http.StatusFound)
}

// push takes an authorization request (RFC 9126 section 2.1).
func (s *Server) push(w http.ResponseWriter, r *http.Request) {
	fields, ok := parameters(r)
	if !ok || fields["request_uri"] != "" {
		refuse(w, http.StatusBadRequest, "invalid_request")
		return
	}
	client, ok := s.client(r, fields)
	if !ok {
		refuse(w, http.StatusUnauthorized, "invalid_client")
		return
	}
	q := url.Values{}
	for name, value := range fields {
		q.Set(name, value)
	}
	q.Set("client_id", client)
	uri := "urn:ietf:params:oauth:request_uri:" + rand.Text()
	s.mu.Lock()
	s.grants.pushed[uri] = q
	s.mu.Unlock()
	reply(w, http.StatusCreated, map[string]any{"request_uri": uri, "expires_in": 60})
}

// token takes forms and JSON (RFC 6749 sections 4.1.3 and 6).
func (s *Server) token(w http.ResponseWriter, r *http.Request) {
	fields, ok := parameters(r)
	if !ok {
		refuse(w, http.StatusBadRequest, "invalid_request")
		return
	}
	client, ok := s.client(r, fields)
	if !ok {
		refuse(w, http.StatusUnauthorized, "invalid_client")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch fields["grant_type"] {
	case "authorization_code":
		g := s.grants.codes[fields["code"]]
		sum := sha256.Sum256([]byte(fields["code_verifier"]))
		switch {
		case g == nil:
			refuse(w, http.StatusBadRequest, "invalid_grant")
		case g.used:
			g.revoked = true // RFC 6749 section 4.1.2
			refuse(w, http.StatusBadRequest, "invalid_grant")
		case g.client != client || g.redirectURI != fields["redirect_uri"] ||
			g.challenge != base64.RawURLEncoding.EncodeToString(sum[:]):
			refuse(w, http.StatusBadRequest, "invalid_grant")
		default:
			g.used = true
			s.issue(w, g, "")
		}
	case "refresh_token":
		old := fields["refresh_token"]
		if stolen := s.grants.rotated[old]; stolen != nil {
			stolen.revoked = true // RFC 9700 section 4.14.2
		}
		g := s.grants.refresh[old]
		if g == nil || g.revoked || g.client != client {
			refuse(w, http.StatusBadRequest, "invalid_grant")
			return
		}
		s.issue(w, g, old)
	default:
		refuse(w, http.StatusBadRequest, "unsupported_grant_type")
	}
}

// issue answers with tokens; callers hold s.mu.
func (s *Server) issue(w http.ResponseWriter, g *grant, oldRefresh string) {
	access := "at-" + rand.Text()
	s.grants.access[access] = g
	answer := map[string]any{
		"access_token": access, "token_type": "bearer", "scope": strings.Join(g.scopes, " "),
		"expires_in": int(s.config.Lifetime / time.Second),
	}
	if !s.config.NoRefresh && (oldRefresh == "" || !s.config.NoRotation) {
		refresh := "rt-" + rand.Text()
		s.grants.refresh[refresh] = g
		answer["refresh_token"] = refresh
		if oldRefresh != "" {
			delete(s.grants.refresh, oldRefresh)
			s.grants.rotated[oldRefresh] = g
		}
	}
	if slices.Contains(g.scopes, "openid") {
		answer["id_token"] = s.SignIDToken(s.Claims(g.client, g.nonce, access))
	}
	w.Header().Set("Cache-Control", "no-store")
	reply(w, http.StatusOK, answer)
}

func (s *Server) userinfo(w http.ResponseWriter, r *http.Request) {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	s.mu.Lock()
	g := s.grants.access[token]
	s.mu.Unlock()
	if g == nil || g.revoked {
		refuse(w, http.StatusUnauthorized, "invalid_token")
		return
	}
	reply(w, http.StatusOK, map[string]any{"sub": s.config.Subject, "email": s.config.Email, "name": "Ada"})
}

// revoke ends the whole grant (RFC 7009 section 2).
func (s *Server) revoke(w http.ResponseWriter, r *http.Request) {
	fields, _ := parameters(r)
	if _, ok := s.client(r, fields); !ok {
		refuse(w, http.StatusUnauthorized, "invalid_client")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, found := range []*grant{s.grants.access[fields["token"]], s.grants.refresh[fields["token"]]} {
		if found != nil {
			found.revoked = true
		}
	}
	w.WriteHeader(http.StatusOK)
}

// Live reports whether an access or refresh token is honoured.
func (s *Server) Live(token string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range []*grant{s.grants.access[token], s.grants.refresh[token]} {
		if g != nil && !g.revoked {
			return true
		}
	}
	return false
}

// client authenticates by Basic or body, one of them (RFC 6749 section 2.3).
func (s *Server) client(r *http.Request, fields map[string]string) (id string, ok bool) {
	id, secret := fields["client_id"], fields["client_secret"]
	if user, password, isBasic := r.BasicAuth(); isBasic {
		if secret != "" {
			return "", false
		}
		id, _ = url.QueryUnescape(user)
		secret, _ = url.QueryUnescape(password)
	}
	want, known := s.config.Clients[id]
	return id, known && want == secret
}

// parameters reads a form or a JSON object of strings, each name once.
func parameters(r *http.Request) (map[string]string, bool) {
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		var fields map[string]string
		err := json.NewDecoder(r.Body).Decode(&fields)
		return fields, err == nil
	}
	if err := r.ParseForm(); err != nil {
		return nil, false
	}
	fields := map[string]string{}
	for name, values := range r.PostForm {
		if len(values) != 1 {
			return nil, false
		}
		fields[name] = values[0]
	}
	return fields, true
}

func reply(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body)
}

func refuse(w http.ResponseWriter, status int, code string) {
	reply(w, status, map[string]string{"error": code, "error_description": fmt.Sprintf("<script>%s</script>\x1b[2J", code)})
}

// answerRecorder keeps an answer instead of sending it.
type answerRecorder struct {
	header http.Header
	status int
	body   strings.Builder
}

func (a *answerRecorder) Header() http.Header         { return a.header }
func (a *answerRecorder) WriteHeader(status int)      { a.status = status }
func (a *answerRecorder) Write(p []byte) (int, error) { return a.body.Write(p) }
