package demo_test

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"keyturn/backend/demo"
)

func TestApproveReturnsACodeWithStateAndIssuer(t *testing.T) {
	r := start(t, demo.Options{})
	back := r.as.Approve(r.ask(nil), "grace")
	if !strings.HasPrefix(back, redirect+"?") {
		t.Error(back)
	}
	q := query(t, back)
	if q.Get("code") == "" || q.Get("state") != "the-state" || q.Get("iss") != demo.DefaultIssuer || q.Has("error") {
		t.Errorf("%v", q)
	}
	for answer, back := range map[string]string{
		"access_denied":           r.as.Deny(r.ask(nil)),
		"temporarily_unavailable": r.as.Fail(r.ask(nil), "temporarily_unavailable"),
	} {
		if q := query(t, back); q.Get("error") != answer || q.Get("state") != "the-state" || q.Get("iss") == "" || q.Has("code") {
			t.Errorf("%s: %v", answer, q)
		}
	}
}

// RFC 6749 section 4.1.2.1: nothing is sent to an address that is not
// registered.
func TestARedirectURIThatIsNotRegisteredIsNeverUsed(t *testing.T) {
	r := start(t, demo.Options{Clients: []demo.Client{{ID: "web", RedirectURIs: []string{"https://app.example/cb"}}}})
	for _, uri := range []string{
		"-", "", "https://evil.example/oauth/callback/demo", "http://127.0.0.1:40123/oauth/callback/other", "http://127.0.0.1:40123/oauth/callback/demo/",
		"http://127.0.0.1:40123/oauth/callback/demo?x=1", "http://127.0.0.1:40123/oauth/callback/demo#x", "https://127.0.0.1:40123/oauth/callback/demo",
		"http://127.0.0.2:40123/oauth/callback/demo", "http://user@127.0.0.1:40123/oauth/callback/demo", "http://127.0.0.1.evil.example:80/oauth/callback/demo",
		"http://127.0.0.1:/oauth/callback/demo", "http://127.0.0.1:40123/oauth/../oauth/callback/demo", "http://0x7f.1:40123/oauth/callback/demo", "javascript:alert(1)",
	} {
		a := r.get(strings.TrimPrefix(r.ask(map[string]string{"redirect_uri": uri}), r.as.Issuer()), "")
		if a.status != http.StatusBadRequest || a.header.Get("Location") != "" || !strings.Contains(a.body, "redirect_uri") {
			t.Errorf("%q: %d to %q", uri, a.status, a.header.Get("Location"))
		}
	}
	for client, uris := range map[string][]string{
		demo.ClientID: {"http://127.0.0.1:1/oauth/callback/demo", "http://[::1]:65535/oauth/callback/demo", "http://localhost:8080/oauth/callback/demo", "http://127.0.0.1/oauth/callback/demo"},
		"web":         {"https://app.example/cb"},
	} {
		for _, uri := range uris {
			if back := r.as.Approve(r.ask(map[string]string{"client_id": client, "redirect_uri": uri}), "ada"); !strings.HasPrefix(back, uri+"?code=") {
				t.Errorf("%s: %s", uri, back)
			}
		}
	}
	a := r.get(strings.TrimPrefix(r.ask(map[string]string{"client_id": "web", "redirect_uri": "https://app.example:8443/cb"}), r.as.Issuer()), "")
	if a.status != http.StatusBadRequest {
		t.Errorf("another port of an https address: %d", a.status)
	}
	a = r.get(strings.TrimPrefix(r.ask(map[string]string{"client_id": "<b>nobody"}), r.as.Issuer()), "")
	if a.status != http.StatusBadRequest || strings.Contains(a.body, "<b>nobody") {
		t.Errorf("unknown client: %d", a.status)
	}
}

