package oauth_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"keyturn/backend/demo/evilas"
	"keyturn/backend/fault"
	"keyturn/backend/oauth"
)

const protectedPlace = "/.well-known/oauth-protected-resource"

// resourceServer is a protected resource at /mcp.
type resourceServer struct {
	*httptest.Server
	asked     []string // paths of GETs
	challenge string
	documents map[string]map[string]any // by path
}

func newResource(t *testing.T) *resourceServer {
	r := &resourceServer{documents: map[string]map[string]any{}}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.Method == http.MethodPost {
			if r.challenge != "" {
				w.Header().Set("WWW-Authenticate", r.challenge)
			}
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		r.asked = append(r.asked, q.URL.Path)
		d := r.documents[q.URL.Path]
		if d == nil {
			http.NotFound(w, q)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(d)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *resourceServer) at() string { return r.URL + "/mcp" }

func (r *resourceServer) describes(path string, issuers ...string) map[string]any {
	d := map[string]any{"resource": r.at(), "authorization_servers": issuers, "scopes_supported": []string{"read", "write"}, "resource_name": "Notes \u202e"}
	r.documents[path] = d
	return d
}

func TestAResourceSaysWhoIssuesItsTokens(t *testing.T) {
	as := evilas.New(t, evilas.Config{})
	for name, c := range map[string]struct {
		set    func(*resourceServer)
		scopes string
		asked  string
	}{
		"by its challenge": {func(r *resourceServer) {
			r.challenge = `Bearer scope="notes", resource_metadata="` + r.URL + `/about"`
			r.describes("/about", as.URL())
		}, "[notes]", "[/about]"},
		"beside its path": {func(r *resourceServer) { r.describes(protectedPlace+"/mcp", as.URL()) }, "[read write]", "[" + protectedPlace + "/mcp]"},
		"at the root": {func(r *resourceServer) { r.describes(protectedPlace, as.URL()) }, "[read write]",
			"[" + protectedPlace + "/mcp " + protectedPlace + "]"},
		"for all of its host": {func(r *resourceServer) { r.describes(protectedPlace, as.URL())["resource"] = r.URL }, "[read write]",
			"[" + protectedPlace + "/mcp " + protectedPlace + "]"},
		"the second server answers": {func(r *resourceServer) { r.describes(protectedPlace+"/mcp", r.URL+"/nobody", as.URL()) }, "[read write]", ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := newResource(t)
			c.set(r)
			found, err := oauth.NewHTTP(oauth.HTTPOptions{}).DiscoverResource(t.Context(), r.at(), true, nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			if found.Server.Issuer != as.URL() || fmt.Sprint(found.Scopes) != c.scopes || c.asked != "" && fmt.Sprint(r.asked) != c.asked {
				t.Errorf("%+v after %v", found, r.asked)
			}
			if found.Indicator == "" || found.Name != "Notes" && name != "by its challenge" {
				t.Errorf("%+v", found)
			}
		})
	}
	t.Run("the one that is known already comes first", func(t *testing.T) {
		r, second := newResource(t), evilas.New(t, evilas.Config{})
		r.describes(protectedPlace, as.URL(), second.URL())
		found, err := oauth.NewHTTP(oauth.HTTPOptions{}).DiscoverResource(t.Context(), r.at(), true, nil, []string{second.URL()})
		if err != nil || found.Server.Issuer != second.URL() {
			t.Errorf("%+v %v", found.Server, err)
		}
	})
}

func TestAResourceThatDoesNotDescribeItself(t *testing.T) { // MCP 2025-03-26
	r := newResource(t)
	found, err := oauth.NewHTTP(oauth.HTTPOptions{}).DiscoverResource(t.Context(), r.at(), true, nil, nil)
	if err != nil || !found.Server.Presumed || found.Server.TokenURL != r.URL+"/token" || found.Indicator != "" {
		t.Fatalf("%+v %v", found, err)
	}
	r.documents[oauthPlace] = map[string]any{"issuer": r.URL, "authorization_endpoint": r.URL + "/a", "token_endpoint": r.URL + "/t"}
	found, err = oauth.NewHTTP(oauth.HTTPOptions{}).DiscoverResource(t.Context(), r.at(), true, nil, nil)
	if err != nil || found.Server.Presumed || found.Server.TokenURL != r.URL+"/t" {
		t.Fatalf("%+v %v", found, err)
	}
	r.documents[oauthPlace]["issuer"] = "https://honest.example"
	if found, err = oauth.NewHTTP(oauth.HTTPOptions{}).DiscoverResource(t.Context(), r.at(), true, nil, nil); err == nil {
		t.Errorf("a server that says it is another was taken: %+v", found)
	}
}

func TestAResourceIsNotBelievedAboutOthers(t *testing.T) {
	as := evilas.New(t, evilas.Config{})
	for name, set := range map[string]func(*resourceServer){
		"DI-19 another resource": func(r *resourceServer) {
			r.describes(protectedPlace+"/mcp", as.URL())["resource"] = "https://honest.example/mcp"
		},
		"DI-19 a sibling":     func(r *resourceServer) { r.describes(protectedPlace+"/mcp", as.URL())["resource"] = r.URL + "/mc" },
		"DI-19 a place below": func(r *resourceServer) { r.describes(protectedPlace+"/mcp", as.URL())["resource"] = r.URL + "/mcp/x" },
		"DI-19 no resource": func(r *resourceServer) {
			delete(r.describes(protectedPlace+"/mcp", as.URL()), "resource")
			delete(r.documents, protectedPlace)
		},
		"no server":                     func(r *resourceServer) { r.describes(protectedPlace) },
		"DI-23 described at a file":     func(r *resourceServer) { r.challenge = `Bearer resource_metadata="file:///etc/passwd"` },
		"DI-23 described at a metadata": func(r *resourceServer) { r.challenge = `Bearer resource_metadata="http://169.254.169.254/latest"` },
		"issued by no URL":              func(r *resourceServer) { r.describes(protectedPlace, "javascript:alert(1)") },
		"issued over plain http":        func(r *resourceServer) { r.describes(protectedPlace, "http://as.example") },
		"DI-01 another issuer": func(r *resourceServer) {
			r.describes(protectedPlace, as.URL())
			as.Script(oauthPlace, document(as, map[string]any{"issuer": "https://honest.example"}))
			as.Script(oidcPlace, document(as, map[string]any{"issuer": "https://honest.example"}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newResource(t)
			set(r)
			found, err := oauth.NewHTTP(oauth.HTTPOptions{}).DiscoverResource(t.Context(), r.at(), true, nil, nil)
			if fault.CodeOf(err) != fault.DiscoveryFailed {
				t.Errorf("%+v, %v", found, err)
			}
		})
	}
	t.Run("DI-12 out of public space and in again", func(t *testing.T) {
		if _, err := oauth.NewHTTP(oauth.HTTPOptions{}).DiscoverResource(t.Context(), "https://mcp.example/mcp", false,
			&oauth.Challenge{Scheme: "Bearer", ResourceMetadata: "https://127.0.0.1/x"}, nil); fault.CodeOf(err) != fault.DiscoveryFailed {
			t.Error(err)
		}
	})
}

func TestTheResourceIsNamedInEachRequest(t *testing.T) { // DI-22, RFC 8707 section 2
	r := newRig(t, evilas.Config{})
	r.server.Resource = "https://mcp.example/mcp?a=b"
	u, err := oauth.AuthorizationURL(oauth.AuthorizationRequest{Server: r.server, Client: public, State: oauth.NewState(), Verifier: oauth.NewVerifier()}, redirectURI)
	if err != nil {
		t.Fatal(err)
	}
	asked, _ := url.Parse(u)
	token, _, err := r.exchange(t)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.http.Refresh(t.Context(), r.server, public, token.Refresh); err != nil {
		t.Fatal(err)
	}
	if got := asked.Query()["resource"]; !slices.Equal(got, []string{r.server.Resource}) {
		t.Errorf("authorization request: %v", got)
	}
	if n := r.as.Count("resource=" + url.QueryEscape(r.server.Resource)); n != 2 {
		t.Errorf("%d of exchange and refresh name it", n)
	}
}

func TestRegistration(t *testing.T) { // RFC 7591
	r := newRig(t, evilas.Config{})
	at := r.as.URL() + "/register"
	register := func(status int, answer string) (oauth.Registration, error) {
		step := evilas.JSON(answer)
		step.Status = status
		r.as.Script("/register", step)
		return r.http.Register(t.Context(), r.server, at, oauth.ClientMetadata{Name: "Keyturn", RedirectURIs: []string{redirectURI}, Scopes: []string{"a", "b"}, Auth: oauth.AuthNone})
	}
	got, err := register(201, `{"client_id":"c1","registration_client_uri":"`+at+`/c1","registration_access_token":"rat","client_secret_expires_at":0}`)
	if err != nil || got.Client.ID != "c1" || got.Client.Auth != oauth.AuthNone || got.Token.Reveal() != "rat" || !got.Ends.IsZero() {
		t.Errorf("%+v %v", got, err)
	}
	for _, sent := range []string{`"application_type":"native"`, `"redirect_uris":["` + redirectURI + `"]`, `"token_endpoint_auth_method":"none"`, `"scope":"a b"`, `"grant_types":["authorization_code","refresh_token"]`} {
		if !r.as.Saw(sent) {
			t.Errorf("%s was not sent", sent)
		}
	}
	got, err = register(200, `{"client_id":"c2","client_secret":"s","token_endpoint_auth_method":"client_secret_post","client_secret_expires_at":1900000000}`)
	if err != nil || got.Client.Auth != oauth.AuthPost || got.Client.Secret.Reveal() != "s" || got.Ends.Year() != 2030 {
		t.Errorf("%+v %v", got, err)
	}
	for name, answer := range map[string]string{
		"nothing":           `{}`,
		"a list":            `[]`,
		"no secret":         `{"client_id":"c","token_endpoint_auth_method":"client_secret_basic"}`,
		"unknown method":    `{"client_id":"c","token_endpoint_auth_method":"tls_client_auth"}`,
		"an id of two":      `{"client_id":"c","client_id":"d"}`,
		"an id with breaks": `{"client_id":"c\r\nX: y"}`,
		"a number":          `{"client_id":7}`,
	} {
		if got, err := register(201, answer); fault.CodeOf(err) != fault.RegistrationFailed {
			t.Errorf("%s: %+v %v", name, got, err)
		}
	}
	if _, err = register(403, `{"error":"access_denied"}`); fault.CodeOf(err) != fault.RegistrationFailed || !strings.Contains(err.Error(), "access_denied") {
		t.Error(err)
	}
	// Management that leads elsewhere is forgotten: its token would go there.
	if got, err = register(201, `{"client_id":"c","registration_client_uri":"http://evil.example/c","registration_access_token":"rat"}`); err != nil || got.URL != "" {
		t.Errorf("%+v %v", got, err)
	}
	r.as.Script("/register/c1", evilas.Step{Status: 204})
	if err := r.http.Unregister(t.Context(), r.server, oauth.Management{URL: at + "/c1", Token: oauth.NewSecret("rat")}); err != nil || !r.as.Saw("Bearer rat") {
		t.Error(err)
	}
}
