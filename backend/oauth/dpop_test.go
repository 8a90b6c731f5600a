package oauth_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"keyturn/backend/demo/evilas"
	"keyturn/backend/fault"
	"keyturn/backend/oauth"
)

// claimsOf verifies a JSON Web Token with the key in its header, or the given
// one, and returns what it says.
func claimsOf(t *testing.T, token string, key any) (header jose.Header, claims map[string]any) {
	t.Helper()
	parsed, err := jose.ParseSignedCompact(token, []jose.SignatureAlgorithm{jose.ES256, jose.RS256})
	if err != nil {
		t.Fatalf("%v in %q", err, token)
	}
	header = parsed.Signatures[0].Protected
	if key == nil {
		key = header.JSONWebKey
	}
	payload, err := parsed.Verify(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(payload, &claims); err != nil {
		t.Fatal(err)
	}
	return header, claims
}

func bound(key oauth.Secret) oauth.Client {
	return oauth.Client{ID: "public", Auth: oauth.AuthNone, Key: key}
}

const dpopToken = `{"access_token":"at-bound","token_type":"DPoP","refresh_token":"rt-bound","expires_in":60}`

// askForNonce is how a server asks for a nonce (RFC 9449 section 8).
func askForNonce(nonce string) evilas.Step {
	return evilas.Step{Status: 400, Header: map[string]string{"Content-Type": "application/json", "DPoP-Nonce": nonce}, Body: `{"error":"use_dpop_nonce"}`}
}

func proofs(as *evilas.Server, path string) (all []string) {
	for _, r := range as.Requests(path) {
		all = append(all, r.Header.Values("DPoP")...)
	}
	return all
}

func TestTokensAreBoundToAKey(t *testing.T) { // RFC 9449 sections 4.2, 5, 8
	r := newRig(t, evilas.Config{})
	key := oauth.NewKey()
	r.as.Script("/token", askForNonce("nonce-1"), evilas.JSON(dpopToken))
	token, err := r.http.Exchange(t.Context(), r.server, bound(key), oauth.NewSecret("code"), redirectURI, oauth.NewVerifier())
	if err != nil || token.Type != "DPoP" || token.Key.Reveal() != key.Reveal() {
		t.Fatalf("%+v %v", token, err)
	}
	made := proofs(r.as, "/token")
	if len(made) != 2 {
		t.Fatalf("%d proofs", len(made))
	}
	header, first := claimsOf(t, made[0], nil)
	_, second := claimsOf(t, made[1], nil)
	if header.ExtraHeaders["typ"] != "dpop+jwt" || !header.JSONWebKey.IsPublic() {
		t.Errorf("header %+v", header)
	}
	for i, claims := range []map[string]any{first, second} {
		if claims["htm"] != "POST" || claims["htu"] != r.as.URL()+"/token" || claims["ath"] != nil {
			t.Errorf("proof %d says %v", i, claims)
		}
		if age := time.Now().Unix() - int64(claims["iat"].(float64)); age < 0 || age > 60 {
			t.Errorf("proof %d is %d s old", i, age)
		}
	}
	if first["nonce"] != nil || second["nonce"] != "nonce-1" || first["jti"] == second["jti"] {
		t.Errorf("%v then %v", first, second)
	}

	// The refresh proves the same key, and begins with the nonce that is known.
	r.as.Script("/token", evilas.JSON(dpopToken))
	if _, err := r.http.Refresh(t.Context(), r.server, bound(key), token.Refresh); err != nil {
		t.Fatal(err)
	}
	made = proofs(r.as, "/token")
	if h, claims := claimsOf(t, made[2], nil); claims["nonce"] != "nonce-1" || !sameKey(h, header) {
		t.Errorf("%d proofs, the last says %v", len(made), claims)
	}
}

func sameKey(a, b jose.Header) bool {
	x, errX := a.JSONWebKey.Thumbprint(crypto.SHA256)
	y, errY := b.JSONWebKey.Thumbprint(crypto.SHA256)
	return errX == nil && errY == nil && string(x) == string(y)
}

func TestANonceIsAskedForOnceOnly(t *testing.T) { // TE-49
	r := newRig(t, evilas.Config{})
	for range 6 {
		r.as.Script("/token", askForNonce("another"))
	}
	_, err := r.http.Exchange(t.Context(), r.server, bound(oauth.NewKey()), oauth.NewSecret("code"), redirectURI, oauth.NewVerifier())
	if e := failure(t, err); e.Kind != oauth.Refused || e.Code != "use_dpop_nonce" {
		t.Errorf("%+v", e)
	}
	if n := len(r.as.Requests("/token")); n != 2 {
		t.Errorf("%d requests", n)
	}
	// Without a nonce that could be sent, or without a key, it is a refusal like others.
	for name, c := range map[string]struct {
		client oauth.Client
		nonce  string
	}{"no key": {public, "n"}, "no nonce": {bound(oauth.NewKey()), ""}, "a bad nonce": {bound(oauth.NewKey()), strings.Repeat("n", 5000)}} {
		r := newRig(t, evilas.Config{})
		r.as.Script("/token", askForNonce(c.nonce), evilas.JSON(dpopToken))
		if _, err := r.http.Exchange(t.Context(), r.server, c.client, oauth.NewSecret("code"), redirectURI, oauth.NewVerifier()); err == nil || len(r.as.Requests("/token")) != 1 {
			t.Errorf("%s: %v after %d requests", name, err, len(r.as.Requests("/token")))
		}
	}
}

func TestABoundTokenThatNobodyAskedForIsRefused(t *testing.T) {
	r := newRig(t, evilas.Config{})
	r.as.Script("/token", evilas.JSON(dpopToken))
	_, err := r.http.Exchange(t.Context(), r.server, public, oauth.NewSecret("code"), redirectURI, oauth.NewVerifier())
	if e := failure(t, err); e.Kind != oauth.Malformed {
		t.Errorf("%+v", e)
	}
	// A server that does not bind, although asked, has issued a bearer token.
	r.as.Script("/token", evilas.JSON(`{"access_token":"at","token_type":"bearer"}`))
	token, err := r.http.Exchange(t.Context(), r.server, bound(oauth.NewKey()), oauth.NewSecret("code"), redirectURI, oauth.NewVerifier())
	if err != nil || token.Type != "Bearer" || !token.Key.IsZero() {
		t.Errorf("%+v %v", token, err)
	}
}

func TestABoundTokenIsPresentedWithAProof(t *testing.T) { // RFC 9449 section 7
	r := newRig(t, evilas.Config{})
	key, access := oauth.NewKey(), oauth.NewSecret("at-bound")
	nonced := evilas.Step{Status: 401, Header: map[string]string{"WWW-Authenticate": `DPoP error="use_dpop_nonce"`, "DPoP-Nonce": "rs-1"}}
	r.as.Script("/userinfo", nonced, evilas.JSON(`{"sub":"1","email":"ada@example.test"}`))
	account, err := r.http.Identify(t.Context(), r.server, oauth.Token{Access: access, Key: key}, nil)
	if err != nil || account.Label != "ada@example.test" {
		t.Fatalf("%+v %v", account, err)
	}
	made := proofs(r.as, "/userinfo")
	if len(made) != 2 {
		t.Fatalf("%d proofs", len(made))
	}
	sum := crypto.SHA256.New()
	sum.Write([]byte("at-bound"))
	_, claims := claimsOf(t, made[1], nil)
	if claims["ath"] != base64.RawURLEncoding.EncodeToString(sum.Sum(nil)) || claims["nonce"] != "rs-1" || claims["htm"] != "GET" {
		t.Errorf("%v", claims)
	}
	if !r.as.Saw("Authorization: DPoP at-bound") || r.as.Saw("Bearer at-bound") {
		t.Error("the token went under another scheme")
	}
	req, _ := http.NewRequestWithContext(t.Context(), "POST", r.as.URL()+"/api?secret=1#here", nil)
	if err := r.http.Present(req, access, key); err != nil {
		t.Fatal(err)
	}
	if _, claims := claimsOf(t, req.Header.Get("DPoP"), nil); claims["htu"] != r.as.URL()+"/api" || claims["htm"] != "POST" {
		t.Errorf("%v", claims)
	}
	if err := r.http.Present(req, access, oauth.NewSecret("no key")); err == nil {
		t.Error("something that is no key proved something")
	}
}

func TestTheAuthorizationRequestNamesTheKey(t *testing.T) { // RFC 9449 section 10
	r := newRig(t, evilas.Config{})
	request := oauth.AuthorizationRequest{Server: r.server, Client: bound(oauth.NewKey()), State: oauth.NewState(), Verifier: oauth.NewVerifier()}
	got, err := oauth.AuthorizationURL(request, redirectURI)
	if err != nil || !strings.Contains(got, "dpop_jkt=") {
		t.Fatalf("%s %v", got, err)
	}
}

// keys are private keys as users have them.
func keys(t *testing.T) map[string]struct {
	secret oauth.Secret
	public any
} {
	t.Helper()
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	inPEM := func(kind string, der []byte, err error) oauth.Secret {
		if err != nil {
			t.Fatal(err)
		}
		return oauth.NewSecret(string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})))
	}
	pkcs8, err8 := x509.MarshalPKCS8PrivateKey(ec)
	sec1, err1 := x509.MarshalECPrivateKey(ec)
	jwk, errJ := json.Marshal(jose.JSONWebKey{Key: ec, KeyID: "own"})
	if errJ != nil {
		t.Fatal(errJ)
	}
	return map[string]struct {
		secret oauth.Secret
		public any
	}{
		"PKCS #8": {inPEM("PRIVATE KEY", pkcs8, err8), ec.Public()},
		"SEC 1":   {inPEM("EC PRIVATE KEY", sec1, err1), ec.Public()},
		"PKCS #1": {inPEM("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey), nil), rsaKey.Public()},
		"JWK":     {oauth.NewSecret(string(jwk)), ec.Public()},
	}
}

func TestAClientSignsInsteadOfKnowing(t *testing.T) { // RFC 7523 section 3, TE-50
	for name, key := range keys(t) {
		r := newRig(t, evilas.Config{Clients: map[string]string{"signer": ""}})
		client := oauth.Client{ID: "signer", Secret: key.secret, Auth: oauth.AuthKey}
		verifier := oauth.NewVerifier()
		code := r.as.NewCode("signer", redirectURI, verifier.Reveal(), "")
		if _, err := r.http.Exchange(t.Context(), r.server, client, oauth.NewSecret(code), redirectURI, verifier); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		form := r.as.Requests("/token")[0].Form
		if form.Get("client_assertion_type") != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" || form.Has("client_secret") {
			t.Errorf("%s: %v", name, form)
		}
		header, claims := claimsOf(t, form.Get("client_assertion"), key.public)
		if claims["iss"] != "signer" || claims["sub"] != "signer" || claims["aud"] != r.as.URL() || claims["jti"] == nil {
			t.Errorf("%s: %v", name, claims)
		}
		if life := claims["exp"].(float64) - claims["iat"].(float64); life <= 0 || life > 300 {
			t.Errorf("%s: an assertion for %v s", name, life)
		}
		if (header.KeyID == "own") != (name == "JWK") {
			t.Errorf("%s: kid %q", name, header.KeyID)
		}
		if r.as.Saw("PRIVATE KEY") || r.as.Saw(`"d"`) {
			t.Errorf("%s: the private key was sent", name)
		}
	}
}

