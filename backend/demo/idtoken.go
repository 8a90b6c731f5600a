package demo

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"time"
)

var base64url = base64.RawURLEncoding

// newKey makes the key that signs ID tokens in this run.
func (s *Server) newKey() signingKey {
	var signer crypto.Signer
	var err error
	if s.opts.SigningAlg == "RS256" {
		signer, err = rsa.GenerateKey(rand.Reader, 2048)
	} else {
		signer, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	if err != nil {
		panic("demo: no key: " + err.Error()) // crypto/rand does not fail
	}
	return signingKey{id: random("")[:8], signer: signer}
}

// idToken signs an ID token (OpenID Connect Core 2).
func (s *Server) idToken(clientID string, a Account, nonce string) (string, error) {
	now := time.Now()
	claims := map[string]any{
		"iss": s.opts.Issuer, "aud": clientID, "sub": a.Subject,
		"iat": now.Unix(), "exp": now.Add(10 * time.Minute).Unix(),
		"name": a.Name, "email": a.Email, "preferred_username": a.Username,
	}
	if nonce != "" {
		claims["nonce"] = nonce
	}
	return s.sign(claims)
}

// sign makes a JWT in compact form (RFC 7515 section 3.1).
func (s *Server) sign(claims map[string]any) (string, error) {
	key := s.key()
	header, err := json.Marshal(map[string]string{"alg": s.opts.SigningAlg, "kid": key.id, "typ": "JWT"})
	if err != nil {
		return "", err
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	signed := base64url.EncodeToString(header) + "." + base64url.EncodeToString(payload)
	sum := sha256.Sum256([]byte(signed))
	var signature []byte
	switch k := key.signer.(type) {
	case *ecdsa.PrivateKey:
		// RFC 7518 section 3.4: both numbers in 32 bytes, one after the other.
		r, v, err := ecdsa.Sign(rand.Reader, k, sum[:])
		if err != nil {
			return "", err
		}
		signature = make([]byte, 64)
		r.FillBytes(signature[:32])
		v.FillBytes(signature[32:])
	default:
		if signature, err = k.Sign(rand.Reader, sum[:], crypto.SHA256); err != nil {
			return "", err
		}
	}
	return signed + "." + base64url.EncodeToString(signature), nil
}

// jwks publishes the key (RFC 7517).
func (s *Server) jwks(w http.ResponseWriter, r *http.Request) {
	key := s.key()
	jwk := map[string]string{"kid": key.id, "use": "sig", "alg": s.opts.SigningAlg}
	switch k := key.signer.Public().(type) {
	case *ecdsa.PublicKey:
		point, err := k.Bytes() // 4, x, y
		if err != nil {
			http.Error(w, "The key could not be written.", http.StatusInternalServerError)
			return
		}
		jwk["kty"], jwk["crv"] = "EC", "P-256"
		jwk["x"], jwk["y"] = base64url.EncodeToString(point[1:33]), base64url.EncodeToString(point[33:])
	case *rsa.PublicKey:
		jwk["kty"] = "RSA"
		jwk["n"], jwk["e"] = base64url.EncodeToString(k.N.Bytes()), base64url.EncodeToString(big.NewInt(int64(k.E)).Bytes())
	}
	writeJSON(w, "", http.StatusOK, map[string]any{"keys": []any{jwk}})
}
