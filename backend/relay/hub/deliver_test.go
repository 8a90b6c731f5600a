package hub_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"keyturn/backend/relay"
	"keyturn/backend/relay/hub"
)

func TestACallbackComesHomeOnceItsCodeWasTyped(t *testing.T) {
	g := startGateway(t, hub.Options{})
	c := g.run(t, g.enrol(t, "server"))
	a := expect(t, c, "github")

	receipt, err := g.Deliver(t.Context(), "github", callback(a, "the-code"))
	if err != nil {
		t.Fatal(err)
	}
	if !regexp.MustCompile(`^[0-9A-HJKMNP-TV-Z]{4}-[0-9A-HJKMNP-TV-Z]{4}$`).MatchString(receipt.Code) || receipt.Took <= 0 {
		t.Errorf("the receipt is %+v", receipt)
	}
	if r, out := response(a); !held(a) || out {
		t.Fatalf("before the code: held %v, response %v", held(a), r)
	}
	if err := a.Confirm(" " + strings.ToLower(receipt.Code)); err != nil {
		t.Fatal(err)
	}
	r, out := response(a)
	if !out || r.Code.Reveal() != "the-code" || r.Error != "" {
		t.Fatalf("the response is %v, %v", r, out)
	}
	if err := a.Confirm(receipt.Code); !errors.Is(err, relay.ErrOver) {
		t.Errorf("the second confirmation: %v", err)
	}
	if _, err := g.Deliver(t.Context(), "github", callback(a, "the-code")); !errors.Is(err, relay.ErrUnknown) {
		t.Errorf("GW-07 a callback of a completed attempt: %v", err)
	}
}

func TestAnAppThatIsNotThereIsKnownAtOnce(t *testing.T) {
	g := startGateway(t, hub.Options{})
	e := g.enrol(t, "server")
	c := relay.NewClient(e, relay.Options{})
	a := expect(t, c, "github")
	start := time.Now()
	_, err := g.Deliver(t.Context(), "github", callback(a, "x"))
	if took := time.Since(start); !errors.Is(err, relay.ErrUnreachable) || took > time.Second {
		t.Errorf("%v after %v", err, took)
	}
}

func TestEachAppSeesItsOwnCallbacksOnly(t *testing.T) {
	g := startGateway(t, hub.Options{})
	a, b := g.run(t, g.enrol(t, "desk")), g.run(t, g.enrol(t, "server"))
	mine, theirs := expect(t, a, "github"), expect(t, b, "github")

	t.Run("GW-23 the app that owns the state gets the callback", func(t *testing.T) {
		if _, err := g.Deliver(t.Context(), "github", callback(mine, "code")); err != nil {
			t.Fatal(err)
		}
		if !held(mine) || held(theirs) || a.Status().Accepted != 1 {
			t.Error("it went elsewhere")
		}
		if s := b.Status(); s.Accepted+s.Unknown+s.Refused+s.Forged+s.Malformed != 0 {
			t.Errorf("the other app was asked: %+v", s)
		}
	})
	t.Run("GW-10 parts of two states are none", func(t *testing.T) {
		x, y := strings.Split(mine.State(), "."), strings.Split(theirs.State(), ".")
		for _, parts := range [][]string{{"r", x[1], y[2], y[3]}, {"r", x[1], y[2], x[3]}, {"r", y[1], x[2], x[3]}, {"r", x[1], x[2], y[3]}} {
			params := url.Values{"state": {strings.Join(parts, ".")}, "code": {"x"}}
			if _, err := g.Deliver(t.Context(), "github", params); !errors.Is(err, relay.ErrUnknown) {
				t.Errorf("%v", err)
			}
		}
		if s := a.Status(); s.Accepted != 1 || s.Unknown != 0 {
			t.Errorf("the app was asked: %+v", s)
		}
	})
	t.Run("another provider's path", func(t *testing.T) {
		if _, err := g.Deliver(t.Context(), "gitlab", callback(mine, "code")); !errors.Is(err, relay.ErrUnknown) {
			t.Errorf("%v", err)
		}
	})
}

