package demo

import (
	"cmp"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// refusal is an error response of the token endpoint (RFC 6749 section 5.2).
type refusal struct {
	code, description string
	status            int // 0 means 400
}

func (e *refusal) Error() string { return e.code }

func refuse(code, description string) *refusal { return &refusal{code: code, description: description} }

// token is the token endpoint (RFC 6749 section 3.2), and the refresh endpoint
// where refresh is elsewhere.
func (s *Server) token(w http.ResponseWriter, r *http.Request) {
	q := requestOf(r)
	t, err := s.grantFor(q)
	s.mu.Lock()
	switch {
	case err != nil:
		s.counts.Refused++
	case q.Op == OpRefresh:
		s.counts.Refreshes++
	default:
		s.counts.Exchanges++
	}
	s.mu.Unlock()
	if err != nil {
		s.writeRefusal(w, q, err)
		return
	}
	s.writeTokens(w, t)
}

func (s *Server) grantFor(q *Request) (tokens, *refusal) {
	switch {
	case q.malformed != nil:
		return tokens{}, refuse("invalid_request", "The request body cannot be read.")
	case q.isJSON() != s.opts.Quirks.JSONBody:
		return tokens{}, refuse("invalid_request", "The request body has the wrong content type.")
	case repeated(q.Form) != "":
		return tokens{}, refuse("invalid_request", "A parameter is there twice.")
	case len(q.Query) > 0:
		return tokens{}, refuse("invalid_request", "Parameters belong in the body.")
	}
	client, bad := s.authenticate(q)
	if bad != nil {
		return tokens{}, bad
	}
	atRefresh := strings.HasSuffix(q.Path, "/refresh")
	switch kind := q.Form.Get("grant_type"); {
	case kind == "authorization_code" && !atRefresh:
		return s.exchange(client, q.Form)
	case kind == "refresh_token" && atRefresh == s.opts.Quirks.RefreshElsewhere:
		return s.refresh(client, q.Form)
	case kind == deviceGrant && !atRefresh:
		return s.poll(client, q.Form.Get("device_code"))
	case kind == "":
		return tokens{}, refuse("invalid_request", "grant_type is missing.")
	}
	return tokens{}, refuse("unsupported_grant_type", "This grant type is not supported here.")
}

// authenticate finds the client (RFC 6749 section 2.3).
func (s *Server) authenticate(q *Request) (Client, *refusal) {
	denied := &refusal{code: "invalid_client", description: "The client could not be authenticated.", status: http.StatusUnauthorized}
	id, secret, method := q.Form.Get("client_id"), q.Form.Get("client_secret"), "none"
	if secret != "" {
		method = "post"
	}
	if header := q.Header.Get("Authorization"); header != "" {
		if method == "post" {
			return Client{}, refuse("invalid_request", "The client authenticates in two ways.")
		}
		method = "basic"
		user, password, ok := basic(header)
		if !ok || id != "" && id != user {
			return Client{}, denied
		}
		id, secret = user, password
	}
	c, ok := s.clients[id]
	genuine := subtle.ConstantTimeCompare([]byte(c.Secret), []byte(secret)) == 1
	if c.Verify != nil {
		genuine = c.Verify(secret)
	}
	if !ok || !genuine {
		return Client{}, denied
	}
	want := c.Auth
	if want == "" && c.Secret == "" {
		want = "none"
	}
	if want != "" && want != method {
		return Client{}, denied
	}
	return c, nil
}

// basic reads Basic credentials, whose parts are form-encoded (RFC 6749 section 2.3.1).
func basic(header string) (user, password string, ok bool) {
	req := http.Request{Header: http.Header{"Authorization": {header}}}
	user, password, ok = req.BasicAuth()
	if !ok {
		return "", "", false
	}
	user, err := url.QueryUnescape(user)
	if err != nil {
		return "", "", false
	}
	password, err = url.QueryUnescape(password)
	return user, password, err == nil
}

// exchange turns a code into tokens (RFC 6749 section 4.1.3, RFC 7636 section 4.6).
func (s *Server) exchange(client Client, form url.Values) (tokens, *refusal) {
	invalid := refuse("invalid_grant", "The code is wrong, used, expired, or was issued for something else.")
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweepLocked(now)
	c, ok := s.codes[digestOf(form.Get("code"))]
	if !ok || c.request.client.ID != client.ID {
		return tokens{}, invalid
	}
	if !c.expires.After(now) || c.grant != "" {
		if _, alive := s.grants[c.grant]; alive {
			s.counts.Replays++
			s.endLocked(c.grant)
		}
		return tokens{}, invalid
	}
	// Whatever comes of it, this was its one use.
	c.expires = now
	sum := sha256.Sum256([]byte(form.Get("code_verifier")))
	challenge := base64.RawURLEncoding.EncodeToString(sum[:])
	if subtle.ConstantTimeCompare([]byte(challenge), []byte(c.request.challenge)) != 1 ||
		form.Get("redirect_uri") != c.request.redirectURI || !validVerifier(form.Get("code_verifier")) {
		return tokens{}, invalid
	}
	t, bad := s.beginLocked(client, c.account, c.scopes, c.request.nonce)
	c.grant = t.grant
	return t, bad
}

// beginLocked begins a grant. The caller holds s.mu.
func (s *Server) beginLocked(client Client, who Account, scopes []string, nonce string) (tokens, *refusal) {
	g := &grant{ID: random("")[:16], Client: client.ID, Account: who.Subject, Scopes: scopes, Created: time.Now().UTC()}
	t := s.issue(g, scopes, true)
	t.grant = g.ID
	if slices.Contains(scopes, "openid") {
		id, err := s.idToken(client.ID, who, nonce)
		if err != nil {
			return tokens{}, s.broken(err)
		}
		t.id = id
	}
	if err := s.putLocked(g); err != nil {
		return tokens{}, s.broken(err)
	}
	return t, nil
}

// validVerifier checks the form of a code_verifier (RFC 7636 section 4.1).
func validVerifier(v string) bool {
	return len(v) >= 43 && len(v) <= 128 && strings.Trim(v, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~") == ""
}

// refresh turns a refresh token into tokens (RFC 6749 section 6).
func (s *Server) refresh(client Client, form url.Values) (tokens, *refusal) {
	invalid := refuse("invalid_grant", "The refresh token is wrong, used, revoked or expired.")
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	found, i := s.findLocked(form.Get("refresh_token"), true)
	if found == nil || found.Client != client.ID {
		return tokens{}, invalid
	}
	g := copyOf(found)
	old := &g.Refresh[i]
	if !old.Used.IsZero() && now.Sub(old.Used) >= s.opts.Grace {
		s.counts.Replays++
		s.endLocked(g.ID)
		return tokens{}, invalid
	}
	if !old.alive(now) {
		return tokens{}, invalid
	}
	granted := g.Scopes
	if asked := strings.Fields(strings.ReplaceAll(form.Get("scope"), s.separator(), " ")); len(asked) > 0 {
		for _, name := range asked {
			if !slices.Contains(g.Scopes, name) {
				return tokens{}, refuse("invalid_scope", "A scope was not granted.")
			}
		}
		granted = asked
	}
	if !s.opts.KeepRefresh && old.Used.IsZero() {
		old.Used = now.UTC()
	}
	t := s.issue(g, granted, !s.opts.KeepRefresh)
	if err := s.putLocked(g); err != nil {
		return tokens{}, s.broken(err)
	}
	return t, nil
}

func (s *Server) broken(err error) *refusal {
	s.opts.Log.Error("demo: token request failed", "error", err)
	return &refusal{code: "server_error", description: "The server cannot keep what it grants.", status: http.StatusServiceUnavailable}
}

func (s *Server) separator() string { return cmp.Or(s.opts.Quirks.ScopeSeparator, " ") }

// writeTokens writes a token response (RFC 6749 section 5.1), with its quirks.
func (s *Server) writeTokens(w http.ResponseWriter, t tokens) {
	quirks := s.opts.Quirks
	body := map[string]any{"access_token": t.access}
	switch quirks.TokenType {
	case "":
		body["token_type"] = "Bearer"
	case "none":
	default:
		body["token_type"] = quirks.TokenType
	}
	if t.refresh != "" {
		body["refresh_token"] = t.refresh
	}
	if t.refreshExpiresIn > 0 {
		body["refresh_token_expires_in"] = int(t.refreshExpiresIn / time.Second)
	}
	if t.id != "" {
		body["id_token"] = t.id
	}
	if !quirks.NoScope {
		listed := slices.DeleteFunc(slices.Clone(t.scopes), func(name string) bool { return name == quirks.Unlisted })
		body["scope"] = strings.Join(listed, cmp.Or(quirks.GrantedSeparator, s.separator()))
	}
	if seconds := int(t.expiresIn / time.Second); quirks.ExpiryAsString {
		body["expires_in"] = strconv.Itoa(seconds)
	} else if !quirks.NoExpiry {
		body["expires_in"] = seconds
	}
	if quirks.Root != "" {
		body = map[string]any{quirks.Root: body}
	}
	if quirks.OKField != "" {
		body[quirks.OKField] = true
	}
	s.writeAnswer(w, http.StatusOK, body)
}

func (s *Server) writeRefusal(w http.ResponseWriter, q *Request, e *refusal) {
	quirks := s.opts.Quirks
	body := map[string]any{"error": e.code, "error_description": e.description}
	status := e.status
	if status == 0 {
		status = http.StatusBadRequest
	}
	if status == http.StatusUnauthorized && q.Header.Get("Authorization") != "" {
		w.Header().Set("WWW-Authenticate", `Basic realm="demo"`)
	}
	if quirks.OKField != "" {
		body[quirks.OKField] = false
	}
	if quirks.OKField != "" || quirks.ErrorsAre200 {
		status = http.StatusOK
	}
	s.writeAnswer(w, status, body)
}

// writeAnswer writes an answer of the token endpoint.
func (s *Server) writeAnswer(w http.ResponseWriter, status int, body map[string]any) {
	w.Header().Set("Pragma", "no-cache")
	if s.opts.Quirks.FormAnswer {
		form := url.Values{}
		for name, value := range body {
			switch v := value.(type) {
			case string:
				form.Set(name, v)
			case int:
				form.Set(name, strconv.Itoa(v))
			}
		}
		w.Header().Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
		w.WriteHeader(status)
		w.Write([]byte(form.Encode()))
		return
	}
	writeJSON(w, s.opts.Quirks.ContentType, status, body)
}

func writeJSON(w http.ResponseWriter, contentType string, status int, body any) {
	if contentType == "" {
		contentType = "application/json"
	}
	data, err := json.Marshal(body)
	if err != nil {
		http.Error(w, "The answer could not be written.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	w.Write(data)
}
