package transport_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"keyturn/backend/fault"
	"keyturn/backend/oauth"
	"keyturn/backend/transport"
	"keyturn/backend/transport/transporttest"
)

// bouncer does what a gateway does, and may be told to do something else.
type bouncer struct {
	*httptest.Server
	mu   sync.Mutex
	seen []string // queries
	to   string   // sends everybody there instead
}

func newBouncer(t testing.TB) *bouncer {
	b := &bouncer{}
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.mu.Lock()
		b.seen = append(b.seen, r.URL.RawQuery)
		to := b.to
		b.mu.Unlock()
		if to == "" {
			port, _, _ := strings.Cut(r.URL.Query().Get("state"), ".")
			n, _ := strconv.ParseInt(port, 36, 32)
			to = "http://127.0.0.1:" + strconv.FormatInt(n, 10) + "/gw/" + strings.TrimPrefix(r.URL.Path, "/oauth/callback/") + "?" + r.URL.RawQuery
		}
		w.Header().Set("Location", to)
		w.WriteHeader(http.StatusSeeOther)
	}))
	t.Cleanup(b.Close)
	return b
}

func byGateway(t testing.TB, base string) (*transport.Gateway, *transport.Loopback) {
	l, _ := newLoopback(t)
	return transport.NewGateway(l, func() string { return base }, nil, http.DefaultClient), l
}

// follow does what a browser does with a response at the gateway.
func follow(address string) (*http.Response, error) {
	res, err := noFollow.Get(address)
	if err != nil {
		return nil, err
	}
	res.Body.Close()
	return noFollow.Get(res.Header.Get("Location"))
}

func TestGatewayKeepsWhatTransportsHaveToKeep(t *testing.T) {
	transporttest.Run(t, func(t *testing.T) transporttest.Subject {
		b := newBouncer(t)
		g, l := byGateway(t, b.URL)
		return transporttest.Subject{
			Transport: g,
			Respond: func(p oauth.Prompt, response url.Values) error {
				res, err := follow(p.RedirectURI + "?" + response.Encode())
				if err == nil {
					res.Body.Close()
				}
				return err
			},
			Close: func() {
				b.Close()
				http.DefaultTransport.(*http.Transport).CloseIdleConnections()
				_ = l.Close(context.Background())
			},
		}
	})
}

func TestAResponseComesByTheWayThatItsAttemptChose(t *testing.T) {
	b := newBouncer(t)
	g, l := byGateway(t, b.URL)
	bounced := transporttest.Start(t, g, transporttest.Request())
	direct := transporttest.Start(t, l, transporttest.Request())
	port, _, found := strings.Cut(bounced.State, ".")
	if n, err := strconv.ParseInt(port, 36, 32); err != nil || !found || n < 1024 {
		t.Fatalf("the state %q does not name the port", bounced.State)
	}
	n, _ := strconv.ParseInt(port, 36, 32)
	here := "http://127.0.0.1:" + strconv.FormatInt(n, 10)
	there := strings.TrimSuffix(direct.Prompt.RedirectURI, "/oauth/callback/acme")
	for name, address := range map[string]string{
		"CB-10 state of a gateway's attempt at the callback path": here + "/oauth/callback/acme?code=c&state=" + bounced.State,
		"CB-10 state of a loopback attempt at the gateway's path": there + "/gw/acme?code=c&state=" + direct.State,
		"another provider at the gateway's path":                  here + "/gw/other?code=c&state=" + bounced.State,
		"GW-01 an attempt of another computer's Keyturn":          here + "/gw/acme?code=c&state=" + port + "." + strings.Repeat("A", 43),
		"the port alone": here + "/gw/acme?code=c&state=" + port + ".",
	} {
		res, err := noFollow.Get(address)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusBadRequest && res.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %d", name, res.StatusCode)
		}
		bounced.StillPending(t)
		direct.StillPending(t)
	}
	if res, err := follow(bounced.Prompt.RedirectURI + "?code=the-code&state=" + bounced.State); err != nil || res.StatusCode != http.StatusSeeOther {
		t.Fatalf("%v %v", res, err)
	}
	if e := bounced.Wait(t); e.Err != nil || e.Reply.Response.Code.Reveal() != "the-code" {
		t.Errorf("%+v", e)
	}
	direct.StillPending(t)
}

func TestAGatewayIsTriedBeforeItIsUsed(t *testing.T) {
	b := newBouncer(t)
	g, l := byGateway(t, "")
	if err := g.Ready(); fault.CodeOf(err) != fault.BadRequest {
		t.Errorf("ready without a gateway: %v", err)
	}
	if _, err := g.Authorize(t.Context(), transporttest.Request(), func(oauth.Prompt) { t.Error("shown") }); fault.CodeOf(err) != fault.BadRequest {
		t.Errorf("authorized without a gateway: %v", err)
	}
	took, err := g.Check(t.Context(), b.URL)
	if err != nil || took <= 0 || took > 5*time.Second {
		t.Fatalf("%v %v", took, err)
	}
	if l.Stats().Delivered != 1 {
		t.Errorf("%s", l.Stats())
	}

	canary := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("somebody else's port was asked") }))
	defer canary.Close()
	for name, to := range map[string]string{
		"another port of this computer": canary.URL + "/gw/keyturn-check?code=check",
		"another path":                  "http://127.0.0.1/admin",
		"another computer":              "https://example.com/",
		"nowhere":                       "::",
	} {
		b.mu.Lock()
		b.to = to
		b.mu.Unlock()
		if _, err := g.Check(t.Context(), b.URL); fault.CodeOf(err) != fault.GatewayUnreachable {
			t.Errorf("%s: %v", name, err)
		}
	}
	b.Close()
	if _, err := g.Check(t.Context(), b.URL); fault.CodeOf(err) != fault.GatewayUnreachable {
		t.Errorf("nobody there: %v", err)
	}
}
