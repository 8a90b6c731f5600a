package provider

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"keyturn/backend/fault"
	"keyturn/backend/oauth"
	"keyturn/backend/text"
)

// maxID is the longest id: it is a path element and a file name.
const maxID = 64

var (
	idPattern   = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,63}$`)
	pathPattern = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`)
	namePattern = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)
)

// The parameters that the protocol sets (RFC 6749 section 4.1.1 and 4.1.3, RFC
// 7636 section 4, OpenID Connect Core 3.1.2.1): an entry has no say in them.
var (
	ownAuthorizeParams = []string{"client_id", "redirect_uri", "response_type", "state", "code_challenge", "code_challenge_method", "nonce", "request", "request_uri", "response_mode"}
	ownTokenParams     = []string{"client_id", "client_secret", "client_assertion", "code", "code_verifier", "grant_type", "redirect_uri", "refresh_token"}
	ownHeaders         = []string{"authorization", "cookie", "host", "content-length", "content-type", "transfer-encoding", "connection", "accept-encoding"}
)

// wrong is one thing that is not right with a provider.
type wrong struct {
	field string // as the file names it: "authorize.url"
	says  string // the rest of the sentence
}

func (w wrong) String() string { return w.field + " " + w.says }

// Validate returns the first thing that is wrong with p, as a *fault.Error.
func (p Provider) Validate() error {
	if w := p.wrongs(); len(w) > 0 {
		return fault.New(fault.BadRequest, "The provider %s cannot be used: %s.", shown(p.ID), w[0])
	}
	return nil
}

