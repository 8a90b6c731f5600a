package provider

import (
	"maps"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"

	"keyturn/backend/fault"
	"keyturn/backend/oauth"
	"keyturn/backend/text"
)

// Registration is what a user says about a provider of their own: an issuer,
// whose metadata is fetched, or the authorization and token endpoint. Fields
// are named and ordered as in the local API's ProviderRegister, so that one
// converts to the other.
type Registration struct {
	ProviderKey           string
	DisplayName           string
	Issuer                string
	AuthURL               string
	TokenURL              string
	RefreshURL            string
	RevokeURL             string
	RevokeMethod          string
	RevokeAuth            string // "client" (as at the token endpoint), "basic", "bearer", "none"
	RevokeBody            map[string]string
	UserinfoURL           string
	IdentityURL           string // instead of UserinfoURL
	IdentityMethod        string
	IdentityHeaders       map[string]string
	IdentityBody          string
	IdentityOKField       string
	IdentityResponsePaths []string
	IdentityFormat        string
	Scopes                []string
	ScopeSeparator        string
	TokenAuthMethod       string
	DPoP                  bool
	TokenBodyFormat       string
	TokenResponseRoot     string
	AuthorizeParams       map[string]string
	TokenParams           map[string]string
	APIHosts              []string
	CallbackPort          int
	RedirectHost          string
	ConsoleURL            string
	IssParameter          bool
	AllowLoopbackHTTP     bool
	// Extends begins with an entry of the catalogue, its variables filled in by
	// Vars.
	Extends string
	Vars    map[string]string
}

// FromRegistration makes a provider of a registration. m is what the issuer
// publishes, nil when the registration names none.
//
// A document is believed about the server that published it and about nobody
// else. So a server that does not promise PKCE is refused, and so is a
// document that sends codes or tokens to another domain than the one where the
// user approves; a user who knows better types both endpoints.
func FromRegistration(r Registration, m *oauth.Metadata) (Provider, error) {
	if !idPattern.MatchString(r.ProviderKey) {
		return Provider{}, errField("provider_key", "must be 1 to 64 small letters, digits, hyphens and underscores, and start with a letter or digit")
	}
	if isBuiltin(r.ProviderKey) {
		return Provider{}, errBuiltin(r.ProviderKey)
	}
	switch {
	case r.Extends != "":
		p, err := r.extended()
		if err != nil {
			return Provider{}, err
		}
		return r.ApplyTo(p, m)
	case r.Issuer == "" && r.AuthURL == "" && r.TokenURL == "":
		return Provider{}, fault.New(fault.BadRequest, "Give the issuer, or auth_url and token_url.")
	case (r.AuthURL == "") != (r.TokenURL == ""):
		return Provider{}, fault.New(fault.BadRequest, "auth_url and token_url come together: one of them is missing.")
	}
	p := Provider{ID: r.ProviderKey, Name: r.ProviderKey, Category: "own", Custom: true}
	return r.ApplyTo(p, m)
}

// extended is the entry that r begins with, as a provider of the user's own.
func (r Registration) extended() (Provider, error) {
	p, ok := baseOf(r.Extends)
	if !ok {
		return Provider{}, errField("extends", "names no provider that comes with Keyturn. See: keyturn providers list")
	}
	p, err := p.With(r.Vars, r.AllowLoopbackHTTP)
	if err != nil {
		return Provider{}, err
	}
	if err := p.ErrUnfilled(); err != nil {
		return Provider{}, err
	}
	for _, value := range r.Vars {
		p.Name = text.Clean(p.Name+" ("+strings.TrimPrefix(value, "https://")+")", 80)
		break
	}
	p.ID, p.Extends, p.Custom, p.Client.ID, p.HostedBy = r.ProviderKey, r.Extends, true, "", ""
	return p, nil
}

