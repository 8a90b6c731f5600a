package api_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"keyturn/backend/api"
	"keyturn/backend/api/wire"
	"keyturn/backend/demo/evilas"
)

// register adds the authorization server as the provider "acme" with a public
// app, through the API.
func register(t *testing.T, w *world, as *evilas.Server) {
	t.Helper()
	status, problem := w.call(t, api.Local, "POST", "/v1/providers", wire.ProviderRegister{
		ProviderKey:       "acme",
		DisplayName:       "Acme",
		AuthURL:           as.URL() + "/authorize",
		TokenURL:          as.URL() + "/token",
		RevokeURL:         as.URL() + "/revoke",
		UserinfoURL:       as.URL() + "/userinfo",
		Scopes:            []string{"profile", "email"},
		AllowLoopbackHTTP: true,
	}, nil)
	if status != 200 {
		t.Fatalf("register: %d %+v", status, problem)
	}
	if status, problem := w.call(t, api.Local, "POST", "/v1/apps", wire.AppUpsert{Provider: "acme", ClientID: "public", NoClientSecret: true}, nil); status != 200 {
		t.Fatalf("app: %d %+v", status, problem)
	}
}

func start(t *testing.T, w *world, p api.Principal, in wire.ConnectStart) wire.ConnectStarted {
	t.Helper()
	var out wire.ConnectStarted
	if status, problem := w.call(t, p, "POST", startPath, in, &out); status != 200 {
		t.Fatalf("start: %d %+v", status, problem)
	}
	return out
}

// approve plays the browser: the authorization server sends it to the
// loopback address, whose page it reads to the end.
func approve(t *testing.T, as *evilas.Server, authURL string) {
	t.Helper()
	answer, err := http.Get(as.Consent(t, authURL).String())
	must(t, err)
	io.Copy(io.Discard, answer.Body)
	answer.Body.Close()
	if answer.StatusCode != 200 {
		t.Fatalf("the callback page: %s", answer.Status)
	}
}

func status(t *testing.T, w *world, p api.Principal, handle string) wire.ConnectStatus {
	t.Helper()
	var out wire.ConnectStatus
	if code, problem := w.call(t, p, "GET", "/v1/internal/oauth/connect/status/"+handle, nil, &out); code != 200 {
		t.Fatalf("status: %d %+v", code, problem)
	}
	return out
}

// settled polls until the attempt has ended.
func settled(t *testing.T, w *world, handle string) wire.ConnectStatus {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if s := status(t, w, api.Local, handle); s.Status != "pending" {
			return s
		} else if time.Now().After(deadline) {
			t.Fatalf("still pending: %+v", s)
		}
	}
}

// everythingSaid reads every list that a principal may read.
func everythingSaid(t *testing.T, w *world, p api.Principal, handle string) string {
	t.Helper()
	var b strings.Builder
	for _, path := range []string{
		"/v1/internal/oauth/connect/status/" + handle, "/v1/attempts", "/v1/connections",
		"/v1/apps", "/v1/providers/acme", "/v1/settings", "/v1/health", "/v1/diagnosis",
	} {
		answer := checked(t, w.Server, p, httptest.NewRequest("GET", path, nil))
		io.Copy(&b, answer.Body)
	}
	return b.String()
}

