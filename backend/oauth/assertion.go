package oauth

import (
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"keyturn/backend/fault"
)

// A client may authenticate by what it signs instead of by what it knows: with
// an assertion (private_key_jwt, OpenID Connect Core section 9, RFC 7523
// section 2.2), or with a client secret that it signs itself and that ends
// after a while (Apple). The client's secret is then its private key.

// assertionLife is how long an assertion is good for: one request.
const assertionLife = time.Minute

const assertionType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

// Assertion says what an assertion holds where that is not what RFC 7523 has.
// The zero Assertion is the RFC's.
type Assertion struct {
	Issuer   string // iss; "" means the client id
	Audience string // aud; "" means the issuer, else the token endpoint
	KeyID    string // kid; "" means none, or the one in the key
}

// IsPrivateKey reports whether a client secret is a private key to sign with:
// PEM, or a JSON Web Key with its private part.
func IsPrivateKey(secret Secret) bool {
	_, _, err := signingKey(secret)
	return err == nil
}

// errNotAKey is for people: they have just pasted it.
func errNotAKey() *fault.Error {
	return fault.New(fault.BadRequest, "This is not a private key that can sign: RSA, P-256, P-384 or Ed25519, as PEM or as a JSON Web Key.")
}

// signingKey reads a private key and what it signs with.
func signingKey(secret Secret) (jose.SigningKey, string, error) {
	text := strings.TrimSpace(secret.Reveal())
	var key any
	kid := ""
	switch block, _ := pem.Decode([]byte(text)); {
	case block != nil:
		var err error
		if key, err = x509.ParsePKCS8PrivateKey(block.Bytes); err != nil {
			if key, err = x509.ParseECPrivateKey(block.Bytes); err != nil {
				if key, err = x509.ParsePKCS1PrivateKey(block.Bytes); err != nil {
					return jose.SigningKey{}, "", errNotAKey()
				}
			}
		}
	case strings.HasPrefix(text, "{"):
		var jwk jose.JSONWebKey
		if json.Unmarshal([]byte(text), &jwk) != nil || !jwk.Valid() {
			return jose.SigningKey{}, "", errNotAKey()
		}
		key, kid = jwk.Key, jwk.KeyID
	}
	algorithm := jose.SignatureAlgorithm("")
	switch k := key.(type) {
	case *rsa.PrivateKey:
		if k.N.BitLen() >= 2048 {
			algorithm = jose.RS256
		}
	case ed25519.PrivateKey:
		algorithm = jose.EdDSA
	case *ecdsa.PrivateKey:
		switch k.Curve {
		case elliptic.P256():
			algorithm = jose.ES256
		case elliptic.P384():
			algorithm = jose.ES384
		}
	}
	if algorithm == "" {
		return jose.SigningKey{}, "", errNotAKey()
	}
	return jose.SigningKey{Algorithm: algorithm, Key: key.(crypto.Signer)}, kid, nil
}

// assert makes the assertion of a client for one request to s. Its audience is
// the issuer and no address that a server could have borrowed: an assertion
// that one server is shown must be worth nothing at another.
func assert(s Server, c Client, now time.Time) (string, error) {
	key, kid, err := signingKey(c.Secret)
	if err != nil {
		return "", err
	}
	says := s.Assertion
	claims := map[string]any{
		"iss": cmp.Or(says.Issuer, c.ID),
		"sub": c.ID,
		"aud": cmp.Or(says.Audience, cmp.Or(s.Issuer, s.Token.URL)),
		"jti": random().Reveal(),
		"iat": now.Unix(),
		"exp": now.Add(assertionLife).Unix(),
	}
	options := &jose.SignerOptions{}
	if kid = cmp.Or(says.KeyID, kid); kid != "" {
		options.WithHeader("kid", kid)
	}
	return signed(key, options.WithType("JWT"), claims)
}

// signed is a JSON Web Token in its compact form (RFC 7519 section 3).
func signed(key jose.SigningKey, options *jose.SignerOptions, claims map[string]any) (string, error) {
	signer, err := jose.NewSigner(key, options)
	if err != nil {
		return "", err
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	object, err := signer.Sign(payload)
	if err != nil {
		return "", err
	}
	return object.CompactSerialize()
}
