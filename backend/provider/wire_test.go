package provider_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"keyturn/backend/demo"
	"keyturn/backend/oauth"
	"keyturn/backend/provider"
)

// secretFor is what an OAuth app has at p: a secret, or a key to sign with and
// how the server checks what it signed.
func secretFor(t *testing.T, p provider.Provider) (secret oauth.Secret, verify func(string) bool) {
	t.Helper()
	switch {
	case !p.NeedsSecret():
		return oauth.Secret{}, nil
	case !slices.Contains(p.AuthMethods(), oauth.AuthSigned):
		return oauth.NewSecret("s3cret+/=&"), nil
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return oauth.NewSecret(string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))), func(made string) bool {
		parsed, err := jose.ParseSignedCompact(made, []jose.SignatureAlgorithm{jose.ES256})
		if err != nil {
			return false
		}
		says, err := parsed.Verify(key.Public())
		return err == nil && bytes.Contains(says, []byte(`"sub":"app"`)) && bytes.Contains(says, []byte(`"iss":"`+p.Client.Assertion.Issuer)) &&
			parsed.Signatures[0].Protected.KeyID == p.Client.Assertion.KeyID
	}
}

// Every entry of the catalogue is more than well-formed: with it, the wire
// connects to a server that has exactly the quirks the entry speaks of,
// refreshes and revokes. What the entry forgets to say fails here; whether the
// provider really has those quirks is for the evidence.
func TestEveryBuiltinConnectsRefreshesAndRevokes(t *testing.T) {
	for _, p := range builtin(t).All() {
		t.Run(p.ID, func(t *testing.T) {
			secret, verify := secretFor(t, p)
			auth, err := p.AuthFor(secret)
			if err != nil {
				t.Fatal(err)
			}
			as := demo.New(demo.Options{
				Quirks:      quirksOf(p),
				KeepRefresh: p.Refresh.Rotation == "never",
				Clients:     []demo.Client{{ID: "app", Secret: secret.Reveal(), Verify: verify, RedirectURIs: []string{p.RedirectURI(27419, "")}}},
				Identity:    func(a demo.Account) any { return answerFor(p, a) },
				Record:      true,
			})
			s := moved(p, as.Issuer()).Server()
			h := oauth.NewHTTP(oauth.HTTPOptions{Transport: as})
			c := oauth.Client{ID: "app", Secret: secret, Auth: auth}
			ctx := context.Background()

			asked := []string{"profile", "email"}
			if len(p.Scope.Default) == 0 {
				asked = nil
			}
			redirect := strings.Replace(p.RedirectURI(27419, ""), "/oauth", ":40123/oauth", 1)
			if p.RedirectRule(27419).Port != 0 {
				redirect = p.RedirectURI(27419, "")
			}
			verifier := oauth.NewVerifier()
			prompt, err := oauth.AuthorizationURL(oauth.AuthorizationRequest{
				Server: s, Client: c, Scopes: asked, State: oauth.NewState(), Verifier: verifier, AccountHint: "ada", ProviderID: p.ID,
			}, redirect)
			if err != nil {
				t.Fatal(err)
			}
			back, err := url.Parse(as.Approve(prompt, "ada"))
			if err != nil {
				t.Fatal(err)
			}
			_, response, err := oauth.ParseAuthorizationResponse(back.RawQuery)
			if err != nil {
				t.Fatal(err)
			}
			if err := oauth.CheckIss(s, response); err != nil {
				t.Fatal(err)
			}
			token, err := h.Exchange(ctx, s, c, response.Code, redirect, verifier)
			if err != nil {
				t.Fatal(err)
			}
			if asked != nil && !slices.Equal(token.Scopes, asked) {
				t.Errorf("granted %q, asked for %q", token.Scopes, asked)
			}
			if p.Identity.URL != "" { // some have no call that says whose account it is
				who, err := h.Identify(ctx, s, token, nil)
				label := "ada"
				if len(p.Identity.Paths) > 0 && p.Identity.Paths[0] == p.Identity.ID {
					label = "demo-1815"
				}
				if err != nil || !strings.Contains(who.Label, label) || who.ID != "demo-1815" {
					t.Errorf("connected as %+v (%v)", who, err)
				}
			}
			fresh, err := h.Refresh(ctx, s, c, token.Refresh)
			if err != nil {
				t.Fatal(err)
			}
			if fresh.Refresh.IsZero() != (p.Refresh.Rotation == "never") {
				t.Errorf("rotation is %q and the answer says otherwise", p.Refresh.Rotation)
			}
			if p.Revoke.URL == "" {
				return
			}
			gone, hint := fresh.Access, "access_token"
			if !p.Revoke.AccessOnly && !fresh.Refresh.IsZero() {
				gone, hint = fresh.Refresh, "refresh_token"
			}
			if err := h.Revoke(ctx, s, c, gone, hint); err != nil {
				t.Fatal(err)
			}
			if n := as.Counts(); n.LiveGrants != 0 || n.Refused != 0 || n.Revocations != 1 {
				t.Errorf("after the revocation: %+v", n)
			}
			for _, q := range as.Requests("") {
				if strings.Contains(fmt.Sprint(q.Query), gone.Reveal()) {
					t.Error("a token went into a URL")
				}
			}
		})
	}
}