func TestAVictimsConsentDoesNotEndInAnotherApp(t *testing.T) {
	g := startGateway(t, hub.Options{})
	attacker := g.run(t, g.enrol(t, "attacker"))
	a := expect(t, attacker, "github")
	t.Run("GW-02 GW-01 the attempt waits for a code that only the victim's browser shows", func(t *testing.T) {
		page, err := g.Deliver(t.Context(), "github", callback(a, "victims-code")) // the victim opened the attacker's address
		if err != nil || page.Code == "" {
			t.Fatal(err)
		}
		// The attacker knows the state and everything his app was sent, and may
		// ask the gateway what he likes.
		for _, params := range []url.Values{callback(a, "guess"), {"state": {a.State()}, "code": {""}}, {"state": {a.State()}, "code": {"x"}, "error": {"y"}}} {
			if r, err := g.Deliver(t.Context(), "github", params); err == nil && r.Code == page.Code {
				t.Error("the gateway tells him the victim's code")
			}
		}
		for range relay.Tries {
			if err := a.Confirm("00000000"); err == nil {
				t.Fatal("confirmed")
			}
		}
		if _, out := response(a); out {
			t.Error("the victim's code was given out")
		}
	})
}

func TestWhatIsNoCallbackNeverReachesAnApp(t *testing.T) {
	g := startGateway(t, hub.Options{})
	c := g.run(t, g.enrol(t, "server"))
	a := expect(t, c, "github")
	state := a.State()
	other := startGateway(t, hub.Options{})
	foreign := expect(t, relay.NewClient(other.enrol(t, "x"), relay.Options{}), "github")
	for name, tt := range map[string]struct {
		params url.Values
		want   error
	}{
		"nothing":                        {url.Values{}, relay.ErrRefused},
		"no code":                        {url.Values{"state": {state}}, relay.ErrRefused},
		"GW-13 code and error":           {url.Values{"state": {state}, "code": {"x"}, "error": {"y"}}, relay.ErrRefused},
		"GW-13 two states":               {url.Values{"state": {state, state}, "code": {"x"}}, relay.ErrRefused},
		"GW-13 two codes":                {url.Values{"state": {state}, "code": {"x", "x"}}, relay.ErrRefused},
		"GW-13 10 MiB":                   {url.Values{"state": {state}, "code": {strings.Repeat("x", 10<<20)}}, relay.ErrRefused},
		"no state":                       {url.Values{"code": {"x"}}, relay.ErrRefused},
		"T7 a guessed handle":            {url.Values{"state": {"r.AAAA.BBBB.CCCC"}, "code": {"x"}}, relay.ErrUnknown},
		"T7 a random key of a known app": {url.Values{"state": {state[:46] + strings.Repeat("A", 43) + state[89:]}, "code": {"x"}}, relay.ErrUnknown},
		"a state of bounce":              {url.Values{"state": {"5zz.abcdef"}, "code": {"x"}}, relay.ErrUnknown},
		"a state of another gateway":     {callback(foreign, "x"), relay.ErrUnknown},
		"a subject in the state":         {url.Values{"state": {strings.Replace(state, state[2:45], strings.Repeat(">", 43), 1)}, "code": {"x"}}, relay.ErrUnknown},
	} {
		if _, err := g.Deliver(t.Context(), "github", tt.params); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
	}
	if s := c.Status(); s.Accepted+s.Unknown+s.Refused+s.Forged+s.Malformed != 0 {
		t.Errorf("the app was asked: %+v", s)
	}
	if s := g.Stats(); s.Refused != 7 || s.Unknown != 5 {
		t.Errorf("counted %+v", s)
	}
	if _, err := g.Deliver(t.Context(), "github", url.Values{"state": {state}, "error": {"access_denied"}, "scope": {"x", "y"}, "error_description": {"<b>"}}); err != nil {
		t.Errorf("an error with parameters that mean nothing: %v", err)
	}
	if r, out := response(a); !out || r.Error != "access_denied" {
		t.Errorf("the response is %v %v", r, out)
	}
}

