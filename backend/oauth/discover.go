package oauth

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"keyturn/backend/fault"
)

// Metadata is what an authorization server says about itself (RFC 8414 section
// 2, OpenID Connect Discovery 1.0 section 3). Every URL in it has passed
// ValidEndpoint. Whether it is good enough (PKCES256, ForeignOrigins) is for
// the caller to decide.
type Metadata struct {
	Issuer           string
	AuthorizationURL string
	TokenURL         string
	RevocationURL    string
	UserinfoURL      string
	JWKSURL          string
	DeviceURL        string
	RegistrationURL  string
	PushedURL        string // RFC 9126 section 5
	ScopesSupported  []string
	// TokenAuthMethods of the token endpoint; nil means the server did not
	// say, which means client_secret_basic (RFC 8414 section 2).
	TokenAuthMethods []string
	IssParameter     bool // RFC 9207 section 3
	PKCES256         bool // RFC 7636, code_challenge_methods_supported
	// ClientIDDocuments: a client id may be the address of a document that
	// describes the client (OAuth Client ID Metadata Document).
	ClientIDDocuments bool
	// Presumed: nothing is published; these are the endpoints that MCP
	// 2025-03-26 presumes.
	Presumed bool
	// DPoP: tokens can be bound to a key of ours (RFC 9449 section 5.1).
	DPoP bool
	// ForeignOrigins are the origins of endpoints that are not the issuer's,
	// sorted. A code or a secret may go there: somebody should agree to that.
	ForeignOrigins []string
}

// Discover fetches the metadata of an issuer: OpenID Connect Discovery first,
// then RFC 8414, with the issuer's path appended and inserted, as servers do
// both. Errors are *fault.Error.
func (h *HTTP) Discover(ctx context.Context, issuer string, allowLoopbackHTTP bool) (Metadata, error) {
	return h.discover(ctx, Server{Issuer: issuer, AllowLoopbackHTTP: allowLoopbackHTTP}, issuer, openIDFirst)
}

// errUnpublished is the cause when there is nothing at any well-known place.
var errUnpublished = errors.New("no metadata published")

func isUnpublished(err error) bool { return errors.Is(err, errUnpublished) }

// discover is Discover by way of a Server that says how far it may reach.
func (h *HTTP) discover(ctx context.Context, via Server, issuer string, order order) (Metadata, error) {
	allowLoopbackHTTP := via.AllowLoopbackHTTP
	if err := ValidEndpoint(issuer, allowLoopbackHTTP); err != nil {
		return Metadata{}, err
	}
	if strings.Contains(issuer, "?") {
		return Metadata{}, fault.New(fault.BadRequest, "An issuer's address cannot have a query. Leave out the question mark and what follows it.")
	}
	// The last answer that was a document of some kind says more than the 404s
	// of the places that were asked in vain.
	var result error
	for _, place := range wellKnown(issuer, order) {
		a, failed := h.do(ctx, call{op: opDiscovery, server: via, method: http.MethodGet, url: place, limit: maxDocument})
		switch {
		case failed != nil && failed.Status == 0:
			return Metadata{}, discoveryFault(failed, issuer) // the next place is on the same host
		case failed != nil || a.status != http.StatusOK:
			continue
		}
		m, err := readMetadata(a.body, issuer, allowLoopbackHTTP)
		if err == nil {
			return m, nil
		}
		result = err
	}
	if result == nil {
		result = fault.Wrap(errUnpublished, fault.DiscoveryFailed, "%s does not publish how to connect to it. Check the issuer's address, or give the authorization and token URLs yourself.", hostOf(issuer))
	}
	return Metadata{}, result
}

func discoveryFault(failed *Error, issuer string) error {
	f := Fault(failed, hostOf(issuer))
	return fault.Wrap(failed, fault.DiscoveryFailed, "%s", f.Message)
}

func hostOf(rawURL string) string {
	u, err := url.Parse(rawURL)
	if err != nil {
		return "The server"
	}
	return u.Host
}

// order is which kind of metadata is looked for first.
type order int

const (
	openIDFirst  order = iota
	rfc8414First       // as MCP has it (2025-11-25, Authorization Server Metadata Discovery)
)