func TestAConnectThroughTheAPI(t *testing.T) {
	as := evilas.New(t, evilas.Config{Scopes: []string{"profile"}})
	w := newWorld(t, setup{})
	register(t, w, as)

	started := start(t, w, api.Local, wire.ConnectStart{Service: "acme"})
	if started.AuthURL == "" || started.State == "" || started.Transport != "loopback" || started.ExpiresAt == nil ||
		started.Joined || started.Browser != "" || len(w.opened) > 0 {
		t.Fatalf("started %+v, opened %q", started, w.opened)
	}
	authURL, err := url.Parse(started.AuthURL)
	must(t, err)
	q := authURL.Query()
	canaries := []string{q.Get("state"), q.Get("code_challenge"), started.AuthURL, url.QueryEscape(started.AuthURL)}

	t.Run("ST-10 the OAuth state is no handle", func(t *testing.T) {
		if q.Get("state") == started.State {
			t.Error("they are the same")
		}
		for _, guess := range []string{q.Get("state"), strings.ToLower(q.Get("state")), "0123456789abcdef0123456789abcdef"} {
			if code, _ := w.call(t, api.Local, "GET", "/v1/internal/oauth/connect/status/"+url.PathEscape(guess), nil, nil); code != 404 {
				t.Errorf("%q: %d, want 404", guess, code)
			}
		}
	})
	t.Run("ST-11 pending", func(t *testing.T) {
		if s := status(t, w, api.Local, started.State); s.Status != "pending" || s.Step != "waiting_for_browser" || s.Service != "acme" {
			t.Errorf("%+v", s)
		}
		for _, p := range []api.Principal{api.Local, api.Window, api.WebUI} {
			mustNotHold(t, "what is said while pending", everythingSaid(t, w, p, started.State), canaries...)
		}
	})

	approve(t, as, started.AuthURL)
	done := settled(t, w, started.State)
	if done.Status != "complete" || done.AccountInfo != "ada@example.test" || done.ConnectionID == "" ||
		len(done.GrantedScopes) != 1 || len(done.MissingScopes) != 1 {
		t.Fatalf("%+v", done)
	}
	tokens := as.Requests("/token")
	if len(tokens) != 1 {
		t.Fatalf("%d token requests, want 1", len(tokens))
	}

	var token wire.Token
	t.Run("TK-01 a token and nothing beside it", func(t *testing.T) {
		r := httptest.NewRequest("POST", "/v1/token", strings.NewReader(`{"provider":"acme"}`))
		r.Header.Set("Content-Type", "application/json")
		answer := checked(t, w.Server, api.Local, r)
		body, _ := io.ReadAll(answer.Body)
		mustNotHold(t, "the answer", string(body), "refresh", "id_token", "client_secret")
		if code, problem := w.call(t, api.Local, "POST", "/v1/token", wire.TokenRequest{Provider: "acme"}, &token); code != 200 {
			t.Fatalf("%d %+v", code, problem)
		}
		if !as.Live(token.Token) || token.TokenType != "Bearer" || token.ExpiresAt == nil || token.ConnectionID != done.ConnectionID {
			t.Errorf("%+v", token)
		}
	})
	t.Run("ST-11 complete", func(t *testing.T) {
		canaries := append(canaries, token.Token)
		for _, p := range []api.Principal{api.Local, api.Window, api.WebUI} {
			mustNotHold(t, "what is said when complete", everythingSaid(t, w, p, started.State), canaries...)
		}
		mustNotHold(t, "the log", w.log.String(), canaries...)
	})
	t.Run("if needed", func(t *testing.T) {
		again := start(t, w, api.Window, wire.ConnectStart{Service: "acme", IfNeeded: true, RequestedScopes: []string{"profile"}})
		if !again.AlreadyConnected || again.ConnectionID != done.ConnectionID || again.State != "" || len(w.opened) > 0 {
			t.Errorf("%+v, opened %q", again, w.opened)
		}
	})
	t.Run("TK-11 a scope that was not granted", func(t *testing.T) {
		code, problem := w.call(t, api.Local, "POST", "/v1/token", wire.TokenRequest{Provider: "acme", Scopes: []string{"profile", "email"}}, nil)
		if code != 409 || problem.Code != "scope_insufficient" || !strings.Contains(problem.Detail, "email") {
			t.Errorf("%d %+v", code, problem)
		}
	})
	t.Run("ping", func(t *testing.T) {
		var ping wire.Ping
		w.call(t, api.Window, "POST", "/v1/ping", wire.PingRequest{Provider: "acme"}, &ping)
		if !ping.OK || ping.Status != 200 || ping.Account != "ada@example.test" {
			t.Errorf("%+v", ping)
		}
	})
	t.Run("TK-20 disconnect", func(t *testing.T) {
		var gone wire.Disconnected
		if code, problem := w.call(t, api.Window, "POST", "/v1/disconnect", wire.DisconnectRequest{Provider: "acme", Account: "ada@example.test"}, &gone); code != 200 {
			t.Fatalf("%d %+v", code, problem)
		}
		if !gone.Revoked || gone.ConnectionID != done.ConnectionID || as.Live(token.Token) {
			t.Errorf("%+v", gone)
		}
		var left wire.Connections
		if w.call(t, api.Local, "GET", "/v1/connections", nil, &left); len(left.Connections) > 0 {
			t.Errorf("left: %+v", left)
		}
	})
}