// ApplyTo returns p, a provider of the user's own, with what the registration
// says: zero fields keep what is there. m is what the issuer publishes, nil
// when the registration names none.
func (r Registration) ApplyTo(p Provider, m *oauth.Metadata) (Provider, error) {
	switch {
	case isBuiltin(p.ID):
		return Provider{}, errBuiltin(p.ID)
	case r.ProviderKey != p.ID:
		return Provider{}, errField("provider_key", "cannot be changed: register the provider again under the new key")
	case (r.Issuer != "") != (m != nil):
		return Provider{}, fault.New(fault.Internal, "The issuer and its metadata go together.")
	}
	p = p.clone()
	p.AllowLoopbackHTTP = p.AllowLoopbackHTTP || r.AllowLoopbackHTTP
	if err := r.checkAddresses(p.AllowLoopbackHTTP); err != nil {
		return Provider{}, err
	}
	if m != nil {
		if err := r.discovered(&p, *m); err != nil {
			return Provider{}, err
		}
	}
	if err := r.typed(&p); err != nil {
		return Provider{}, err
	}
	if err := p.Validate(); err != nil {
		return Provider{}, r.inItsWords(p, err)
	}
	return p, nil
}

// addresses lists the URLs of a registration by the name of their field.
func (r Registration) addresses() [][2]string {
	return [][2]string{
		{"issuer", r.Issuer}, {"auth_url", r.AuthURL}, {"token_url", r.TokenURL}, {"refresh_url", r.RefreshURL},
		{"revoke_url", strings.ReplaceAll(r.RevokeURL, "{client_id}", "client-id")},
		{"userinfo_url", r.UserinfoURL}, {"identity_url", r.IdentityURL}, {"console_url", r.ConsoleURL},
	}
}

func (r Registration) checkAddresses(loopbackHTTP bool) error {
	for _, a := range r.addresses() {
		if a[1] == "" {
			continue
		}
		if err := oauth.ValidEndpoint(a[1], loopbackHTTP); err != nil {
			return errField(a[0], why(err))
		}
	}
	return nil
}

// discovered fills p with what the issuer publishes.
func (r Registration) discovered(p *Provider, m oauth.Metadata) error {
	refuse := func(format string, args ...any) error {
		return fault.New(fault.DiscoveryFailed, format, args...)
	}
	issuer := hostName(r.Issuer)
	if m.Issuer != r.Issuer { // RFC 8414 section 3.3
		return refuse("%s says that it is another issuer, so it is not used. Check the address for mistakes.", issuer)
	}
	if !m.PKCES256 {
		return refuse("%s does not say that it supports PKCE with S256, without which a stolen code can be used. If its documentation does, register it with auth_url and token_url.", issuer)
	}
	authorize, token := m.AuthorizationURL, m.TokenURL
	if r.AuthURL != "" && r.TokenURL != "" {
		authorize, token = r.AuthURL, r.TokenURL
	} else if !sameDomain(authorize, token) {
		return refuse("%s would have you approve at %s and the code sent to %s, another domain. If you trust both, register it with issuer, auth_url and token_url.", issuer, hostName(authorize), hostName(token))
	}
	for _, e := range []struct{ does, url string }{
		{"takes authorization requests", m.PushedURL}, {"asks who you are", m.UserinfoURL}, {"revokes tokens", m.RevocationURL}, {"gives out device codes", m.DeviceURL},
	} {
		if e.url != "" && !sameDomain(token, e.url) {
			return refuse("%s names an endpoint that %s at %s, and one that issues them at %s, another domain. Your tokens are not sent there.", issuer, e.does, hostName(e.url), hostName(token))
		}
	}
	auth, ok := authMethods(m.TokenAuthMethods)
	if !ok {
		return refuse("%s wants OAuth apps to authenticate in ways that Keyturn does not speak. It speaks none, client_secret_basic and client_secret_post.", issuer)
	}
	p.Issuer, p.IssParameter, p.JWKSURL = m.Issuer, m.IssParameter, m.JWKSURL
	p.Authorize.URL, p.Token.URL = authorize, token
	p.Authorize.PushedURL = m.PushedURL
	p.Device = Device{URL: m.DeviceURL}
	p.Revoke = Revoke{URL: m.RevocationURL}
	p.Identity = Identity{URL: m.UserinfoURL}
	p.Client.Auth = auth
	p.PKCE = "s256"
	for _, s := range []string{"openid", "email", "offline_access"} {
		if len(r.Scopes) == 0 && slices.Contains(m.ScopesSupported, s) && !slices.Contains(p.Scope.Default, s) {
			p.Scope.Default = append(p.Scope.Default, s)
		}
	}
	return nil
}

