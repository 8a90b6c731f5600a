package relay_test

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"keyturn/backend/fault"
	"keyturn/backend/oauth"
	"keyturn/backend/relay"
)

func TestWithoutTheCodeThereIsNoResponse(t *testing.T) {
	r := newRig(t)
	t.Run("GW-02 three wrong codes end the attempt", func(t *testing.T) {
		a := r.expect(t, "github")
		d := r.delivery(t, a, "github", "code")
		if err := a.Confirm(d.Code); !errors.Is(err, relay.ErrNothingHeld) || fault.CodeOf(err) != fault.Conflict {
			t.Errorf("before anything came: %v", err)
		}
		r.deliver(t, a, d)
		for n, want := range []error{relay.ErrWrongCode, relay.ErrWrongCode, relay.ErrOver} {
			if err := a.Confirm("WRNG-C0DE"); !errors.Is(err, want) {
				t.Errorf("try %d: %v", n+1, err)
			}
		}
		if err := a.Confirm(d.Code); !errors.Is(err, relay.ErrOver) {
			t.Errorf("the right code afterwards: %v", err)
		}
		if v := r.deliver(t, a, d); v != relay.Unknown {
			t.Errorf("GW-07 a callback afterwards: %v", v)
		}
		if _, out := got(a); out {
			t.Error("a response was given out")
		}
	})
	t.Run("the right code at the last try", func(t *testing.T) {
		a := r.expect(t, "github")
		d := r.delivery(t, a, "github", "code")
		r.deliver(t, a, d)
		a.Confirm("")
		a.Confirm(d.Code[:7])
		if err := a.Confirm(d.Code); err != nil {
			t.Fatal(err)
		}
		if response, out := got(a); !out || response.Code.Reveal() != "code" {
			t.Error("no response")
		}
	})
	t.Run("how people type does not matter", func(t *testing.T) {
		a := r.expect(t, "github")
		d := r.delivery(t, a, "github", "code")
		r.deliver(t, a, d)
		typed := strings.NewReplacer("0", "o", "1", "l").Replace(strings.ToLower(d.Code))
		if err := a.Confirm("  " + typed[:3] + " - " + typed[3:] + "\n"); err != nil {
			t.Error(err)
		}
	})
	t.Run("GW-10 the code of one attempt says nothing to another", func(t *testing.T) {
		a, b := r.expect(t, "github"), r.expect(t, "github")
		da, db := r.delivery(t, a, "github", "code-a"), r.delivery(t, b, "github", "code-b")
		r.deliver(t, a, da)
		r.deliver(t, b, db)
		if err := a.Confirm(db.Code); !errors.Is(err, relay.ErrWrongCode) {
			t.Errorf("%v", err)
		}
		if _, out := got(a); out || da.Code == db.Code {
			t.Error("a response was given out")
		}
	})
	t.Run("GW-11 an injected code is held beside the genuine one, and the typed code chooses", func(t *testing.T) {
		a := r.expect(t, "github")
		evil, good := r.delivery(t, a, "github", "attackers-code"), r.delivery(t, a, "github", "users-code")
		for _, d := range []relay.Delivery{evil, good} {
			if v := r.deliver(t, a, d); v != relay.Accepted {
				t.Fatalf("%v", v)
			}
		}
		if err := a.Confirm(good.Code); err != nil {
			t.Fatal(err)
		}
		if response, _ := got(a); response.Code.Reveal() != "users-code" {
			t.Errorf("the response is %v", response)
		}
	})
}

func TestTheSameCallbackAgainChangesNothing(t *testing.T) {
	r := newRig(t)
	a := r.expect(t, "github")
	first := r.delivery(t, a, "github", "code")
	for range 10 {
		d := r.delivery(t, a, "github", "code") // a message of its own
		if d.ID == first.ID || d.Code != first.Code {
			t.Fatal("a reloaded page would show another code")
		}
		if v := r.deliver(t, a, d); v != relay.Accepted {
			t.Fatalf("%v", v)
		}
	}
	r.deliver(t, a, first) // and the very same message
	if err := a.Confirm(first.Code); err != nil {
		t.Fatal(err)
	}
	if _, out := got(a); !out {
		t.Error("no response")
	}
	if _, out := got(a); out {
		t.Error("two responses")
	}
}

