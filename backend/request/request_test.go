package request_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"keyturn/backend/fault"
	"keyturn/backend/oauth"
	"keyturn/backend/orchestrator"
	"keyturn/backend/request"
)

func TestACallCarriesTheTokenAndWhatTheCallerAsked(t *testing.T) {
	n := &network{hosts: map[string]http.HandlerFunc{api: func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Set-Cookie", "session=1")
		w.Header().Set("X-Made", "yes")
		w.WriteHeader(201)
		io.WriteString(w, "made\x00\xff")
	}}}
	g := acme()
	c := call(api + "/v1/notes?tag=a%2Fb")
	c.Method, c.Body = "PUT", request.Bytes([]byte("a\x00b"))
	c.Header = map[string]string{"content-type": "application/octet-stream", "X-Note": " grüße "}
	a, body, err := do(t, g, n, c)
	if err != nil || a.Status != 201 || body != "made\x00\xff" || a.Header.Get("X-Made") != "yes" || a.Header.Get("Set-Cookie") != "session=1" || a.Note != "" {
		t.Fatalf("%+v %q %v", a, body, err)
	}
	if a.Host != "api.acme.example" || a.Connection.ID != connectionID {
		t.Errorf("host %q, connection %+v", a.Host, a.Connection)
	}
	all := n.at("")
	if len(all) != 1 {
		t.Fatalf("%d requests", len(all))
	}
	s := all[0]
	if s.origin != api || s.method != "PUT" || s.path != "/v1/notes?tag=a%2Fb" || s.body != "a\x00b" ||
		s.header.Get("Authorization") != "Bearer "+token(1) || s.header.Get("Content-Type") != "application/octet-stream" ||
		s.header.Get("X-Note") != "grüße" || s.header.Get("User-Agent") != "keyturn" || s.header.Get("Accept-Encoding") != "" {
		t.Errorf("the host saw %+v", s)
	}
	// The cookie is not kept for the next call.
	do(t, g, n, call(api+"/"))
	if s := n.at("")[1]; s.header.Get("Cookie") != "" || s.method != "GET" {
		t.Errorf("the next call: %+v", s)
	}
}

