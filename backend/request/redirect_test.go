package request_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"keyturn/backend/request"
)

func TestARedirectIsAnAnswerUnlessAskedToFollow(t *testing.T) {
	n := &network{hosts: map[string]http.HandlerFunc{api: points(302, api+"/b")}}
	a, body, err := do(t, acme(), n, call(api+"/a"))
	if err != nil || a.Status != 302 || body != "moved" || a.Header.Get("Location") != api+"/b" || len(n.at("")) != 1 {
		t.Errorf("%+v %q %v, %d requests", a, body, err, len(n.at("")))
	}
}

// journey has the API point at a place, and follows.
func journey(t *testing.T, status int, to string, c request.Call) (*request.Answer, *network) {
	t.Helper()
	hosts := map[string]http.HandlerFunc{api: func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/a" {
			points(status, to)(w, r)
			return
		}
		io.WriteString(w, "there")
	}}
	for _, other := range []string{"https://x.acmeapis.example", "https://files.example", "http://api.acme.example", "http://files.example", "https://127.0.0.1", "https://localhost", "https://10.0.0.1"} {
		hosts[other] = answers(200, "there")
	}
	n := &network{hosts: hosts}
	c.Follow = true
	a, _, err := do(t, acme(), n, c)
	if err != nil {
		t.Fatal(err)
	}
	return a, n
}

func TestRedirectsTakeTheTokenOnlyToAllowedHosts(t *testing.T) {
	for _, tt := range []struct {
		name, to, sees string // the origin that sees a second request
		token          bool
	}{
		{"the same host", "/b", api, true},
		{"another allowed host", "https://x.acmeapis.example/b", "https://x.acmeapis.example", true},
		{"a host that is not allowed", "https://files.example/b", "https://files.example", false},
		{"without a scheme", "//files.example/b", "https://files.example", false},
		{"a fragment", "/b#part", api, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := call(api + "/a")
			c.Header = map[string]string{"X-Mine": "canary-of-the-caller", "Accept": "text/plain"}
			a, n := journey(t, 302, tt.to, c)
			all := n.at("")
			if a.Status != 200 || len(all) != 2 || all[1].origin != tt.sees || all[1].path != "/b" || all[1].header.Get("Accept") != "text/plain" {
				t.Fatalf("%+v, seen %+v", a, all)
			}
			if got := all[1].header.Get("Authorization") != ""; got != tt.token {
				t.Errorf("the token went along: %v", got)
			}
			if got := all[1].header.Get("X-Mine") != ""; got != tt.token {
				t.Errorf("the caller's header went along: %v", got)
			}
		})
	}
	for _, tt := range []struct{ name, to string }{
		{"a lower scheme", "http://api.acme.example/b"},
		{"a lower scheme elsewhere", "http://files.example/b"},
		{"another scheme", "file:///etc/passwd"},
		{"this computer", "https://localhost/b"},
		{"an address of this computer", "https://127.0.0.1/b"},
		{"an address of somebody's network", "https://10.0.0.1/b"},
		{"a user name", "https://a@api.acme.example/b"},
		{"capitals", "https://API.acme.example/b"},
		{"a dot at the end", "https://api.acme.example./b"},
		{"no address", "https://%zz/"},
	} {
		t.Run("not to "+tt.name, func(t *testing.T) {
			a, n := journey(t, 302, tt.to, call(api+"/a"))
			if a.Status != 302 || len(n.at("")) != 1 || !strings.HasPrefix(a.Note, "The redirect was not followed: ") {
				t.Errorf("%+v, seen %+v", a, n.at(""))
			}
		})
	}
}

func TestTheTokenDoesNotComeBackFromAForeignHost(t *testing.T) {
	n := &network{hosts: map[string]http.HandlerFunc{
		"https://files.example": points(302, api+"/b"),
		api: func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/a" {
				points(302, "https://files.example/")(w, r)
				return
			}
			w.WriteHeader(401)
		},
	}}
	g := acme()
	c := call(api + "/a")
	c.Follow = true
	a, _, err := do(t, g, n, c)
	all := n.at("")
	if err != nil || a.Status != 401 || len(all) != 3 {
		t.Fatalf("%+v %v, seen %+v", a, err, all)
	}
	for _, s := range all[1:] {
		if s.header.Get("Authorization") != "" {
			t.Errorf("%s got the token", s.origin)
		}
	}
	if _, renewals := g.counts(); renewals != 0 {
		t.Error("a 401 without a token renewed it")
	}
}

func TestRedirectsChangeTheMethodAsTheyShould(t *testing.T) {
	for _, tt := range []struct {
		status       int
		method, then string
		body         bool
	}{
		{301, "POST", "GET", false}, {302, "POST", "GET", false}, {303, "POST", "GET", false}, {303, "PUT", "GET", false},
		{307, "POST", "POST", true}, {308, "POST", "POST", true}, {302, "PUT", "PUT", true}, {303, "HEAD", "HEAD", false}, {302, "GET", "GET", false},
	} {
		c := call(api + "/a")
		c.Method, c.Header = tt.method, map[string]string{"Content-Type": "text/plain"}
		if tt.method == "POST" || tt.method == "PUT" {
			c.Body = request.Bytes([]byte("body"))
		}
		_, n := journey(t, tt.status, "/b", c)
		all := n.at("")
		if len(all) != 2 || all[1].method != tt.then || (all[1].body == "body") != tt.body {
			t.Errorf("%d %s: seen %+v", tt.status, tt.method, all)
		}
		if !tt.body && tt.then == "GET" && tt.method != "GET" && all[1].header.Get("Content-Type") != "" {
			t.Errorf("%d %s: a type without a body", tt.status, tt.method)
		}
	}
}

func TestABodyIsNotLedAway(t *testing.T) {
	c := call(api + "/a")
	c.Body = request.Bytes([]byte("body"))
	if a, n := journey(t, 307, "https://files.example/b", c); a.Status != 307 || len(n.at("https://files.example")) > 0 || a.Note == "" {
		t.Errorf("to another host: %+v, seen %+v", a, n.at(""))
	}
	c.Body = request.Stream(strings.NewReader("body"), 4)
	if a, n := journey(t, 307, "/b", c); a.Status != 307 || len(n.at("")) != 1 || a.Note == "" {
		t.Errorf("a stream: %+v, seen %+v", a, n.at(""))
	}
}

func TestRedirectsEnd(t *testing.T) {
	n := &network{hosts: map[string]http.HandlerFunc{api: points(302, "/again")}}
	c := call(api + "/")
	c.Follow = true
	a, _, err := do(t, acme(), n, c)
	if err != nil || a.Status != 302 || len(n.at("")) != 11 || !strings.Contains(a.Note, "10") {
		t.Errorf("%+v %v, %d requests", a, err, len(n.at("")))
	}
}
