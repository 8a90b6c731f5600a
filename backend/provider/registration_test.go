package provider_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"keyturn/backend/api/wire"
	"keyturn/backend/fault"
	"keyturn/backend/oauth"
	"keyturn/backend/provider"
)

// The local API converts one to the other.
var _ = provider.Registration(wire.ProviderRegister{})

// typed is a registration of somebody who typed both endpoints.
func typed(change func(*provider.Registration)) provider.Registration {
	r := provider.Registration{ProviderKey: "forge", AuthURL: "https://forge.example/authorize", TokenURL: "https://forge.example/token"}
	if change != nil {
		change(&r)
	}
	return r
}

// published is what an honest issuer says.
func published(change func(*oauth.Metadata)) *oauth.Metadata {
	m := &oauth.Metadata{
		Issuer:           "https://id.forge.example",
		AuthorizationURL: "https://id.forge.example/authorize",
		TokenURL:         "https://api.forge.example/token",
		RevocationURL:    "https://api.forge.example/revoke",
		UserinfoURL:      "https://api.forge.example/me",
		JWKSURL:          "https://keys.elsewhere.example/jwks",
		ScopesSupported:  []string{"openid", "email", "admin", "offline_access"},
		TokenAuthMethods: []string{"client_secret_post", "private_key_jwt"},
		IssParameter:     true,
		PKCES256:         true,
	}
	if change != nil {
		change(m)
	}
	return m
}

var byIssuer = provider.Registration{ProviderKey: "forge", Issuer: "https://id.forge.example"}

func TestRegisterWithTypedEndpoints(t *testing.T) {
	p, err := provider.FromRegistration(typed(func(r *provider.Registration) {
		r.TokenURL = "https://tokens.elsewhere.example/token" // both hosts were typed
		r.DisplayName = "Our  Forge\u202e\n"
		r.TokenAuthMethod = "client_secret_basic"
		r.TokenBodyFormat = "json"
		r.RevokeURL, r.RevokeMethod, r.RevokeAuth = "https://forge.example/apps/{client_id}/token", "DELETE", "client"
		r.RevokeBody = map[string]string{"access_token": "{token}"}
		r.UserinfoURL, r.IdentityURL = "https://forge.example/userinfo", "https://forge.example/me"
		r.IdentityResponsePaths = []string{"data.login"}
		r.Scopes, r.ScopeSeparator = []string{"read", "write"}, ","
		r.APIHosts = []string{"api.forge.example", "*.forge.example"}
		r.ConsoleURL = "https://console.example/apps" // for the browser only
	}), nil)
	if err != nil {
		t.Fatal(err)
	}
	s := p.Server()
	if p.Name != "Our Forge" || !p.Custom || p.PKCE != "unverified" || !p.NeedsSecret() {
		t.Errorf("%+v", p)
	}
	if s.Token.URL != "https://tokens.elsewhere.example/token" || !s.Token.JSON || s.Revoke.Auth != "" || s.Revoke.Method != "DELETE" || s.Identity.URL != "https://forge.example/me" || s.ScopeSeparator != "," {
		t.Errorf("%+v", s)
	}
	if got := p.RedirectURI(27419, ""); got != "http://127.0.0.1/oauth/callback/forge" {
		t.Errorf("registered providers take any port unless one is named: %s", got)
	}
	if want := []string{"forge.example", "tokens.elsewhere.example"}; !slices.Equal(s.TrustedHosts, want) {
		t.Errorf("trusted hosts %v, want those that were typed: %v", s.TrustedHosts, want)
	}
}

func TestRegisterByIssuer(t *testing.T) {
	p, err := provider.FromRegistration(byIssuer, published(nil))
	if err != nil {
		t.Fatal(err)
	}
	s := p.Server()
	if s.Issuer != "https://id.forge.example" || !s.IssParameter || s.JWKSURL == "" || s.Token.URL != "https://api.forge.example/token" || s.Revoke.URL == "" || s.Identity.URL != "https://api.forge.example/me" {
		t.Errorf("%+v", s)
	}
	if p.PKCE != "s256" || !slices.Equal(p.Client.Auth, []string{"none", "post", "key"}) || !slices.Equal(p.Scope.Default, []string{"openid", "email", "offline_access"}) {
		t.Errorf("%+v", p)
	}
	if !slices.Equal(s.TrustedHosts, []string{"id.forge.example"}) {
		t.Errorf("only the issuer was typed, trusted are %v", s.TrustedHosts)
	}

	t.Run("without a list of methods Basic is meant", func(t *testing.T) {
		p, err := provider.FromRegistration(byIssuer, published(func(m *oauth.Metadata) { m.TokenAuthMethods = nil }))
		if err != nil || !slices.Equal(p.Client.Auth, []string{"none", "basic"}) {
			t.Errorf("%v %v", p.Client.Auth, err)
		}
	})
	t.Run("scopes that are asked for stay as they are", func(t *testing.T) {
		r := byIssuer
		r.Scopes = []string{"admin"}
		p, err := provider.FromRegistration(r, published(nil))
		if err != nil || !slices.Equal(p.Scope.Default, []string{"admin"}) {
			t.Errorf("%v %v", p.Scope.Default, err)
		}
	})
	t.Run("DI-07 typing both endpoints overrules the document", func(t *testing.T) {
		r := byIssuer
		r.AuthURL, r.TokenURL = "https://id.forge.example/authorize", "https://tokens.elsewhere.example/token"
		p, err := provider.FromRegistration(r, published(func(m *oauth.Metadata) { m.UserinfoURL, m.RevocationURL = "", "" }))
		if err != nil || p.Token.URL != r.TokenURL || p.Issuer != r.Issuer {
			t.Errorf("%+v %v", p, err)
		}
	})
}