func TestOnlyTheKindOfCallerThatStartedGetsTheURL(t *testing.T) {
	as := evilas.New(t, evilas.Config{})
	w := newWorld(t, setup{})
	register(t, w, as)
	first := start(t, w, api.Local, wire.ConnectStart{Service: "acme"})
	for _, p := range []api.Principal{api.Window, api.WebUI} {
		joined := start(t, w, p, wire.ConnectStart{Service: "acme"})
		if joined.AuthURL != "" || !joined.Joined || joined.State != first.State || joined.Browser != "" {
			t.Errorf("ST-13 %v joined and got %+v", p, joined)
		}
	}
	if len(w.opened) > 0 {
		t.Error("a second tab was opened")
	}
	if again := start(t, w, api.Local, wire.ConnectStart{Service: "acme"}); again.AuthURL != first.AuthURL || !again.Joined {
		t.Errorf("the starter joined itself and got %+v", again)
	}
	t.Run("start again", func(t *testing.T) {
		var anew wire.ConnectStarted
		if code, problem := w.call(t, api.Window, "POST", "/v1/internal/oauth/connect/"+first.State+"/restart", nil, &anew); code != 200 {
			t.Fatalf("%d %+v", code, problem)
		}
		if anew.AuthURL == "" || anew.AuthURL == first.AuthURL || anew.State == first.State || anew.Joined || anew.Browser != "opened" {
			t.Errorf("%+v", anew)
		}
		if s := status(t, w, api.Local, first.State); s.Status != "error" || s.Code != "superseded" {
			t.Errorf("the first one: %+v", s)
		}
	})
}

func TestTheWindowLetsTheAppOpenTheBrowser(t *testing.T) {
	as := evilas.New(t, evilas.Config{})
	w := newWorld(t, setup{})
	register(t, w, as)
	opened := start(t, w, api.Window, wire.ConnectStart{Service: "acme"})
	if opened.Browser != "opened" || len(w.opened) != 1 || w.opened[0] != opened.AuthURL {
		t.Errorf("%+v, opened %q", opened, w.opened)
	}
	joined := start(t, w, api.Window, wire.ConnectStart{Service: "acme"})
	if joined.Browser != "" || joined.AuthURL != opened.AuthURL || len(w.opened) != 1 {
		t.Errorf("joined: %+v, opened %d times", joined, len(w.opened))
	}
	w.noOpener = errors.New("no browser")
	failed := start(t, w, api.Window, wire.ConnectStart{Service: "acme", AccountHint: "grace"})
	if failed.Browser != "failed" || failed.AuthURL == "" {
		t.Errorf("ST-16 %+v", failed)
	}
	if s := status(t, w, api.Window, failed.State); s.Status != "pending" {
		t.Errorf("ST-16 %+v", s)
	}
	approve(t, as, failed.AuthURL)
	if s := settled(t, w, failed.State); s.Status != "complete" {
		t.Errorf("ST-16 the link that was copied: %+v", s)
	}
}