func TestNothingIsSentToAnAddressThatIsNotAllowed(t *testing.T) {
	refused := []struct {
		name, url string
		code      fault.Code
	}{
		{"another host", "https://evil.example/", fault.HostNotAllowed},
		{"a name that begins like it", "https://api.acme.example.evil.example/", fault.HostNotAllowed},
		{"a name that ends like it", "https://evil-api.acme.example/", fault.HostNotAllowed},
		{"a name below an exact one", "https://x.api.acme.example/", fault.HostNotAllowed},
		{"the domain of a wildcard", "https://acmeapis.example/", fault.HostNotAllowed},
		{"a name that ends like a wildcard", "https://evilacmeapis.example/", fault.HostNotAllowed},
		{"another port", "https://api.acme.example:8443/", fault.HostNotAllowed},
		{"the usual port, where another is named", "https://up.acme.example/", fault.HostNotAllowed},
		{"an address", "https://127.0.0.1/", fault.HostNotAllowed},
		{"an IPv6 address", "https://[::1]/", fault.HostNotAllowed},
		{"punycode of a homograph", "https://xn--pi-7kc.acme.example/", fault.HostNotAllowed},
		{"http", "http://api.acme.example/", fault.BadRequest},
		{"http on this computer", "http://127.0.0.1/", fault.BadRequest},
		{"another scheme", "ftp://api.acme.example/", fault.BadRequest},
		{"a file", "file:///etc/passwd", fault.BadRequest},
		{"no scheme", "api.acme.example/", fault.BadRequest},
		{"a scheme in capitals", "HTTPS://api.acme.example/", fault.BadRequest},
		{"opaque", "https:api.acme.example", fault.BadRequest},
		{"no host", "https:///v1", fault.BadRequest},
		{"three slashes", "https:///api.acme.example/", fault.BadRequest},
		{"a user name", "https://api.acme.example@evil.example/", fault.BadRequest},
		{"a password", "https://a:b@api.acme.example/", fault.BadRequest},
		{"an empty user name", "https://@api.acme.example/", fault.BadRequest},
		{"a backslash", `https://evil.example\@api.acme.example/`, fault.BadRequest},
		{"a homograph", "https://аpi.acme.example/", fault.BadRequest},
		{"full-width letters", "https://ａpi.acme.example/", fault.BadRequest},
		{"a dot at the end", "https://api.acme.example./", fault.BadRequest},
		{"two dots", "https://api..acme.example/", fault.BadRequest},
		{"capitals", "https://API.acme.example/", fault.BadRequest},
		{"an escape", "https://%61pi.acme.example/", fault.BadRequest},
		{"an escaped dot", "https://api%2eacme.example/", fault.BadRequest},
		{"an escaped slash", "https://api.acme.example%2f.evil.example/", fault.BadRequest},
		{"a number as address", "https://2130706433/", fault.BadRequest},
		{"a hexadecimal address", "https://0x7f.1/", fault.BadRequest},
		{"a short address", "https://127.1/", fault.BadRequest},
		{"an IPv4 address in IPv6", "https://[::ffff:127.0.0.1]/", fault.BadRequest},
		{"a zone", "https://[fe80::1%25eth0]/", fault.BadRequest},
		{"an empty port", "https://api.acme.example:/", fault.BadRequest},
		{"a port with a zero", "https://api.acme.example:0443/", fault.BadRequest},
		{"a port beyond", "https://api.acme.example:70000/", fault.BadRequest},
		{"a line break", "https://api.acme.example/\r\nHost: evil.example", fault.BadRequest},
		{"a blank", "https://api.acme.example /", fault.BadRequest},
		{"a fragment", "https://api.acme.example/#@evil.example", fault.BadRequest},
		{"nothing", "", fault.BadRequest},
		{"8 KiB", "https://api.acme.example/" + strings.Repeat("x", 8<<10), fault.BadRequest},
	}
	for _, tt := range refused {
		t.Run(tt.name, func(t *testing.T) {
			g, n := acme(), &network{}
			_, _, err := do(t, g, n, call(tt.url))
			if fault.CodeOf(err) != tt.code {
				t.Errorf("%s: %v (%s), want %s", tt.url, err, fault.CodeOf(err), tt.code)
			}
			reads, _ := g.counts()
			if sent := n.at(""); len(sent) > 0 || reads > 0 {
				t.Errorf("%s: sent %+v, the token was read %d times", tt.url, sent, reads)
			}
		})
	}
	for _, url := range []string{api + "/", api + ":443/", "https://up.acme.example:8443/", "https://a.acmeapis.example/", "https://a.b.acmeapis.example:443/x"} {
		g, n := acme(), &network{}
		if do(t, g, n, call(url)); len(n.at("")) != 1 {
			t.Errorf("%s is allowed and saw %+v", url, n.at(""))
		}
	}
}

func TestHTTPIsForThisComputerWhereTheEntryAllowsIt(t *testing.T) {
	for _, tt := range []struct {
		url     string
		allowed bool
		sent    bool
	}{
		{"http://127.0.0.1:27420/notes", true, true},
		{"https://127.0.0.1:27420/notes", true, true},
		{"http://127.0.0.1:27420/notes", false, false},
		{"http://127.0.0.1/notes", true, false},
		{"http://127.0.0.2:27420/", true, false},
		{"http://localhost:27420/", true, false},
		{"http://demo.example:27420/", true, false},
	} {
		g, n := acme(), &network{}
		g.provider.API.Hosts, g.provider.AllowLoopbackHTTP = []string{"127.0.0.1:27420", "demo.example:27420", "*.0.0.2:27420"}, tt.allowed
		if do(t, g, n, call(tt.url)); (len(n.at("")) == 1) != tt.sent {
			t.Errorf("%+v: sent %+v", tt, n.at(""))
		}
	}
}

func TestHeadersThatAreNotTheCallersAreRefused(t *testing.T) {
	for _, tt := range []struct{ name, value, says string }{
		{"Authorization", "Bearer mine", "token"},
		{"AUTHORIZATION", "Bearer mine", "token"},
		{"Cookie", "a=b", "cookies"},
		{"Host", "evil.example", "address"},
		{"Proxy-Authorization", "Basic x", "proxy"},
		{"proxy-connection", "close", "proxy"},
		{"Content-Length", "3", "body"},
		{"Connection", "Authorization", "connection"},
		{"Keep-Alive", "1", "connection"},
		{"TE", "trailers", "connection"},
		{"Trailer", "X", "connection"},
		{"Transfer-Encoding", "chunked", "connection"},
		{"Upgrade", "websocket", "connection"},
		{"HTTP2-Settings", "x", "connection"},
		{"Expect", "the best", "100-continue"},
		{"X-A\r\nAuthorization", "x", "not the name"},
		{"X A", "x", "not the name"},
		{"X:A", "x", "not the name"},
		{"", "x", "not the name"},
		{"Grüße", "x", "not the name"},
		{"X-A", "a\r\nX-B: b", "line break"},
		{"X-A", "a\nX-B: b", "line break"},
		{"X-A", "a\rb", "line break"},
		{"X-A", "a\x00b", "line break"},
		{"X-A", strings.Repeat("x", 17<<10), "too long"},
	} {
		g, n := acme(), &network{}
		c := call(api + "/")
		c.Header = map[string]string{tt.name: tt.value}
		_, _, err := do(t, g, n, c)
		if fault.CodeOf(err) != fault.BadRequest || !strings.Contains(fault.MessageOf(err), tt.says) || len(n.at("")) > 0 {
			t.Errorf("%q: %v, sent %+v", tt.name, err, n.at(""))
		}
	}
	c := call(api + "/")
	c.Header = map[string]string{"X-A": "1", "x-a": "2"}
	if _, _, err := do(t, acme(), &network{}, c); fault.CodeOf(err) != fault.BadRequest {
		t.Errorf("a header twice: %v", err)
	}
}

