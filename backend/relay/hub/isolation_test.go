package hub_test

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"keyturn/backend/relay"
	"keyturn/backend/relay/hub"
)

// secrets are what an enrolment hides, for an attacker who is one of the apps.
func secrets(t testing.TB, e relay.Enrolment) (seed []byte, jwt string) {
	t.Helper()
	_, encoded, _ := strings.Cut(e.Token(), ".")
	data, err := base64.RawURLEncoding.DecodeString(encoded)
	if err != nil {
		t.Fatal(err)
	}
	var inside struct {
		Seed []byte
		JWT  string
	}
	if err := json.Unmarshal(data, &inside); err != nil {
		t.Fatal(err)
	}
	return inside.Seed, inside.JWT
}

// raw connects with an enrolment and no Client around it.
func raw(t testing.TB, e relay.Enrolment, g *gateway, options ...nats.Option) (*nats.Conn, error) {
	t.Helper()
	seed, jwt := secrets(t, e)
	pair, err := nkeys.FromRawSeed(nkeys.PrefixByteUser, seed)
	if err != nil {
		t.Fatal(err)
	}
	options = append(options, nats.NoReconnect(), nats.Secure(g.tls), nats.UserJWT(func() (string, error) { return jwt, nil }, pair.Sign))
	conn, err := nats.Connect(g.nats(), options...)
	if err == nil {
		t.Cleanup(conn.Close)
	}
	return conn, err
}

func TestAnAppMayDoNothingButAnswer(t *testing.T) {
	g := startGateway(t, hub.Options{})
	victim := g.enrol(t, "victim")
	c := g.run(t, victim)
	a := expect(t, c, "github")
	refused := make(chan error, 10)
	evil, err := raw(t, g.enrol(t, "evil"), g, nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { refused <- err }))
	if err != nil {
		t.Fatal(err)
	}
	for _, subject := range []string{relay.Subject(victim.ID), relay.Subject("*"), "keyturn.>", ">", "_INBOX.>", "$SYS.>", "*.*.*"} {
		if _, err := evil.SubscribeSync(subject); err != nil {
			t.Fatal(err)
		}
		evil.Flush()
		select {
		case err := <-refused:
			if !errors.Is(err, nats.ErrPermissionViolation) {
				t.Errorf("GW-23 subscribing to %s: %v", subject, err)
			}
		case <-time.After(2 * time.Second):
			t.Errorf("GW-23 subscribing to %s is allowed", subject)
		}
	}
	for _, subject := range []string{relay.Subject(victim.ID), "_INBOX.x", "anything", "$SYS.REQ.ACCOUNT.PING.CONNZ"} {
		evil.Publish(subject, []byte("x"))
		evil.Flush()
		select {
		case err := <-refused:
			if !errors.Is(err, nats.ErrPermissionViolation) {
				t.Errorf("GW-23 publishing to %s: %v", subject, err)
			}
		case <-time.After(2 * time.Second):
			t.Errorf("GW-23 publishing to %s is allowed", subject)
		}
	}
	if _, err := g.Deliver(t.Context(), "github", callback(a, "x")); err != nil || !held(a) {
		t.Errorf("the victim: %v", err)
	}
}

func TestOnlyWhoIsEnrolledConnects(t *testing.T) {
	g := startGateway(t, hub.Options{})
	e := g.enrol(t, "server")
	if _, err := raw(t, e, g); err != nil {
		t.Fatalf("the control: %v", err)
	}
	other := startGateway(t, hub.Options{})
	if _, err := raw(t, other.enrol(t, "x"), g); err == nil {
		t.Error("an app of another gateway connects")
	}
	if _, err := nats.Connect(g.nats(), nats.Secure(g.tls)); err == nil {
		t.Error("anybody connects")
	}
	// Somebody's token without his key.
	_, jwt := secrets(t, e)
	_, key, _ := ed25519.GenerateKey(nil)
	stolen, err := relay.NewEnrolment("x", []string{g.url}, e.Gateway, key.Seed(), make([]byte, 32), jwt)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := raw(t, stolen, g); err == nil {
		t.Error("a token without its key connects")
	}
}

func TestBrowsersAndOtherStrangersAreTurnedAway(t *testing.T) {
	g := startGateway(t, hub.Options{MaxApps: 1})
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: g.tls}}
	handshake := map[string]string{"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": base64.StdEncoding.EncodeToString([]byte("the sample nonce"))}
	ask := func(method string, headers map[string]string, more ...string) int {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, g.url, nil)
		if err != nil {
			t.Fatal(err)
		}
		for k, v := range headers {
			r.Header.Set(k, v)
		}
		for i := 0; i < len(more); i += 2 {
			r.Header.Set(more[i], more[i+1])
		}
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { resp.Body.Close() })
		return resp.StatusCode
	}
	for name, tt := range map[string]struct{ got, want int }{
		"a page's address typed": {ask("GET", nil), http.StatusUpgradeRequired},
		"a form":                 {ask("POST", handshake), http.StatusMethodNotAllowed},
		"a script of a page":     {ask("GET", handshake, "Origin", "https://evil.example"), http.StatusForbidden},
		"a short key":            {ask("GET", handshake, "Sec-WebSocket-Key", "x"), http.StatusUpgradeRequired},
		"an app":                 {ask("GET", handshake), http.StatusSwitchingProtocols},
	} {
		if tt.got != tt.want {
			t.Errorf("%s is answered %d, want %d", name, tt.got, tt.want)
		}
	}
	if status := ask("GET", handshake); status != http.StatusServiceUnavailable {
		t.Errorf("one more than the limit is answered %d", status)
	}
	if s := g.Stats(); s.Apps != 1 || s.Connected != 1 || s.TurnedAway != 5 {
		t.Errorf("counted %+v", s)
	}
}

func TestKeysAreOneSecretText(t *testing.T) {
	keys := hub.NewKeys()
	again, err := hub.ParseKeys(keys.Text() + "\n")
	if err != nil || !again.Public().Equal(keys.Public()) || again.Text() != keys.Text() || string(again.Codes()) != string(keys.Codes()) {
		t.Errorf("read differently: %v", err)
	}
	for _, bad := range []string{"", "x", keys.Text()[:40], "keyturn-gateway-keys-2" + keys.Text()[22:]} {
		if _, err := hub.ParseKeys(bad); err == nil {
			t.Errorf("%q is read", bad)
		}
	}
	if keys.String() != "[redacted]" || hub.NewKeys().Text() == keys.Text() {
		t.Error("keys are printed, or always the same")
	}
	if _, err := keys.InAccount("A", "S"); err == nil {
		t.Error("nonsense is an account")
	}
}
