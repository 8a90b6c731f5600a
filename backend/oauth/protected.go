package oauth

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"keyturn/backend/fault"
	"keyturn/backend/text"
)

// ProtectedResource is what a resource server says about itself (RFC 9728
// section 2), and the authorization server that it is used with.
type ProtectedResource struct {
	// URL is what the user gave, such as that of an MCP server.
	URL string
	// Indicator is the resource parameter of requests for its tokens (RFC 8707
	// section 2); "" for a server that does not describe itself.
	Indicator string
	Name      string // cleaned; "" when it has not said
	// Scopes are those that its challenge asks for, else those that it knows
	// of; nil means to ask for none in particular.
	Scopes []string
	Server Metadata
}

// initialize is the first message to an MCP server. Whatever else is at the
// address answers it in some way, too: what matters is the challenge.
const initialize = `{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"keyturn","version":"1"}}}`

// DiscoverResource finds out which authorization server issues tokens for a
// protected resource: by its challenge, then at the two well-known places (RFC
// 9728 sections 3.1 and 5). challenge is its challenge where somebody has met it
// already, nil otherwise. known lists issuers with which there is a
// registration already: they are preferred. A server that does not describe
// itself is its own authorization server, as MCP had it in 2025-03-26. Errors
// are *fault.Error.
func (h *HTTP) DiscoverResource(ctx context.Context, resource string, allowLoopbackHTTP bool, challenge *Challenge, known []string) (ProtectedResource, error) {
	if err := ValidEndpoint(resource, allowLoopbackHTTP); err != nil {
		return ProtectedResource{}, err
	}
	// The user typed this host, and no other that turns up below.
	via := Server{AllowLoopbackHTTP: allowLoopbackHTTP, TrustedHosts: []string{hostnameOf(resource)}}
	if challenge == nil {
		asked, err := h.challenge(ctx, via, resource)
		if err != nil {
			return ProtectedResource{}, err
		}
		challenge = &asked
	}
	found := ProtectedResource{URL: resource, Scopes: challenge.Scopes}
	issuers, err := h.describe(ctx, via, challenge.ResourceMetadata, &found)
	switch {
	case err != nil:
		return ProtectedResource{}, err
	case issuers == nil:
		return h.withoutDescription(ctx, via, found)
	}
	slices.SortStableFunc(issuers, func(a, b string) int {
		return index(slices.Contains(known, b)) - index(slices.Contains(known, a))
	})
	var first error
	for _, issuer := range issuers {
		if leadsInward(resource, issuer) || ValidEndpoint(issuer, allowLoopbackHTTP) != nil {
			err = fault.New(fault.DiscoveryFailed, "%s sends you to an authorization server at an address that must not be used.", hostOf(resource))
		} else if found.Server, err = h.discover(ctx, via, issuer, rfc8414First); err == nil {
			return found, nil
		}
		if first == nil {
			first = err
		}
	}
	return ProtectedResource{}, first
}

