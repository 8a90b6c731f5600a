package oauth

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/url"
	"slices"
	"strings"

	"keyturn/backend/fault"
)

// NewState returns a state parameter: 256 bits (RFC 6749 section 10.12).
func NewState() Secret { return random() }

// NewVerifier returns a code_verifier: 32 bytes, 43 characters (RFC 7636 section 4.1).
func NewVerifier() Secret { return random() }

// NewNonce returns a nonce (OpenID Connect Core 15.5.2).
func NewNonce() Secret { return random() }

func random() Secret {
	b := make([]byte, 32)
	rand.Read(b) // never fails: crypto/rand ends the program instead
	return NewSecret(base64.RawURLEncoding.EncodeToString(b))
}

// challenge is the S256 code_challenge of a verifier (RFC 7636 section 4.2).
func challenge(verifier Secret) string {
	sum := sha256.Sum256([]byte(verifier.Reveal()))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// AuthorizationURL returns the URL that the user opens (RFC 6749 section
// 4.1.1). Each parameter is there once. What the endpoint's own query says is
// kept, Params come over it, and the standard parameters come over both.
// PKCE is always sent, as S256.
func AuthorizationURL(r AuthorizationRequest, redirectURI string) (string, error) {
	endpoint := r.Server.Authorize
	if err := ValidEndpoint(endpoint.URL, r.Server.AllowLoopbackHTTP); err != nil {
		return "", err
	}
	if r.Client.ID == "" || redirectURI == "" || r.State.IsZero() || r.Verifier.IsZero() {
		return "", fault.New(fault.Internal, "The authorization request is not complete.")
	}
	u, err := url.Parse(endpoint.URL)
	if err != nil {
		return "", fault.New(fault.BadRequest, "The provider's authorization URL is not a URL. Change it with: keyturn providers update")
	}
	kept, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return "", fault.New(fault.BadRequest, "The query of the provider's authorization URL is malformed. Change it with: keyturn providers update")
	}
	query := url.Values{}
	for name, values := range kept {
		query.Set(name, values[0])
	}
	for name, value := range endpoint.Params {
		if value = strings.ReplaceAll(value, "{account}", r.AccountHint); value != "" {
			query.Set(name, value)
		}
	}
	if r.Choose {
		for name, value := range endpoint.Choose {
			query.Set(name, value)
		}
	}
	query.Set("response_type", "code")
	if endpoint.ResponseMode != "" {
		query.Set("response_mode", endpoint.ResponseMode)
	}
	query.Set(cmp.Or(r.Server.IDParam, "client_id"), r.Client.ID)
	if !r.Client.Key.IsZero() {
		jkt, err := thumbprint(r.Client.Key)
		if err != nil {
			return "", err
		}
		query.Set("dpop_jkt", jkt)
	}
	query.Set("redirect_uri", redirectURI)
	query.Set("state", r.State.Reveal())
	query.Set("code_challenge", challenge(r.Verifier))
	query.Set("code_challenge_method", "S256")
	if r.Server.Resource != "" {
		query.Set("resource", r.Server.Resource)
	}
	if len(r.Scopes) > 0 {
		name, separator := endpoint.ScopeParam, r.Server.ScopeSeparator
		if name == "" {
			name = "scope"
		}
		if separator == "" {
			separator = " "
		}
		query.Set(name, strings.Join(r.Scopes, separator))
	}
	if slices.Contains(r.Scopes, "openid") && !r.Nonce.IsZero() {
		query.Set("nonce", r.Nonce.Reveal())
	}
	// A blank as %20: every server reads it, not every one reads a plus.
	u.RawQuery = strings.ReplaceAll(query.Encode(), "+", "%20")
	out := u.String()
	if len(out) > maxURL {
		return "", fault.New(fault.BadRequest, "The authorization request is too long for a browser. Ask for fewer scopes.")
	}
	return out, nil
}
