package provider

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"keyturn/backend/fault"
	"keyturn/backend/oauth"
	"keyturn/backend/text"
)

// IsAddress reports whether what somebody typed in place of a provider is the
// address of a protected resource, such as an MCP server.
func IsAddress(typed string) bool { return strings.Contains(typed, "://") }

// Address returns the one spelling of a resource's address (RFC 8707 section
// 2): small letters in scheme and host, no slash at the end. http is for this
// machine.
func Address(typed string) (address string, loopbackHTTP bool, err error) {
	typed = strings.TrimSpace(typed)
	loopbackHTTP = strings.HasPrefix(strings.ToLower(typed), "http://")
	u, err := url.Parse(typed)
	if err != nil {
		return "", false, fault.New(fault.BadRequest, "The address is not usable: it is not a URL.")
	}
	u.Scheme, u.Host = strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	if u.Path == "/" && u.RawQuery == "" {
		u.Path = ""
	}
	return u.String(), loopbackHTTP, oauth.ValidEndpoint(u.String(), loopbackHTTP)
}

// IDFor makes an id of a resource's address: "mcp-linear-app" of
// https://mcp.linear.app/mcp. taken reports whether one is in use.
func IDFor(address string, taken func(string) bool) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	words := u.Host
	switch path := strings.Trim(u.Path, "/"); path {
	case "", "mcp", "sse", "api/mcp":
	default:
		words += "-" + path
	}
	var b strings.Builder
	for _, r := range strings.ToLower(words) {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			b.WriteRune(r)
		} else if !strings.HasSuffix(b.String(), "-") {
			b.WriteByte('-')
		}
	}
	id := strings.Trim(b.String(), "-")
	id = strings.Trim(id[:min(len(id), maxID-4)], "-")
	for n, base := 2, id; taken(id) || isBuiltin(id); n++ {
		id = base + "-" + strconv.Itoa(n)
	}
	return id
}

// FromResource makes a provider of what was found out about a protected
// resource. The rules of FromRegistration hold: PKCE is a must, and a code goes
// to no other domain than the one where the user approves.
func FromResource(id string, found oauth.ProtectedResource, loopbackHTTP bool) (Provider, error) {
	host := hostName(found.URL)
	p := Provider{
		ID: id, Name: host, Category: "mcp", Custom: true,
		AllowLoopbackHTTP: loopbackHTTP,
		TrustedHosts:      []string{host},
		Resource:          Resource{URL: found.URL, Indicator: found.Indicator},
		// The port is registered: not every server lets it differ (RFC 8252 section 7.3).
		Redirect: Redirect{Rule: "fixed_port"},
	}
	if name := text.Clean(found.Name, 80); name != "" {
		p.Name = name
	}
	m := found.Server
	r := Registration{Issuer: m.Issuer, Scopes: []string{"as the resource says"}}
	if err := r.discovered(&p, m); err != nil {
		return Provider{}, err
	}
	p.Token.DPoP = m.DPoP // the tokens are for one server, which knows of it (RFC 9449)
	p.Scope.Default = slices.Clone(found.Scopes)
	// A refresh token is worth asking for where it has to be asked for.
	if slices.Contains(m.ScopesSupported, "offline_access") && !slices.Contains(p.Scope.Default, "offline_access") {
		p.Scope.Default = append(p.Scope.Default, "offline_access")
	}
	if !slices.Contains(p.Scope.Default, "openid") {
		p.Identity = Identity{} // userinfo is for OpenID Connect (Core 5.3)
	}
	u, err := url.Parse(found.URL)
	if err != nil {
		return Provider{}, err
	}
	p.API.Hosts = []string{u.Host}
	return p, p.Validate()
}
