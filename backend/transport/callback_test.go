package transport_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"keyturn/backend/oauth"
	"keyturn/backend/transport"
	"keyturn/backend/transport/transporttest"
)

func TestLoopbackIsATransport(t *testing.T) {
	transporttest.Run(t, func(t *testing.T) transporttest.Subject {
		l, _ := newLoopback(t)
		client := &http.Client{
			Transport:     &http.Transport{DisableKeepAlives: true},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
		return transporttest.Subject{
			Transport: l,
			Respond: func(p oauth.Prompt, q url.Values) error {
				resp, err := client.Get(p.RedirectURI + "?" + q.Encode())
				if err == nil {
					resp.Body.Close()
				}
				return err
			},
			Close: func() { _ = l.Close(t.Context()) },
		}
	})
}

var done = regexp.MustCompile(`^/oauth/done/[A-Za-z0-9_-]{22}$`)

func TestTheGenuineResponseIsDelivered(t *testing.T) {
	t.Run("CB-01 genuine redirect", func(t *testing.T) {
		r := start(t)
		if want := "http://" + r.host + "/oauth/callback/acme"; r.Prompt.RedirectURI != want || !strings.HasPrefix(r.host, "127.0.0.1:") {
			t.Errorf("redirect URI %s", r.Prompt.RedirectURI)
		}
		r.SetLimits(50*time.Millisecond, time.Second)
		a := r.get(t, r.target(), "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document", "Sec-Fetch-User: ?1")
		if a.status != http.StatusSeeOther || !done.MatchString(a.header.Get("Location")) {
			t.Fatalf("%d to %q", a.status, a.header.Get("Location"))
		}
		r.gotTheCode(t).Tell(oauth.Outcome{OK: true})
		eventually(t, "the listener closes with its last result", func() bool { return r.OpenPorts() == 0 && r.Remembered() == 0 })
	})
	t.Run("CB-26 iss is handed on as it came", func(t *testing.T) {
		r := start(t)
		if a := r.get(t, r.target()+"&iss=https%3A%2F%2Fevil.example"); a.status != http.StatusSeeOther {
			t.Fatal(a.status)
		}
		if iss := r.gotTheCode(t).Response.Iss; iss == nil || *iss != "https://evil.example" {
			t.Error("iss was changed or lost")
		}
	})
	t.Run("CB-29 extra parameters", func(t *testing.T) {
		r := start(t)
		if a := r.get(t, r.target()+"&session_state=abc&foo=bar&scope=read%20write&foo=baz"); a.status != http.StatusSeeOther {
			t.Fatal(a.status)
		}
		r.gotTheCode(t)
	})
	t.Run("CB-37 genuine error", func(t *testing.T) {
		r := start(t)
		if a := r.get(t, r.path+"?error=access_denied&error_description=No&state="+r.State); a.status != http.StatusSeeOther {
			t.Fatal(a.status)
		}
		if e := r.Wait(t); e.Err != nil || e.Reply.Response.Error != "access_denied" {
			t.Errorf("%q, %v", e.Reply.Response.Error, e.Err)
		}
	})
	t.Run("CB-38 error beyond its characters", func(t *testing.T) {
		for _, bad := range []string{strings.Repeat("e", 5<<10), `a"b\c`, "caf\u00e9"} {
			r := start(t)
			if a := r.get(t, r.path+"?error="+url.QueryEscape(bad)+"&state="+r.State); a.status != http.StatusSeeOther {
				t.Fatal(a.status)
			}
			if got := r.Wait(t).Reply.Response.Error; got != "other" {
				t.Errorf("%.10q became %q, want other", bad, got)
			}
		}
	})
	t.Run("CB-43 a slow opener does not hold it up", func(t *testing.T) {
		l, _ := newLoopback(t)
		req := transporttest.Request()
		reply, err := l.Authorize(t.Context(), req, func(p oauth.Prompt) {
			resp, err := noFollow.Get(p.RedirectURI + "?code=" + theCode + "&state=" + req.State.Reveal())
			if err != nil {
				t.Error(err)
				return
			}
			resp.Body.Close()
		})
		if err != nil || reply.Response.Code.Reveal() != theCode {
			t.Errorf("%q, %v", reply.Response.Code.Reveal(), err)
		}
	})
	t.Run("CB-46 bad, then genuine on one connection", func(t *testing.T) {
		r := start(t)
		c := r.dial(t)
		in := bufio.NewReader(c)
		for _, target := range []string{r.path + "?code=x&state=" + oauth.NewState().Reveal(), "/favicon.ico", r.target()} {
			if _, err := io.WriteString(c, request("GET "+target+" HTTP/1.1", "Host: "+r.host)); err != nil {
				t.Fatal(err)
			}
			readAnswer(t, in)
		}
		r.gotTheCode(t)
	})
	t.Run("CB-55 headers that name other places", func(t *testing.T) {
		r := start(t)
		a := r.get(t, r.target(), "X-Forwarded-Host: evil.example", "Forwarded: host=evil.example", "X-Forwarded-Proto: https",
			"X-Original-URL: /evil", "X-HTTP-Method-Override: POST", "Accept-Language: de")
		if a.status != http.StatusSeeOther || !done.MatchString(a.header.Get("Location")) {
			t.Errorf("%d to %q", a.status, a.header.Get("Location"))
		}
		r.gotTheCode(t)
	})
}

func TestAStrangerChangesNothing(t *testing.T) {
	other := oauth.NewState().Reveal()
	last := func(s string) string { // the last character changed
		c := byte('A')
		if s[len(s)-1] == c {
			c = 'B'
		}
		return s[:len(s)-1] + string(c)
	}
	type stranger struct {
		name   string
		status int
		send   func(t *testing.T, r *rig) answer
	}
	get := func(name string, status int, target func(r *rig) string, headers ...string) stranger {
		return stranger{name, status, func(t *testing.T, r *rig) answer { return r.get(t, target(r), headers...) }}
	}
	query := func(name string, status int, q func(r *rig) string) stranger {
		return get(name, status, func(r *rig) string { return r.path + "?" + q(r) })
	}
	cases := []stranger{
		query("CB-02 unknown state", 400, func(r *rig) string { return "code=x&state=" + other }),
		query("CB-04 one byte changed", 400, func(r *rig) string { return "code=x&state=" + last(r.State) }),
		query("CB-04 trailing blank", 400, func(r *rig) string { return "code=x&state=" + r.State + "%20" }),
		query("CB-04 other case", 400, func(r *rig) string { return "code=x&state=" + strings.ToUpper(r.State) }),
		query("CB-04 prefix", 400, func(r *rig) string { return "code=x&state=" + r.State[:42] }),
		query("CB-04 suffix", 400, func(r *rig) string { return "code=x&state=" + r.State + "x" }),
		query("CB-05 error without state", 400, func(r *rig) string { return "error=access_denied" }),
		query("CB-05 error with wrong state", 400, func(r *rig) string { return "error=access_denied&state=" + other }),
		query("CB-12 code twice", 400, func(r *rig) string { return "code=x&code=y&state=" + r.State }),
		query("CB-12 state twice", 400, func(r *rig) string { return "code=x&state=" + r.State + "&state=" + r.State }),
		query("CB-12 iss twice", 400, func(r *rig) string { return "code=x&iss=a&iss=a&state=" + r.State }),
		query("CB-13 code and error", 400, func(r *rig) string { return "code=c&error=e&state=" + r.State }),
		query("CB-14 state alone", 400, func(r *rig) string { return "state=" + r.State }),
		query("CB-14 empty code", 400, func(r *rig) string { return "code=&state=" + r.State }),
		query("CB-14 no query", 400, func(r *rig) string { return "" }),
		query("CB-28 line break in code", 400, func(r *rig) string { return "code=a%0d%0aX:%20y&state=" + r.State }),
		query("CB-28 NUL in code", 400, func(r *rig) string { return "code=%00&state=" + r.State }),
		query("CB-28 broken escape", 400, func(r *rig) string { return "code=%zz&state=" + r.State }),
		query("FL-07 query of 9 KiB", 400, func(r *rig) string { return "code=x&state=" + r.State + "&x=" + strings.Repeat("a", 9<<10) }),
		get("CB-21 DI-20 path of another provider", 400, func(r *rig) string { return "/oauth/callback/other?code=x&state=" + r.State }),
		{"CB-11 POST", 405, func(t *testing.T, r *rig) answer {
			body := "code=x&state=" + r.State
			return r.send(t, "POST "+r.path+" HTTP/1.1", "Host: "+r.host, "Origin: null",
				"Content-Type: application/x-www-form-urlencoded", fmt.Sprintf("Content-Length: %d", len(body)), "", body)
		}},
		{"CB-11 POST to the genuine target", 405, func(t *testing.T, r *rig) answer {
			return r.send(t, "POST "+r.target()+" HTTP/1.1", "Host: "+r.host, "Content-Length: 0")
		}},
		{"CB-11 OPTIONS *", 405, func(t *testing.T, r *rig) answer {
			return r.send(t, "OPTIONS * HTTP/1.1", "Host: "+r.host)
		}},
		{"CB-19 WebSocket without Sec-Fetch", 403, func(t *testing.T, r *rig) answer {
			return r.get(t, r.target(), "Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: eA==")
		}},
		{"CB-20 absolute-form", 400, func(t *testing.T, r *rig) answer {
			return r.send(t, "GET http://"+r.host+r.target()+" HTTP/1.1", "Host: "+r.host)
		}},
		{"CB-20 absolute-form over another Host", 400, func(t *testing.T, r *rig) answer {
			return r.send(t, "GET http://"+r.host+r.target()+" HTTP/1.1", "Host: attacker.test")
		}},
		{"CB-20 HTTP/1.0 without Host", 403, func(t *testing.T, r *rig) answer {
			return r.send(t, "GET "+r.target()+" HTTP/1.0")
		}},
		{"CB-20 HTTP/1.1 without Host", 400, func(t *testing.T, r *rig) answer {
			return r.send(t, "GET "+r.target()+" HTTP/1.1")
		}},
		{"CB-20 two Host headers", 400, func(t *testing.T, r *rig) answer {
			return r.send(t, "GET "+r.target()+" HTTP/1.1", "Host: "+r.host, "Host: "+r.host)
		}},
		{"CB-20 empty Host", 403, func(t *testing.T, r *rig) answer {
			return r.send(t, "GET "+r.target()+" HTTP/1.1", "Host:")
		}},
		{"FL-07 100,000 header bytes", 431, func(t *testing.T, r *rig) answer {
			return r.get(t, r.target(), "X: "+strings.Repeat("a", 100_000))
		}},
		{"FL-07 10,000 parameters", 431, func(t *testing.T, r *rig) answer {
			return r.get(t, r.target()+strings.Repeat("&a=b", 10_000))
		}},
		{"bare line feeds and a broken header", 400, func(t *testing.T, r *rig) answer {
			return r.get(t, r.target(), "Broken Header")
		}},
	}
	for _, p := range []string{
		"/oauth/callback/acme/", "//oauth/callback/acme", "/oauth//callback/acme", "/OAuth/callback/acme", "/oauth/callback/ACME",
		"/oauth/callback/acme/../acme", "/oauth/callback/./acme", "/oauth/callback/%61cme", "/oauth%2fcallback/acme", "/oauth/callback/acme;x",
		"/oauth/callback/", "/oauth/callback", "/oauth/callback/acme%00", "/oauth/done/", "/oauth/done/short", "/", "/favicon.ico", "/robots.txt", "/done", "/cb/acme",
	} {
		cases = append(cases, get("CB-16 "+p, 404, func(r *rig) string { return p + "?code=" + theCode + "&state=" + r.State }))
	}
	for _, h := range []string{
		"Sec-Fetch-Dest: image", "Sec-Fetch-Dest: empty", "Sec-Fetch-Dest: iframe", "Sec-Fetch-Dest: script", "Sec-Fetch-Dest: Document",
		"Sec-Fetch-Mode: no-cors", "Sec-Fetch-Mode: cors", "Sec-Fetch-Mode: websocket", "Sec-Fetch-Mode: same-origin", "Sec-Fetch-Mode: ",
		"Sec-Purpose: prefetch", "Sec-Purpose: prefetch;prerender", "Purpose: prefetch", "X-Moz: prefetch",
	} {
		cases = append(cases, get("CB-19 "+h, 403, (*rig).target, h))
	}
	cases = append(cases, get("CB-19 one good value and one bad", 403, (*rig).target, "Sec-Fetch-Dest: document", "Sec-Fetch-Dest: image"))
	for _, host := range []string{
		"attacker.test:%s", "localhost:%s", "LOCALHOST:%s", "0.0.0.0:%s", "127.1:%s", "127.0.0.1", "127.0.0.1:%s.evil", "127.0.0.1.:%s",
		"2130706433:%s", "0x7f.1:%s", "[::1]:%s", "[::]:%s", "[::ffff:127.0.0.1]:%s", "127.0.0.1:0%s", "user@127.0.0.1:%s", "127.0.0.1:1",
	} {
		cases = append(cases, stranger{"CB-20 Host " + host, 0, func(t *testing.T, r *rig) answer {
			_, port, _ := strings.Cut(r.host, ":")
			a := r.send(t, "GET "+r.target()+" HTTP/1.1", "Host: "+strings.ReplaceAll(host, "%s", port))
			if a.status != 403 && a.status != 400 {
				t.Errorf("status %d, want 403 or 400", a.status)
			}
			return a
		}})
	}
	l, log := newLoopback(t) // one for all: nothing any of them sends may hurt the next
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			before := l.Stats()
			r := startOn(t, l, log)
			got := c.send(t, r)
			if c.status != 0 && got.status != c.status {
				t.Errorf("status %d, want %d", got.status, c.status)
			}
			r.StillPending(t)
			if l.Stats().Delivered != before.Delivered {
				t.Fatal("the stranger was let through")
			}
			for _, secret := range []string{r.State, theCode, other} {
				if strings.Contains(got.body, secret) || strings.Contains(got.header.Get("Location"), secret) {
					t.Error("the answer repeats what was sent, or tells what was expected")
				}
			}
			if got.header.Get("Location") != "" {
				t.Errorf("redirected to %s", got.header.Get("Location"))
			}
			r.completes(t)
		})
	}
	if l.Stats().Refused < 60 {
		t.Errorf("refusals counted: %v", l.Stats())
	}

	t.Run("CB-17 HEAD", func(t *testing.T) {
		r := start(t)
		c := r.dial(t)
		if _, err := io.WriteString(c, request("HEAD "+r.target()+" HTTP/1.1", "Host: "+r.host)); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: http.MethodHead})
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != 405 || resp.Header.Get("Allow") != "GET" {
			t.Errorf("status %d, Allow %q", resp.StatusCode, resp.Header.Get("Allow"))
		}
		r.untouched(t)
		r.completes(t)
	})
	t.Run("CB-10 state of another listener", func(t *testing.T) {
		l, log := newLoopback(t)
		one, two := startOn(t, l, log), startOn(t, l, log)
		if a := one.get(t, two.target()); a.status != 400 {
			t.Errorf("status %d", a.status)
		}
		one.StillPending(t)
		two.StillPending(t)
		two.completes(t)
		one.completes(t)
	})
}