func TestMethodsThatShowOrMoveTheTokenAreRefused(t *testing.T) {
	for _, method := range []string{"TRACE", "trace", "CONNECT", "TRACK", "GET /x HTTP/1.1\r\nHost: evil", "G ET", "GÉT", strings.Repeat("X", 33)} {
		n := &network{}
		c := call(api + "/")
		c.Method = method
		if _, _, err := do(t, acme(), n, c); fault.CodeOf(err) != fault.BadRequest || len(n.at("")) > 0 {
			t.Errorf("%q: %v, sent %+v", method, err, n.at(""))
		}
	}
	n := &network{}
	c := call(api + "/")
	c.Method = "PROPFIND"
	if do(t, acme(), n, c); len(n.at("")) != 1 || n.at("")[0].method != "PROPFIND" {
		t.Errorf("PROPFIND: %+v", n.at(""))
	}
}

func TestAConnectionIsHeldToItsProvider(t *testing.T) {
	n := &network{hosts: map[string]http.HandlerFunc{api: answers(200, "")}}
	byID := request.Call{Grant: orchestrator.TokenQuery{ConnectionID: connectionID}, URL: api}
	if a, _, err := do(t, acme(), n, byID); err != nil || a.Status != 200 {
		t.Errorf("by id: %v", err)
	}
	byID.Grant.Provider = "other"
	if _, _, err := do(t, acme(), n, byID); fault.CodeOf(err) != fault.BadRequest || len(n.at("")) != 1 {
		t.Errorf("another provider: %v", err)
	}
}