func TestASignedClientSecret(t *testing.T) { // as Apple has it
	r := newRig(t, evilas.Config{})
	key := keys(t)["PKCS #8"]
	r.server.Assertion = oauth.Assertion{Issuer: "TEAM", Audience: "https://appleid.example", KeyID: "KEY"}
	client := oauth.Client{ID: "app", Secret: key.secret, Auth: oauth.AuthSigned}
	r.as.Script("/token", evilas.JSON(`{"access_token":"at","token_type":"bearer"}`))
	if _, err := r.http.Refresh(t.Context(), r.server, client, oauth.NewSecret("rt")); err != nil {
		t.Fatal(err)
	}
	form := r.as.Requests("/token")[0].Form
	header, claims := claimsOf(t, form.Get("client_secret"), key.public)
	if claims["iss"] != "TEAM" || claims["aud"] != "https://appleid.example" || claims["sub"] != "app" || header.KeyID != "KEY" || form.Has("client_assertion") {
		t.Errorf("%v %+v", claims, header)
	}
	// Revocation is under the same signature.
	if err := r.http.Revoke(t.Context(), r.server, client, oauth.NewSecret("rt"), "refresh_token"); err == nil || !r.as.Saw("client_secret=ey") {
		t.Errorf("%v", err)
	}
}