func TestAHostileDocumentIsRefused(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*oauth.Metadata)
		says   string
	}{
		{"DI-01 another issuer", func(m *oauth.Metadata) { m.Issuer = "https://honest.example" }, "id.forge.example says that it is another issuer"},
		{"DI-18 R-03 no PKCE", func(m *oauth.Metadata) { m.PKCES256 = false }, "id.forge.example does not say that it supports PKCE"},
		{"DI-07 tokens on another domain", func(m *oauth.Metadata) { m.TokenURL = "https://tokens.evil.example/token" }, "id.forge.example would have you approve at id.forge.example and the code sent to tokens.evil.example"},
		{"DI-08 approval at an honest server", func(m *oauth.Metadata) { m.AuthorizationURL = "https://honest.example/authorize" }, "id.forge.example would have you approve at honest.example and the code sent to api.forge.example"},
		{"DI-08 neighbours under a public suffix", func(m *oauth.Metadata) {
			m.AuthorizationURL, m.TokenURL = "https://honest.github.io/a", "https://evil.github.io/t"
		}, "id.forge.example would have you approve"},
		{"DI-08 addresses that look alike", func(m *oauth.Metadata) {
			m.AuthorizationURL, m.TokenURL = "https://192.0.2.1/a", "https://198.51.2.1/t"
		}, "id.forge.example would have you approve"},
		{"an honest server with a stranger's userinfo", func(m *oauth.Metadata) {
			m.AuthorizationURL, m.TokenURL, m.RevocationURL = "https://honest.example/a", "https://honest.example/t", ""
			m.UserinfoURL = "https://evil.example/me"
		}, "id.forge.example names an endpoint that asks who you are at evil.example"},
		{"an honest server with a stranger's revocation", func(m *oauth.Metadata) { m.RevocationURL = "https://evil.example/r" }, "id.forge.example names an endpoint that revokes tokens at evil.example"},
		{"authentication that is not spoken here", func(m *oauth.Metadata) { m.TokenAuthMethods = []string{"client_secret_jwt", "tls_client_auth"} }, "id.forge.example wants OAuth apps to authenticate in ways"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := provider.FromRegistration(byIssuer, published(c.change))
			if fault.CodeOf(err) != fault.DiscoveryFailed || !strings.HasPrefix(fault.MessageOf(err), c.says) {
				t.Errorf("%s: %v", fault.CodeOf(err), err)
			}
		})
	}
}