func TestA401IsWorthOneRenewalAndOneMoreTry(t *testing.T) {
	fresh := func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+token(2) {
			w.WriteHeader(401)
			io.WriteString(w, "stale")
			return
		}
		io.WriteString(w, "fine")
	}
	t.Run("a body in memory is sent again", func(t *testing.T) {
		g, n := acme(), &network{hosts: map[string]http.HandlerFunc{api: fresh}}
		c := call(api + "/")
		c.Body = request.Bytes([]byte("body"))
		a, body, err := do(t, g, n, c)
		if err != nil || a.Status != 200 || body != "fine" || a.Note != "" {
			t.Errorf("%+v %q %v", a, body, err)
		}
		all := n.at("")
		if _, renewals := g.counts(); renewals != 1 || len(all) != 2 || all[0].body != "body" || all[1].body != "body" || all[0].header.Get("Authorization") != "Bearer "+token(1) {
			t.Errorf("%d renewals, %+v", renewals, all)
		}
	})
	t.Run("a fresh token that is refused is the end", func(t *testing.T) {
		g, n := acme(), &network{hosts: map[string]http.HandlerFunc{api: answers(401, "never")}}
		a, body, err := do(t, g, n, call(api+"/"))
		if err != nil || a.Status != 401 || body != "never" || !strings.Contains(a.Note, "fresh token") {
			t.Errorf("%+v %q %v", a, body, err)
		}
		if _, renewals := g.counts(); renewals != 1 || len(n.at("")) != 2 {
			t.Errorf("%d renewals, %d requests", renewals, len(n.at("")))
		}
	})
	t.Run("a stream that was read is not sent again", func(t *testing.T) {
		g, n := acme(), &network{hosts: map[string]http.HandlerFunc{api: fresh}}
		c := call(api + "/")
		c.Body = request.Stream(strings.NewReader("stream"), -1)
		a, body, err := do(t, g, n, c)
		if err != nil || a.Status != 401 || body != "stale" || a.Again || !strings.Contains(a.Note, "renewed") || len(n.at("")) != 1 {
			t.Errorf("%+v %q %v, %d requests", a, body, err, len(n.at("")))
		}
	})
	t.Run("a caller that can send it again is told to, once", func(t *testing.T) {
		g, n := acme(), &network{hosts: map[string]http.HandlerFunc{api: fresh}}
		c := call(api + "/")
		c.Body, c.Resend = request.Stream(strings.NewReader("stream"), 6), true
		a, _, err := do(t, g, n, c)
		if err != nil || !a.Again || a.Note != "" {
			t.Fatalf("%+v %v", a, err)
		}
		c.Body, c.Again = request.Stream(strings.NewReader("stream"), 6), true
		if a, body, err := do(t, g, n, c); err != nil || a.Status != 200 || body != "fine" {
			t.Errorf("%+v %q %v", a, body, err)
		}
		n.hosts[api] = answers(401, "")
		c.Body = request.Stream(strings.NewReader("stream"), 6)
		if a, _, _ := do(t, g, n, c); a.Again || a.Status != 401 {
			t.Errorf("a third time: %+v", a)
		}
		if _, renewals := g.counts(); renewals != 1 {
			t.Errorf("%d renewals", renewals)
		}
	})
	t.Run("other statuses renew nothing", func(t *testing.T) {
		for _, status := range []int{400, 403, 407, 429, 500, 503} {
			g, n := acme(), &network{hosts: map[string]http.HandlerFunc{api: answers(status, "")}}
			do(t, g, n, call(api+"/"))
			if _, renewals := g.counts(); renewals != 0 || len(n.at("")) != 1 {
				t.Errorf("%d: %d renewals, %d requests", status, renewals, len(n.at("")))
			}
		}
	})
	t.Run("a renewal that fails leaves the 401, and says why", func(t *testing.T) {
		g, n := acme(), &network{hosts: map[string]http.HandlerFunc{api: fresh}}
		g.renewErr = fault.New(fault.NeedsReconnect, "Acme has ended the grant.")
		a, body, err := do(t, g, n, call(api+"/"))
		if err != nil || a.Status != 401 || body != "stale" || a.Note != "Acme has ended the grant." || a.Code != fault.NeedsReconnect || len(n.at("")) != 1 {
			t.Errorf("%+v %q %v", a, body, err)
		}
	})
	t.Run("a token too young to renew is not tried twice", func(t *testing.T) {
		g, n := acme(), &network{hosts: map[string]http.HandlerFunc{api: fresh}}
		g.tooYoung = true
		if a, _, err := do(t, g, n, call(api+"/")); err != nil || a.Status != 401 || a.Note == "" || len(n.at("")) != 1 {
			t.Errorf("%+v %v, %d requests", a, err, len(n.at("")))
		}
	})
	t.Run("parallel 401s share a renewal", func(t *testing.T) {
		g, n := acme(), &network{hosts: map[string]http.HandlerFunc{api: fresh}}
		s := request.New(g, oauth.NewHTTP(oauth.HTTPOptions{Transport: n}))
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				a, err := s.Do(t.Context(), call(api+"/"))
				if err != nil || a.Status != 200 {
					t.Errorf("%+v %v", a, err)
					return
				}
				a.Body.Close()
			})
		}
		all.Wait()
		if _, renewals := g.counts(); renewals != 1 {
			t.Errorf("%d renewals", renewals)
		}
	})
}

func TestNoFailureHoldsTheTokenOrThePath(t *testing.T) {
	leaky := roundTripper(func(r *http.Request) (*http.Response, error) {
		return nil, errors.New("cannot send " + r.Header.Get("Authorization") + " to " + r.URL.String())
	})
	c := call(api + "/secret-path?q=secret-query")
	_, _, err := do(t, acme(), leaky, c)
	if fault.CodeOf(err) != fault.ProviderUnavailable || strings.Contains(err.Error(), "secret") {
		t.Errorf("%v", err)
	}
	mustNotHold(t, "the error", err.Error())
	_, _, err = do(t, acme(), &network{}, call("https://evil.example/secret-path?q=secret-query"))
	if strings.Contains(err.Error(), "secret") {
		t.Errorf("%v", err)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestACallerThatGivesUpGetsItsOwnWord(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	n := roundTripper(func(r *http.Request) (*http.Response, error) {
		cancel()
		<-r.Context().Done()
		return nil, r.Context().Err()
	})
	_, err := request.New(acme(), oauth.NewHTTP(oauth.HTTPOptions{Transport: n})).Do(ctx, call(api+"/"))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