func TestWhatIsNoPrivateKey(t *testing.T) {
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Skip("this Go makes no small keys")
	}
	for name, text := range map[string]string{
		"a secret": "s3cret", "empty PEM": "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n", "an empty JWK": "{}",
		"a public key": `{"kty":"EC","crv":"P-256","x":"AAAA","y":"AAAA"}`,
		"small RSA":    string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(small)})),
	} {
		if oauth.IsPrivateKey(oauth.NewSecret(text)) {
			t.Errorf("%s was taken", name)
		}
		r := newRig(t, evilas.Config{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		_, err := r.http.Refresh(ctx, r.server, oauth.Client{ID: "x", Secret: oauth.NewSecret(text), Auth: oauth.AuthKey}, oauth.NewSecret("rt"))
		cancel()
		if err == nil || len(r.as.Requests("/token")) != 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestEveryEndpointOfTheServerMayAskForANonce(t *testing.T) { // RFC 9449 section 8, RFC 9126
	r := newRig(t, evilas.Config{})
	r.server.Authorize.PushedURL, r.server.Device.URL = r.as.URL()+"/par", r.as.URL()+"/device"
	r.as.Script("/par", askForNonce("n-1"), evilas.JSON(`{"request_uri":"urn:request:1"}`))
	if uri, err := r.http.Push(t.Context(), r.server, bound(oauth.NewKey()), url.Values{"scope": {"read"}}); err != nil || uri != "urn:request:1" {
		t.Errorf("%q %v", uri, err)
	}
	r.as.Script("/device", askForNonce("n-2"), evilas.JSON(`{"device_code":"d","user_code":"ABCD","verification_uri":"https://evil.example/device","expires_in":60}`))
	if _, err := r.http.StartDevice(t.Context(), r.server, bound(oauth.NewKey()), nil); err != nil && fault.CodeOf(err) == fault.Internal {
		t.Error(err)
	}
	for path, nonce := range map[string]string{"/par": "n-1", "/device": "n-2"} {
		made := proofs(r.as, path)
		if len(made) != 2 {
			t.Fatalf("%s: %d proofs", path, len(made))
		}
		if _, claims := claimsOf(t, made[1], nil); claims["nonce"] != nonce || claims["htu"] != r.as.URL()+path {
			t.Errorf("%s: %v", path, claims)
		}
	}
}
