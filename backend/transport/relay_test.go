package transport_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"keyturn/backend/fault"
	"keyturn/backend/oauth"
	"keyturn/backend/relay"
	"keyturn/backend/relay/hub"
	"keyturn/backend/transport"
	"keyturn/backend/transport/transporttest"
)

// relayed is an app that is enrolled at a real hub, over a real WebSocket.
func relayed(t *testing.T) (*transport.Gateway, *hub.Hub) {
	t.Helper()
	keys := hub.NewKeys()
	h, err := hub.NewHub(hub.Options{Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	server := httptest.NewUnstartedServer(h.Handler())
	server.StartTLS()
	t.Cleanup(server.Close)
	e, err := h.Enrol("test", server.URL+"/relay")
	if err != nil {
		t.Fatal(err)
	}
	trust := server.Client().Transport.(*http.Transport).TLSClientConfig
	client := relay.NewClient(e, relay.Options{TLS: trust})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); client.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	l, _ := newLoopback(t)
	return transport.NewGateway(l, func() string { return "https://gw.example" }, func() *relay.Client { return client }, http.DefaultClient), h
}

// arrive is what the gateway does with a callback; it returns the code it shows.
func arrive(t *testing.T, h *hub.Hub, a transporttest.Attempt, params url.Values) (string, error) {
	t.Helper()
	u, err := url.Parse(a.Prompt.URL)
	if err != nil {
		t.Fatal(err)
	}
	params.Set("state", u.Query().Get("state"))
	receipt, err := h.Deliver(t.Context(), "acme", params)
	return receipt.Code, err
}

// begin starts an attempt; the state is the relay's own.
func begin(t *testing.T, g *transport.Gateway) (transporttest.Attempt, context.CancelFunc) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	shown, ended := make(chan oauth.Prompt, 1), make(chan transporttest.End, 1)
	go func() {
		r, err := g.Authorize(ctx, transporttest.Request(), func(p oauth.Prompt) { shown <- p })
		ended <- transporttest.End{Reply: r, Err: err}
	}()
	select {
	case p := <-shown:
		return transporttest.Attempt{Prompt: p, Ended: ended}, cancel
	case e := <-ended:
		t.Fatal(e.Err)
	case <-time.After(10 * time.Second):
		t.Fatal("no prompt")
	}
	return transporttest.Attempt{}, cancel
}

func TestARelayedResponseCountsOnceItsCodeWasTyped(t *testing.T) {
	g, h := relayed(t)
	a, cancel := begin(t, g)
	defer cancel()
	if a.Prompt.RedirectURI != "https://gw.example/oauth/callback/acme" {
		t.Errorf("%s", a.Prompt.RedirectURI)
	}
	if err := a.Prompt.Confirm("AAAA-AAAA"); fault.CodeOf(err) != fault.Conflict {
		t.Errorf("before anything came: %v", err)
	}
	code, err := arrive(t, h, a, url.Values{"code": {"the-code"}})
	if err != nil || code == "" {
		t.Fatal(code, err)
	}
	select {
	case <-a.Prompt.Held:
	case <-time.After(5 * time.Second):
		t.Fatal("nothing is held")
	}
	a.StillPending(t)
	if err := a.Prompt.Confirm("AAAA-AAAA"); fault.CodeOf(err) != fault.BadRequest {
		t.Errorf("GW-02 a wrong code: %v", err)
	}
	a.StillPending(t)
	if err := a.Prompt.Confirm(code); err != nil {
		t.Fatal(err)
	}
	if e := a.Wait(t); e.Err != nil || e.Reply.Response.Code.Reveal() != "the-code" {
		t.Errorf("%+v", e)
	}
	if _, err := arrive(t, h, a, url.Values{"code": {"the-code"}}); err == nil {
		t.Error("GW-07 a callback for what is over was taken")
	}
}

func TestThreeWrongCodesEndARelayedAttempt(t *testing.T) {
	g, h := relayed(t)
	a, cancel := begin(t, g)
	defer cancel()
	code, err := arrive(t, h, a, url.Values{"code": {"the-code"}})
	if err != nil {
		t.Fatal(err)
	}
	for range relay.Tries {
		if err := a.Prompt.Confirm("AAAA-AAAA"); err == nil {
			t.Fatal("a wrong code was taken")
		}
	}
	if e := a.Wait(t); fault.CodeOf(e.Err) != fault.Denied {
		t.Errorf("%v", e.Err)
	}
	if err := a.Prompt.Confirm(code); err == nil {
		t.Error("GW-02 the right one was taken afterwards")
	}
}

func TestARelayedNoNeedsNoCode(t *testing.T) {
	g, h := relayed(t)
	a, cancel := begin(t, g)
	defer cancel()
	if code, err := arrive(t, h, a, url.Values{"error": {"access_denied"}}); err != nil || code != "" {
		t.Fatal(code, err)
	}
	if e := a.Wait(t); e.Err != nil || e.Reply.Response.Error != "access_denied" {
		t.Errorf("%+v", e)
	}
}

func TestACancelledRelayedAttemptTakesNothing(t *testing.T) {
	g, h := relayed(t)
	a, cancel := begin(t, g)
	cancel()
	if e := a.Wait(t); fault.CodeOf(e.Err) != fault.Cancelled {
		t.Errorf("%v", e.Err)
	}
	if _, err := arrive(t, h, a, url.Values{"code": {"the-code"}}); err == nil {
		t.Error("a callback was taken")
	}
}