// wrongs lists everything that is wrong with p, most basic first.
func (p Provider) wrongs() []wrong {
	var c check
	if len(p.Vars) > 0 {
		p.checkVars(&c)
		var err error
		if len(c.found) > 0 {
			return c.found
		}
		if p, err = p.sample(); err != nil {
			return []wrong{{"vars", "cannot be filled in"}}
		}
	}
	c.that(idPattern.MatchString(p.ID), "id", "must be 1 to 64 small letters, digits, hyphens and underscores, and start with a letter or digit")
	c.text("name", p.Name, 80, true)
	c.text("category", p.Category, 40, false)

	c.http = p.AllowLoopbackHTTP
	c.url("issuer", p.Issuer, false)
	c.that(!strings.Contains(p.Issuer, "?"), "issuer", "must have no query") // RFC 8414 section 2
	c.that(!p.IssParameter || p.Issuer != "", "issuer", "is needed to compare the iss parameter with")
	c.url("jwks_url", p.JWKSURL, false)
	c.that(p.JWKSURL == "" || p.Issuer != "", "issuer", "is needed to check ID tokens with")

	c.url("authorize.url", p.Authorize.URL, true)
	c.url("authorize.pushed_url", p.Authorize.PushedURL, false)
	c.params("authorize.params", p.Authorize.Params, ownAuthorizeParams)
	c.params("authorize.choose", p.Authorize.Choose, ownAuthorizeParams)
	c.that(p.Authorize.ScopeParam == "" || namePattern.MatchString(p.Authorize.ScopeParam) && !slices.Contains(ownAuthorizeParams, p.Authorize.ScopeParam),
		"authorize.scope_param", "must be the name of a query parameter")

	c.oneOf("authorize.response_mode", p.Authorize.ResponseMode, "", "query", "form_post")

	c.that(separator(p.Scope.Separator), "scope.separator", `must be one to four characters such as " " or ","`)
	for i, s := range p.Scope.Default {
		c.that(validScope(s, p.Scope.Separator), fmt.Sprintf("scope.default[%d]", i), "is not a scope: scopes have no blanks, quotes or control characters")
	}
	for i, s := range p.Scope.Unlisted {
		c.that(validScope(s, p.Scope.Separator), fmt.Sprintf("scope.unlisted[%d]", i), "is not a scope: scopes have no blanks, quotes or control characters")
	}
	known := map[string]bool{}
	for i, s := range p.Scope.Known {
		field := fmt.Sprintf("scope.known[%d]", i)
		c.that(validScope(s.Name, p.Scope.Separator), field+".name", "is not a scope: scopes have no blanks, quotes or control characters")
		c.that(!known[s.Name], field+".name", "is there twice")
		known[s.Name] = true
		c.sentence(field+".says", s.Says)
	}

	c.oneOf("pkce", p.PKCE, "", "s256", "unverified")
	for i, a := range p.Client.Auth {
		c.oneOf(fmt.Sprintf("client.auth[%d]", i), a, "none", "post", "basic", "key", "signed")
		c.that(slices.Index(p.Client.Auth, a) == i, "client.auth", "names a method twice")
	}
	c.text("client.id", p.Client.ID, 512, false)
	for field, s := range map[string]string{"client.id_param": p.Client.IDParam, "client.secret_param": p.Client.SecretParam} {
		c.that(s == "" || namePattern.MatchString(s), field, "is not the name of a parameter")
	}
	a := p.Client.Assertion
	c.text("client.assertion.issuer", a.Issuer, 255, false)
	c.text("client.assertion.audience", a.Audience, 255, false)
	c.text("client.assertion.key_id", a.KeyID, 255, false)
	c.that(a == Assertion{} || slices.Contains(p.Client.Auth, "key") || slices.Contains(p.Client.Auth, "signed"), "client.assertion", "is for client.auth: [key] or [signed]")

	c.url("device.url", p.Device.URL, false)
	c.params("device.params", p.Device.Params, []string{"client_id", "client_secret", "scope"})
	c.that(p.Device.URL != "" || p.Device.Params == nil, "device.url", "is needed when the rest of device is given")

	c.url("token.url", p.Token.URL, true)
	c.url("token.refresh_url", p.Token.RefreshURL, false)
	c.oneOf("token.body", p.Token.Body, "", "form", "json")
	c.params("token.params", p.Token.Params, ownTokenParams)
	c.params("token.refresh_params", p.Token.RefreshParams, p.ownRefreshParams())
	c.headers("token.headers", p.Token.Headers)
	c.path("token.response.root", p.Token.Response.Root)
	c.path("token.response.ok_field", p.Token.Response.OKField)
	c.that(!strings.Contains(p.Token.Response.OKField, "."), "token.response.ok_field", "must be a field at the top of the answer")
	c.that(separator(p.Token.Response.ScopeSeparator), "token.response.scope_separator", `must be one to four characters such as " " or ","`)
	lifetime := p.Token.Response.ExpiresDefault
	c.that(lifetime == 0 || lifetime >= time.Minute && lifetime <= 366*24*time.Hour, "token.response.expires_default", "must be from 1m to a year")
	c.oneOf("refresh.rotation", p.Refresh.Rotation, "", "never", "always", "sometimes")
	c.oneOf("refresh.with", p.Refresh.With, "", "refresh_token", "access_token")
	c.that(p.Refresh.With != "access_token" || p.Token.RefreshParams["grant_type"] != "", "token.refresh_params", "must name the grant_type that goes with refresh.with: access_token")
	for field, d := range map[string]time.Duration{"refresh.min_age": p.Refresh.MinAge, "refresh.lifetime": p.Refresh.Lifetime, "refresh.testing": p.Refresh.Testing} {
		c.that(d == 0 || d >= time.Minute && d <= 10*366*24*time.Hour, field, "must be from 1m to ten years")
	}
	c.that(!p.Refresh.Sliding || p.Refresh.Lifetime > 0, "refresh.lifetime", "is needed for it to slide")
	c.that(p.Refresh.Scope == "" || validScope(p.Refresh.Scope, p.Scope.Separator), "refresh.scope", "is not a scope: scopes have no blanks, quotes or control characters")
	c.text("refresh.advice", p.Refresh.Advice, 200, false)

	c.url("revoke.url", strings.ReplaceAll(p.Revoke.URL, "{client_id}", "client-id"), false)
	c.oneOf("revoke.method", p.Revoke.Method, "", "POST", "DELETE") // GET would put the token into a URL
	c.oneOf("revoke.auth", p.Revoke.Auth, "", "basic", "bearer", "none")
	c.oneOf("revoke.body", p.Revoke.Body, "", "form", "json")
	c.params("revoke.params", p.Revoke.Params, nil)
	c.that(p.Revoke.URL != "" || p.Revoke.Method == "" && p.Revoke.Auth == "" && p.Revoke.Body == "" && p.Revoke.Params == nil && !p.Revoke.AccessOnly,
		"revoke.url", "is needed when the rest of revoke is given")

	c.oneOf("redirect.rule", p.Redirect.Rule, "", "any_port", "fixed_port", "https")
	c.oneOf("redirect.host", p.Redirect.Host, "", "127.0.0.1", "localhost")
	c.port("redirect.port", p.Redirect.Port)
	c.that(p.Redirect.Port == 0 || p.Redirect.Rule == "fixed_port", "redirect.port", "is for the rule fixed_port only")
	c.text("redirect.note", p.Redirect.Note, 400, false)

	c.url("identity.url", p.Identity.URL, false)
	c.oneOf("identity.method", p.Identity.Method, "", "GET", "POST")
	c.headers("identity.headers", p.Identity.Headers)
	c.that(len(p.Identity.Body) <= 4096, "identity.body", "is longer than 4096 characters")
	c.path("identity.ok_field", p.Identity.OKField)
	c.that(len(p.Identity.Paths) <= 16, "identity.paths", "has more than 16 entries")
	for i, path := range p.Identity.Paths {
		c.that(path != "", fmt.Sprintf("identity.paths[%d]", i), "is empty")
		c.path(fmt.Sprintf("identity.paths[%d]", i), path)
	}
	c.path("identity.id", p.Identity.ID)
	c.text("identity.format", p.Identity.Format, 256, false)

	p.API.check(&c)

	c.url("setup.console", p.Setup.Console, false)
	for i, s := range p.Setup.Steps {
		c.sentence(fmt.Sprintf("setup.steps[%d]", i), s)
	}
	for i, s := range p.Setup.Warnings {
		c.sentence(fmt.Sprintf("setup.warnings[%d]", i), s)
	}
	c.that(p.HostedBy == "" || idPattern.MatchString(p.HostedBy), "hosted_by", "must be the name of a server inside this program")
	for i, e := range p.Evidence {
		field := fmt.Sprintf("evidence[%d]", i)
		c.url(field+".url", e.URL, true)
		_, err := time.Parse(time.DateOnly, e.Seen)
		c.that(err == nil, field+".seen", "must be a day such as 2026-01-31")
		c.text(field+".unverified", e.Unverified, 400, false)
	}
	return c.found
}

