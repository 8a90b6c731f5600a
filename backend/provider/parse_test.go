package provider_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"keyturn/backend/fault"
	"keyturn/backend/provider"
)

// small is the least a provider file can say.
const small = `id: forge
name: Forge
authorize:
  url: https://forge.example/authorize
token:
  url: https://forge.example/token
`

func TestParseReadsWhatAFileSays(t *testing.T) {
	p, err := provider.Parse("forge.yaml", []byte(small+`
scope: {separator: ",", default: [a, "b:c"], known: [{name: a, says: "Do a."}]}
iss_parameter: true
issuer: https://forge.example
refresh: {rotation: always}
redirect: {rule: fixed_port, port: 4000, host: localhost}
identity:
  body: |
    {"query": "me"}
`))
	if err != nil {
		t.Fatal(err)
	}
	if p.ID != "forge" || p.Scope.Default[1] != "b:c" || !p.IssParameter || p.Redirect.Port != 4000 || p.Identity.Body != "{\"query\": \"me\"}\n" {
		t.Errorf("%+v", p)
	}
	p, err = provider.Parse("forge.yaml", []byte(strings.Replace(small, "token:\n", "token:\n  response: {expires_default: 2h}\n", 1)))
	if err != nil || p.Token.Response.ExpiresDefault != 2*time.Hour {
		t.Errorf("%v %v", p.Token.Response.ExpiresDefault, err)
	}
}