// authMethods turns what a server publishes into ours. A public client is
// always possible: whether there is a secret is known by who registered the
// app, and many servers do not list "none".
func authMethods(published []string) (auth []string, ok bool) {
	if published == nil {
		return []string{"none", "basic"}, true // RFC 8414 section 2
	}
	auth = []string{"none"}
	for _, m := range []struct{ theirs, ours string }{{"client_secret_basic", "basic"}, {"client_secret_post", "post"}, {"private_key_jwt", "key"}} {
		if slices.Contains(published, m.theirs) {
			auth = append(auth, m.ours)
		}
	}
	return auth, len(auth) > 1 || slices.Contains(published, "none")
}

// typed fills p with what the user said.
func (r Registration) typed(p *Provider) error {
	set := func(to *string, s string) {
		if s != "" {
			*to = s
		}
	}
	set(&p.Name, text.Clean(r.DisplayName, 80))
	if r.AuthURL != "" || r.TokenURL != "" {
		set(&p.Authorize.URL, r.AuthURL)
		set(&p.Token.URL, r.TokenURL)
		if r.Issuer == "" {
			p.PKCE = "unverified" // it is sent; nobody has said that it is checked
		}
	}
	set(&p.Token.RefreshURL, r.RefreshURL)
	set(&p.Token.Body, r.TokenBodyFormat)
	set(&p.Token.Response.Root, r.TokenResponseRoot)
	set(&p.Revoke.URL, r.RevokeURL)
	set(&p.Revoke.Method, r.RevokeMethod)
	if r.RevokeAuth != "" {
		p.Revoke.Auth = strings.TrimPrefix(r.RevokeAuth, "client")
	}
	set(&p.Identity.URL, r.UserinfoURL)
	set(&p.Identity.URL, r.IdentityURL)
	set(&p.Identity.Method, r.IdentityMethod)
	set(&p.Identity.Body, r.IdentityBody)
	set(&p.Identity.OKField, r.IdentityOKField)
	set(&p.Identity.Format, r.IdentityFormat)
	set(&p.Scope.Separator, r.ScopeSeparator)
	set(&p.Setup.Console, r.ConsoleURL)
	set(&p.Redirect.Host, r.RedirectHost)

	for _, m := range []struct{ to, from *map[string]string }{
		{&p.Revoke.Params, &r.RevokeBody}, {&p.Identity.Headers, &r.IdentityHeaders},
		{&p.Authorize.Params, &r.AuthorizeParams}, {&p.Token.Params, &r.TokenParams},
	} {
		if *m.from != nil {
			*m.to = maps.Clone(*m.from)
		}
	}
	for _, l := range []struct{ to, from *[]string }{
		{&p.Identity.Paths, &r.IdentityResponsePaths}, {&p.Scope.Default, &r.Scopes}, {&p.API.Hosts, &r.APIHosts},
	} {
		if *l.from != nil {
			*l.to = slices.Clone(*l.from)
		}
	}
	p.Token.DPoP = p.Token.DPoP || r.DPoP
	switch r.TokenAuthMethod {
	case "":
	case "none":
		p.Client.Auth = []string{"none"}
	case "client_secret_post":
		p.Client.Auth = []string{"post"}
	case "client_secret_basic":
		p.Client.Auth = []string{"basic"}
	case "private_key_jwt":
		p.Client.Auth = []string{"key"}
	default:
		return errField("token_auth_method", "must be one of: none, client_secret_post, client_secret_basic, private_key_jwt")
	}
	if r.CallbackPort != 0 {
		p.Redirect.Rule, p.Redirect.Port = "fixed_port", r.CallbackPort
	}
	p.IssParameter = p.IssParameter || r.IssParameter
	for _, a := range r.addresses() {
		if host := hostName(a[1]); a[1] != "" && a[0] != "console_url" && !slices.Contains(p.TrustedHosts, host) {
			p.TrustedHosts = append(p.TrustedHosts, host)
		}
	}
	return nil
}

