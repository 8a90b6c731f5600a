package oauth_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"

	"keyturn/backend/demo/evilas"
	"keyturn/backend/fault"
	"keyturn/backend/oauth"
)

func TestWhoConsented(t *testing.T) {
	var subject = map[string]any{"sub": "7"}
	for _, c := range []struct {
		name      string
		identity  oauth.Identity
		answer    string
		claims    map[string]any
		id, label string
		kind      oauth.Kind // of the error
	}{
		{"userinfo", oauth.Identity{}, `{"sub":"7","email":"ada@example.test","name":"Ada"}`, subject, "7", "ada@example.test", 0},
		{"login and a number", oauth.Identity{}, `{"id":12345678901234567890,"login":"octocat","name":"O"}`, nil, "12345678901234567890", "octocat", 0},
		{"paths", oauth.Identity{Paths: []string{"a.missing", "a.b.1.c"}, IDPath: "a.n"}, `{"a":{"n":5,"b":[{},{"c":"deep"}]}}`, nil, "5", "deep", 0},
		{"an empty name is passed over", oauth.Identity{}, `{"sub":"7","email":"","name":null,"preferred_username":false}`, nil, "7", "7", 0},
		{"format", oauth.Identity{Format: "{name} ({email})"}, `{"id":"1","name":"Ada","email":"a@b"}`, nil, "1", "Ada (a@b)", 0},
		{"format with a gap", oauth.Identity{Format: "{name} ({email})"}, `{"id":"1","name":"Ada"}`, nil, "1", "Ada", 0},
		{"format with nothing", oauth.Identity{Format: "@{login}"}, `{"id":"1","name":"Ada"}`, nil, "1", "Ada", 0},
		{"keys in another letter case", oauth.Identity{}, `{"SUB":"x","Email":"evil","sub":"7"}`, nil, "7", "7", 0},
		{"ok is true", oauth.Identity{OKField: "ok", Paths: []string{"user"}}, `{"ok":true,"user":"u"}`, nil, "u", "u", 0},
		{"ok is false", oauth.Identity{OKField: "ok"}, `{"ok":false,"error":"invalid_auth","name":"x"}`, nil, "", "", oauth.Refused},
		{"ok is text", oauth.Identity{OKField: "ok"}, `{"ok":"true","name":"x"}`, nil, "", "", oauth.Refused},
		{"userinfo-invalid-sub", oauth.Identity{}, `{"sub":"8","email":"mallory@example.test"}`, subject, "", "", oauth.Malformed},
		{"nobody", oauth.Identity{}, `{}`, nil, "", "", oauth.Malformed},
		{"null", oauth.Identity{}, `null`, nil, "", "", oauth.Malformed},
		{"not JSON", oauth.Identity{}, `email=x`, nil, "", "", oauth.Malformed},
		{"duplicate keys", oauth.Identity{}, `{"sub":"7","sub":"8"}`, nil, "", "", oauth.Malformed},
		{"a page", oauth.Identity{}, `<html>canary`, nil, "", "", oauth.Outage},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, evilas.Config{})
			r.server.Identity = c.identity
			r.server.Identity.URL = r.as.URL() + "/me"
			r.as.Script("/me", evilas.JSON(c.answer))
			account, err := r.http.Identify(t.Context(), r.server, oauth.Token{Access: oauth.NewSecret("at-1")}, c.claims)
			if c.kind != 0 {
				if e := failure(t, err); e.Kind != c.kind || account != (oauth.Account{}) {
					t.Errorf("got %v %v", account, e)
				}
				printsNothing(t, err, "canary", "mallory", "at-1")
				return
			}
			if err != nil || account != (oauth.Account{ID: c.id, Label: c.label}) {
				t.Errorf("got %+v %v", account, err)
			}
			if request := r.as.Requests("/me")[0]; request.Method != "GET" || request.Header.Get("Authorization") != "Bearer at-1" || len(request.Query) != 0 {
				t.Errorf("asked %+v", request)
			}
		})
	}
	t.Run("as the server wants to be asked", func(t *testing.T) {
		r := newRig(t, evilas.Config{})
		r.server.Identity = oauth.Identity{URL: r.as.URL() + "/graphql", Method: "POST", Body: `{"query":"{ me { name } }"}`,
			Headers: map[string]string{"X-Version": "1", "Authorization": "evil"}, Paths: []string{"data.me.name"}}
		r.as.Script("/graphql", evilas.JSON(`{"data":{"me":{"name":"Ada"}}}`))
		account, err := r.http.Identify(t.Context(), r.server, oauth.Token{Access: oauth.NewSecret("at-1")}, nil)
		got := r.as.Requests("/graphql")[0]
		if err != nil || account.Label != "Ada" || got.Method != "POST" || got.Body != r.server.Identity.Body ||
			got.Header.Get("Content-Type") != "application/json" || got.Header.Get("X-Version") != "1" || got.Header.Get("Authorization") != "Bearer at-1" {
			t.Errorf("%v %v %+v", account, err, got)
		}
	})
	t.Run("a server that offers neither", func(t *testing.T) {
		account, err := oauth.NewHTTP(oauth.HTTPOptions{}).Identify(t.Context(), oauth.Server{}, oauth.Token{}, nil)
		if err != nil || account != (oauth.Account{}) {
			t.Errorf("%v %v", account, err)
		}
	})
}

