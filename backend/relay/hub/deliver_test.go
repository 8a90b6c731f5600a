package hub_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

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
