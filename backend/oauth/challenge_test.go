package oauth_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"keyturn/backend/oauth"
)

func TestAChallengeIsRead(t *testing.T) { // DI-23
	const at = "https://mcp.example/.well-known/oauth-protected-resource"
	for name, c := range map[string]struct {
		lines []string
		want  oauth.Challenge
		none  bool
	}{
		"RFC 9728":            {[]string{`Bearer resource_metadata="` + at + `"`}, oauth.Challenge{Scheme: "Bearer", ResourceMetadata: at}, false},
		"all of it":           {[]string{`Bearer realm="x", error="insufficient_scope", error_description="a \"b\", c", scope="files:read files:write", resource_metadata="` + at + `"`}, oauth.Challenge{Scheme: "Bearer", Error: "insufficient_scope", Scopes: []string{"files:read", "files:write"}, ResourceMetadata: at}, false},
		"bare":                {[]string{"Bearer"}, oauth.Challenge{Scheme: "Bearer"}, false},
		"capitals":            {[]string{`BEARER Scope="a"`}, oauth.Challenge{Scheme: "Bearer", Scopes: []string{"a"}}, false},
		"DPoP":                {[]string{`DPoP error="use_dpop_nonce"`}, oauth.Challenge{Scheme: "DPoP", Error: "use_dpop_nonce"}, false},
		"after another":       {[]string{`Basic realm="x", Bearer scope=a`}, oauth.Challenge{Scheme: "Bearer", Scopes: []string{"a"}}, false},
		"on another line":     {[]string{`Negotiate`, `Bearer scope="a"`}, oauth.Challenge{Scheme: "Bearer", Scopes: []string{"a"}}, false},
		"quotes forgotten":    {[]string{`Bearer resource_metadata=` + at}, oauth.Challenge{Scheme: "Bearer", ResourceMetadata: at}, false},
		"scope of no scope":   {[]string{"Bearer scope=\"a \u00e9 b\""}, oauth.Challenge{Scheme: "Bearer", Scopes: []string{"a", "b"}}, false},
		"another scheme":      {[]string{`Basic realm="x"`}, oauth.Challenge{}, true},
		"nothing":             {nil, oauth.Challenge{}, true},
		"a quote without end": {[]string{`Bearer scope="a`}, oauth.Challenge{Scheme: "Bearer"}, false},
		"twice":               {[]string{`Bearer scope="a", scope="b"`}, oauth.Challenge{}, true},
		"a megabyte":          {[]string{`Bearer scope="` + strings.Repeat("a", 1<<20) + `"`}, oauth.Challenge{}, true},
		"commas":              {[]string{strings.Repeat(",", 4000) + "Bearer"}, oauth.Challenge{Scheme: "Bearer"}, false},
	} {
		got, ok := oauth.ChallengeOf(http.Header{"Www-Authenticate": c.lines})
		if ok == c.none || got.Scheme != c.want.Scheme || got.Error != c.want.Error || got.ResourceMetadata != c.want.ResourceMetadata || !slices.Equal(got.Scopes, c.want.Scopes) {
			t.Errorf("%s: got %+v (%v), want %+v", name, got, ok, c.want)
		}
	}
}

// FuzzWWWAuthenticate: what comes out is bounded and made of the characters
// that the RFCs allow.
func FuzzWWWAuthenticate(f *testing.F) {
	f.Add(`Bearer realm="x", error="invalid_token", scope="a b", resource_metadata="https://x/y"`)
	f.Add(`Basic a==, DPoP algs="ES256", Bearer`)
	f.Fuzz(func(t *testing.T, line string) {
		c, ok := oauth.ChallengeOf(http.Header{"Www-Authenticate": {line}})
		if !ok && (c.Scheme != "" || c.Scopes != nil) {
			t.Errorf("no challenge, and yet %+v", c)
		}
		if ok && c.Scheme != "Bearer" && c.Scheme != "DPoP" || len(c.Scopes) > 100 {
			t.Errorf("%+v", c)
		}
		for _, s := range append(c.Scopes, c.Error) {
			if strings.ContainsFunc(s, func(r rune) bool { return r < '!' && s != c.Error || r < ' ' || r > '~' || r == '"' || r == '\\' }) {
				t.Errorf("%q", s)
			}
		}
	})
}