func TestAResponseIsHandedOverOnce(t *testing.T) {
	t.Run("CB-07 one hundred at once", func(t *testing.T) {
		r := start(t)
		// Beyond 64 connections the oldest idle ones go, so these share some.
		client := &http.Client{CheckRedirect: noFollow.CheckRedirect, Transport: &http.Transport{MaxConnsPerHost: 50}}
		defer client.CloseIdleConnections()
		var mu sync.Mutex
		got := map[int]int{}
		var all sync.WaitGroup
		ready := make(chan struct{})
		for range 100 {
			all.Go(func() {
				<-ready
				resp, err := client.Get("http://" + r.host + r.target())
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				mu.Lock()
				got[resp.StatusCode]++
				mu.Unlock()
			})
		}
		close(ready)
		all.Wait()
		if got[303] != 1 || got[400] != 99 {
			t.Errorf("answers %v, want one 303 and 99 400", got)
		}
		r.gotTheCode(t)
		if s := r.Stats(); s.Delivered != 1 || s.Reused != 99 {
			t.Error(s)
		}
	})
	t.Run("CB-47 reloading the callback", func(t *testing.T) {
		r := start(t)
		r.completes(t).Tell(oauth.Outcome{OK: true})
		a := r.get(t, r.target())
		if a.status != 400 || !strings.Contains(a.body, "This link was used already") {
			t.Errorf("%d\n%s", a.status, a.body)
		}
	})
	t.Run("CB-08 after its time", func(t *testing.T) {
		l, log := newLoopback(t)
		late := startOn(t, l, log, onPort(freePort(t)))
		_, port, _ := strings.Cut(late.host, ":")
		startOn(t, l, log, onPort(atoi(t, port))) // keeps the shared listener open
		late.Cancel()
		if late.Wait(t).Err == nil {
			t.Fatal("no error")
		}
		if a := late.get(t, late.target()); a.status != 400 || !strings.Contains(a.body, "Start again from Keyturn") {
			t.Errorf("%d\n%s", a.status, a.body)
		}
	})
	t.Run("CB-44 after a restart on the fixed port", func(t *testing.T) {
		port := freePort(t)
		before, log := newLoopback(t)
		old := startOn(t, before, log, onPort(port))
		if err := before.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		r := start(t, onPort(port))
		r.refused(t, r.get(t, old.target()), 400)
		r.completes(t)
	})
	t.Run("cancel and callback race to one end", func(t *testing.T) {
		l, log := newLoopback(t)
		for range 200 {
			r := startOn(t, l, log)
			c := r.dial(t)
			go r.Cancel()
			if _, err := io.WriteString(c, request("GET "+r.target()+" HTTP/1.1", "Host: "+r.host)); err != nil {
				continue // closed already
			}
			answered := false
			if resp, err := http.ReadResponse(bufio.NewReader(c), nil); err == nil {
				answered = resp.StatusCode == http.StatusSeeOther
			}
			e := r.Wait(t)
			if answered && e.Err != nil {
				t.Fatalf("the browser was sent on, and the response was lost: %v", e.Err)
			}
			if e.Err == nil && e.Reply.Response.Code.Reveal() != theCode {
				t.Fatal("no error and no code")
			}
			if e.Err == nil {
				e.Reply.Tell(oauth.Outcome{})
			}
		}
	})
}

