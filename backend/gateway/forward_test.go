package gateway_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"keyturn/backend/gateway"
	"keyturn/backend/oauth"
)

// app is a Keyturn as a forwarding gateway sees it.
type app struct {
	*httptest.Server
	mu     sync.Mutex
	asked  []gateway.Forwarded
	status int
	says   string
}

func newApp(t *testing.T) *app {
	a := &app{status: 200, says: `{"ok":true,"provider":"GitHub","account":"octocat","scopes":["repo"]}`}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.mu.Lock()
		defer a.mu.Unlock()
		if r.URL.Path != "/v1/internal/oauth/callback" || r.Header.Get("Authorization") != "Bearer the-bearer" || r.Method != "POST" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		var f gateway.Forwarded
		if err := json.NewDecoder(r.Body).Decode(&f); err != nil {
			t.Error(err)
		}
		a.asked = append(a.asked, f)
		w.WriteHeader(a.status)
		_, _ = io.WriteString(w, a.says)
	}))
	t.Cleanup(a.Close)
	return a
}

func (a *app) will(status int, says string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.status, a.says = status, says
}

func (a *app) times() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.asked)
}

func forwarding(t *testing.T, a *app, bearer string) *gateway.Gateway {
	t.Helper()
	f, err := gateway.NewForward(a.URL, oauth.NewSecret(bearer), http.DefaultClient)
	if err != nil {
		t.Fatal(err)
	}
	return gateway.New(gateway.Options{Way: f, PerMinute: 10_000})
}

func TestAForwardedCallbackShowsWhatTheAppSays(t *testing.T) {
	a := newApp(t)
	g := forwarding(t, a, "the-bearer")
	res := ask(t, g, "GET", "/oauth/callback/github?code=c&state=s1&iss=https%3A%2F%2Fas.example&scope=x")
	body, _ := io.ReadAll(res.Body)
	if res.StatusCode != 200 || !strings.Contains(string(body), "GitHub is connected") || !strings.Contains(string(body), "octocat") {
		t.Errorf("%d\n%s", res.StatusCode, body)
	}
	if f := a.asked[0]; f.State != "s1" || f.Code != "c" || f.Error != "" || f.Iss == nil || *f.Iss != "https://as.example" {
		t.Errorf("%+v", f)
	}
	a.will(200, `{"ok":false,"provider":"GitHub","code":"denied","message":"You said no.<script>"}`)
	res = ask(t, g, "GET", "/oauth/callback/github?error=access_denied&state=s2")
	body, _ = io.ReadAll(res.Body)
	if res.StatusCode != 200 || !strings.Contains(string(body), "was not connected") || strings.Contains(string(body), "<script") {
		t.Errorf("%d\n%s", res.StatusCode, body)
	}
}

func TestAStateIsForwardedOnceUnlessTheAppCannotHaveActedOnIt(t *testing.T) {
	for _, tt := range []struct {
		name   string
		status int
		again  bool
	}{
		{"taken", 200, false},
		{"unknown to the app", 404, false},
		{"malformed to the app", 400, false},
		{"the app is broken", 500, true},
		{"the app is restarting", 503, true},
		{"the bearer is refused", 401, true},
		{"forbidden", 403, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := newApp(t)
			a.will(tt.status, `{"ok":true,"provider":"GitHub"}`)
			g := forwarding(t, a, "the-bearer")
			for range 3 {
				ask(t, g, "GET", "/oauth/callback/github?code=c&state=s")
			}
			if n := a.times(); n != 1 && !tt.again || n != 3 && tt.again {
				t.Errorf("the app was asked %d times", n)
			}
		})
	}
	t.Run("nobody there", func(t *testing.T) {
		a := newApp(t)
		g := forwarding(t, a, "the-bearer")
		a.Close()
		for range 2 {
			res := ask(t, g, "GET", "/oauth/callback/github?code=c&state=s")
			body, _ := io.ReadAll(res.Body)
			if res.StatusCode != 502 || !strings.Contains(string(body), "not reachable") {
				t.Errorf("%d", res.StatusCode)
			}
		}
	})
}

func TestAnAppThatTalksNonsenseGetsNothingOntoThePage(t *testing.T) {
	for name, says := range map[string]string{
		"no JSON": "hello canary", "a list": "[]", "a member twice": `{"ok":true,"ok":false}`, "too long": strings.Repeat(" ", 70<<10) + "{}", "a redirect": "",
	} {
		a := newApp(t)
		status := 200
		if name == "a redirect" {
			status = 307
		}
		a.will(status, says)
		res := ask(t, forwarding(t, a, "the-bearer"), "GET", "/oauth/callback/github?code=c&state=s")
		body, _ := io.ReadAll(res.Body)
		if res.StatusCode == 200 || strings.Contains(string(body), "canary") || strings.Contains(string(body), "is connected") {
			t.Errorf("%s: %d", name, res.StatusCode)
		}
	}
}

func TestWhereToForward(t *testing.T) {
	for _, bad := range []string{"", "http://app.example", "https://app.example/x?y", "ftp://x", "https://user@app.example"} {
		if _, err := gateway.Address(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
	if got, err := gateway.Address(" https://App.example:8443/ "); err != nil || got != "https://app.example:8443" {
		t.Errorf("%q %v", got, err)
	}
}
