package oauth_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"keyturn/backend/demo/evilas"
	"keyturn/backend/fault"
	"keyturn/backend/oauth"
)

func TestAnIDTokenIsVerifiedThroughTheWholeExchange(t *testing.T) {
	r := newRig(t, evilas.Config{TLS: true})
	verifier, nonce := oauth.NewVerifier(), oauth.NewNonce()
	code := r.as.NewCode("public", redirectURI, verifier.Reveal(), nonce.Reveal(), "openid")
	token, err := r.http.Exchange(t.Context(), r.server, public, oauth.NewSecret(code), redirectURI, verifier)
	if err != nil || token.ID.IsZero() {
		t.Fatalf("%v, ID token %v", err, !token.ID.IsZero())
	}
	claims, err := r.http.VerifyIDToken(t.Context(), r.server, public, token.ID, nonce)
	if err != nil || claims["email"] != "ada@example.test" {
		t.Fatalf("%v %v", claims, err)
	}
	r.server.Identity = oauth.Identity{} // the ID token alone says who it is
	account, err := r.http.Identify(t.Context(), r.server, token, claims)
	if err != nil || account != (oauth.Account{ID: "248289761001", Label: "ada@example.test"}) {
		t.Errorf("%v %v", account, err)
	}
}

func TestHostileIDTokens(t *testing.T) {
	const nonce = "nonce-1"
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	stranger, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	r := newRig(t, evilas.Config{})
	key, kid := r.as.Key()
	published, _ := json.Marshal(jose.JSONWebKey{Key: key.Public(), KeyID: kid})
	x := func(claims map[string]any) string { return r.as.SignIDToken(claims) }
	unsigned := func(header string, claims map[string]any) string {
		payload, _ := json.Marshal(claims)
		b64 := base64.RawURLEncoding.EncodeToString
		return b64([]byte(header)) + "." + b64(payload) + "."
	}
	now := time.Now()
	for _, c := range []struct {
		name  string
		token func(map[string]any) string
		ok    bool
	}{
		{"as it should be", x, true},
		{"TE-40 alg none", func(m map[string]any) string { return unsigned(`{"alg":"none"}`, m) }, false},
		{"TE-40 alg None", func(m map[string]any) string { return unsigned(`{"alg":"None"}`, m) }, false},
		{"TE-40 no signature", func(m map[string]any) string { return unsigned(`{"alg":"ES256","kid":"`+kid+`"}`, m) }, false},
		{"TE-41 HS256 with the public key", func(m map[string]any) string { return evilas.Sign(jose.HS256, published, kid, m) }, false},
		{"TE-41 HS256 with the client id", func(m map[string]any) string {
			return evilas.Sign(jose.HS256, []byte(strings.Repeat("public", 6)), kid, m)
		}, false},
		{"another key under the same kid", func(m map[string]any) string { return evilas.Sign(jose.ES256, stranger, kid, m) }, false},
		{"another key without a kid", func(m map[string]any) string { return evilas.Sign(jose.ES256, stranger, "", m) }, false},
		{"another kind of key", func(m map[string]any) string { return evilas.Sign(jose.RS256, rsaKey, kid, m) }, false},
		{"no kid", func(m map[string]any) string { return evilas.Sign(jose.ES256, key, "", m) }, true},
		{"one byte changed", func(m map[string]any) string {
			parts := strings.Split(x(m), ".")
			m["sub"] = "mallory"
			return parts[0] + "." + strings.Split(x(m), ".")[1] + "." + parts[2]
		}, false},
		{"TE-42 another issuer", func(m map[string]any) string { m["iss"] = "https://evil.example"; return x(m) }, false},
		{"TE-42 the issuer with a slash", func(m map[string]any) string { m["iss"] = r.as.URL() + "/"; return x(m) }, false},
		{"TE-42 iss missing", func(m map[string]any) string { delete(m, "iss"); return x(m) }, false},
		{"TE-42 iss in other letter case", func(m map[string]any) string { m["ISS"] = m["iss"]; delete(m, "iss"); return x(m) }, false},
		{"TE-42 another audience", func(m map[string]any) string { m["aud"] = "other"; return x(m) }, false},
		{"TE-42 one audience in an array", func(m map[string]any) string { m["aud"] = []string{"public"}; return x(m) }, true},
		{"TE-42 two audiences", func(m map[string]any) string { m["aud"] = []string{"public", "other"}; return x(m) }, false},
		{"TE-42 two audiences and azp", func(m map[string]any) string {
			m["aud"] = []string{"public", "other"}
			m["azp"] = "public"
			return x(m)
		}, true},
		{"TE-42 azp is another", func(m map[string]any) string { m["azp"] = "other"; return x(m) }, false},
		{"TE-42 aud missing", func(m map[string]any) string { delete(m, "aud"); return x(m) }, false},
		{"TE-42 sub missing", func(m map[string]any) string { delete(m, "sub"); return x(m) }, false},
		{"TE-42 sub is a number", func(m map[string]any) string { m["sub"] = 7; return x(m) }, false},
		{"TE-42 another nonce", func(m map[string]any) string { m["nonce"] = "nonce-2"; return x(m) }, false},
		{"TE-42 nonce missing", func(m map[string]any) string { delete(m, "nonce"); return x(m) }, false},
		{"TE-43 expired", func(m map[string]any) string { m["exp"] = now.Add(-70 * time.Second).Unix(); return x(m) }, false},
		{"TE-43 expired within the skew", func(m map[string]any) string { m["exp"] = now.Add(-30 * time.Second).Unix(); return x(m) }, true},
		{"TE-43 exp missing", func(m map[string]any) string { delete(m, "exp"); return x(m) }, false},
		{"TE-43 exp is text", func(m map[string]any) string { m["exp"] = "tomorrow"; return x(m) }, false},
		{"TE-43 exp beyond time", func(m map[string]any) string { m["exp"] = 1e300; return x(m) }, false},
		{"TE-43 issued in two hours", func(m map[string]any) string { m["iat"] = now.Add(2 * time.Hour).Unix(); return x(m) }, false},
		{"TE-43 issued within the skew", func(m map[string]any) string { m["iat"] = now.Add(50 * time.Second).Unix(); return x(m) }, true},
		{"TE-43 iat missing", func(m map[string]any) string { delete(m, "iat"); return x(m) }, false},
		{"TE-43 not before later", func(m map[string]any) string { m["nbf"] = now.Add(2 * time.Minute).Unix(); return x(m) }, false},
		{"TE-43 not before within the skew", func(m map[string]any) string { m["nbf"] = now.Add(50 * time.Second).Unix(); return x(m) }, true},
		{"empty", func(map[string]any) string { return "" }, false},
		{"two dots", func(map[string]any) string { return ".." }, false},
		{"JSON serialization", func(m map[string]any) string { return `{"payload":"","signatures":[]}` }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			raw := c.token(r.as.Claims("public", nonce, ""))
			claims, err := r.http.VerifyIDToken(t.Context(), r.server, public, oauth.NewSecret(raw), oauth.NewSecret(nonce))
			if (err == nil) != c.ok || (claims != nil) != c.ok {
				t.Fatalf("claims %v, err %v", claims, err)
			}
			if err != nil {
				if f := oauth.Fault(err, "Evil"); f.Code != fault.IdentityFailed {
					t.Errorf("fault %v", f)
				}
				printsNothing(t, err, "mallory", raw)
			}
		})
	}
	t.Run("after a refresh there is no nonce to compare", func(t *testing.T) {
		if _, err := r.http.VerifyIDToken(t.Context(), r.server, public, oauth.NewSecret(x(r.as.Claims("public", "", ""))), oauth.Secret{}); err != nil {
			t.Error(err)
		}
	})
}

