package app

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestThePagesReachTheDoorAndNobodyElseDoes(t *testing.T) {
	door := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		_, _ = io.WriteString(w, "door "+r.Method+" "+r.URL.Path+" "+string(body))
	})
	assets := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "asset "+r.URL.Path) })
	for _, tt := range []struct {
		method, path, origin string
		status               int
		want                 string
	}{
		{"GET", "/", "", 200, "asset /"},
		{"GET", "/apis", "", 200, "asset /apis"},
		{"POST", "/api/v1/settings", "", 200, "door POST /v1/settings x"},
		{"POST", "/api/v1/settings", "wails://wails", 200, "door POST /v1/settings x"},
		{"POST", "/api/v1/settings", "http://wails.localhost", 200, "door POST /v1/settings x"},
		{"POST", "/api/v1/settings", "https://attacker.test", 403, "not Keyturn's"},
		{"POST", "/api/v1/settings", "null", 403, "not Keyturn's"},
		{"POST", "/api/v1/settings", "wails://wails.attacker.test", 403, "not Keyturn's"},
		{"GET", "/api/v1/connections", "http://127.0.0.1:8080", 403, "not Keyturn's"},
	} {
		r := httptest.NewRequest(tt.method, "wails://wails"+tt.path, strings.NewReader("x"))
		if tt.origin != "" {
			r.Header.Set("Origin", tt.origin)
		}
		w := httptest.NewRecorder()
		pages(door, assets).ServeHTTP(w, r)
		if w.Code != tt.status || !strings.Contains(w.Body.String(), tt.want) {
			t.Errorf("%s %s from %q: %d %q", tt.method, tt.path, tt.origin, w.Code, w.Body)
		}
		if csp := w.Header().Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") || strings.Contains(csp, "*") {
			t.Errorf("%s: policy %q", tt.path, csp)
		}
	}
}

func TestOnlyViewsAreShown(t *testing.T) {
	for view, want := range map[string]string{
		"":                                     ViewConnections,
		"connections":                          "connections",
		"connect?provider=github":              "connect?provider=github",
		"connect/github":                       "connect?provider=github",
		"attempt?state=4a5f8647c98313deac6374": "attempt?state=4a5f8647c98313deac6374",
		"javascript:alert(1)":                  ViewConnections,
		"connect?provider=</script>":           ViewConnections,
		"connect?provider=a&x=b":               ViewConnections,
		"connect/a/b":                          ViewConnections,
		"Connections\n":                        ViewConnections,
		"connect\n":                            ViewConnections,
	} {
		if got := valid(view); got != want {
			t.Errorf("%q leads to %q, want %q", view, got, want)
		}
	}
}