func TestAnAuthorizationRequestWithAnErrorGoesBackWithItsCode(t *testing.T) {
	r := start(t, demo.Options{})
	for _, c := range []struct {
		name    string
		changes map[string]string
		more    string
		code    string
	}{
		{"no PKCE", map[string]string{"code_challenge": "-", "code_challenge_method": "-"}, "", "invalid_request"},
		{"plain PKCE", map[string]string{"code_challenge_method": "plain"}, "", "invalid_request"},
		{"no method means plain", map[string]string{"code_challenge_method": "-"}, "", "invalid_request"},
		{"a challenge that is no hash", map[string]string{"code_challenge": verifier}, "", "invalid_request"},
		{"no response type", map[string]string{"response_type": "-"}, "", "invalid_request"},
		{"implicit", map[string]string{"response_type": "token"}, "", "unsupported_response_type"},
		{"in the fragment", map[string]string{"response_mode": "fragment"}, "", "invalid_request"},
		{"an unknown scope", map[string]string{"scope": "profile root"}, "", "invalid_scope"},
		{"without asking", map[string]string{"prompt": "none"}, "", "interaction_required"},
		{"a parameter twice", nil, "&scope=email", "invalid_request"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := r.get(strings.TrimPrefix(r.ask(c.changes)+c.more, r.as.Issuer()), "")
			q := query(t, a.header.Get("Location"))
			if a.status != http.StatusSeeOther || q.Get("error") != c.code || q.Get("state") != "the-state" || q.Get("iss") == "" || q.Has("code") {
				t.Errorf("%d %v, want %s", a.status, q, c.code)
			}
		})
	}
}

var ticketField = regexp.MustCompile(`name="ticket" value="([^"]+)"`)

// open loads the consent page and returns it with its ticket.
func (r *rig) open(changes map[string]string) (answer, string) {
	r.Helper()
	a := r.get(strings.TrimPrefix(r.ask(changes), r.as.Issuer()), "")
	found := ticketField.FindStringSubmatch(a.body)
	if a.status != http.StatusOK || found == nil {
		r.Fatalf("%d %s", a.status, a.body)
	}
	return a, found[1]
}

func TestTheConsentPage(t *testing.T) {
	r := start(t, demo.Options{})
	page, ticket := r.open(map[string]string{"login_hint": "grace@example.com", "scope": "email notes.read"})

	t.Run("says who asks for what", func(t *testing.T) {
		for _, words := range []string{"Keyturn asks for access", "Ada Lovelace", "Grace Hopper", "See your email address", "Read your notes", "127.0.0.1:40123", `value="grace" checked`, `value="email" checked`, ">Allow<", ">Deny<", "server_error"} {
			if !strings.Contains(page.body, words) {
				t.Errorf("no %q", words)
			}
		}
		if strings.Contains(page.body, "user name") || strings.Contains(page.body, `value="ada" checked`) {
			t.Error("it offers what nobody asked for, or another account")
		}
	})
	t.Run("has no script and stays in no frame", func(t *testing.T) {
		if strings.Contains(page.body, "<script") || strings.Contains(page.body, "http://www") && !strings.Contains(page.body, "www.w3.org/2000/svg") {
			t.Error("a script, or something from elsewhere")
		}
		csp := page.header.Get("Content-Security-Policy")
		for _, rule := range []string{"default-src 'none'", "style-src 'sha256-", "form-action 'self' http://127.0.0.1:40123", "base-uri 'none'", "frame-ancestors 'none'"} {
			if !strings.Contains(csp, rule) {
				t.Errorf("no %s in %s", rule, csp)
			}
		}
		if strings.Contains(csp, "unsafe") || strings.Contains(csp, "script-src") || page.header.Get("Cache-Control") != "no-store" || page.header.Get("X-Frame-Options") != "DENY" {
			t.Errorf("%v", page.header)
		}
	})
	t.Run("answers once", func(t *testing.T) {
		form := url.Values{"ticket": {ticket}, "account": {"grace"}, "scope": {"email"}, "answer": {"allow"}}
		a := r.request("POST", "/consent", form, "Origin", demo.DefaultIssuer, "Sec-Fetch-Site", "same-origin")
		code := query(t, a.header.Get("Location")).Get("code")
		if a.status != http.StatusSeeOther || code == "" {
			t.Fatalf("%d %s", a.status, a.body)
		}
		if got := r.exchange(code, nil); got.text("scope") != "email" {
			t.Errorf("granted %q: a box that was cleared counts", got.text("scope"))
		}
		if again := r.request("POST", "/consent", form); again.status != http.StatusBadRequest || again.header.Get("Location") != "" {
			t.Errorf("a second time: %d", again.status)
		}
	})
}

func TestConsentComesFromTheConsentPageOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := start(t, demo.Options{})
		_, old := r.open(nil)
		time.Sleep(10*time.Minute + time.Second)
		allow := func(ticket string) url.Values {
			return url.Values{"ticket": {ticket}, "account": {"ada"}, "scope": {"profile"}, "answer": {"allow"}}
		}
		if a := r.request("POST", "/consent", allow(old)); a.status != http.StatusBadRequest || a.header.Get("Location") != "" {
			t.Errorf("a page of eleven minutes ago: %d", a.status)
		}
		_, fresh := r.open(nil)
		for _, c := range []struct {
			name   string
			form   url.Values
			header []string
			status int
		}{
			{"another site", allow(fresh), []string{"Origin", "https://evil.example"}, http.StatusForbidden},
			{"another port of this computer", allow(fresh), []string{"Origin", "http://127.0.0.1:8080"}, http.StatusForbidden},
			{"an origin that is hidden", allow(fresh), []string{"Origin", "null"}, http.StatusForbidden},
			{"a fetch from another port", allow(fresh), []string{"Sec-Fetch-Site", "same-site"}, http.StatusForbidden},
			{"no ticket", allow(""), nil, http.StatusBadRequest},
			{"a guess", allow("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"), nil, http.StatusBadRequest},
		} {
			if a := r.request("POST", "/consent", c.form, c.header...); a.status != c.status || a.header.Get("Location") != "" {
				t.Errorf("%s: %d to %q", c.name, a.status, a.header.Get("Location"))
			}
		}
		if a := r.request("POST", "/consent", allow(fresh)); a.status != http.StatusSeeOther {
			t.Errorf("the strangers used up the ticket: %d", a.status)
		}
	})
}

func TestWhatIsNotConsentIsDenied(t *testing.T) {
	r := start(t, demo.Options{})
	for name, form := range map[string]url.Values{
		"no answer":                {"account": {"ada"}, "scope": {"profile"}},
		"an unknown answer":        {"account": {"ada"}, "scope": {"profile"}, "answer": {"maybe"}},
		"no account":               {"scope": {"profile"}, "answer": {"allow"}},
		"an unknown account":       {"account": {"mallory"}, "scope": {"profile"}, "answer": {"allow"}},
		"no scope left":            {"account": {"ada"}, "answer": {"allow"}},
		"a scope nobody asked for": {"account": {"ada"}, "scope": {"openid"}, "answer": {"allow"}},
		"an error of its own":      {"failure": {"made_up"}, "answer": {"fail"}},
	} {
		_, ticket := r.open(nil)
		form.Set("ticket", ticket)
		a := r.request("POST", "/consent", form)
		if q := query(t, a.header.Get("Location")); q.Get("error") != "access_denied" {
			t.Errorf("%s: %v", name, q)
		}
	}
}

func TestMetadataIsWhatTheServerDoes(t *testing.T) {
	r := start(t, demo.Options{})
	for _, path := range []string{"/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"} {
		m := r.get(path, "")
		if m.text("issuer") != demo.DefaultIssuer || m.text("token_endpoint") != demo.DefaultIssuer+"/token" || m.json["authorization_response_iss_parameter_supported"] != true {
			t.Errorf("%s: %s", path, m.body)
		}
		if methods, _ := m.json["code_challenge_methods_supported"].([]any); !slices.Equal(methods, []any{"S256"}) {
			t.Errorf("%v", methods)
		}
	}
	quiet := start(t, demo.Options{Quirks: demo.Quirks{NoIss: true, NoPKCE: true}})
	m := quiet.get("/.well-known/openid-configuration", "")
	if m.json["code_challenge_methods_supported"] != nil || m.json["authorization_response_iss_parameter_supported"] != nil {
		t.Error(m.body)
	}
	if q := query(t, quiet.as.Approve(quiet.ask(nil), "ada")); q.Has("iss") {
		t.Errorf("%v", q)
	}
}

func TestTheHostHeaderIsExact(t *testing.T) {
	r := start(t, demo.Options{})
	for _, host := range []string{"evil.example", "evil.example:27420", "localhost:27420", "127.0.0.1", "127.0.0.1:27421", "127.0.0.1.:27420"} {
		if a := r.request("GET", "/", nil, "Host", host); a.status != http.StatusMisdirectedRequest {
			t.Errorf("%s: %d", host, a.status)
		}
	}
	if a := r.get("/", ""); a.status != http.StatusOK || !strings.Contains(a.body, "belongs to Keyturn") {
		t.Errorf("%d", a.status)
	}
	for path, method := range map[string]string{"/token": "GET", "/consent": "GET", "/authorize": "POST", "/revoke": "GET", "/userinfo": "DELETE"} {
		if a := r.request(method, path, nil); a.status != http.StatusMethodNotAllowed {
			t.Errorf("%s %s: %d", method, path, a.status)
		}
	}
}