// words maps the fields of a provider to those of a registration.
var words = map[string]string{
	"name": "display_name", "authorize.url": "auth_url", "authorize.params": "authorize_params",
	"token.url": "token_url", "token.refresh_url": "refresh_url", "token.body": "token_body_format",
	"token.params": "token_params", "token.response.root": "token_response_root",
	"revoke.url": "revoke_url", "revoke.method": "revoke_method", "revoke.auth": "revoke_auth", "revoke.params": "revoke_body",
	"identity.url": "identity_url", "identity.method": "identity_method", "identity.headers": "identity_headers",
	"identity.body": "identity_body", "identity.ok_field": "identity_ok_field", "identity.paths": "identity_response_paths",
	"identity.format": "identity_format", "scope.default": "scopes", "scope.separator": "scope_separator",
	"api.hosts": "api_hosts", "redirect.port": "callback_port", "redirect.host": "redirect_host", "setup.console": "console_url",
}

// inItsWords says what is wrong with p by the names that the user knows.
func (r Registration) inItsWords(p Provider, err error) error {
	w := p.wrongs()
	if len(w) == 0 {
		return err
	}
	field, rest := w[0].field, ""
	if theirs, ok := words[field]; ok {
		return errField(theirs, w[0].says)
	}
	for ours, theirs := range words {
		if after, ok := strings.CutPrefix(field, ours); ok && strings.ContainsAny(after[:1], ".[") {
			field, rest = theirs, after
			break
		}
	}
	return errField(field+rest, w[0].says)
}

func errField(field, says string) error {
	if !strings.HasSuffix(says, ".") && !strings.HasSuffix(says, "?") {
		says += "."
	}
	return fault.New(fault.BadRequest, "%s %s", field, says)
}

// sameDomain reports whether two URLs belong to one owner: the same host, or
// hosts under one registrable domain, or both this computer.
func sameDomain(a, b string) bool {
	a, b = hostName(a), hostName(b)
	if a == b || loopback(a) && loopback(b) {
		return true
	}
	if isAddress(a) || isAddress(b) {
		return false
	}
	domainA, errA := publicsuffix.EffectiveTLDPlusOne(a)
	domainB, errB := publicsuffix.EffectiveTLDPlusOne(b)
	return errA == nil && errB == nil && domainA == domainB
}

func isAddress(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}

func loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// clone copies what ApplyTo changes, so that nobody sees half of it.
func (p Provider) clone() Provider {
	p.Scope.Default = slices.Clone(p.Scope.Default)
	p.TrustedHosts = slices.Clone(p.TrustedHosts)
	return p
}

// SentTo lists the endpoints that a code, a token or a secret is sent to, in the
// order of a connect.
func (p Provider) SentTo() []string {
	all := []string{p.Authorize.PushedURL, p.Token.URL, p.Token.RefreshURL, p.Device.URL, p.Identity.URL, p.Revoke.URL}
	return slices.DeleteFunc(all, func(u string) bool { return u == "" })
}

// Foreign lists the hosts that a code, a token or a secret goes to and that do
// not belong to the owner of the page where the user approves.
func (p Provider) Foreign() (hosts []string) {
	for _, u := range p.SentTo() {
		if host := hostName(u); !sameDomain(p.Authorize.URL, u) && !slices.Contains(hosts, host) {
			hosts = append(hosts, host)
		}
	}
	return hosts
}