// wellKnown lists where the metadata of an issuer may be, most likely first:
// at most five places.
func wellKnown(issuer string, order order) []string {
	const oidc, rfc8414 = "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"
	u, err := url.Parse(issuer)
	if err != nil {
		return nil
	}
	base := u.Scheme + "://" + u.Host
	path := strings.TrimSuffix(u.EscapedPath(), "/")
	if path == "" && order == rfc8414First {
		return []string{base + rfc8414, base + oidc}
	}
	if path == "" {
		return []string{base + oidc, base + rfc8414}
	}
	if order == rfc8414First {
		return []string{base + rfc8414 + path, base + oidc + path, base + path + oidc}
	}
	places := []string{
		base + path + oidc,    // OpenID Connect Discovery 1.0 section 4
		base + rfc8414 + path, // RFC 8414 section 3.1
		base + oidc + path,    // RFC 8414 section 5
		base + path + rfc8414, // in nobody's text, and seen
	}
	if strings.HasSuffix(issuer, "/") {
		places = append(places, base+rfc8414+path+"/")
	}
	return places
}

// readMetadata reads a metadata document and refuses what an honest server
// would not say: another issuer (RFC 8414 section 3.3), an endpoint that may
// not be called.
func readMetadata(body []byte, issuer string, allowLoopbackHTTP bool) (Metadata, error) {
	refuse := func(format string, args ...any) (Metadata, error) {
		return Metadata{}, fault.New(fault.DiscoveryFailed, format, args...)
	}
	host := hostOf(issuer)
	top, reason := object(body)
	if top == nil {
		return refuse("What %s publishes about itself could not be read (%s).", host, reason)
	}
	named, _ := jsonString(top["issuer"])
	switch {
	case named == issuer:
	case strings.TrimSuffix(named, "/") == strings.TrimSuffix(issuer, "/"):
		return refuse("%s writes its issuer address %s slash at the end. Use it in that spelling.", host, map[bool]string{true: "with a", false: "without the"}[strings.HasSuffix(named, "/")])
	default:
		return refuse("%s says that it is another issuer, so it is not used. Check the address for mistakes.", host)
	}
	m := Metadata{Issuer: issuer}
	for _, endpoint := range []struct {
		name     string
		to       *string
		required bool
	}{
		{"authorization_endpoint", &m.AuthorizationURL, true},
		{"token_endpoint", &m.TokenURL, true},
		{"revocation_endpoint", &m.RevocationURL, false},
		{"userinfo_endpoint", &m.UserinfoURL, false},
		{"jwks_uri", &m.JWKSURL, false},
		{"device_authorization_endpoint", &m.DeviceURL, false},
		{"registration_endpoint", &m.RegistrationURL, false},
		{"pushed_authorization_request_endpoint", &m.PushedURL, false},
	} {
		raw := top[endpoint.name]
		if absent(raw) && !endpoint.required {
			continue
		}
		value, ok := jsonString(raw)
		if !ok || ValidEndpoint(value, allowLoopbackHTTP) != nil || leadsInward(issuer, value) {
			return refuse("The %s that %s publishes is missing or must not be used, so nothing of it is.", strings.ReplaceAll(endpoint.name, "_", " "), host)
		}
		*endpoint.to = value
		if origin := Origin(value); origin != Origin(issuer) && !slices.Contains(m.ForeignOrigins, origin) {
			m.ForeignOrigins = append(m.ForeignOrigins, origin)
		}
	}
	slices.Sort(m.ForeignOrigins)
	m.ScopesSupported = shortStrings(top["scopes_supported"], isScopeToken)
	m.TokenAuthMethods = shortStrings(top["token_endpoint_auth_methods_supported"], isScopeToken)
	m.PKCES256 = slices.Contains(shortStrings(top["code_challenge_methods_supported"], isScopeToken), "S256")
	m.DPoP = slices.Contains(shortStrings(top["dpop_signing_alg_values_supported"], isScopeToken), "ES256")
	m.ClientIDDocuments = string(top["client_id_metadata_document_supported"]) == "true"
	m.IssParameter = string(top["authorization_response_iss_parameter_supported"]) == "true"
	return m, nil
}

// leadsInward reports whether a document from public space names an address
// of this machine or its network.
func leadsInward(issuer, endpoint string) bool {
	return !isInwardHost(issuer) && isInwardHost(endpoint)
}

func isInwardHost(rawURL string) bool {
	u, err := url.Parse(rawURL)
	if err != nil {
		return true
	}
	addr, err := netip.ParseAddr(u.Hostname())
	if err == nil {
		return !isPublic(addr)
	}
	return isLoopbackHost(u.Hostname())
}

// shortStrings reads an array of strings and keeps those that are fit and not
// absurd in length or number.
func shortStrings(raw json.RawMessage, fit func(string) bool) []string {
	var all []json.RawMessage
	if json.Unmarshal(raw, &all) != nil {
		return nil
	}
	var kept []string
	for _, item := range all {
		s, ok := jsonString(item)
		if ok && s != "" && len(s) <= 256 && fit(s) && len(kept) < 500 {
			kept = append(kept, s)
		}
	}
	return kept
}
