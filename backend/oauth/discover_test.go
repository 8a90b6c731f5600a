package oauth_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"keyturn/backend/demo/evilas"
	"keyturn/backend/fault"
	"keyturn/backend/oauth"
)

const (
	oidcPlace  = "/.well-known/openid-configuration"
	oauthPlace = "/.well-known/oauth-authorization-server"
)

// document is the server's metadata with changes; a nil value takes a member away.
func document(as *evilas.Server, changes map[string]any) evilas.Step {
	m := as.Metadata()
	maps.Copy(m, changes)
	maps.DeleteFunc(m, func(_ string, v any) bool { return v == nil })
	body, _ := json.Marshal(m)
	return evilas.JSON(string(body))
}

func TestDiscoveryFindsWhatAServerSays(t *testing.T) {
	r := newRig(t, evilas.Config{TLS: true})
	m, err := r.http.Discover(t.Context(), r.as.URL(), false)
	if err != nil {
		t.Fatal(err)
	}
	want := oauth.Metadata{
		Issuer: r.as.URL(), AuthorizationURL: r.as.URL() + "/authorize", TokenURL: r.as.URL() + "/token",
		RevocationURL: r.as.URL() + "/revoke", UserinfoURL: r.as.URL() + "/userinfo", JWKSURL: r.as.URL() + "/jwks",
		ScopesSupported: []string{"openid", "email", "read", "write"}, IssParameter: true, PKCES256: true,
		TokenAuthMethods: []string{"none", "client_secret_basic", "client_secret_post"},
	}
	if fmt.Sprint(m) != fmt.Sprint(want) {
		t.Errorf("got  %+v\nwant %+v", m, want)
	}
	if n := len(r.as.Requests("")); n != 1 {
		t.Errorf("%d requests", n)
	}
}

func TestDiscoveryLooksWhereServersPutIt(t *testing.T) { // DI-17
	for _, c := range []struct{ path, slash, found, asked string }{
		{"", "", oidcPlace, oidcPlace},
		{"", "", oauthPlace, oidcPlace + " " + oauthPlace},
		{"", "/", oauthPlace, oidcPlace + " " + oauthPlace},
		{"/t", "", "/t" + oidcPlace, "/t" + oidcPlace},
		{"/t", "", oauthPlace + "/t", "/t" + oidcPlace + " " + oauthPlace + "/t"},
		{"/t", "", oidcPlace + "/t", "/t" + oidcPlace + " " + oauthPlace + "/t " + oidcPlace + "/t"},
		{"/t", "", "/t" + oauthPlace, "/t" + oidcPlace + " " + oauthPlace + "/t " + oidcPlace + "/t /t" + oauthPlace},
		{"/t", "/", oauthPlace + "/t/", "/t" + oidcPlace + " " + oauthPlace + "/t " + oidcPlace + "/t /t" + oauthPlace + " " + oauthPlace + "/t/"},
	} {
		t.Run(c.path+c.slash+" at "+c.found, func(t *testing.T) {
			r := newRig(t, evilas.Config{Path: c.path})
			issuer := r.as.URL() + c.slash
			for place := range strings.SplitSeq(c.asked, " ") {
				step := evilas.Step{Status: 404}
				if place == c.found {
					step = document(r.as, map[string]any{"issuer": issuer})
				}
				r.as.Script(place, step)
			}
			if _, err := r.http.Discover(t.Context(), issuer, true); err != nil {
				t.Fatal(err)
			}
			var asked []string
			for _, request := range r.as.Requests("") {
				asked = append(asked, request.Path)
			}
			if got := strings.Join(asked, " "); got != c.asked {
				t.Errorf("asked %s", got)
			}
		})
	}
}

