package oauth

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"
)

func FuzzTokenResponse(f *testing.F) {
	for _, body := range []string{
		`{"access_token":"a","token_type":"Bearer","expires_in":3600,"refresh_token":"r","scope":"a b"}`,
		`{"ok":true,"authed_user":{"access_token":"a","token_type":"user"}}`, `{"error":"invalid_grant"}`, `{"error":{"code":"x"}}`,
		"access_token=a&token_type=bearer", "null", "[]", `{"access_token":"a","token_type":"bearer","expires_in":"-1","scope":["a"]}`, "<html>",
	} {
		f.Add(200, "application/json", []byte(body), uint8(0))
		f.Add(400, "text/html", []byte(body), uint8(255))
	}
	f.Fuzz(func(t *testing.T, status int, contentType string, body []byte, quirks uint8) {
		shape := TokenResponseShape{Form: quirks&1 != 0, AnyContentType: quirks&2 != 0, NoTokenType: quirks&4 != 0}
		if quirks&8 != 0 {
			shape.Root = "authed_user"
		}
		if quirks&16 != 0 {
			shape.OKField = "ok"
		}
		asked := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		a := answer{status: status, header: http.Header{"Content-Type": {contentType}}, body: body, asked: asked}
		token, _, failed := readToken(opExchange, Server{Token: TokenEndpoint{Response: shape}, JWKSURL: "https://as.example/jwks"}, Client{}, a)
		if failed != nil {
			if failed.Kind == 0 || !token.Access.IsZero() || failed.Code != "" && cleanErrorCode(failed.Code) != failed.Code {
				t.Fatalf("%+v with token %v", failed, !token.Access.IsZero())
			}
			return
		}
		if status != 200 || token.Access.IsZero() || token.Type != "Bearer" {
			t.Fatalf("accepted status %d, token %v, type %q", status, !token.Access.IsZero(), token.Type)
		}
		for _, secret := range []Secret{token.Access, token.Refresh, token.ID} {
			if s := secret.Reveal(); len(s) > maxToken || strings.ContainsFunc(s, func(r rune) bool { return r < 0x21 || r > 0x7e }) {
				t.Fatalf("accepted the token %q", s)
			}
		}
		if !token.Expiry.IsZero() && (token.Expiry.Before(asked) || token.Expiry.After(asked.Add(maxLifetime))) {
			t.Fatalf("expiry %v", token.Expiry)
		}
		for _, scope := range token.Scopes {
			if scope == "" || !isScopeToken(scope) {
				t.Fatalf("scope %q", scope)
			}
		}
	})
}

func FuzzDiscovery(f *testing.F) {
	const issuer = "https://as.example"
	f.Add([]byte(`{"issuer":"https://as.example","authorization_endpoint":"https://as.example/a","token_endpoint":"https://b.example/t","code_challenge_methods_supported":["S256"]}`))
	f.Add([]byte(`{"issuer":"https://as.example/","authorization_endpoint":"https://127.0.0.1/a","token_endpoint":"http://x"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		m, err := readMetadata(body, issuer, false)
		if err != nil {
			return
		}
		if m.Issuer != issuer || m.AuthorizationURL == "" || m.TokenURL == "" {
			t.Fatalf("accepted %+v", m)
		}
		for _, raw := range []string{m.AuthorizationURL, m.TokenURL, m.RevocationURL, m.UserinfoURL, m.JWKSURL, m.DeviceURL, m.RegistrationURL} {
			if raw == "" {
				continue
			}
			if ValidEndpoint(raw, false) != nil || isInwardHost(raw) {
				t.Fatalf("accepted %q", raw)
			}
		}
	})
}

func FuzzAuthorizationResponse(f *testing.F) {
	for _, query := range []string{"code=a&state=s&iss=https%3A%2F%2Fx", "error=e&state=s", "code=a&code=b&state=s", "code=%00&state=s", "&&=&code", "code=a;state=s"} {
		f.Add(query)
	}
	f.Fuzz(func(t *testing.T, query string) {
		state, r, err := ParseAuthorizationResponse(query)
		if err != nil {
			if state != "" || !r.Code.IsZero() || r.Error != "" || r.Iss != nil {
				t.Fatal("a malformed response had an effect")
			}
			return
		}
		if state == "" || !isVSCHAR(state) || !isVSCHAR(r.Code.Reveal()) || r.Code.IsZero() == (r.Error == "") {
			t.Fatalf("accepted state %q code %q error %q", state, r.Code.Reveal(), r.Error)
		}
		if r.Error != "" && cleanErrorCode(r.Error) != r.Error {
			t.Fatalf("error %q", r.Error)
		}
		// Another parser must see the same.
		values, err := url.ParseQuery(query)
		if err != nil || len(values["state"]) != 1 || values.Get("state") != state || values.Get("code") != r.Code.Reveal() || len(values["code"])+len(values["error"]) != 1 {
			t.Fatalf("net/url reads %v, %v", values, err)
		}
	})
}

func FuzzRetryAfter(f *testing.F) {
	for _, value := range []string{"", "120", "-1", "Fri, 31 Dec 1999 23:59:59 GMT", "99999999999999999999"} {
		f.Add(value)
	}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, value string) {
		if d := retryAfter(value, now); d != 0 && (d < time.Second || d > time.Hour) {
			t.Fatalf("%q: %v", value, d)
		}
	})
}

func FuzzValidEndpoint(f *testing.F) {
	for _, raw := range []string{"https://as.example/a?b", "http://127.0.0.1:1/", "https://u@x", "https://[::1]:8443/", "https://127.1/", "https://x/`id`", "https:evil"} {
		f.Add(raw, true)
		f.Add(raw, false)
	}
	f.Fuzz(func(t *testing.T, raw string, loopback bool) {
		if ValidEndpoint(raw, loopback) != nil {
			return
		}
		u, err := url.Parse(raw)
		if err != nil || u.Host == "" || u.Hostname() == "" || u.User != nil || u.Opaque != "" || u.Fragment != "" || strings.ContainsAny(raw, " \\\"<>`|{}^#\r\n\x00") {
			t.Fatalf("accepted %q", raw)
		}
		if again, err := url.Parse(u.String()); err != nil || again.Host != u.Host || again.Scheme != u.Scheme || ValidEndpoint(u.String(), loopback) != nil {
			t.Fatalf("%q becomes %q", raw, u.String())
		}
		if u.Scheme != "https" && !(u.Scheme == "http" && loopback && isLoopbackHost(u.Hostname())) {
			t.Fatalf("accepted %q", raw)
		}
		if addr, err := netip.ParseAddr(u.Hostname()); err == nil && (addr.Zone() != "" || addr.IsUnspecified()) {
			t.Fatalf("accepted %q", raw)
		}
		if Origin(raw) == "" {
			t.Fatalf("%q has no origin", raw)
		}
	})
}