func TestMalformedRegistrations(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*provider.Registration)
		code   fault.Code
		says   string
	}{
		{"no key", func(r *provider.Registration) { r.ProviderKey = "" }, fault.BadRequest, "provider_key must be"},
		{"a key that is a path", func(r *provider.Registration) { r.ProviderKey = "../x" }, fault.BadRequest, "provider_key must be"},
		{"a key in capitals", func(r *provider.Registration) { r.ProviderKey = "Forge" }, fault.BadRequest, "provider_key must be"},
		{"a key without end", func(r *provider.Registration) { r.ProviderKey = strings.Repeat("a", 65) }, fault.BadRequest, "provider_key must be"},
		{"CF-04 the key of a built-in", func(r *provider.Registration) { r.ProviderKey = "github" }, fault.Conflict, "The provider github comes with Keyturn"},
		{"nothing to go by", func(r *provider.Registration) { r.AuthURL, r.TokenURL = "", "" }, fault.BadRequest, "Give the issuer, or auth_url and token_url."},
		{"half of the endpoints", func(r *provider.Registration) { r.TokenURL = "" }, fault.BadRequest, "auth_url and token_url come together"},
		{"R-20 plain http", func(r *provider.Registration) { r.TokenURL = "http://forge.example/token" }, fault.BadRequest, "token_url is not usable: it must start with https://"},
		{"R-20 http on loopback without leave", func(r *provider.Registration) { r.AuthURL = "http://127.0.0.1:8080/a" }, fault.BadRequest, "auth_url is not usable"},
		{"R-20 http elsewhere with leave", func(r *provider.Registration) {
			r.AllowLoopbackHTTP, r.TokenURL = true, "http://forge.example/token"
		}, fault.BadRequest, "token_url is not usable"},
		{"http for a name that starts like loopback", func(r *provider.Registration) {
			r.AllowLoopbackHTTP, r.TokenURL = true, "http://127.0.0.1.evil.example/token"
		}, fault.BadRequest, "token_url is not usable"},
		{"DI-04 an address with a fragment", func(r *provider.Registration) { r.UserinfoURL = "https://forge.example/me#x" }, fault.BadRequest, "userinfo_url is not usable"},
		{"DI-04 an address with a blank", func(r *provider.Registration) { r.AuthURL = "https://forge.example/a b" }, fault.BadRequest, "auth_url is not usable"},
		{"DI-05 an address for a shell", func(r *provider.Registration) { r.AuthURL = "https://forge.example/`id`" }, fault.BadRequest, "auth_url is not usable"},
		{"a script as a console", func(r *provider.Registration) { r.ConsoleURL = "javascript:alert(1)" }, fault.BadRequest, "console_url is not usable"},
		{"an unknown method", func(r *provider.Registration) { r.TokenAuthMethod = "tls_client_auth" }, fault.BadRequest, "token_auth_method must be one of"},
		{"an unknown body", func(r *provider.Registration) { r.TokenBodyFormat = "xml" }, fault.BadRequest, "token_body_format must be one of: form, json."},
		{"a token in a URL", func(r *provider.Registration) {
			r.RevokeURL, r.RevokeMethod = "https://forge.example/r", "GET"
		}, fault.BadRequest, "revoke_method must be one of: POST, DELETE."},
		{"revocation without an address", func(r *provider.Registration) { r.RevokeMethod = "POST" }, fault.BadRequest, "revoke_url is needed"},
		{"a parameter of the protocol", func(r *provider.Registration) { r.AuthorizeParams = map[string]string{"redirect_uri": "x"} }, fault.BadRequest, "authorize_params.redirect_uri is set by the protocol"},
		{"a header that is two", func(r *provider.Registration) { r.IdentityHeaders = map[string]string{"X": "1\r\nY: 2"} }, fault.BadRequest, "identity_headers.X must be one line"},
		{"a header of ours", func(r *provider.Registration) { r.IdentityHeaders = map[string]string{"Authorization": "x"} }, fault.BadRequest, "identity_headers.Authorization is set by the protocol"},
		{"scopes that are one string", func(r *provider.Registration) { r.Scopes = []string{"read write"} }, fault.BadRequest, "scopes[0] is not a scope"},
		{"a path that is none", func(r *provider.Registration) { r.IdentityResponsePaths = []string{"a..b"} }, fault.BadRequest, "identity_response_paths[0] must be names joined by dots"},
		{"a port for root", func(r *provider.Registration) { r.CallbackPort = 80 }, fault.BadRequest, "callback_port must be a port from 1024"},
		{"another host to return to", func(r *provider.Registration) { r.RedirectHost = "evil.example" }, fault.BadRequest, "redirect_host must be one of: 127.0.0.1, localhost."},
		{"a host with a path", func(r *provider.Registration) { r.APIHosts = []string{"forge.example/api"} }, fault.BadRequest, "api_hosts[0] must be a host"},
		{"iss without an issuer", func(r *provider.Registration) { r.IssParameter = true }, fault.BadRequest, "issuer is needed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := provider.FromRegistration(typed(c.change), nil)
			if fault.CodeOf(err) != c.code || !strings.HasPrefix(fault.MessageOf(err), c.says) {
				t.Errorf("%s: %v\nwant %s", fault.CodeOf(err), err, c.says)
			}
		})
	}
}