func index(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

func hostnameOf(rawURL string) string {
	u, err := url.Parse(rawURL)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// challenge asks for the resource without a token.
func (h *HTTP) challenge(ctx context.Context, via Server, resource string) (Challenge, error) {
	header := http.Header{"Content-Type": {"application/json"}, "Accept": {"application/json, text/event-stream"}}
	a, failed := h.do(ctx, call{op: opProtected, server: via, method: http.MethodPost, url: resource, header: header, body: []byte(initialize), limit: maxDocument})
	if failed != nil && failed.Status == 0 {
		return Challenge{}, discoveryFault(failed, resource)
	}
	if failed == nil && a.status/100 == 2 {
		// It works without a token, as far as this goes; it may still describe itself.
		return Challenge{}, nil
	}
	c, _ := ChallengeOf(a.header)
	return c, nil
}

// describe reads the resource's metadata into found and returns its
// authorization servers; nil when it does not describe itself.
func (h *HTTP) describe(ctx context.Context, via Server, named string, found *ProtectedResource) (issuers []string, err error) {
	const place = "/.well-known/oauth-protected-resource"
	u, err := url.Parse(found.URL)
	if err != nil {
		return nil, fault.New(fault.BadRequest, "The address is not usable: it is not a URL.")
	}
	base := u.Scheme + "://" + u.Host
	var places []string
	if named != "" {
		if ValidEndpoint(named, via.AllowLoopbackHTTP) != nil || leadsInward(found.URL, named) {
			return nil, fault.New(fault.DiscoveryFailed, "%s says that it is described at an address that must not be used.", u.Host)
		}
		places = []string{named}
	} else {
		if path := strings.TrimSuffix(u.EscapedPath(), "/"); path != "" {
			places = append(places, base+place+path)
		}
		places = append(places, base+place)
	}
	var wrong error // what the first of them said
	for _, at := range places {
		a, failed := h.do(ctx, call{op: opProtected, server: via, method: http.MethodGet, url: at, limit: maxDocument})
		switch {
		case failed != nil && failed.Status == 0:
			return nil, discoveryFault(failed, at)
		case failed != nil || a.status != http.StatusOK:
			continue
		}
		issuers, err := readProtectedResource(a.body, found)
		if err == nil {
			return issuers, nil
		}
		wrong = cmp.Or(wrong, err)
	}
	return nil, wrong
}

// readProtectedResource reads a metadata document (RFC 9728 section 3.2). It has
// to be about the resource that was asked for, or about a place above it
// (section 3.3; MCP lets one description cover the paths of a host).
func readProtectedResource(body []byte, found *ProtectedResource) (issuers []string, err error) {
	host := hostOf(found.URL)
	top, reason := object(body)
	if top == nil {
		return nil, fault.New(fault.DiscoveryFailed, "What %s publishes about itself could not be read (%s).", host, reason)
	}
	about, ok := jsonString(top["resource"])
	if !ok || !covers(about, found.URL) {
		return nil, fault.New(fault.DiscoveryFailed, "%s describes another resource than the one that you gave, so it is not used. Check the address.", host)
	}
	for _, s := range shortStrings(top["authorization_servers"], func(string) bool { return true }) {
		if !slices.Contains(issuers, s) && len(issuers) < 5 {
			issuers = append(issuers, s)
		}
	}
	if len(issuers) == 0 {
		return nil, fault.New(fault.DiscoveryFailed, "%s does not say which authorization server issues its tokens.", host)
	}
	found.Indicator = about
	if name, ok := jsonString(top["resource_name"]); ok {
		found.Name = text.Clean(name, 80)
	}
	if found.Scopes == nil {
		found.Scopes = shortStrings(top["scopes_supported"], isScopeToken)
	}
	return issuers, nil
}

// covers reports whether a resource identifier is url or a place above it.
func covers(about, resource string) bool {
	if Origin(about) == "" || Origin(about) != Origin(resource) {
		return false
	}
	a, errA := url.Parse(about)
	r, errR := url.Parse(resource)
	if errA != nil || errR != nil || a.RawQuery != r.RawQuery && a.RawQuery != "" || a.Fragment != "" {
		return false
	}
	above := strings.TrimSuffix(a.EscapedPath(), "/")
	path := strings.TrimSuffix(r.EscapedPath(), "/")
	return path == above || strings.HasPrefix(path, above+"/")
}

// withoutDescription takes the host of the resource for its authorization
// server: by its metadata, else by the endpoints that MCP 2025-03-26 presumes.
func (h *HTTP) withoutDescription(ctx context.Context, via Server, found ProtectedResource) (ProtectedResource, error) {
	u, err := url.Parse(found.URL)
	if err != nil {
		return ProtectedResource{}, fault.New(fault.BadRequest, "The address is not usable: it is not a URL.")
	}
	issuer := u.Scheme + "://" + u.Host
	found.Server, err = h.discover(ctx, via, issuer, rfc8414First)
	if err == nil {
		return found, nil
	}
	if fault.CodeOf(err) != fault.DiscoveryFailed || !isUnpublished(err) {
		return ProtectedResource{}, err
	}
	found.Server = Metadata{
		Issuer:           issuer,
		AuthorizationURL: issuer + "/authorize",
		TokenURL:         issuer + "/token",
		RegistrationURL:  issuer + "/register",
		TokenAuthMethods: []string{"none"},
		PKCES256:         true, // MCP 2025-03-26 requires it of every server
		Presumed:         true,
	}
	return found, nil
}
