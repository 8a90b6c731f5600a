package gateway_test

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"keyturn/backend/gateway"
	"keyturn/backend/oauth"
	"keyturn/backend/transport"
	"keyturn/backend/transport/transporttest"
)

const canary = "c0de-canary-77ab"

var random = strings.Repeat("A", 43)

// stateAt is a state of an app that listens on a port.
func stateAt(port int) string { return strconv.FormatInt(int64(port), 36) + "." + random }

// ask sends a request as it is written, without any cleaning.
func ask(t testing.TB, h http.Handler, method, target string, more ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, "http://gw.example/", nil)
	r.RequestURI = target
	for i := 0; i+1 < len(more); i += 2 {
		r.Header.Set(more[i], more[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func post(t testing.TB, h http.Handler, target, contentType, body string) *http.Response {
	t.Helper()
	r := httptest.NewRequest("POST", "http://gw.example/", strings.NewReader(body))
	r.RequestURI = target
	r.Header.Set("Content-Type", contentType)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func TestABounceGoesToThisComputerAndNowhereElse(t *testing.T) {
	var log bytes.Buffer
	g := gateway.New(gateway.Options{Way: gateway.Bounce{}, PerMinute: 10_000, Log: slog.New(slog.NewJSONHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	at := "/oauth/callback/acme?code=" + canary + "&state="
	for _, tt := range []struct {
		name, method, target string
		status               int
		to                   string // "" for a page
	}{
		{"a code", "GET", at + stateAt(40123), 303, "http://127.0.0.1:40123/gw/acme?code=" + canary + "&state=" + stateAt(40123)},
		{"an error", "GET", "/oauth/callback/acme?error=access_denied&error_description=" + canary + "&state=" + stateAt(1024), 303, "http://127.0.0.1:1024/gw/acme?error=access_denied&state=" + stateAt(1024)},
		{"iss", "GET", at + stateAt(65535) + "&iss=https%3A%2F%2Fas.example&session_state=" + canary, 303, "http://127.0.0.1:65535/gw/acme?code=" + canary + "&iss=https%3A%2F%2Fas.example&state=" + stateAt(65535)},
		{"GW-14 port 80", "GET", at + stateAt(80), 400, ""},
		{"GW-14 port 1023", "GET", at + stateAt(1023), 400, ""},
		{"GW-14 port 65536", "GET", at + stateAt(65536), 400, ""},
		{"GW-14 a zero in front", "GET", at + "0" + stateAt(40123), 400, ""},
		{"GW-14 capital letters", "GET", at + strings.ToUpper(strconv.FormatInt(40123, 36)) + "." + random, 400, ""},
		{"GW-14 a sign", "GET", at + "-1." + random, 400, ""},
		{"GW-14 a host", "GET", at + "evil.example." + random, 400, ""},
		{"GW-14 no port", "GET", at + random, 400, ""},
		{"GW-14 a short state", "GET", at + "uyj.AAAA", 400, ""},
		{"GW-14 userinfo", "GET", at + "a@evil." + random, 400, ""},
		{"GW-14 climbing", "GET", "/oauth/callback/../admin?code=a&state=" + stateAt(40123), 404, ""},
		{"GW-14 climbing, encoded", "GET", "/oauth/callback/%2e%2e%2fadmin?code=a&state=" + stateAt(40123), 404, ""},
		{"GW-14 a query in the path", "GET", "/oauth/callback/a%3Fb?code=a&state=" + stateAt(40123), 404, ""},
		{"another path", "GET", "/oauth/callback/", 404, ""},
		{"the root", "GET", "/", 404, ""},
		{"GW-13 code and error", "GET", at + stateAt(40123) + "&error=e", 400, ""},
		{"GW-13 state twice", "GET", at + stateAt(40123) + "&state=" + stateAt(40124), 400, ""},
		{"GW-13 ten kilobytes", "GET", at + stateAt(40123) + "&x=" + strings.Repeat("y", 10<<10), 414, ""},
		{"no state", "GET", "/oauth/callback/acme?code=a", 400, ""},
		{"a line break in the code", "GET", "/oauth/callback/acme?code=a%0d%0aX:y&state=" + stateAt(40123), 400, ""},
		{"HEAD", "HEAD", at + stateAt(40123), 405, ""},
		{"PUT", "PUT", at + stateAt(40123), 405, ""},
		{"a form without a body", "POST", "/oauth/callback/acme", 400, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			res := ask(t, g, tt.method, tt.target)
			body, _ := io.ReadAll(res.Body)
			if res.StatusCode != tt.status || res.Header.Get("Location") != tt.to {
				t.Errorf("%d %q, want %d %q", res.StatusCode, res.Header.Get("Location"), tt.status, tt.to)
			}
			if strings.Contains(string(body), canary) || strings.Contains(string(body), "<script") {
				t.Errorf("GW-19 the page repeats what came:\n%s", body)
			}
			for name, want := range map[string]string{"Cache-Control": "no-store", "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY"} {
				if res.Header.Get(name) != want {
					t.Errorf("GW-19 %s: %q", name, res.Header.Get(name))
				}
			}
			if !strings.Contains(res.Header.Get("Content-Security-Policy"), "default-src 'none'") {
				t.Error("GW-19 no policy")
			}
		})
	}
	for _, h := range []string{"Sec-Purpose", "Purpose"} {
		if res := ask(t, g, "GET", at+stateAt(40123), h, "prefetch"); res.StatusCode != 403 {
			t.Errorf("%s: %d", h, res.StatusCode)
		}
	}
	if res := ask(t, g, "GET", at+stateAt(40123), "Sec-Fetch-Dest", "image"); res.StatusCode != 403 {
		t.Errorf("an image: %d", res.StatusCode)
	}
	if strings.Contains(log.String(), canary) || strings.Contains(log.String(), random) {
		t.Errorf("the log holds a code or a state:\n%s", log.String())
	}
}

// Chromium holds the redirects after a form to the provider's form-action.
func TestABrowserGoesOnByItself(t *testing.T) {
	g := gateway.New(gateway.Options{Way: gateway.Bounce{}})
	res := ask(t, g, "GET", "/oauth/callback/acme?code="+canary+"&state="+stateAt(40123), "Sec-Fetch-Mode", "navigate", "Sec-Fetch-Dest", "document")
	body, _ := io.ReadAll(res.Body)
	if want := "0;url=http://127.0.0.1:40123/gw/acme?code=" + canary + "&state=" + stateAt(40123); res.StatusCode != 200 || res.Header.Get("Refresh") != want {
		t.Errorf("%d %q", res.StatusCode, res.Header.Get("Refresh"))
	}
	if strings.Contains(string(body), canary) || res.Header.Get("Cache-Control") != "no-store" || res.Header.Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("%v\n%s", res.Header, body)
	}
}

func TestAFormPostIsBouncedToo(t *testing.T) {
	g := gateway.New(gateway.Options{Way: gateway.Bounce{}})
	body := "code=the-code&state=" + stateAt(40123)
	res := post(t, g, "/oauth/callback/acme", "application/x-www-form-urlencoded", body)
	if want := "http://127.0.0.1:40123/gw/acme?code=the-code&state=" + stateAt(40123); res.StatusCode != 303 || res.Header.Get("Location") != want {
		t.Errorf("%d %s", res.StatusCode, res.Header.Get("Location"))
	}
	for name, r := range map[string]*http.Response{
		"CB-41 too large":       post(t, g, "/oauth/callback/acme", "application/x-www-form-urlencoded", body+"&x="+strings.Repeat("y", 9<<10)),
		"CB-41 a query besides": post(t, g, "/oauth/callback/acme?code=other", "application/x-www-form-urlencoded", body),
		"JSON":                  post(t, g, "/oauth/callback/acme", "application/json", `{"code":"a"}`),
	} {
		if r.StatusCode != 400 {
			t.Errorf("%s: %d", name, r.StatusCode)
		}
	}
}

func TestAFloodSlowsDownWhoeverSendsIt(t *testing.T) {
	from := atomic.Pointer[string]{}
	set := func(s string) { from.Store(&s) }
	g := gateway.New(gateway.Options{Way: gateway.Bounce{}, PerMinute: 5, Client: func(*http.Request) string { return *from.Load() }})
	try := func(address string) (status int) {
		set(address)
		for range 6 {
			status = ask(t, g, "GET", "/oauth/callback/acme?code=a&state="+stateAt(40123)).StatusCode
		}
		return status
	}
	for _, tt := range []struct {
		address string
		last    int
	}{
		{"192.0.2.1:1234", 429},
		{"192.0.2.2:1234", 429}, // its own allowance, used up by itself
		{"[2001:db8::1]:1", 429},
	} {
		if got := try(tt.address); got != tt.last {
			t.Errorf("%s: %d", tt.address, got)
		}
	}
	set("[2001:db8::ffff]:1")
	if got := ask(t, g, "GET", "/oauth/callback/acme?code=a&state="+stateAt(40123)).StatusCode; got != 429 {
		t.Errorf("another address of the same network: %d", got)
	}
	set("192.0.2.9:1")
	if got := ask(t, g, "GET", "/oauth/callback/acme?code=a&state="+stateAt(40123)).StatusCode; got != 303 {
		t.Errorf("somebody else: %d", got)
	}
}

// The app's side, on real sockets: what a browser does ends where it began.
func TestACallbackComesHomeThroughTheRealGateway(t *testing.T) {
	server := httptest.NewServer(gateway.New(gateway.Options{Way: gateway.Bounce{}}))
	defer server.Close()
	home := transport.NewLoopback(transport.LoopbackOptions{})
	defer home.Close(context.Background())
	way := transport.NewGateway(home, func() string { return server.URL }, nil, http.DefaultClient)
	if took, err := way.Check(t.Context(), server.URL); err != nil || took > 5*time.Second {
		t.Fatal(took, err)
	}
	a := transporttest.Start(t, way, transporttest.Request())
	jar := &http.Client{} // follows, as a browser does
	res, err := jar.Get(a.Prompt.RedirectURI + "?code=the-code&state=" + url.QueryEscape(a.State))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	e := a.Wait(t)
	if e.Err != nil || e.Reply.Response.Code.Reveal() != "the-code" {
		t.Errorf("%+v", e)
	}
	e.Reply.Tell(oauth.Outcome{OK: true})
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
}

// GW-01: the attacker starts at his own Keyturn and has the victim consent.
func TestAVictimsConsentEndsInTheVictimsComputer(t *testing.T) {
	server := httptest.NewServer(gateway.New(gateway.Options{Way: gateway.Bounce{}}))
	defer server.Close()
	home := transport.NewLoopback(transport.LoopbackOptions{})
	defer home.Close(context.Background())
	way := transport.NewGateway(home, func() string { return server.URL }, nil, http.DefaultClient)
	attackers := transporttest.Start(t, way, transporttest.Request())

	// The victim's browser runs elsewhere: 127.0.0.1 is another computer there,
	// and somebody else may listen on that port.
	victim := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNotFound) }))
	victim.Start()
	defer victim.Close()
	browser := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		if !strings.HasSuffix(server.URL, address) {
			address = strings.TrimPrefix(victim.URL, "http://")
		}
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}}}
	res, err := browser.Get(attackers.Prompt.RedirectURI + "?code=victims-code&state=" + url.QueryEscape(attackers.State))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusNotFound {
		t.Errorf("%d", res.StatusCode)
	}
	attackers.StillPending(t)
	browser.CloseIdleConnections()
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
}

