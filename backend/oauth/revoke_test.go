package oauth_test

import (
	"strings"
	"testing"

	"keyturn/backend/demo/evilas"
	"keyturn/backend/oauth"
)

func TestARevokedGrantIsDead(t *testing.T) { // TK-20
	r := newRig(t, evilas.Config{})
	token, _, err := r.exchange(t)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.http.Revoke(t.Context(), r.server, public, token.Refresh, "refresh_token"); err != nil {
		t.Fatal(err)
	}
	if r.as.Live(token.Refresh.Reveal()) || r.as.Live(token.Access.Reveal()) {
		t.Error("the grant lives")
	}
	form := r.as.Requests("/revoke")[0].Form
	if form.Get("token_type_hint") != "refresh_token" || form.Get("client_id") != "public" {
		t.Errorf("sent %v", form)
	}
	if err := r.http.Revoke(t.Context(), r.server, public, oauth.NewSecret("unknown"), ""); err != nil {
		t.Errorf("a token nobody knows: %v", err)
	}
}

func TestRevocationAsServersWantIt(t *testing.T) {
	client := oauth.Client{ID: "app/1", Secret: oauth.NewSecret("s3:c+ret"), Auth: oauth.AuthPost}
	const basic = "Basic YXBwJTJGMTpzMyUzQWMlMkJyZXQ=" // app%2F1:s3%3Ac%2Bret
	for _, c := range []struct {
		name     string
		endpoint oauth.RevocationEndpoint
		line     string // method and path
		auth     string
		body     string
	}{
		{"RFC 7009", oauth.RevocationEndpoint{}, "POST /r", "", "client_id=app%2F1&client_secret=s3%3Ac%2Bret&token=t%7Bclient_id%7D&token_type_hint=access_token"},
		{"basic", oauth.RevocationEndpoint{Auth: "basic"}, "POST /r", basic, "token=t%7Bclient_id%7D&token_type_hint=access_token"},
		{"bearer without a body", oauth.RevocationEndpoint{Auth: "bearer"}, "POST /r", "Bearer t{client_id}", ""},
		{"nobody", oauth.RevocationEndpoint{Auth: "none", Body: map[string]string{"t": "{token}"}}, "POST /r", "", "t=t%7Bclient_id%7D"},
		{"DELETE with JSON", oauth.RevocationEndpoint{Method: "DELETE", Auth: "basic", JSON: true, Body: map[string]string{"access_token": "{token}"}}, "DELETE /r", basic, `{"access_token":"t{client_id}"}`},
		{"the client in the path", oauth.RevocationEndpoint{URL: "/apps/{client_id}/grant", Auth: "none", Body: map[string]string{}}, "POST /apps/app%2F1/grant", "", ""},
		{"a template fills each name once", oauth.RevocationEndpoint{Auth: "none", Body: map[string]string{"a": "{token}{client_id}{client_secret}{other}"}}, "POST /r", "", "a=t%7Bclient_id%7Dapp%2F1s3%3Ac%2Bret%7Bother%7D"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, evilas.Config{})
			r.server.Revoke = c.endpoint
			path := "/r"
			if c.endpoint.URL != "" {
				path = c.endpoint.URL
			}
			r.server.Revoke.URL = r.as.URL() + path
			decoded := strings.ReplaceAll(path, "{client_id}", "app/1")
			r.as.Script(decoded, evilas.Step{Status: 204})
			if err := r.http.Revoke(t.Context(), r.server, client, oauth.NewSecret("t{client_id}"), "access_token"); err != nil {
				t.Fatal(err)
			}
			got := r.as.Requests(decoded)[0]
			if !strings.HasPrefix(string(r.as.Connections()[0].Received), c.line+" ") || got.Header.Get("Authorization") != c.auth || got.Body != c.body {
				t.Errorf("%s %s\nauth %q\nbody %s", got.Method, got.Path, got.Header.Get("Authorization"), got.Body)
			}
		})
	}
}

func TestRevocationThatIsNotConfirmed(t *testing.T) {
	for _, c := range []struct {
		name string
		step evilas.Step
		kind oauth.Kind
	}{
		{"503", evilas.Step{Status: 503}, oauth.Outage},
		{"a page", evilas.Step{Status: 404, Header: map[string]string{"Content-Type": "text/html"}, Body: "<html>"}, oauth.Outage},
		{"refused", evilas.Step{Status: 400, Body: `{"error":"unsupported_token_type"}`}, oauth.Refused},
		{"refused with 200", evilas.JSON(`{"ok":false,"error":"invalid_auth"}`), oauth.Refused},
		{"hung up", evilas.Step{Hangup: true}, oauth.OutcomeUnknown},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, evilas.Config{})
			r.as.Script("/revoke", c.step)
			err := r.http.Revoke(t.Context(), r.server, public, oauth.NewSecret("rt-canary"), "refresh_token")
			if e := failure(t, err); e.Kind != c.kind || e.Op != "revoke" {
				t.Errorf("got %v", e)
			}
			printsNothing(t, err, "rt-canary")
			if n := len(r.as.Requests("")); n != 1 {
				t.Errorf("%d requests", n)
			}
		})
	}
}

func TestATokenIsNotSentWhereItDoesNotBelong(t *testing.T) {
	r := newRig(t, evilas.Config{})
	for name, change := range map[string]func(*oauth.RevocationEndpoint){
		"no endpoint":                     func(e *oauth.RevocationEndpoint) { e.URL = "" },
		"refresh token, access only":      func(e *oauth.RevocationEndpoint) { e.AccessOnly = true },
		"into a URL":                      func(e *oauth.RevocationEndpoint) { e.Method = "GET" },
		"a placeholder for it in the URL": func(e *oauth.RevocationEndpoint) { e.URL += "?token={token}" },
		"an unknown way to authenticate":  func(e *oauth.RevocationEndpoint) { e.Auth = "query" },
	} {
		server := r.server
		change(&server.Revoke)
		err := r.http.Revoke(t.Context(), server, public, oauth.NewSecret("rt"), "refresh_token")
		if e := failure(t, err); !e.Unsent {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := len(r.as.Connections()); n != 0 {
		t.Errorf("%d connections", n)
	}
}