func TestParseIsStrict(t *testing.T) {
	with := func(line string) string { return small + line + "\n" }
	for _, c := range []struct{ name, file, says string }{
		{"CF-02 an unknown field", with("issuerr: https://forge.example"), "forge.yaml:7: there is no field issuerr. Did you mean issuer?"},
		{"CF-02 an unknown field inside", strings.Replace(small, "token:\n", "token:\n  bdy: json\n", 1), "forge.yaml:6: there is no field token.bdy. Did you mean body?"},
		{"CF-02 an unknown field like no other", strings.Replace(small, "token:\n", "token:\n  zzzzzz: 1\n", 1), "forge.yaml:6: there is no field token.zzzzzz. token has: body, dpop, headers, params, refresh_params, refresh_url, response, url"},
		{"CF-08 a picture from elsewhere", with("icon: https://evil.example/x.svg"), "forge.yaml:7: there is no field icon."},
		{"CF-02 a key twice", with("name: Other"), "forge.yaml:7: name is there twice."},
		{"CF-02 a key twice inside", with(`revoke: {url: "https://a.example/r", params: {a: "1", a: "2"}}`), "forge.yaml:7: revoke.params.a is there twice."},
		{"CF-02 an anchor", with("category: &c code"), "forge.yaml:7: anchors and aliases are not used"},
		{"CF-02 an alias", "id: &i forge\nname: *i\n", "forge.yaml:1: anchors"},
		{"CF-02 a merge key", with("<<: {category: code}"), "forge.yaml:7: "},
		{"CF-02 a bomb", "a: &a [x,x,x,x]\nb: &b [*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b]\n", "forge.yaml:1: there is no field a."},
		{"CF-02 10 MiB", small + strings.Repeat("#", 10<<20), "forge.yaml is larger than 256 KiB."},
		{"CF-02 lines without end", strings.Repeat("a:\n", 80_000), "forge.yaml has more than 4000 lines."},
		{"CF-02 brackets without end", strings.Repeat("[", 200_000), "forge.yaml:1: this is nested too deeply"},
		{"CF-02 dashes without end", strings.Repeat("- ", 100_000), "forge.yaml:1: this is nested too deeply"},
		{"a tag", with("category: !!binary aGk="), "forge.yaml:7: tags are not used"},
		{"two documents", small + "---\nid: other\n", "forge.yaml:8: a second document starts here"},
		{"nothing", "", "forge.yaml is empty."},
		{"comments only", "# nothing\n", "forge.yaml is empty."},
		{"a list", "- id: forge\n", "forge.yaml:1: A provider is a group of fields"},
		{"a tab", "id: forge\nauthorize:\n\turl: https://x.example\n", "forge.yaml:3: "},
		{"a number for a text", strings.Replace(small, "name: Forge", "name: 7", 1), "forge.yaml:2: name is a text; write it in quotes"},
		{"a list for a text", strings.Replace(small, "name: Forge", "name: [Forge]", 1), "forge.yaml:2: name is a text"},
		{"a text for a list", with("scope: {default: read}"), "forge.yaml:7: scope.default is a list."},
		{"a text for true or false", with("iss_parameter: yes"), "forge.yaml:7: iss_parameter is true or false."},
		{"a text for a number", with(`redirect: {rule: fixed_port, port: "x"}`), "forge.yaml:7: redirect.port is a whole number."},
		{"a time without a unit", strings.Replace(small, "token:\n", "token:\n  response: {expires_default: 3600}\n", 1), "forge.yaml:6: token.response.expires_default is a span of time"},
		{"a field only we may set", with("custom: true"), "forge.yaml:7: there is no field custom."},
		{"hosts only the user may trust", with("trusted_hosts: [localhost]"), "forge.yaml:7: there is no field trusted_hosts."},

		{"no id", strings.Replace(small, "id: forge", "category: code", 1), "forge.yaml:1: id must be"},
		{"an id that is a path", strings.Replace(small, "id: forge", "id: ../forge", 1), "forge.yaml:1: id must be"},
		{"no name", strings.Replace(small, "name: Forge", "name: ''", 1), "forge.yaml:2: name is missing."},
		{"a name that turns the text around", strings.Replace(small, "name: Forge", "name: \"For\u202ege\"", 1), "forge.yaml:2: name must be one line"},
		{"plain http", strings.Replace(small, "https://forge.example/token", "http://forge.example/token", 1), "forge.yaml:6: token.url is not usable: it must start with https://"},
		{"http on loopback without leave", strings.Replace(small, "https://forge.example/token", "http://127.0.0.1/token", 1), "forge.yaml:6: token.url is not usable"},
		{"a password in an address", strings.Replace(small, "https://forge.example/token", "https://u:p@forge.example/token", 1), "forge.yaml:6: token.url is not usable: it must not hold a user name"},
		{"no token endpoint", "id: forge\nname: Forge\nauthorize:\n  url: https://forge.example/authorize\n", "forge.yaml:1: token.url is missing"},
		{"a parameter of the protocol", strings.Replace(small, "authorize:\n", "authorize:\n  params: {state: x}\n", 1), "forge.yaml:4: authorize.params.state is set by the protocol"},
		{"a token parameter of the protocol", strings.Replace(small, "token:\n", "token:\n  params: {code_verifier: x}\n", 1), "forge.yaml:6: token.params.code_verifier is set by the protocol"},
		{"a header of the protocol", strings.Replace(small, "token:\n", "token:\n  headers: {AUTHORIZATION: x}\n", 1), "forge.yaml:6: token.headers.AUTHORIZATION is set by the protocol"},
		{"a header that is two", strings.Replace(small, "token:\n", "token:\n  headers: {X-A: \"1\\r\\nX-B: 2\"}\n", 1), "forge.yaml:6: token.headers.X-A must be one line"},
		{"an unknown word", with("pkce: s265"), "forge.yaml:7: pkce is not known. Did you mean s256?"},
		{"plain PKCE", with("pkce: plain"), "forge.yaml:7: pkce must be one of: s256, unverified."},
		{"a token in a URL", with(`revoke: {url: "https://forge.example/r", method: GET}`), "forge.yaml:7: revoke.method must be one of: POST, DELETE."},
		{"revocation without an address", with("revoke: {access_only: true}"), "forge.yaml:7: revoke.url is needed"},
		{"a scope that is two", with("scope: {default: ['a b']}"), "forge.yaml:7: scope.default[0] is not a scope"},
		{"a scope that holds the separator", with("scope: {separator: ',', default: ['a,b']}"), "forge.yaml:7: scope.default[0] is not a scope"},
		{"a scope without a sentence", with("scope: {known: [{name: a}]}"), "forge.yaml:7: scope.known[0].says is missing."},
		{"a separator of letters", with("scope: {separator: and}"), "forge.yaml:7: scope.separator must be"},
		{"iss without an issuer", with("iss_parameter: true"), "forge.yaml:1: issuer is needed"},
		{"a port without its rule", with("redirect: {port: 4000}"), "forge.yaml:7: redirect.port is for the rule fixed_port only."},
		{"a port for root", with("redirect: {rule: fixed_port, port: 80}"), "forge.yaml:7: redirect.port must be a port from 1024"},
		{"every host there is", with("api: {hosts: ['*']}"), "forge.yaml:7: api.hosts[0] must be a host"},
		{"a whole top-level domain", with("api: {hosts: ['*.com']}"), "forge.yaml:7: api.hosts[0] is wider than one domain."},
		{"a day that is none", with("evidence: [{url: 'https://a.example', seen: lately}]"), "forge.yaml:7: evidence[0].seen must be a day"},
	} {
		t.Run(c.name, func(t *testing.T) {
			start := time.Now()
			_, err := provider.Parse("forge.yaml", []byte(c.file))
			if fault.CodeOf(err) != fault.BadRequest || !strings.HasPrefix(fault.MessageOf(err), c.says) {
				t.Errorf("%v\nwant %s", err, c.says)
			}
			if took := time.Since(start); took > 2*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

// Whatever a file holds, Parse returns; what it accepts is valid and is
// accepted again after a detour through the store's JSON.
func FuzzParse(f *testing.F) {
	names, err := filepath.Glob("catalogue/*.yaml")
	if err != nil || len(names) == 0 {
		f.Fatal(err)
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	for _, s := range []string{small, "", "---", "a: &a *a", "? - :", "[{", "\xff\xfe", "id: |\n", "\"", "!!x y", "%YAML 1.2\n---\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := provider.Parse("fuzz.yaml", data)
		if err != nil {
			if fault.CodeOf(err) != fault.BadRequest || fault.MessageOf(err) == "" {
				t.Errorf("an error without a sentence: %v", err)
			}
			return
		}
		if err := p.Validate(); err != nil {
			t.Errorf("accepted and not valid: %v", err)
		}
		if p.Custom || len(p.TrustedHosts) > 0 {
			t.Error("a file says what only the user may")
		}
	})
}
