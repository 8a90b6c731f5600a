package demo_test

import (
	"encoding/json"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"keyturn/backend/demo"
)

// A library that is not ours accepts the signature with the published key.
func TestIDTokensVerify(t *testing.T) {
	for _, alg := range []jose.SignatureAlgorithm{jose.ES256, jose.RS256} {
		t.Run(string(alg), func(t *testing.T) {
			r := start(t, demo.Options{SigningAlg: string(alg)})
			a := r.exchange(r.code(map[string]string{"scope": "openid profile", "nonce": "n-1"}), nil)
			signed, err := jose.ParseSignedCompact(a.text("id_token"), []jose.SignatureAlgorithm{alg})
			if err != nil {
				t.Fatal(err, a.body)
			}
			var keys jose.JSONWebKeySet
			if err := json.Unmarshal([]byte(r.get("/jwks", "").body), &keys); err != nil {
				t.Fatal(err)
			}
			found := keys.Key(signed.Signatures[0].Header.KeyID)
			if len(found) != 1 {
				t.Fatalf("%d keys", len(found))
			}
			payload, err := signed.Verify(found[0].Key)
			if err != nil {
				t.Fatal(err)
			}
			var claims struct {
				Iss, Aud, Sub, Nonce string
				Iat, Exp             int64
			}
			if err := json.Unmarshal(payload, &claims); err != nil {
				t.Fatal(err)
			}
			who := r.get("/userinfo", a.text("access_token"))
			if claims.Iss != demo.DefaultIssuer || claims.Aud != demo.ClientID || claims.Nonce != "n-1" || claims.Sub == "" || claims.Sub != who.text("sub") || claims.Exp-claims.Iat != 600 {
				t.Errorf("%+v", claims)
			}
		})
	}
}
