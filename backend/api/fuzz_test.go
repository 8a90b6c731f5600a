package api_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"keyturn/backend/api"
)

// FuzzIPCRequest sends anything to any door. Whatever comes: an answer in
// JSON, a status that is not our own fault, no refresh token, no access token
// but from a token route to a program, and nothing at all to nobody and to
// the gateway.
func FuzzIPCRequest(f *testing.F) {
	for _, row := range api.Table() {
		f.Add(byte(api.Local), row.Method, concrete(row.Path), "application/json", `{"provider":"demo","account":"ada@example.test"}`)
		f.Add(byte(api.Window), row.Method, concrete(row.Path), "application/json", ``)
	}
	f.Add(byte(api.Gateway), "HEAD", "/v1/token", "text/plain", `{"service":"demo"}`)
	f.Add(byte(1), "POST", "/v1//token", "application/json;charset=x", `{"provider":"demo","provider":"demo"}`)
	f.Add(byte(1), "POST", "/v1/connections/"+adaID+"/token", "application/json", `{"scopes":["x"],"min_valid_seconds":1e2}`)
	f.Add(byte(1), "POST", startPath, "application/json", `{"service":"demo","requested_scopes":null}`)
	w := newWorld(f, twoAccounts())
	f.Fuzz(func(t *testing.T, who byte, method, path, contentType, body string) {
		r, err := http.NewRequestWithContext(ended(), method, "http://keyturn/", strings.NewReader(body))
		if err != nil || !strings.HasPrefix(path, "/") {
			return
		}
		if r.URL, err = r.URL.Parse(path); err != nil {
			return
		}
		r.Header.Set("Content-Type", contentType)
		p := api.Principal(who)
		rec := httptest.NewRecorder()
		w.Door(p).ServeHTTP(rec, r)
		said := rec.Body.String()
		if strings.Contains(said, "RT-") {
			t.Fatalf("%s %s: a refresh token: %s", method, path, said)
		}
		if strings.Contains(said, "AT-") && (p != api.Local || method != "POST" || !strings.HasSuffix(path, "/token")) {
			t.Fatalf("%v %s %s: an access token: %s", p, method, path, said)
		}
		if rec.Code < 400 && p != api.Local && p != api.Window && p != api.WebUI {
			t.Fatalf("%v %s %s: %d", p, method, path, rec.Code)
		}
		// The caller has hung up already, which some handlers notice.
		if rec.Code == http.StatusInternalServerError && strings.Contains(w.log.String(), "panic") {
			t.Fatalf("%s %s: %d %s", method, path, rec.Code, said)
		}
		if ct := rec.Header().Get("Content-Type"); ct != "text/event-stream" && !json.Valid(rec.Body.Bytes()) {
			t.Fatalf("%s %s: not JSON: %q", method, path, said)
		}
		if rec.Header().Get("Cache-Control") != "no-store" {
			t.Fatalf("%s %s: may be cached", method, path)
		}
	})
}