func TestWhatIsInjectedReachesNoSink(t *testing.T) {
	for _, place := range []struct{ name, query string }{
		{"IN-01 error", "error=%s&state=STATE"},
		{"IN-02 error_description", "error=access_denied&error_description=%s&state=STATE"},
		{"IN-03 error_uri", "error=access_denied&error_uri=%s&state=STATE"},
		{"IN-04 state", "code=x&state=%s"},
		{"IN-05 unknown parameter", "code=x&state=STATE&%s=%s"},
		{"CB-52 iss", "error=access_denied&iss=%s&state=STATE"},
	} {
		t.Run(place.name, func(t *testing.T) {
			t.Parallel() // a request that is too long keeps its connection for half a second
			l, log := newLoopback(t)
			for _, x := range transport.Hostile {
				r := startOn(t, l, log)
				q := strings.ReplaceAll(strings.ReplaceAll(place.query, "%s", url.QueryEscape(x)), "STATE", r.State)
				got := r.get(t, r.path+"?"+q)
				said := got.body
				if got.status == http.StatusSeeOther {
					e := r.Wait(t)
					if len(e.Reply.Response.Error) > 200 {
						t.Errorf("%.20q: error of %d bytes", x, len(e.Reply.Response.Error))
					}
					e.Reply.Tell(oauth.Outcome{Provider: "Acme", Message: "You said no."})
					said += r.get(t, got.header.Get("Location")).body
				} else {
					r.StillPending(t)
				}
				if len(x) > 2 && (strings.Contains(said, x) || strings.Contains(log.String(), x)) {
					t.Errorf("%.20q came through", x)
				}
				if strings.ContainsAny(said+log.String(), "\x1b\x07\x00\u202e\u2028\u009b") {
					t.Errorf("%.20q: a control character came through", x)
				}
			}
		})
	}
}

func TestNothingPrintsACodeOrState(t *testing.T) {
	r := start(t)
	r.get(t, r.path+"?code="+theCode+"&state=wrong-state-canary")
	r.get(t, r.target(), "Sec-Fetch-Dest: image")
	at := r.get(t, r.target()).header.Get("Location")
	r.gotTheCode(t).Tell(oauth.Outcome{OK: true, Provider: "Acme", Account: "ada"})
	page := r.get(t, at)
	said := page.body + r.log.String() + fmt.Sprint(r.Stats()) + fmt.Sprintf("%v", page.header)
	for _, secret := range []string{theCode, r.State, "wrong-state-canary", strings.TrimPrefix(at, "/oauth/done/")} {
		if strings.Contains(said, secret) {
			t.Errorf("%s is in the page or the log", secret)
		}
	}
	if !strings.Contains(r.log.String(), "authorization response received") {
		t.Error("the log was not captured")
	}
}

var noFollow = &http.Client{
	Transport:     &http.Transport{DisableKeepAlives: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

func eventually(t testing.TB, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(3 * time.Second); !so(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not so: %s", what)
		}
	}
}