// check collects what is wrong.
type check struct {
	found []wrong
	http  bool // http is allowed on loopback hosts
}

func (c *check) that(ok bool, field, says string) {
	if !ok {
		c.found = append(c.found, wrong{field, says})
	}
}

func (c *check) url(field, raw string, required bool) {
	if raw == "" {
		c.that(!required, field, "is missing: give an https address")
		return
	}
	if err := oauth.ValidEndpoint(raw, c.http); err != nil {
		c.that(false, field, why(err))
	}
}

// why turns a refused address into the rest of a sentence.
func why(err error) string {
	says, ok := strings.CutPrefix(strings.TrimSuffix(fault.MessageOf(err), "."), "The address ")
	if !ok {
		return "is not an address that can be used"
	}
	return says
}

// text checks words that are shown: what Clean would change is refused.
func (c *check) text(field, s string, max int, required bool) {
	c.that(s != "" || !required, field, "is missing")
	c.that(text.Clean(s, max) == s, field, fmt.Sprintf("must be one line of at most %d printable characters", max))
}

func (c *check) sentence(field, s string) {
	c.text(field, s, 400, true)
	c.that(s == "" || strings.HasSuffix(s, "."), field, "must be a sentence that ends with a full stop")
}

func (c *check) oneOf(field, s string, allowed ...string) {
	if slices.Contains(allowed, s) {
		return
	}
	says := "must be one of: " + strings.Trim(strings.Join(allowed, ", "), ", ")
	if near := nearest(s, allowed); near != "" {
		says = "is not known. Did you mean " + near + "?"
	}
	c.that(false, field, says)
}

func (c *check) params(field string, m map[string]string, own []string) {
	c.that(len(m) <= 32, field, "has more than 32 entries")
	for _, name := range sorted(m) {
		c.that(namePattern.MatchString(name), field, fmt.Sprintf("has a parameter with an unusual name, %s", shown(name)))
		c.that(!slices.Contains(own, name), field+"."+name, "is set by the protocol and cannot be set here")
		c.that(text.Clean(m[name], 1024) == m[name], field+"."+name, "must be one line of at most 1024 printable characters")
	}
}

func (c *check) headers(field string, m map[string]string) {
	c.that(len(m) <= 32, field, "has more than 32 entries")
	for _, name := range sorted(m) {
		c.that(namePattern.MatchString(name), field, fmt.Sprintf("has a header with an unusual name, %s", shown(name)))
		lower := strings.ToLower(name)
		c.that(lower == "content-type" && field == "identity.headers" || !slices.Contains(ownHeaders, lower), field+"."+name, "is set by the protocol and cannot be set here")
		c.that(m[name] != "" && ascii(m[name]) && text.Clean(m[name], 1024) == m[name], field+"."+name, "must be one line of at most 1024 printable ASCII characters")
	}
}

func (c *check) path(field, s string) {
	c.that(s == "" || len(s) <= 128 && pathPattern.MatchString(s), field, "must be names joined by dots, such as data.viewer.email")
}

func (c *check) port(field string, port int) {
	c.that(port == 0 || port >= 1024 && port <= 65535, field, "must be a port from 1024 to 65535")
}

// validScope reports whether s is a scope-token (RFC 6749 section 3.3) that
// does not hold the separator.
func validScope(s, sep string) bool {
	if s == "" || len(s) > 512 || sep != "" && strings.Contains(s, sep) {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c <= 0x20 || c >= 0x7f || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// separator reports whether s can stand between scopes: nothing that a scope
// is made of.
func separator(s string) bool {
	return len(s) <= 4 && strings.Trim(s, " ,+;|") == ""
}

func ascii(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < 0x20 || r > 0x7e })
}

func sorted[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// hostName returns the host of a URL that has been validated, without port.
func hostName(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Hostname())
}