func TestHostileDiscovery(t *testing.T) {
	endpoint := func(url string) func(*evilas.Server) evilas.Step {
		return func(as *evilas.Server) evilas.Step {
			return document(as, map[string]any{"authorization_endpoint": url})
		}
	}
	with := func(changes map[string]any) func(*evilas.Server) evilas.Step {
		return func(as *evilas.Server) evilas.Step { return document(as, changes) }
	}
	is := func(step evilas.Step) func(*evilas.Server) evilas.Step {
		return func(*evilas.Server) evilas.Step { return step }
	}
	jsonType := map[string]string{"Content-Type": "application/json"}
	for _, c := range []struct {
		name string
		step func(*evilas.Server) evilas.Step
	}{
		{"DI-01 another issuer", with(map[string]any{"issuer": "https://honest.example"})},
		{"DI-01 the issuer with a slash", func(as *evilas.Server) evilas.Step { return document(as, map[string]any{"issuer": as.URL() + "/"}) }},
		{"DI-01 issuer missing", with(map[string]any{"issuer": nil})},
		{"DI-01 issuer under a folded key", func(as *evilas.Server) evilas.Step {
			return document(as, map[string]any{"issuer": nil, "iſſuer": as.URL()})
		}},
		{"DI-01 issuer twice", func(as *evilas.Server) evilas.Step {
			step := document(as, nil)
			step.Body = `{"issuer":"https://honest.example",` + step.Body[1:]
			return step
		}},
		{"DI-03 no token endpoint", with(map[string]any{"token_endpoint": nil})},
		{"DI-03 token endpoint is a list", with(map[string]any{"token_endpoint": []string{"https://x"}})},
		{"DI-04 opaque", endpoint("https:evil")},
		{"DI-04 no host", endpoint("https:///x")},
		{"DI-04 no scheme", endpoint("//host/x")},
		{"DI-04 relative", endpoint("/authorize")},
		{"DI-04 user name", endpoint("https://good@evil/")},
		{"DI-04 line break", endpoint("https://x/\n--help")},
		{"DI-04 javascript", endpoint("javascript:alert(1)")},
		{"DI-05 shell", endpoint("https://x/$(calc)&a=`id`;|")},
		{"DI-06 http elsewhere", endpoint("http://as.example/authorize")},
		{"DI-06 fragment", endpoint("https://as.example/authorize#x")},
		{"DI-06 a jwks_uri that is none", with(map[string]any{"jwks_uri": "file:///etc/passwd"})},
		{"DI-06 a revocation endpoint that is none", with(map[string]any{"revocation_endpoint": "ftp://x"})},
		{"DI-10 redirect", is(evilas.Step{Status: 302, RedirectTo: "https://elsewhere.example" + oidcPlace})},
		{"DI-11 too long", is(evilas.Step{Header: jsonType, Body: " ", Repeat: 600 << 10})},
		{"DI-11 bomb", is(evilas.Step{Header: jsonType, Body: strings.Repeat(" ", 1<<10), Repeat: 10 << 10, Gzip: true})},
		{"DI-11 deep", is(evilas.JSON(strings.Repeat("[", 100_000)))},
		{"not JSON", is(evilas.Step{Header: map[string]string{"Content-Type": "text/html"}, Body: "<html>canary"})},
		{"an array", is(evilas.JSON("[]"))},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, evilas.Config{})
			r.as.Script(oidcPlace, c.step(r.as))
			r.as.Script(oauthPlace, c.step(r.as))
			m, err := r.http.Discover(t.Context(), r.as.URL(), true)
			if fault.CodeOf(err) != fault.DiscoveryFailed || m.Issuer != "" {
				t.Errorf("got %+v %v", m, err)
			}
			if said := fault.MessageOf(err); strings.Contains(said, "canary") || strings.Contains(said, "example") || !strings.HasSuffix(said, ".") {
				t.Errorf("said %q", said)
			}
			if n := len(r.as.Requests("")); n > 5 {
				t.Errorf("%d requests", n)
			}
		})
	}
}

func TestASlashTooManyIsExplained(t *testing.T) {
	r := newRig(t, evilas.Config{})
	for slash, want := range map[string]string{"": "with a slash", "/": "without the slash"} {
		r.as.Script(oidcPlace, document(r.as, map[string]any{"issuer": r.as.URL() + map[string]string{"": "/", "/": ""}[slash]}))
		r.as.Script(oauthPlace, evilas.Step{Status: 404})
		if _, err := r.http.Discover(t.Context(), r.as.URL()+slash, true); !strings.Contains(fault.MessageOf(err), want) {
			t.Errorf("%q: %v", slash, err)
		}
	}
}