func TestLoopbackOverHTTPNeedsLeave(t *testing.T) {
	r := typed(func(r *provider.Registration) {
		r.AuthURL, r.TokenURL, r.AllowLoopbackHTTP = "http://127.0.0.1:8080/a", "http://localhost:8080/t", true
	})
	p, err := provider.FromRegistration(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !p.AllowLoopbackHTTP || !p.Server().AllowLoopbackHTTP {
		t.Error("the leave is lost")
	}
}

func TestUpdateKeepsWhatIsNotNamed(t *testing.T) {
	p := custom(t)
	before := p
	got, err := provider.Registration{ProviderKey: "forge", Scopes: []string{"read", "write"}, RevokeURL: "https://forge.example/revoke"}.ApplyTo(p, nil)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got.Scope.Default, []string{"read", "write"}) || got.Revoke.URL == "" {
		t.Errorf("%+v", got)
	}
	if got.Name != "Our Forge" || got.Authorize.Params["audience"] != "api" || got.Redirect.Port != 8123 || got.Token.URL != before.Token.URL {
		t.Errorf("something else changed: %+v", got)
	}
	if !reflect.DeepEqual(p, before) || !slices.Equal(p.Scope.Default, []string{"read"}) {
		t.Errorf("the old one changed: %+v", p)
	}

	t.Run("two updates of one do not mix", func(t *testing.T) {
		p := p
		p.TrustedHosts = append(make([]string, 0, 8), p.TrustedHosts...)
		first, err := provider.Registration{ProviderKey: "forge", RevokeURL: "https://one.example/r"}.ApplyTo(p, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := (provider.Registration{ProviderKey: "forge", RevokeURL: "https://two.example/r"}).ApplyTo(p, nil); err != nil {
			t.Fatal(err)
		}
		if !slices.Contains(first.TrustedHosts, "one.example") || slices.Contains(first.TrustedHosts, "two.example") {
			t.Errorf("%v", first.TrustedHosts)
		}
	})
	t.Run("a new issuer is discovered", func(t *testing.T) {
		got, err := byIssuer.ApplyTo(p, published(nil))
		if err != nil || got.Token.URL != "https://api.forge.example/token" || got.PKCE != "s256" {
			t.Errorf("%+v %v", got, err)
		}
	})
	for _, c := range []struct {
		name string
		r    provider.Registration
		to   provider.Provider
		code fault.Code
	}{
		{"CF-04 a built-in", provider.Registration{ProviderKey: "github", TokenURL: "https://evil.example/t"}, lookup(t, "github"), fault.Conflict},
		{"another key", provider.Registration{ProviderKey: "other"}, p, fault.BadRequest},
		{"an address that is none", provider.Registration{ProviderKey: "forge", TokenURL: "forge.example/token"}, p, fault.BadRequest},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := c.r.ApplyTo(c.to, nil); fault.CodeOf(err) != c.code {
				t.Errorf("%s: %v", fault.CodeOf(err), err)
			}
		})
	}
}

// What the local API accepts as a field reaches the provider: each field of a
// registration changes something.
func TestEveryFieldOfARegistrationCounts(t *testing.T) {
	values := map[string]any{
		"DisplayName": "Other", "AuthURL": "https://b.example/a", "TokenURL": "https://b.example/t", "RefreshURL": "https://b.example/r",
		"RevokeURL": "https://b.example/v", "RevokeMethod": "DELETE", "RevokeAuth": "bearer", "RevokeBody": map[string]string{"a": "b"},
		"UserinfoURL": "https://b.example/u", "IdentityURL": "https://b.example/i", "IdentityMethod": "POST", "IdentityHeaders": map[string]string{"X": "y"},
		"IdentityBody": "{}", "IdentityOKField": "ok", "IdentityResponsePaths": []string{"a.b"}, "IdentityFormat": "@{a}",
		"Scopes": []string{"x"}, "ScopeSeparator": ",", "TokenAuthMethod": "none", "TokenBodyFormat": "json", "TokenResponseRoot": "data",
		"AuthorizeParams": map[string]string{"a": "b"}, "TokenParams": map[string]string{"a": "b"}, "APIHosts": []string{"b.example"},
		"CallbackPort": 5000, "DPoP": true, "RedirectHost": "localhost", "ConsoleURL": "https://b.example/c", "IssParameter": true, "AllowLoopbackHTTP": true,
	}
	base, err := byIssuer.ApplyTo(custom(t), published(nil))
	if err != nil {
		t.Fatal(err)
	}
	fields := reflect.TypeFor[provider.Registration]()
	for i := range fields.NumField() {
		name := fields.Field(i).Name
		if name == "ProviderKey" || name == "Issuer" || name == "Extends" || name == "Vars" {
			continue // tested by themselves
		}
		value, ok := values[name]
		if !ok {
			t.Errorf("no value for %s: add one", name)
			continue
		}
		p := base
		if name == "IssParameter" {
			p.IssParameter = false
		}
		r := provider.Registration{ProviderKey: "forge"}
		reflect.ValueOf(&r).Elem().FieldByName(name).Set(reflect.ValueOf(value))
		got, err := r.ApplyTo(p, nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got.TrustedHosts = p.TrustedHosts
		if reflect.DeepEqual(got, p) {
			t.Errorf("%s changes nothing", name)
		}
	}
}
