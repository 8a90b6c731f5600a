package oauth

import (
	"bytes"
	"context"
	"crypto"
	_ "crypto/sha256" // for crypto.Hash.New
	_ "crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"math"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"

	"keyturn/backend/strictjson"
)

// idTokenSkew is how far the clocks may be apart.
const idTokenSkew = 60 * time.Second

// signatures are the algorithms an ID token may be signed with. none is not
// among them, and neither is HS256: the secret of an app on a desktop is known
// to whoever has the app.
var signatures = []jose.SignatureAlgorithm{
	jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512,
	jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
}

// VerifyIDToken returns the claims of an ID token after every check of OpenID
// Connect Core 3.1.3.7 that applies to the code flow: signature by a key of
// Server.JWKSURL, iss, sub, aud, azp, exp, iat, nbf, nonce. A zero nonce, as
// for the answer to a refresh, is not compared (section 12.2). at_hash is
// checked where the access token is, in Exchange and Refresh.
func (h *HTTP) VerifyIDToken(ctx context.Context, s Server, c Client, raw Secret, nonce Secret) (map[string]any, error) {
	refuse := func(reason string) (map[string]any, error) {
		return nil, &Error{Op: opIDToken, Kind: Malformed, reason: reason}
	}
	if s.JWKSURL == "" || s.Issuer == "" {
		return refuse("the server's keys or issuer are not known")
	}
	token, err := jose.ParseSignedCompact(raw.Reveal(), signatures)
	if err != nil || len(token.Signatures) != 1 {
		return refuse("not a signed token, or signed with an algorithm that is not accepted")
	}
	keys, err := h.keysFor(ctx, s, token.Signatures[0].Header.KeyID)
	if err != nil {
		return nil, err
	}
	var payload []byte
	for _, key := range keys {
		if payload, err = token.Verify(key); err == nil {
			break
		}
	}
	if payload == nil {
		return refuse("signed by no key of the server")
	}
	claims, ok := decodeClaims(payload)
	if !ok {
		return refuse("claims are not one JSON object")
	}
	if reason := checkClaims(claims, s.Issuer, c.ID, nonce, time.Now()); reason != "" {
		return refuse(reason)
	}
	return claims, nil
}

// Subject returns whom an ID token is about, without looking at its signature:
// one that came straight from the token endpoint needs none (OpenID Connect
// Core 3.1.3.7, 6). The answer to a refresh is held to it (section 12.2).
func Subject(raw Secret) (iss, sub string, ok bool) {
	token, err := jose.ParseSignedCompact(raw.Reveal(), signatures)
	if err != nil {
		return "", "", false
	}
	claims, ok := decodeClaims(token.UnsafePayloadWithoutVerification())
	if !ok {
		return "", "", false
	}
	iss, _ = claims["iss"].(string)
	sub, _ = claims["sub"].(string)
	return iss, sub, sub != ""
}

func decodeClaims(payload []byte) (map[string]any, bool) {
	if _, err := strictjson.Object(payload); err != nil {
		return nil, false
	}
	var claims map[string]any
	dec := json.NewDecoder(bytes.NewReader(payload))
	dec.UseNumber()
	return claims, dec.Decode(&claims) == nil
}

// checkClaims returns what is wrong with verified claims, or "".
func checkClaims(claims map[string]any, issuer, clientID string, nonce Secret, now time.Time) string {
	if claims["iss"] != issuer {
		return "iss is another issuer"
	}
	if sub, _ := claims["sub"].(string); sub == "" || len(sub) > maxID {
		return "sub is missing"
	}
	var audience []any
	switch aud := claims["aud"].(type) {
	case string:
		audience = []any{aud}
	case []any:
		audience = aud
	}
	if clientID == "" || !slices.Contains(audience, any(clientID)) {
		return "aud does not name this client"
	}
	azp, hasAZP := claims["azp"]
	if hasAZP && azp != clientID || !hasAZP && len(audience) > 1 {
		return "azp does not name this client"
	}
	exp, ok := moment(claims["exp"])
	if !ok || !now.Before(exp.Add(idTokenSkew)) {
		return "exp is missing or past by this computer's clock"
	}
	iat, ok := moment(claims["iat"])
	if !ok || iat.After(now.Add(idTokenSkew)) {
		return "iat is missing or in the future by this computer's clock"
	}
	if raw, has := claims["nbf"]; has {
		if nbf, ok := moment(raw); !ok || nbf.After(now.Add(idTokenSkew)) {
			return "nbf is in the future by this computer's clock"
		}
	}
	if !nonce.IsZero() {
		got, _ := claims["nonce"].(string)
		if subtle.ConstantTimeCompare([]byte(got), []byte(nonce.Reveal())) != 1 {
			return "nonce is another one"
		}
	}
	return ""
}

// moment reads a NumericDate (RFC 7519 section 2).
func moment(claim any) (time.Time, bool) {
	number, ok := claim.(json.Number)
	if !ok {
		return time.Time{}, false
	}
	seconds, err := number.Float64()
	if err != nil || math.Abs(seconds) > 1e12 {
		return time.Time{}, false
	}
	return time.Unix(int64(seconds), 0), true
}

// fitsAccessToken compares at_hash, when an ID token has one, with the access
// token it came with (OpenID Connect Core 3.1.3.6). The signature is not
// checked here: an ID token that VerifyIDToken refuses is of no use anyway.
func fitsAccessToken(id, access Secret) bool {
	token, err := jose.ParseSignedCompact(id.Reveal(), signatures)
	if err != nil || len(token.Signatures) != 1 {
		return true
	}
	claims, ok := decodeClaims(token.UnsafePayloadWithoutVerification())
	if !ok {
		return true
	}
	want, has := claims["at_hash"]
	if !has {
		return true
	}
	hash := crypto.SHA256
	switch alg := token.Signatures[0].Header.Algorithm; alg {
	case string(jose.EdDSA):
		hash = crypto.SHA512
	case string(jose.RS384), string(jose.PS384), string(jose.ES384):
		hash = crypto.SHA384
	case string(jose.RS512), string(jose.PS512), string(jose.ES512):
		hash = crypto.SHA512
	}
	sum := hash.New()
	sum.Write([]byte(access.Reveal()))
	half := sum.Sum(nil)[:hash.Size()/2]
	return want == base64.RawURLEncoding.EncodeToString(half)
}
