package oauth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// Tokens may be bound to a key (DPoP, RFC 9449): who presents one proves with
// each request that the key is there, so that a token alone is worth nothing.
// A key belongs to one connection and is kept with its tokens. The algorithm is
// ES256, which every server with DPoP speaks.

const (
	typeDPoP = "DPoP"
	// maxNonce is the longest nonce that is sent back, and maxNonces how many
	// servers' newest ones are remembered.
	maxNonce  = 1024
	maxNonces = 256
)

// NewKey returns a private key for the tokens of one connection: P-256, as
// PKCS #8 in base64url.
func NewKey() Secret {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Secret{} // not for a curve of the standard library
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Secret{}
	}
	return NewSecret(base64.RawURLEncoding.EncodeToString(der))
}

var errNoKey = errors.New("not the key of a connection")

func keyOf(s Secret) (*ecdsa.PrivateKey, error) {
	der, err := base64.RawURLEncoding.DecodeString(s.Reveal())
	if err != nil {
		return nil, errNoKey
	}
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, errNoKey
	}
	private, ok := key.(*ecdsa.PrivateKey)
	if !ok || private.Curve != elliptic.P256() {
		return nil, errNoKey
	}
	return private, nil
}

// thumbprint names a key in an authorization request (dpop_jkt, RFC 9449
// section 10), so that its code is good for the holder of the key alone.
func thumbprint(key Secret) (string, error) {
	private, err := keyOf(key)
	if err != nil {
		return "", err
	}
	sum, err := (&jose.JSONWebKey{Key: private.Public()}).Thumbprint(crypto.SHA256)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(sum), nil
}

// proof makes the proof for one request (RFC 9449 section 4.2); access is the
// token that it goes with, zero at a token endpoint.
func proof(key Secret, method, target, nonce string, access Secret, now time.Time) (string, error) {
	private, err := keyOf(key)
	if err != nil {
		return "", err
	}
	u, err := url.Parse(target)
	if err != nil {
		return "", err
	}
	u.RawQuery, u.Fragment, u.RawFragment = "", "", ""
	claims := map[string]any{
		"jti": random().Reveal(),
		"htm": method,
		"htu": u.String(),
		"iat": now.Unix(),
	}
	if nonce != "" {
		claims["nonce"] = nonce
	}
	if !access.IsZero() {
		sum := sha256.Sum256([]byte(access.Reveal()))
		claims["ath"] = base64.RawURLEncoding.EncodeToString(sum[:])
	}
	options := (&jose.SignerOptions{EmbedJWK: true}).WithType("dpop+jwt")
	return signed(jose.SigningKey{Algorithm: jose.ES256, Key: private}, options, claims)
}

// Present puts an access token into a request to a resource server: as a
// bearer token (RFC 6750 section 2.1), or where it is bound to a key under the
// scheme DPoP with a proof of its own (RFC 9449 section 7.1).
func (h *HTTP) Present(req *http.Request, access, key Secret) error {
	return h.present(req.Header, req.Method, req.URL.String(), access, key)
}

func (h *HTTP) present(header http.Header, method, target string, access, key Secret) error {
	if key.IsZero() {
		header.Set("Authorization", "Bearer "+access.Reveal())
		return nil
	}
	made, err := proof(key, method, target, h.nonces.of(target), access, h.now())
	if err != nil {
		return err
	}
	header.Set("Authorization", typeDPoP+" "+access.Reveal())
	header.Set(typeDPoP, made)
	return nil
}

// WantsNonce reports whether an answer of a resource server asks for the same
// request with a nonce in its proof (RFC 9449 section 9). The nonce has been
// taken note of for Present.
func WantsNonce(resp *http.Response) bool {
	return wantsNonceAt(resp.StatusCode, resp.Header)
}

func wantsNonceAt(status int, header http.Header) bool {
	if status != http.StatusUnauthorized || !fitNonce(header.Get("DPoP-Nonce")) {
		return false
	}
	c, ok := ChallengeOf(header)
	return ok && c.Error == "use_dpop_nonce"
}

// nonces remembers the newest nonce of each server (RFC 9449 section 8.2).
type nonces struct {
	mu     sync.Mutex
	newest map[string]string // by origin
}

func (n *nonces) of(url string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.newest[Origin(url)]
}

func (n *nonces) note(url string, header http.Header) {
	nonce := header.Get("DPoP-Nonce")
	if !fitNonce(nonce) {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.newest == nil || len(n.newest) >= maxNonces {
		n.newest = map[string]string{}
	}
	n.newest[Origin(url)] = nonce
}

// fitNonce: RFC 9449 section 8.1 has visible characters without quotes.
func fitNonce(s string) bool {
	return s != "" && len(s) <= maxNonce && isVSCHAR(s)
}
