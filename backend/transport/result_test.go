package transport_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"keyturn/backend/oauth"
)

func TestTheLastPageTellsTheTruth(t *testing.T) {
	good := oauth.Outcome{OK: true, Provider: "Acme", Account: "ada@acme.example", Scopes: []string{"read"}, Missing: []string{"write"}}

	t.Run("it waits for the outcome", func(t *testing.T) {
		r := start(t)
		at := r.get(t, r.target()).header.Get("Location")
		reply := r.gotTheCode(t)
		time.AfterFunc(150*time.Millisecond, func() { reply.Tell(good) })
		began := time.Now()
		a := r.get(t, at)
		if took := time.Since(began); took < 100*time.Millisecond || took > time.Second {
			t.Errorf("answered after %v, want about 150ms", took)
		}
		for _, want := range []string{"Acme is connected", "ada@acme.example", "read", "Not granted", "write", "You can close this tab."} {
			if !strings.Contains(a.body, want) {
				t.Errorf("the page does not say %q", want)
			}
		}
	})
	t.Run("CB-56 it says finishing until then, and never success first", func(t *testing.T) {
		r := start(t)
		r.SetLimits(time.Minute, 30*time.Millisecond)
		at := r.get(t, r.target()).header.Get("Location")
		reply := r.gotTheCode(t)
		for range 3 {
			a := r.get(t, at)
			if a.status != 200 || !strings.Contains(a.body, "Finishing") || !strings.Contains(a.body, `http-equiv="refresh"`) || strings.Contains(a.body, "is connected") {
				t.Errorf("%d\n%s", a.status, a.body)
			}
		}
		reply.Tell(oauth.Outcome{Provider: "Acme", Code: "exchange_failed", Message: "Acme refused the code. Connect again."})
		a := r.get(t, at)
		if !strings.Contains(a.body, "Acme was not connected") || !strings.Contains(a.body, "Acme refused the code. Connect again.") ||
			strings.Contains(a.body, `http-equiv="refresh"`) {
			t.Errorf("%s", a.body)
		}
	})
	t.Run("CB-47 it can be reloaded", func(t *testing.T) {
		r := start(t)
		at := r.get(t, r.target()).header.Get("Location")
		r.gotTheCode(t).Tell(good)
		first := r.get(t, at)
		for range 3 {
			if again := r.get(t, at); again.status != 200 || again.body != first.body {
				t.Errorf("reloaded: %d", again.status)
			}
		}
	})
	t.Run("only the first Tell counts", func(t *testing.T) {
		r := start(t)
		at := r.get(t, r.target()).header.Get("Location")
		reply := r.gotTheCode(t)
		reply.Tell(oauth.Outcome{Provider: "Acme", Message: "No."})
		reply.Tell(good)
		if a := r.get(t, at); !strings.Contains(a.body, "Acme was not connected") {
			t.Error("the page changed its mind")
		}
	})
	t.Run("its address is a secret of the browser", func(t *testing.T) {
		r := start(t)
		at := r.get(t, r.target()).header.Get("Location")
		r.gotTheCode(t).Tell(good)
		for _, c := range []struct {
			target string
			status int
			header []string
		}{
			{"/oauth/done/AAAAAAAAAAAAAAAAAAAAAA", 404, nil},
			{at[:len(at)-1], 404, nil},
			{at + "/", 404, nil},
			{at, 403, []string{"Sec-Fetch-Dest: iframe"}},
			{at, 403, []string{"Sec-Fetch-Mode: cors"}},
		} {
			if a := r.get(t, c.target, c.header...); a.status != c.status || strings.Contains(a.body, "ada@acme.example") {
				t.Errorf("%s %v: %d", c.target, c.header, a.status)
			}
		}
		for _, line := range []string{"PUT " + at + " HTTP/1.1", "POST " + at + " HTTP/1.1"} {
			if a := r.send(t, line, "Host: "+r.host); a.status != 405 {
				t.Errorf("%s: %d", line, a.status)
			}
		}
		if a := r.send(t, "GET "+at+" HTTP/1.1", "Host: attacker.test"); a.status != 403 {
			t.Errorf("another host: %d", a.status)
		}
	})
	t.Run("it is gone after its time, and says so while others keep the port open", func(t *testing.T) {
		l, log := newLoopback(t)
		l.SetLimits(50*time.Millisecond, time.Second)
		port := freePort(t)
		r := startOn(t, l, log, onPort(port))
		other := startOn(t, l, log, onPort(port))
		at := r.get(t, r.target()).header.Get("Location")
		r.gotTheCode(t).Tell(good)
		eventually(t, "the result is forgotten", func() bool { return l.Remembered() == 1 })
		if a := r.get(t, at); a.status != 404 || !strings.Contains(a.body, "What is connected is listed in Keyturn") {
			t.Errorf("%d\n%s", a.status, a.body)
		}
		// Its own callback is unknown then, like any other old link.
		if a := r.get(t, r.target()); a.status != 400 {
			t.Errorf("the old callback: %d", a.status)
		}
		other.completes(t)
	})
	t.Run("when Keyturn closes meanwhile it says that it does not know", func(t *testing.T) {
		r := start(t)
		at := r.get(t, r.target()).header.Get("Location")
		r.gotTheCode(t)
		time.AfterFunc(100*time.Millisecond, func() { _ = r.Close(t.Context()) })
		if a := r.get(t, at); !strings.Contains(a.body, "Keyturn was closed") {
			t.Errorf("%s", a.body)
		}
	})
}