// quirksOf makes a server depart from the RFCs in the ways that an entry says.
func quirksOf(p provider.Provider) demo.Quirks {
	r := p.Token.Response
	q := demo.Quirks{
		JSONBody:         p.Token.Body == "json",
		RefreshElsewhere: p.Token.RefreshURL != "",
		ScopeParam:       p.Authorize.ScopeParam,
		ScopeSeparator:   p.Scope.Separator,
		GrantedSeparator: r.ScopeSeparator,
		Root:             r.Root,
		OKField:          r.OKField,
		FormAnswer:       r.Form,
		NoIss:            !p.IssParameter,
	}
	if r.AnyContentType {
		q.ContentType = "text/html"
	}
	if r.NoTokenType {
		q.TokenType = "user"
	}
	switch {
	case p.Revoke.Auth == "bearer":
		q.Revoke = "bearer"
	case p.Revoke.Auth == "none":
		q.Revoke = "open"
	case p.Revoke.Body == "json":
		q.Revoke = "json"
	}
	return q
}

// answerFor is an identity answer in the provider's own shape.
func answerFor(p provider.Provider, a demo.Account) any {
	doc := map[string]any{"sub": a.Subject, "email": a.Email}
	for _, path := range p.Identity.Paths {
		put(doc, path, a.Email)
	}
	if p.Identity.ID != "" {
		put(doc, p.Identity.ID, a.Subject)
	}
	if p.Identity.OKField != "" {
		doc[p.Identity.OKField] = true
	}
	return doc
}

func put(doc map[string]any, path string, value any) {
	name, rest, more := strings.Cut(path, ".")
	if !more {
		doc[name] = value
		return
	}
	inner, ok := doc[name].(map[string]any)
	if !ok {
		inner = map[string]any{}
		doc[name] = inner
	}
	put(inner, rest, value)
}

// moved is p with its endpoints at another server, and nothing else changed.
func moved(p provider.Provider, issuer string) provider.Provider {
	if p.Issuer != "" {
		p.Issuer = issuer
	}
	p.Authorize.URL, p.Token.URL = issuer+"/authorize", issuer+"/token"
	for to, path := range map[*string]string{
		&p.Token.RefreshURL: "/refresh", &p.Revoke.URL: "/revoke", &p.Identity.URL: "/userinfo", &p.JWKSURL: "/jwks",
	} {
		if *to != "" {
			*to = issuer + path
		}
	}
	p.AllowLoopbackHTTP = true
	return p
}
