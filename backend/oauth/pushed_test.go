package oauth_test

import (
	"context"
	"net/url"
	"strings"
	"testing"

	"keyturn/backend/demo/evilas"
	"keyturn/backend/fault"
	"keyturn/backend/oauth"
)

func TestAPushedAuthorizationRequest(t *testing.T) { // RFC 9126, DI-21
	r := newRig(t, evilas.Config{Pushed: true})
	m, err := r.http.Discover(t.Context(), r.as.URL(), true)
	if err != nil || m.PushedURL != r.as.URL()+"/par" {
		t.Fatalf("%+v %v", m, err)
	}
	r.server.Authorize.PushedURL = m.PushedURL
	confidential := oauth.Client{ID: "confidential", Secret: oauth.NewSecret(evilas.ConfidentialSecret), Auth: oauth.AuthBasic}
	request := oauth.AuthorizationRequest{
		Server: r.server, Client: confidential, Scopes: []string{"read"}, State: oauth.NewState(), Verifier: oauth.NewVerifier(), ProviderName: "Evil",
		Push: func(ctx context.Context, params url.Values) (string, error) {
			return r.http.Push(ctx, r.server, confidential, params)
		},
	}
	prompt, err := request.PromptURL(t.Context(), redirectURI)
	if err != nil {
		t.Fatal(err)
	}
	u, _ := url.Parse(prompt)
	if q := u.Query(); len(q) != 2 || q.Get("client_id") != "confidential" || !strings.HasPrefix(q.Get("request_uri"), "urn:") {
		t.Errorf("the browser is told %s", prompt)
	}
	if !r.as.Saw("Authorization: Basic ") || !r.as.Saw("state="+request.State.Reveal()) {
		t.Error("the request was not pushed under the client's authentication")
	}
	back := r.as.Consent(t, prompt)
	if back.Query().Get("state") != request.State.Reveal() {
		t.Errorf("back to %s", back)
	}
	for name, step := range map[string]evilas.Step{
		"refused":     {Status: 400, Header: map[string]string{"Content-Type": "application/json"}, Body: `{"error":"invalid_request"}`},
		"no uri":      evilas.JSON(`{"expires_in":60}`),
		"a long one":  evilas.JSON(`{"request_uri":"` + strings.Repeat("u", 4000) + `"}`),
		"with breaks": evilas.JSON(`{"request_uri":"urn:a\r\nb"}`),
		"twice":       evilas.JSON(`{"request_uri":"urn:a","request_uri":"urn:b"}`),
		"a page":      {Status: 200, Header: map[string]string{"Content-Type": "text/html"}, Body: "<html>"},
		"elsewhere":   {Status: 307, RedirectTo: "https://evil.example/par"},
	} {
		r.as.Script("/par", step)
		if got, err := request.PromptURL(t.Context(), redirectURI); err == nil || fault.CodeOf(err) == fault.Internal {
			t.Errorf("%s: %s %v", name, got, err)
		}
	}
}