func TestAnAttemptHoldsFewResponses(t *testing.T) {
	r := newRig(t)
	a := r.expect(t, "github")
	accepted := 0
	for n := range 100 {
		if r.deliver(t, a, r.delivery(t, a, "github", fmt.Sprint("code-", n))) == relay.Accepted {
			accepted++
		}
	}
	if accepted != 4 {
		t.Errorf("%d were held, want 4", accepted)
	}
}

func TestAnErrorNeedsNoCode(t *testing.T) {
	r := newRig(t)
	a := r.expect(t, "github")
	query := url.Values{"state": {a.State()}, "error": {"access_denied"}, "iss": {"https://as.example"}}.Encode()
	d := relay.NewDelivery(route(t, a), "github", query, false, r.codes)
	if v := r.deliver(t, a, d); v != relay.Accepted || d.Code != "" {
		t.Fatalf("%v, code %q", v, d.Code)
	}
	response, out := got(a)
	if !out || response.Error != "access_denied" || response.Iss == nil || *response.Iss != "https://as.example" || isHeld(a) {
		t.Errorf("the response is %v, %v", response, out)
	}
	if v := r.deliver(t, a, d); v != relay.Unknown {
		t.Errorf("GW-07 again: %v", v)
	}
}

func TestACancelledAttemptIsForgotten(t *testing.T) {
	r := newRig(t)
	a := r.expect(t, "github")
	d := r.delivery(t, a, "github", "code")
	r.deliver(t, a, d)
	a.Cancel()
	a.Cancel()
	if v := r.deliver(t, a, d); v != relay.Unknown {
		t.Errorf("GW-07 a callback afterwards: %v", v)
	}
	if err := a.Confirm(d.Code); !errors.Is(err, relay.ErrOver) {
		t.Errorf("a code afterwards: %v", err)
	}
}

func TestAttemptsHaveALimit(t *testing.T) {
	r := newRig(t)
	var last *relay.Attempt
	for range relay.MaxAttempts {
		last = r.expect(t, "github")
	}
	if _, err := r.Expect("github"); fault.CodeOf(err) != fault.RateLimited {
		t.Errorf("one more: %v", err)
	}
	last.Cancel()
	r.expect(t, "github")
	for _, id := range []string{"", "../x", "GitHub", strings.Repeat("a", 65)} {
		if _, err := r.Expect(id); err == nil {
			t.Errorf("an attempt at %q", id)
		}
	}
}

func TestAStateTellsItsAppAndIsMadeByItAlone(t *testing.T) {
	r := newRig(t)
	a, b := r.expect(t, "github"), r.expect(t, "github")
	to := route(t, a)
	routeKey := make([]byte, 32)
	if a.State() == b.State() || len(a.State()) != 112 || !relay.IsState(a.State()) || to.App != r.enrolment.ID {
		t.Errorf("states are %q and %q", a.State(), b.State())
	}
	if !to.Genuine(routeKey, "github") || to.Genuine(routeKey, "gitlab") || to.Genuine([]byte("another"), "github") {
		t.Error("the tag does not bind provider and app")
	}
	if oauth.NewState().Reveal() == "" || relay.IsState("5zz.abc") {
		t.Error("a state of loopback or bounce is taken for one of the relay")
	}
	for _, bad := range []string{"", "r.", "r...", a.State()[:111], a.State() + "A", strings.Replace(a.State(), ".", "\n", 1), a.State()[:111] + "\n", a.State() + ".x", strings.ToUpper(a.State()[:2]) + a.State()[2:]} {
		if _, err := relay.ParseState(bad); err == nil {
			t.Errorf("%q is read", bad)
		}
	}
}
