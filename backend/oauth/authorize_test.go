package oauth_test

import (
	"encoding/base64"
	"net/url"
	"slices"
	"strings"
	"testing"

	"keyturn/backend/demo/evilas"
	"keyturn/backend/fault"
	"keyturn/backend/oauth"
)

func request(s oauth.Server, scopes ...string) oauth.AuthorizationRequest {
	return oauth.AuthorizationRequest{
		Server: s, Client: oauth.Client{ID: "public", Auth: oauth.AuthNone}, Scopes: scopes,
		State: oauth.NewState(), Verifier: oauth.NewVerifier(), Nonce: oauth.NewNonce(),
	}
}

func query(t *testing.T, r oauth.AuthorizationRequest) url.Values {
	t.Helper()
	raw, err := oauth.AuthorizationURL(r, redirectURI)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(raw)
	if err != nil || oauth.ValidEndpoint(raw, true) != nil {
		t.Fatalf("not a URL to open: %s", raw)
	}
	values, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		t.Fatal(err)
	}
	for name, v := range values {
		if len(v) != 1 {
			t.Errorf("%s is there %d times", name, len(v))
		}
	}
	return values
}

func TestTheUserConsentsAndTheCodeFitsTheVerifier(t *testing.T) { // CB-40
	r := newRig(t, evilas.Config{})
	ask := request(r.server, "read", "openid")
	raw, err := oauth.AuthorizationURL(ask, redirectURI)
	if err != nil {
		t.Fatal(err)
	}
	back := r.as.Consent(t, raw)
	state, response, err := oauth.ParseAuthorizationResponse(back.RawQuery)
	if err != nil || state != ask.State.Reveal() || oauth.CheckIss(r.server, response) != nil {
		t.Fatalf("%v, iss %v", err, oauth.CheckIss(r.server, response))
	}
	_, err = r.http.Exchange(t.Context(), r.server, public, response.Code, redirectURI, oauth.NewVerifier())
	if e := failure(t, err); e.Code != "invalid_grant" {
		t.Errorf("another verifier: %v", e)
	}
	token, err := r.http.Exchange(t.Context(), r.server, public, response.Code, redirectURI, ask.Verifier)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.http.VerifyIDToken(t.Context(), r.server, public, token.ID, ask.Nonce); err != nil {
		t.Error(err)
	}
	if r.as.Saw(ask.State.Reveal()) {
		t.Error("state went to the token endpoint")
	}
}

func TestTheAuthorizationURL(t *testing.T) {
	base := oauth.Server{Authorize: oauth.AuthorizationEndpoint{URL: "https://as.example/authorize"}}
	t.Run("holds exactly what the RFCs ask for", func(t *testing.T) {
		r := request(base, "read", "write")
		q := query(t, r)
		names := make([]string, 0, len(q))
		for name := range q {
			names = append(names, name)
		}
		slices.Sort(names)
		want := []string{"client_id", "code_challenge", "code_challenge_method", "redirect_uri", "response_type", "scope", "state"}
		if !slices.Equal(names, want) {
			t.Errorf("parameters %q", names)
		}
		if q.Get("code_challenge_method") != "S256" || len(q.Get("code_challenge")) != 43 || q.Get("scope") != "read write" || q.Get("redirect_uri") != redirectURI {
			t.Errorf("%v", q)
		}
		if strings.Contains(q.Encode(), r.Verifier.Reveal()) || strings.Contains(q.Encode(), r.Nonce.Reveal()) {
			t.Error("verifier or nonce got out")
		}
	})
	t.Run("RFC 7636 appendix B", func(t *testing.T) {
		r := request(base)
		r.Verifier = oauth.NewSecret("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
		if got := query(t, r).Get("code_challenge"); got != "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM" {
			t.Errorf("challenge %s", got)
		}
	})
	t.Run("core wins over params and query, which are kept", func(t *testing.T) {
		s := base
		s.Authorize.URL += "?tenant=7&state=evil&scope=evil&a=1"
		s.Authorize.Params = map[string]string{"a": "2", "code_challenge_method": "plain", "client_id": "evil", "prompt": "consent", "redirect_uri": "https://evil.example"}
		q := query(t, request(s, "read"))
		if strings.Contains(q.Encode(), "evil.example") || strings.Contains(q.Get("state")+q.Get("scope")+q.Get("client_id"), "evil") || q.Get("code_challenge_method") != "S256" {
			t.Errorf("%v", q)
		}
		if q.Get("tenant") != "7" || q.Get("a") != "2" || q.Get("prompt") != "consent" {
			t.Errorf("%v", q)
		}
	})
	t.Run("no scopes, no parameter", func(t *testing.T) {
		if query(t, request(base)).Has("scope") {
			t.Error("an empty scope was sent")
		}
	})
	t.Run("scopes as the server wants them", func(t *testing.T) {
		s := base
		s.ScopeSeparator, s.Authorize.ScopeParam = ",", "user_scope"
		if q := query(t, request(s, "a", "b:c")); q.Get("user_scope") != "a,b:c" || q.Has("scope") {
			t.Errorf("%v", q)
		}
	})
	t.Run("nonce only with openid", func(t *testing.T) {
		r := request(base, "openid", "read")
		if query(t, r).Get("nonce") != r.Nonce.Reveal() {
			t.Error("no nonce with openid")
		}
	})
	t.Run("the account hint, encoded", func(t *testing.T) {
		s := base
		s.Authorize.Params = map[string]string{"login_hint": "{account}"}
		r := request(s)
		if query(t, r).Has("login_hint") {
			t.Error("an empty hint was sent")
		}
		r.AccountHint = "a+b@example.test&state=x\r\n"
		if got := query(t, r).Get("login_hint"); got != r.AccountHint {
			t.Errorf("%q", got)
		}
	})
	t.Run("OB-05 9 KiB", func(t *testing.T) {
		_, err := oauth.AuthorizationURL(request(base, strings.Repeat("a", 9<<10)), redirectURI)
		if fault.CodeOf(err) != fault.BadRequest {
			t.Error(err)
		}
	})
	t.Run("OB-02 endpoints that must not be opened", func(t *testing.T) {
		for _, endpoint := range []string{"file:///etc/passwd", "javascript:alert(1)", "--help", "http://as.example/", "https://as.example/`id`", ""} {
			s := base
			s.Authorize.URL = endpoint
			if raw, err := oauth.AuthorizationURL(request(s), redirectURI); err == nil || raw != "" {
				t.Errorf("%q became %q", endpoint, raw)
			}
		}
	})
	t.Run("nothing without state and verifier", func(t *testing.T) {
		r := request(base)
		r.Verifier = oauth.Secret{}
		if _, err := oauth.AuthorizationURL(r, redirectURI); err == nil {
			t.Error("no verifier, no error")
		}
	})
}

func TestStateVerifierAndNonceAre256Bit(t *testing.T) {
	seen := map[string]bool{}
	for range 100 {
		for _, s := range []oauth.Secret{oauth.NewState(), oauth.NewVerifier(), oauth.NewNonce()} {
			b, err := base64.RawURLEncoding.DecodeString(s.Reveal())
			if err != nil || len(b) != 32 || len(s.Reveal()) != 43 || seen[s.Reveal()] {
				t.Fatalf("%q", s.Reveal())
			}
			seen[s.Reveal()] = true
		}
	}
}
