package relay_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"log/slog"
	"net/url"
	"testing"

	"keyturn/backend/oauth"
	"keyturn/backend/relay"
)

// rig is one enrolled app and the keys of its gateway, without anything between them.
type rig struct {
	*relay.Client
	enrolment relay.Enrolment
	gateway   ed25519.PrivateKey
	app       ed25519.PrivateKey
	codes     []byte
	logs      *bytes.Buffer
}

func newRig(t testing.TB) *rig {
	t.Helper()
	_, gateway, _ := ed25519.GenerateKey(rand.Reader)
	_, app, _ := ed25519.GenerateKey(rand.Reader)
	e, err := relay.NewEnrolment("test", []string{"https://gateway.example/relay"}, gateway.Public().(ed25519.PublicKey), app.Seed(), make([]byte, 32), "jwt")
	if err != nil {
		t.Fatal(err)
	}
	logs := &bytes.Buffer{}
	return &rig{
		Client:    relay.NewClient(e, relay.Options{Log: slog.New(slog.NewTextHandler(logs, nil))}),
		enrolment: e, gateway: gateway, app: app, codes: []byte("secret of the gateway"), logs: logs,
	}
}

func (r *rig) expect(t testing.TB, provider string) *relay.Attempt {
	t.Helper()
	a, err := r.Expect(provider)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Cancel)
	return a
}

func route(t testing.TB, a *relay.Attempt) relay.Route {
	t.Helper()
	to, err := relay.ParseState(a.State())
	if err != nil {
		t.Fatal(err)
	}
	return to
}

// delivery is what the gateway makes of a callback with this code.
func (r *rig) delivery(t testing.TB, a *relay.Attempt, provider, code string) relay.Delivery {
	t.Helper()
	query := url.Values{"state": {a.State()}, "code": {code}}.Encode()
	return relay.NewDelivery(route(t, a), provider, query, true, r.codes)
}

// seal returns the message as it travels.
func (r *rig) seal(t testing.TB, a *relay.Attempt, d relay.Delivery) []byte {
	t.Helper()
	frame, err := d.Seal(route(t, a), r.gateway)
	if err != nil {
		t.Fatal(err)
	}
	return frame
}

// deliver returns the app's verdict; 0 when it kept silent.
func (r *rig) deliver(t testing.TB, a *relay.Attempt, d relay.Delivery) relay.Verdict {
	t.Helper()
	answer := r.Receive(r.seal(t, a, d))
	if answer == nil {
		return 0
	}
	v, err := relay.ParseAnswer(answer, d.ID, r.enrolment.ID)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// worksStill fails the test unless the genuine callback still ends the attempt well.
func (r *rig) worksStill(t testing.TB, a *relay.Attempt) {
	t.Helper()
	d := r.delivery(t, a, "github", "the-genuine-code")
	if v := r.deliver(t, a, d); v != relay.Accepted {
		t.Fatalf("afterwards the genuine callback is answered %v", v)
	}
	if err := a.Confirm(d.Code); err != nil {
		t.Fatal(err)
	}
	if got := <-a.Response(); got.Code.Reveal() != "the-genuine-code" {
		t.Fatalf("afterwards the response is %v", got)
	}
}

func got(a *relay.Attempt) (oauth.AuthorizationResponse, bool) {
	select {
	case r := <-a.Response():
		return r, true
	default:
		return oauth.AuthorizationResponse{}, false
	}
}

func isHeld(a *relay.Attempt) bool {
	select {
	case <-a.Held():
		return true
	default:
		return false
	}
}