func TestEveryAnswerCarriesTheHeaders(t *testing.T) {
	t.Run("CB-50 CB-53", func(t *testing.T) {
		r := start(t)
		answers := map[string]answer{
			"bad state":   r.get(t, r.path+"?code=x&state=x"),
			"favicon":     r.get(t, "/favicon.ico"),
			"root":        r.get(t, "/"),
			"other host":  r.send(t, "GET / HTTP/1.1", "Host: evil.test"),
			"POST":        r.send(t, "POST / HTTP/1.1", "Host: "+r.host),
			"the genuine": r.get(t, r.target()),
		}
		reply := r.gotTheCode(t)
		r.SetLimits(time.Minute, time.Millisecond)
		answers["finishing"] = r.get(t, answers["the genuine"].header.Get("Location"))
		reply.Tell(oauth.Outcome{OK: true})
		answers["done"] = r.get(t, answers["the genuine"].header.Get("Location"))
		for name, a := range answers {
			for header, want := range map[string]string{
				"Cache-Control":           "no-store",
				"Referrer-Policy":         "no-referrer",
				"X-Content-Type-Options":  "nosniff",
				"X-Frame-Options":         "DENY",
				"Content-Security-Policy": "default-src 'none'; style-src 'sha256-",
			} {
				if got := a.header.Get(header); !strings.HasPrefix(got, want) {
					t.Errorf("%s: %s is %q", name, header, got)
				}
			}
			if !strings.Contains(a.header.Get("Content-Security-Policy"), "frame-ancestors 'none'") {
				t.Errorf("%s can be framed", name)
			}
			for _, never := range []string{"Set-Cookie", "Server", "Access-Control-Allow-Origin", "X-Powered-By"} {
				if got := a.header.Get(never); got != "" {
					t.Errorf("%s has %s: %s", name, never, got)
				}
			}
			if a.status != http.StatusSeeOther && a.header.Get("Content-Type") != "text/html; charset=utf-8" {
				t.Errorf("%s is %q", name, a.header.Get("Content-Type"))
			}
		}
	})
	t.Run("nobody asks in vain for small files", func(t *testing.T) {
		r := start(t)
		for _, p := range []string{"/", "/favicon.ico", "/robots.txt"} {
			a := r.get(t, p)
			if a.status != 404 || len(a.body) > 200 || strings.Contains(a.body, "provider.example") || a.header.Get("Location") != "" {
				t.Errorf("%s: %d, %d bytes", p, a.status, len(a.body))
			}
		}
	})
}