func TestAnIssuerThatIsNoPlainURLIsRefusedUnasked(t *testing.T) { // DI-02
	h := oauth.NewHTTP(oauth.HTTPOptions{})
	for _, issuer := range []string{"http://a.example", "ftp://a.example", "https://u:p@a.example", "https://a.example?x", "https://a.example#f", "", "a.example", "https://", "https://a.example/\x1b"} {
		if _, err := h.Discover(t.Context(), issuer, true); fault.CodeOf(err) != fault.BadRequest {
			t.Errorf("%q: %v", issuer, err)
		}
	}
	if _, err := h.Discover(t.Context(), "http://127.0.0.1:1", false); fault.CodeOf(err) != fault.BadRequest {
		t.Errorf("http on loopback without permission: %v", err)
	}
	if _, err := h.Discover(t.Context(), "http://127.0.0.1:1", true); fault.CodeOf(err) != fault.DiscoveryFailed || !strings.Contains(fault.MessageOf(err), "could not be reached") {
		t.Errorf("nobody there: %v", err)
	}
}

func TestEndpointsOnOtherOriginsAreReported(t *testing.T) { // DI-07, DI-08
	r := newRig(t, evilas.Config{})
	r.as.Script(oidcPlace, document(r.as, map[string]any{
		"authorization_endpoint": "https://honest.example/authorize", "token_endpoint": "https://attacker.example:8443/token",
		"jwks_uri": "https://honest.example:443/jwks", "code_challenge_methods_supported": []string{"plain"},
		"authorization_response_iss_parameter_supported": "true",
	}))
	m, err := r.http.Discover(t.Context(), r.as.URL(), true)
	if err != nil || !slices.Equal(m.ForeignOrigins, []string{"https://attacker.example:8443", "https://honest.example"}) {
		t.Errorf("%q %v", m.ForeignOrigins, err)
	}
	if m.PKCES256 || m.IssParameter {
		t.Errorf("PKCE %v, iss %v: neither was promised", m.PKCES256, m.IssParameter)
	}
}

// inMemory answers every request with one document, from anywhere on the Internet.
type inMemory string

func (doc inMemory) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(string(doc))), Request: r}, nil
}

func TestAPublicDocumentDoesNotLeadInward(t *testing.T) { // DI-12, DI-13, TE-46
	for _, c := range []struct {
		issuer, token string
		ok            bool
	}{
		{"https://idp.example", "https://idp.example/token", true},
		{"https://idp.example", "https://8.8.8.8/token", true},
		{"https://idp.example", "https://127.0.0.1/token", false},
		{"https://idp.example", "http://127.0.0.1/token", false},
		{"https://idp.example", "https://localhost/token", false},
		{"https://idp.example", "https://10.0.0.1/token", false},
		{"https://idp.example", "https://169.254.169.254/token", false},
		{"https://idp.example", "https://100.64.0.1/token", false},
		{"https://idp.example", "https://[::1]/token", false},
		{"https://idp.example", "https://[fd00::1]/token", false},
		{"https://idp.example", "https://2130706433/token", false},
		{"https://idp.example", "https://0x7f.1/token", false},
		{"https://10.0.0.1", "https://10.0.0.2/token", true},
	} {
		doc := fmt.Sprintf(`{"issuer":%q,"authorization_endpoint":"https://idp.example/a","token_endpoint":%q}`, c.issuer, c.token)
		h := oauth.NewHTTP(oauth.HTTPOptions{Transport: inMemory(doc)})
		if _, err := h.Discover(t.Context(), c.issuer, true); (err == nil) != c.ok {
			t.Errorf("%s names %s: %v", c.issuer, c.token, err)
		}
	}
}

func TestAddressesForPeopleAreNotFollowed(t *testing.T) { // DI-26
	r := newRig(t, evilas.Config{})
	m := r.as.Metadata()
	m["end_session_endpoint"] = "javascript:alert(1)"
	for _, name := range []string{"op_policy_uri", "op_tos_uri", "logo_uri", "service_documentation"} {
		m[name] = r.as.URL() + "/pixel"
	}
	document, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	r.as.Script("/.well-known/openid-configuration", evilas.JSON(string(document)))
	got, err := r.http.Discover(t.Context(), r.as.URL(), true)
	if err != nil || got.TokenURL == "" {
		t.Fatalf("%+v %v", got, err)
	}
	if n := len(r.as.Requests("/pixel")); n != 0 || strings.Contains(fmt.Sprint(got), "javascript") {
		t.Errorf("%d requests, %+v", n, got)
	}
}