func TestCountsHaveNoNames(t *testing.T) {
	g := gateway.New(gateway.Options{Way: gateway.Bounce{}})
	ask(t, g, "GET", "/oauth/callback/acme?code="+canary+"&state="+stateAt(40123))
	ask(t, g, "GET", "/oauth/callback/"+canary)
	ask(t, g, "GET", "/secret-"+canary)
	var b bytes.Buffer
	g.WriteMetrics(&b)
	for _, want := range []string{`keyturn_gateway_callbacks_total{outcome="delivered"} 1`, `outcome="refused: path"} 1`, `outcome="refused: query"} 1`, "keyturn_gateway_answer_seconds_count 3"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %s in\n%s", want, b.String())
		}
	}
	if strings.Contains(b.String(), canary) {
		t.Errorf("a name is counted:\n%s", b.String())
	}
}

func FuzzCallback(f *testing.F) {
	for _, target := range []string{"/oauth/callback/acme?code=a&state=" + stateAt(40123), "/oauth/callback/../x", "/oauth/callback/a?state=uyj.", "//", "/oauth/callback/a?code=%zz"} {
		f.Add("GET", target, "")
		f.Add("POST", target, "code=a&state="+stateAt(2000))
	}
	g := gateway.New(gateway.Options{Way: gateway.Bounce{}, PerMinute: 1 << 30})
	f.Fuzz(func(t *testing.T, method, target, body string) {
		r := &http.Request{Method: method, RequestURI: target, URL: &url.URL{Path: "/"}, Header: http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, Body: io.NopCloser(strings.NewReader(body)), RemoteAddr: "192.0.2.1:1"}
		w := httptest.NewRecorder()
		g.ServeHTTP(w, r)
		to := w.Header().Get("Location")
		if to == "" {
			to = strings.TrimPrefix(w.Header().Get("Refresh"), "0;url=")
		}
		if to == "" {
			return
		}
		u, err := url.Parse(to)
		if err != nil {
			t.Fatalf("%q: %v", to, err)
		}
		port, err := strconv.Atoi(u.Port())
		if err != nil || port < 1024 || port > 65535 || u.Hostname() != "127.0.0.1" || u.Scheme != "http" || u.User != nil || !strings.HasPrefix(u.Path, "/gw/") || strings.Count(u.Path, "/") != 2 {
			t.Fatalf("%q", to)
		}
		for name := range u.Query() {
			if name != "code" && name != "error" && name != "state" && name != "iss" {
				t.Fatalf("%s goes on: %q", name, to)
			}
		}
	})
}
