package webui

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// open is a UI whose API says who it let in, and what is in the way there.
func open(t *testing.T, isForeign bool) (u *UI, host string) {
	t.Helper()
	u = New(Options{
		Pages:   http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>shell</html>") }),
		API:     http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "api %s", r.URL.Path) }),
		Foreign: func(net.Conn) bool { return isForeign },
		Log:     slog.New(slog.DiscardHandler),
	})
	address, expires, err := u.Link()
	if err != nil {
		t.Fatal(err)
	}
	if left := time.Until(expires); left <= 0 || left > time.Minute {
		t.Errorf("a link for %s", left)
	}
	t.Cleanup(func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		u.closeLocked()
	})
	host, _, _ = strings.Cut(strings.TrimPrefix(address, "http://"), "/")
	return u, host
}

func link(t *testing.T, u *UI) string {
	t.Helper()
	address, _, err := u.Link()
	if err != nil {
		t.Fatal(err)
	}
	_, secret, ok := strings.Cut(address, "/#enter=")
	if !ok || len(secret) < 43 {
		t.Fatalf("the secret of %s", address)
	}
	return secret
}

// ask sends one request to the UI and returns status, header and body.
func ask(t *testing.T, host, method, path, body string, header map[string]string) (int, http.Header, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+host+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range header {
		if name == "Host" {
			req.Host = value
			continue
		}
		req.Header.Set(name, value)
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, res.Header, string(data)
}

const asJSON = "application/json"

func enter(t *testing.T, host, secret string) (int, string) {
	t.Helper()
	status, header, body := ask(t, host, "POST", "/api/session", `{"link":"`+secret+`"}`, map[string]string{"Content-Type": asJSON, "Origin": "http://" + host, "Sec-Fetch-Site": "same-origin"})
	var out struct{ Session string }
	if status == 200 && json.Unmarshal([]byte(body), &out) != nil {
		t.Fatal(body)
	}
	if header.Get("Set-Cookie") != "" {
		t.Error("UI-35: a cookie")
	}
	return status, out.Session
}

func TestALinkIsGoodOnce(t *testing.T) { // R-63, UI-31
	u, host := open(t, false)
	secret := link(t, u)
	status, bearer := enter(t, host, secret)
	if status != 200 || len(bearer) < 43 || bearer == secret {
		t.Fatalf("%d %q", status, bearer)
	}
	if status, _ := enter(t, host, secret); status != 401 {
		t.Errorf("a second time: %d", status)
	}
	if status, _, body := ask(t, host, "GET", "/api/v1/connections", "", map[string]string{"Authorization": "Bearer " + bearer}); status != 200 || body != "api /v1/connections" {
		t.Errorf("%d %s", status, body)
	}
	u.End() // locked
	if status, _, _ := ask(t, host, "GET", "/api/v1/connections", "", map[string]string{"Authorization": "Bearer " + bearer}); status != 401 {
		t.Errorf("UI-34: after the lock: %d", status)
	}
}

func TestWhoKnocks(t *testing.T) {
	u, host := open(t, false)
	_, bearer := enter(t, host, link(t, u))
	_, port, _ := net.SplitHostPort(host)
	with := func(more map[string]string) map[string]string {
		all := map[string]string{"Authorization": "Bearer " + bearer}
		for name, value := range more {
			all[name] = value
		}
		return all
	}
	for _, c := range []struct {
		name, method, path string
		header             map[string]string
		status             int
	}{
		{"the page itself", "GET", "/api/v1/x", with(map[string]string{"Origin": "http://" + host, "Sec-Fetch-Site": "same-origin", "Referer": "http://" + host + "/"}), 200},
		{"UI-10 a name that leads here", "GET", "/api/v1/x", with(map[string]string{"Host": "attacker.test:" + port}), 403},
		{"UI-10 also for the pages", "GET", "/", map[string]string{"Host": "attacker.test:" + port}, 403},
		{"UI-11 another port's page", "GET", "/api/v1/x", with(map[string]string{"Origin": "http://127.0.0.1:1"}), 403},
		{"UI-11 by its referrer", "GET", "/api/v1/x", with(map[string]string{"Referer": "http://127.0.0.1:1/x"}), 403},
		{"UI-11 a referrer that begins alike", "GET", "/api/v1/x", with(map[string]string{"Referer": "http://" + host + ".evil.test/"}), 403},
		{"UI-12 another site's page", "GET", "/api/v1/x", with(map[string]string{"Sec-Fetch-Site": "cross-site"}), 403},
		{"UI-12 another port on this site", "GET", "/api/v1/x", with(map[string]string{"Sec-Fetch-Site": "same-site"}), 403},
		{"UI-13 no origin to speak of", "POST", "/api/v1/x", with(map[string]string{"Origin": "null"}), 403},
		{"UI-14 nobody", "GET", "/api/v1/x", nil, 401},
		{"UI-14 a guess", "GET", "/api/v1/x", map[string]string{"Authorization": "Bearer " + strings.Repeat("A", 43)}, 401},
		{"UI-14 another scheme", "GET", "/api/v1/x", map[string]string{"Authorization": "Basic " + bearer}, 401},
		{"UI-16 a preflight", "OPTIONS", "/api/v1/x", map[string]string{"Origin": "https://evil.test", "Access-Control-Request-Method": "POST", "Access-Control-Request-Private-Network": "true"}, 403},
		{"UI-17 text that holds JSON", "POST", "/api/session", map[string]string{"Content-Type": "text/plain"}, 415},
		{"a session by GET", "GET", "/api/session", nil, 405},
		{"UI-19 the host in other words", "GET", "/api/v1/x", with(map[string]string{"Host": "localhost:" + port}), 403},
		{"UI-19 capitals and a dot", "GET", "/api/v1/x", with(map[string]string{"Host": "127.0.0.1.:" + port}), 403},
		{"UI-19 IPv6", "GET", "/api/v1/x", with(map[string]string{"Host": "[::1]:" + port}), 403},
		{"UI-19 no port", "GET", "/api/v1/x", with(map[string]string{"Host": "127.0.0.1"}), 403},
		{"UI-20 a host by another header", "GET", "/api/v1/x", map[string]string{"X-Forwarded-Host": host, "Host": "attacker.test"}, 403},
		{"UI-20 a method by another header", "GET", "/api/session", map[string]string{"X-HTTP-Method-Override": "POST", "Content-Type": asJSON}, 405},
		{"a page is not written to", "POST", "/", nil, 405},
	} {
		status, header, body := ask(t, host, c.method, c.path, "", c.header)
		if status != c.status {
			t.Errorf("%s: %d %s", c.name, status, body)
		}
		for name := range header {
			if strings.HasPrefix(name, "Access-Control-") {
				t.Errorf("UI-16 %s: %s", c.name, name)
			}
		}
		if status != 200 && strings.Contains(body, "api ") {
			t.Errorf("%s: reached the API", c.name)
		}
	}
	status, header, body := ask(t, host, "GET", "/", "", nil)
	if status != 200 || strings.Contains(body, bearer) || header.Get("Set-Cookie") != "" { // UI-23
		t.Errorf("%d %v %s", status, header, body)
	}
	if csp := header.Get("Content-Security-Policy"); !strings.Contains(csp, "frame-ancestors 'none'") || strings.Contains(csp, "unsafe") || header.Get("Cross-Origin-Opener-Policy") != "same-origin" { // UI-22
		t.Errorf("%v", header)
	}
}

func TestAnotherUserIsRefused(t *testing.T) {
	_, host := open(t, true)
	if status, _, _ := ask(t, host, "GET", "/", "", nil); status != 403 {
		t.Errorf("%d", status)
	}
}

func TestRequestsThatAreTwoAreNone(t *testing.T) { // UI-26
	_, host := open(t, false)
	for name, raw := range map[string]string{
		"two lengths":   "POST /api/session HTTP/1.1\r\nHost: " + host + "\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
		"folded header": "GET / HTTP/1.1\r\nHost: " + host + "\r\nX: a\r\n b\r\n\r\n",
		"two hosts":     "GET / HTTP/1.1\r\nHost: " + host + "\r\nHost: evil\r\n\r\n",
	} {
		c, err := net.Dial("tcp", host)
		if err != nil {
			t.Fatal(err)
		}
		c.SetDeadline(time.Now().Add(5 * time.Second))
		io.WriteString(c, raw)
		answer, _ := io.ReadAll(c)
		c.Close()
		if !bytes.HasPrefix(answer, []byte("HTTP/1.1 400")) && !(name == "folded header" && bytes.HasPrefix(answer, []byte("HTTP/1.1 200"))) {
			t.Errorf("%s: %.60q", name, answer)
		}
	}
}

func TestLinksAndSessionsEnd(t *testing.T) { // R-63, UI-32, UI-34
	synctest.Test(t, func(t *testing.T) {
		u := New(Options{
			Pages: http.NotFoundHandler(), API: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(200) }),
			Foreign: func(net.Conn) bool { return false }, Log: slog.New(slog.DiscardHandler),
		})
		const host = "127.0.0.1:1"
		door := u.door(host)
		give := func(life time.Duration) string {
			text, hash := secret()
			u.links[hash] = time.Now().Add(life)
			return text
		}
		knock := func(bearer string) int {
			r := httptest.NewRequest("GET", "http://"+host+"/api/v1/x", nil)
			r = r.WithContext(context.WithValue(r.Context(), foreignKey{}, func() bool { return false }))
			r.Header.Set("Authorization", "Bearer "+bearer)
			w := httptest.NewRecorder()
			door.ServeHTTP(w, r)
			return w.Code
		}
		late := give(linkLife)
		time.Sleep(61 * time.Second)
		if _, ok := u.spend(late); ok {
			t.Error("a link of more than a minute")
		}
		idle, _ := u.spend(give(linkLife))
		time.Sleep(16 * time.Minute)
		if knock(idle) != 401 {
			t.Error("a session that nobody used for a quarter of an hour")
		}
		busy, _ := u.spend(give(linkLife))
		for range 71 { // every ten minutes, for just under twelve hours
			time.Sleep(10 * time.Minute)
			if knock(busy) != 200 {
				t.Fatal("a session that was used has ended")
			}
		}
		time.Sleep(11 * time.Minute)
		if knock(busy) != 401 {
			t.Error("a session of more than twelve hours")
		}
		for range 3 * maxSessions {
			u.spend(give(linkLife))
		}
		if len(u.sessions) > maxSessions {
			t.Errorf("%d sessions", len(u.sessions))
		}
	})
}

func TestThePortIsOpenWhileSomebodyCanUseIt(t *testing.T) { // UI-29
	u, host := open(t, false)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- u.Run(ctx) }()
	if _, err := net.Dial("tcp", host); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if c, err := net.Dial("tcp", host); err == nil {
		c.Close()
		t.Error("open after the end")
	}
	if _, _, err := u.Link(); err == nil {
		t.Error("a link after the end")
	}
}

func TestLinksAreNotGivenWithoutEnd(t *testing.T) {
	u, _ := open(t, false)
	var err error
	for range 2 * maxLinks {
		if _, _, err = u.Link(); err != nil {
			break
		}
	}
	if err == nil {
		t.Error("no end of links")
	}
}
