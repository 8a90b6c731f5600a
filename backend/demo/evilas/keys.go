package evilas

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// signer holds the key that signs ID tokens (ES256).
type signer struct {
	mu     sync.Mutex
	serial int
	key    *ecdsa.PrivateKey
}

func newSigner() *signer {
	s := &signer{}
	s.rotate()
	return s
}

func (s *signer) rotate() {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err) // only without randomness
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serial, s.key = s.serial+1, key
}

func (s *signer) current() (key *ecdsa.PrivateKey, kid string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.key, fmt.Sprintf("key-%d", s.serial)
}

// set is the JWKS document: the current key only.
func (s *signer) set() jose.JSONWebKeySet {
	key, kid := s.current()
	return jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: kid, Algorithm: "ES256", Use: "sig"}}}
}

// RotateKeys replaces the key that signs ID tokens; the old one is no longer
// published.
func (s *Server) RotateKeys() { s.signer.rotate() }

// Key returns the key that signs ID tokens and its kid, for tests that sign
// their own.
func (s *Server) Key() (*ecdsa.PrivateKey, string) { return s.signer.current() }

// Claims are those of a correct ID token. Tests change them and sign.
func (s *Server) Claims(client, nonce, access string) map[string]any {
	now := time.Now()
	claims := map[string]any{
		"iss": s.issuer, "sub": s.config.Subject, "aud": client, "email": s.config.Email,
		"iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(),
	}
	if nonce != "" {
		claims["nonce"] = nonce
	}
	if access != "" {
		sum := sha256.Sum256([]byte(access))
		claims["at_hash"] = base64.RawURLEncoding.EncodeToString(sum[:16])
	}
	return claims
}

// SignIDToken signs claims with the current key.
func (s *Server) SignIDToken(claims map[string]any) string {
	key, kid := s.signer.current()
	return Sign(jose.ES256, key, kid, claims)
}

// Sign makes a compact JWS of claims, with any algorithm and key.
func Sign(alg jose.SignatureAlgorithm, key any, kid string, claims map[string]any) string {
	opts := (&jose.SignerOptions{}).WithType("JWT")
	if kid != "" {
		opts = opts.WithHeader("kid", kid)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, opts)
	if err != nil {
		panic(err) // a test that asks for the impossible
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		panic(err)
	}
	compact, err := signed.CompactSerialize()
	if err != nil {
		panic(err)
	}
	return compact
}

// newAuthority makes a certificate for 127.0.0.1 and hosts, and a pool that trusts it.
func newAuthority(t testing.TB, hosts []string) (*tls.Config, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "evilas"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}, DNSNames: append([]string{"localhost"}, hosts...),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, roots
}