func TestNothingOddGetsIntoALabel(t *testing.T) { // IN-10
	for _, name := range []string{"\x1b]0;pwn\x07", "\x1b[2J", "a\nforged", "\u202egnp.exe", strings.Repeat("\u200b", 10_000), "\x00", "\u009b31m", strings.Repeat("A", 1<<19), "e" + strings.Repeat("\u0301", 500), "x\u2028y", "\ufeff"} {
		r := newRig(t, evilas.Config{})
		body, _ := json.Marshal(map[string]string{"sub": name, "name": name})
		r.as.Script("/userinfo", evilas.JSON(string(body)))
		account, err := r.http.Identify(t.Context(), r.server, oauth.Token{Access: oauth.NewSecret("at")}, nil)
		if err != nil {
			continue // nothing printable in it at all
		}
		for _, r := range account.Label + account.ID {
			if !unicode.IsPrint(r) {
				t.Errorf("%q let %U through", name[:min(len(name), 20)], r)
			}
		}
		if len([]rune(account.Label)) > 80 || len(account.ID) > 255 {
			t.Errorf("%q: label of %d, id of %d", name[:min(len(name), 20)], len(account.Label), len(account.ID))
		}
	}
	ids := map[string]bool{}
	for _, sub := range []string{"a\x1b", "a", "a\x07", strings.Repeat("a", 300), strings.Repeat("a", 301)} {
		r := newRig(t, evilas.Config{})
		body, _ := json.Marshal(map[string]string{"sub": sub, "name": "Ada"})
		r.as.Script("/userinfo", evilas.JSON(string(body)))
		account, err := r.http.Identify(t.Context(), r.server, oauth.Token{Access: oauth.NewSecret("at")}, nil)
		if err != nil || ids[account.ID] {
			t.Errorf("two subjects became one: %q %v", account.ID, err)
		}
		ids[account.ID] = true
	}
}

func TestAProbeTellsWhetherTheTokenWorks(t *testing.T) {
	r := newRig(t, evilas.Config{})
	token, _, err := r.exchange(t)
	if err != nil {
		t.Fatal(err)
	}
	if status, err := r.http.Probe(t.Context(), r.server, token); status != 200 || err != nil {
		t.Errorf("live token: %d %v", status, err)
	}
	if status, err := r.http.Probe(t.Context(), r.server, oauth.Token{Access: oauth.NewSecret("dead")}); status != 401 || err != nil {
		t.Errorf("dead token: %d %v", status, err)
	}
	r.as.Script("/userinfo", evilas.Step{Hangup: true}, evilas.JSON(`{"ok":false}`))
	if status, err := r.http.Probe(t.Context(), r.server, token); status != 0 || oauth.Fault(err, "Evil").Code != fault.ProviderUnavailable {
		t.Errorf("no answer: %d %v", status, err)
	}
	r.server.Identity.OKField = "ok"
	if status, err := r.http.Probe(t.Context(), r.server, token); status != 200 || err == nil {
		t.Errorf("200 that means no: %d %v", status, err)
	}
	if status, err := r.http.Probe(t.Context(), oauth.Server{}, token); status != 0 || err == nil {
		t.Errorf("nothing to ask: %d %v", status, err)
	}
}
