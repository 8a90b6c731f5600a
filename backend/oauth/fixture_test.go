package oauth_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"keyturn/backend/demo/evilas"
	"keyturn/backend/oauth"
)

const redirectURI = "http://127.0.0.1:27419/oauth/callback/evil"

var public = oauth.Client{ID: "public", Auth: oauth.AuthNone}

// rig is one authorization server and a client of it.
type rig struct {
	as     *evilas.Server
	http   *oauth.HTTP
	server oauth.Server
	log    *bytes.Buffer
}

func newRig(t *testing.T, config evilas.Config) *rig {
	t.Helper()
	as := evilas.New(t, config)
	log := &bytes.Buffer{}
	return &rig{
		as: as, log: log,
		http:   oauth.NewHTTP(oauth.HTTPOptions{RootCAs: as.RootCAs(), Log: slog.New(slog.NewTextHandler(log, nil))}),
		server: serverAt(as.URL()),
	}
}

func serverAt(issuer string) oauth.Server {
	return oauth.Server{
		Issuer: issuer, IssParameter: true, JWKSURL: issuer + "/jwks", AllowLoopbackHTTP: true,
		Authorize: oauth.AuthorizationEndpoint{URL: issuer + "/authorize"},
		Token:     oauth.TokenEndpoint{URL: issuer + "/token"},
		Revoke:    oauth.RevocationEndpoint{URL: issuer + "/revoke"},
		Identity:  oauth.Identity{URL: issuer + "/userinfo"},
	}
}

// exchange spends a fresh code and returns it too.
func (r *rig) exchange(t *testing.T, scopes ...string) (oauth.Token, string, error) {
	t.Helper()
	verifier := oauth.NewVerifier()
	code := r.as.NewCode("public", redirectURI, verifier.Reveal(), "", scopes...)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	token, err := r.http.Exchange(ctx, r.server, public, oauth.NewSecret(code), redirectURI, verifier)
	return token, code, err
}

// failure is the *oauth.Error in err; the test ends without one.
func failure(t *testing.T, err error) *oauth.Error {
	t.Helper()
	e, ok := errors.AsType[*oauth.Error](err)
	if !ok {
		t.Fatalf("got %v, want an *oauth.Error", err)
	}
	return e
}

// printsNothing fails when an error or its sentence holds a word of the
// server's, or a secret.
func printsNothing(t *testing.T, err error, words ...string) {
	t.Helper()
	said := err.Error() + oauth.Fault(err, "Evil").Message
	for _, word := range append(words, "http://", "https://", "127.0.0.1", "\x1b", "<") {
		if word != "" && strings.Contains(said, word) {
			t.Errorf("error repeats %q: %s", word, said)
		}
	}
}