func TestTheWindowHasThePageOpenedAgain(t *testing.T) {
	as := evilas.New(t, evilas.Config{})
	w := newWorld(t, setup{})
	register(t, w, as)
	started := start(t, w, api.Window, wire.ConnectStart{Service: "acme"})
	open := func(p api.Principal) int {
		code, _ := w.call(t, p, "POST", "/v1/attempts/"+started.State+"/open", nil, nil)
		return code
	}
	if code := open(api.Window); code != 200 || len(w.opened) != 2 || w.opened[1] != started.AuthURL {
		t.Errorf("%d, opened %q", code, w.opened)
	}
	if code := open(api.Local); code != 403 {
		t.Errorf("a program had a page opened: %d", code)
	}
	w.call(t, api.Window, "POST", "/v1/internal/oauth/connect/"+started.State+"/cancel", nil, nil)
	if code := open(api.Window); code != 404 || len(w.opened) != 2 {
		t.Errorf("the page of an attempt that is over: %d, opened %q", code, w.opened)
	}
}

func TestCancelIsIdempotentAndUnknownHandlesAreNot(t *testing.T) {
	as := evilas.New(t, evilas.Config{})
	w := newWorld(t, setup{})
	register(t, w, as)
	handle := start(t, w, api.WebUI, wire.ConnectStart{Service: "acme"}).State
	for range 2 {
		if code, problem := w.call(t, api.Local, "POST", "/v1/internal/oauth/connect/"+handle+"/cancel", nil, nil); code != 200 {
			t.Errorf("%d %+v", code, problem)
		}
	}
	if s := status(t, w, api.Local, handle); s.Status != "error" || s.Code != "cancelled" || s.Error == "" {
		t.Errorf("%+v", s)
	}
	for _, path := range []string{"cancel", "restart"} {
		code, problem := w.call(t, api.Window, "POST", "/v1/internal/oauth/connect/ffffffffffffffffffffffffffffffff/"+path, nil, nil)
		if code != 404 || problem.Code != "state_unknown" {
			t.Errorf("%s: %d %+v", path, code, problem)
		}
	}
}

func TestTooManyAttemptsAreToldToWait(t *testing.T) {
	as := evilas.New(t, evilas.Config{})
	w := newWorld(t, setup{})
	register(t, w, as)
	for _, hint := range []string{"a", "b", "c", "d"} {
		start(t, w, api.Local, wire.ConnectStart{Service: "acme", AccountHint: hint})
	}
	r := httptest.NewRequest("POST", startPath, strings.NewReader(`{"service":"acme","account_hint":"e"}`))
	r.Header.Set("Content-Type", "application/json")
	answer := checked(t, w.Server, api.Local, r)
	if answer.StatusCode != 429 || answer.Header.Get("Retry-After") != "10" {
		t.Errorf("%d, Retry-After %q", answer.StatusCode, answer.Header.Get("Retry-After"))
	}
}

func TestAThousandPollersGetTheSameAnswer(t *testing.T) {
	as := evilas.New(t, evilas.Config{})
	w := newWorld(t, setup{})
	register(t, w, as)
	started := start(t, w, api.Local, wire.ConnectStart{Service: "acme"})
	_, path := w.serve(t)
	answers := make(chan string, 1000)
	var ready sync.WaitGroup
	for range 1000 {
		ready.Add(1)
		go func() {
			c := clientOf(t, path) // each a program of its own, with its own connection
			first := true
			for {
				body := get(c, "/v1/internal/oauth/connect/status/"+started.State)
				if first {
					first = false
					ready.Done()
				}
				if !strings.Contains(body, `"pending"`) {
					answers <- body
					return
				}
				time.Sleep(200 * time.Millisecond)
			}
		}()
	}
	ready.Wait()
	approve(t, as, started.AuthURL)
	want := <-answers
	if !strings.Contains(want, `"complete"`) {
		t.Errorf("ST-14 %s", want)
	}
	for range 999 {
		if got := <-answers; got != want {
			t.Fatalf("ST-14 %s, another got %s", got, want)
		}
	}
}

func get(c *http.Client, path string) string {
	answer, err := c.Get("http://keyturn" + path)
	if err != nil {
		return err.Error()
	}
	defer answer.Body.Close()
	body, _ := io.ReadAll(answer.Body)
	return string(body)
}