func TestAGatewayWithAnotherKeyIsNotBelieved(t *testing.T) {
	keys := hub.NewKeys()
	g := startGateway(t, hub.Options{Keys: keys.SignWith(hub.NewKeys())})
	g.SetPatience(100 * time.Millisecond)
	e, err := keys.Enrol("server", g.url)
	if err != nil {
		t.Fatal(err)
	}
	c := g.run(t, e)
	a := expect(t, c, "github")
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := g.Deliver(ctx, "github", callback(a, "x")); !errors.Is(err, relay.ErrUnreachable) {
		t.Errorf("GW-05 %v", err)
	}
	if s := c.Status(); s.Forged == 0 || s.Accepted != 0 || held(a) {
		t.Errorf("GW-05 %+v", s)
	}
}

// An app restarts, or its connection breaks, while the user is in the browser.
func TestTheGatewayMayRestartInTheMiddle(t *testing.T) {
	keys := hub.NewKeys()
	g := startGateway(t, hub.Options{Keys: keys})
	var now atomic.Pointer[hub.Hub] // behind one address, as after a restart
	now.Store(g.Hub)
	front := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { now.Load().Handler().ServeHTTP(w, r) }))
	t.Cleanup(front.Close)
	g.url = front.URL
	g.tls = front.Client().Transport.(*http.Transport).TLSClientConfig
	c := g.run(t, g.enrol(t, "server"))
	a := expect(t, c, "github")

	g.Close()
	restarted := startGateway(t, hub.Options{Keys: keys})
	if _, err := g.Deliver(t.Context(), "github", callback(a, "x")); !errors.Is(err, relay.ErrUnreachable) {
		t.Errorf("a closed hub: %v", err)
	}
	now.Store(restarted.Hub)
	t.Run("GW-22 the callback comes to the new one and home", func(t *testing.T) {
		var receipt hub.Receipt
		for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(100 * time.Millisecond) { // as somebody who reloads the page
			var err error
			if receipt, err = restarted.Deliver(t.Context(), "github", callback(a, "the-code")); err == nil {
				break
			} else if !errors.Is(err, relay.ErrUnreachable) || time.Now().After(deadline) {
				t.Fatal(err)
			}
		}
		if err := a.Confirm(receipt.Code); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("GW-22 an app that restarted knows nothing of it", func(t *testing.T) {
		a.Cancel()
		if _, err := restarted.Deliver(t.Context(), "github", callback(a, "the-code")); !errors.Is(err, relay.ErrUnknown) {
			t.Errorf("%v", err)
		}
	})
}

func TestARevokedAppIsThrownOut(t *testing.T) {
	keys := hub.NewKeys()
	g := startGateway(t, hub.Options{Keys: keys})
	e, other := g.enrol(t, "lost"), g.enrol(t, "kept")
	c, kept := g.run(t, e), g.run(t, other)
	a := expect(t, c, "github")
	if err := g.Revoke(e.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := g.Deliver(t.Context(), "github", callback(a, "x")); !errors.Is(err, relay.ErrUnknown) {
		t.Errorf("delivering to it: %v", err)
	}
	for deadline := time.Now().Add(5 * time.Second); c.Status().Connected; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it is still connected")
		}
	}
	time.Sleep(2500 * time.Millisecond) // it tries again after a second or so
	if s := c.Status(); s.Connected || !s.Rejected {
		t.Errorf("it came back, or was not told why: %+v", s)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := c.Ready(ctx); !errors.Is(err, relay.ErrNotEnrolled) {
		t.Errorf("a person is told %v", err)
	}
	if !kept.Status().Connected {
		t.Error("the other app was thrown out")
	}
	if _, err := g.Deliver(t.Context(), "github", callback(expect(t, kept, "github"), "x")); err != nil {
		t.Errorf("the other app: %v", err)
	}
	if err := g.Revoke("nonsense"); err == nil {
		t.Error("nonsense was revoked")
	}
	t.Run("also after a restart", func(t *testing.T) {
		g := startGateway(t, hub.Options{Keys: keys, Revoked: []string{e.ID}})
		renewed := relay.NewClient(e, relay.Options{TLS: g.tls})
		if _, err := g.Deliver(t.Context(), "github", callback(expect(t, renewed, "github"), "x")); !errors.Is(err, relay.ErrUnknown) {
			t.Errorf("%v", err)
		}
		if _, err := raw(t, e, g); err == nil {
			t.Error("it connects")
		}
	})
}

func TestClocksThatDifferAreNamedAsTheReason(t *testing.T) {
	g := startGateway(t, hub.Options{})
	c := g.run(t, g.enrol(t, "server"))
	a := expect(t, c, "github")
	to, _ := relay.ParseState(a.State())
	d := relay.Delivery{Time: time.Now().Add(-10 * time.Minute), Provider: "github"}
	frame, err := d.Seal(to, g.SigningKey())
	if err != nil {
		t.Fatal(err)
	}
	reply, err := g.Spy(t).Request(relay.Subject(to.App), frame, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	verdict, err := relay.ParseAnswer(reply.Data, d.ID, to.App)
	if err != nil || !errors.Is(verdict.Err(), relay.ErrClock) || c.Status().Skewed != 1 || c.Status().Skew > -9*time.Minute {
		t.Errorf("GW-08 %v %v %+v", verdict, err, c.Status())
	}
}

func TestNothingSecretIsOnNATSOrInTheLog(t *testing.T) {
	g := startGateway(t, hub.Options{})
	e := g.enrol(t, "server")
	c := g.run(t, e)
	a := expect(t, c, "github")
	var mu sync.Mutex
	var seen bytes.Buffer
	spy := g.Spy(t)
	if _, err := spy.Subscribe(">", func(m *nats.Msg) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Fprintf(&seen, "%s %s %v %s\n", m.Subject, m.Reply, m.Header, m.Data)
	}); err != nil {
		t.Fatal(err)
	}
	spy.Flush()
	receipt, err := g.Deliver(t.Context(), "github", callback(a, "the-secret-code"))
	if err != nil {
		t.Fatal(err)
	}
	g.Deliver(t.Context(), "github", url.Values{"state": {a.State()}, "code": {"the-secret-code", "the-secret-code"}})
	g.Deliver(t.Context(), "gitlab", callback(a, "the-secret-code"))
	a.Confirm("wrong")
	sees := func() bool { // question and answer
		mu.Lock()
		defer mu.Unlock()
		return strings.Count(seen.String(), "\n_INBOX.") > 0 && strings.Contains(seen.String(), relay.Subject(e.ID))
	}
	for deadline := time.Now().Add(5 * time.Second); !sees() && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond)
	}
	mu.Lock()
	defer mu.Unlock()
	if !strings.Contains(seen.String(), relay.Subject(e.ID)) || !strings.Contains(g.logs.String(), "relayed") {
		t.Fatal("the control: nothing was seen")
	}
	for _, secret := range []string{"the-secret-code", "github", a.State(), a.State()[46:89], receipt.Code, strings.ReplaceAll(receipt.Code, "-", ""), e.Token()} {
		if strings.Contains(seen.String(), secret) {
			t.Errorf("on NATS: %q", secret)
		}
		if strings.Contains(g.logs.String(), secret) {
			t.Errorf("in the log: %q", secret)
		}
	}
}

func TestADrainWaitsForWhatIsUnderWay(t *testing.T) {
	g := startGateway(t, hub.Options{})
	c := g.run(t, g.enrol(t, "server"))
	var under sync.WaitGroup
	var lost atomic.Int32
	for range 50 {
		a := expect(t, c, "github")
		under.Go(func() {
			if _, err := g.Deliver(t.Context(), "github", callback(a, "x")); err != nil && !errors.Is(err, relay.ErrUnreachable) {
				lost.Add(1)
			}
		})
	}
	g.Drain(t.Context())
	under.Wait()
	if n := lost.Load(); n != 0 {
		t.Errorf("%d callbacks got another answer than a page that can be reloaded", n)
	}
	if s := c.Status(); s.Accepted != g.Stats().Delivered {
		t.Errorf("the app took %d, the gateway says %d", s.Accepted, g.Stats().Delivered)
	}
	if g.Ready() {
		t.Error("ready after it was drained")
	}
}