func TestAnIDTokenOfAnotherAccessTokenIsRefused(t *testing.T) { // TE-47
	for name, fits := range map[string]bool{"at-1": true, "at-2": false} {
		r := newRig(t, evilas.Config{})
		id := r.as.SignIDToken(r.as.Claims("public", "", name))
		r.as.Script("/token", evilas.JSON(good+`,"id_token":"`+id+`"}`))
		if _, _, err := r.exchange(t); (err == nil) != fits {
			t.Errorf("at_hash of %s: %v", name, err)
		}
	}
	for _, junk := range []string{`false`, `""`, `"not a token"`, `7`} {
		r := newRig(t, evilas.Config{})
		r.as.Script("/token", evilas.JSON(good+`,"id_token":`+junk+`}`))
		if _, _, err := r.exchange(t); err != nil {
			t.Errorf("id_token %s: %v", junk, err)
		}
	}
}

func TestKeysAreFetchedAgainForAnUnknownKidButSeldom(t *testing.T) { // TE-44
	r := newRig(t, evilas.Config{})
	verify := func() error {
		_, err := r.http.VerifyIDToken(t.Context(), r.server, public, oauth.NewSecret(r.as.SignIDToken(r.as.Claims("public", "", ""))), oauth.Secret{})
		return err
	}
	if err := verify(); err != nil {
		t.Fatal(err)
	}
	if verify(); len(r.as.Requests("/jwks")) != 1 {
		t.Errorf("%d fetches for one key", len(r.as.Requests("/jwks")))
	}
	r.as.RotateKeys() // just before signing
	if err := verify(); err != nil || len(r.as.Requests("/jwks")) != 2 {
		t.Errorf("after a rotation: %v, %d fetches", err, len(r.as.Requests("/jwks")))
	}
	key, _ := r.as.Key()
	for range 20 {
		forged := evilas.Sign(jose.ES256, key, "kid-"+oauth.NewState().Reveal(), r.as.Claims("public", "", ""))
		if _, err := r.http.VerifyIDToken(t.Context(), r.server, public, oauth.NewSecret(forged), oauth.Secret{}); err == nil {
			t.Fatal("accepted")
		}
	}
	if n := len(r.as.Requests("/jwks")); n != 2 {
		t.Errorf("%d fetches after 20 unknown kids", n)
	}
}

func TestKeySetsThatCannotBeUsed(t *testing.T) {
	for name, step := range map[string]evilas.Step{
		"null": evilas.JSON("null"), "no keys": evilas.JSON("{}"), "keys is a string": evilas.JSON(`{"keys":"x"}`),
		"empty": evilas.JSON(`{"keys":[]}`), "junk keys": evilas.JSON(`{"keys":[null,1,{},{"kty":"oct","k":"cHVibGlj"},{"kty":"RSA"}]}`),
		"many": evilas.JSON(`{"keys":[` + strings.Repeat("{},", 1000) + `{}]}`), "500": {Status: 500}, "gone": {Hangup: true},
		"too long": {Header: map[string]string{"Content-Type": "application/json"}, Body: "x", Repeat: 600 << 10},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, evilas.Config{})
			r.as.Script("/jwks", step)
			raw := oauth.NewSecret(r.as.SignIDToken(r.as.Claims("public", "", "")))
			_, err := r.http.VerifyIDToken(t.Context(), r.server, public, raw, oauth.Secret{})
			failure(t, err)
			printsNothing(t, err)
		})
	}
}
