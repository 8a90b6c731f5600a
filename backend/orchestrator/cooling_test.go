package orchestrator_test

import (
	"strings"
	"testing"
	"time"

	"keyturn/backend/demo"
	"keyturn/backend/fault"
	"keyturn/backend/orchestrator"
)

func TestProgramsLeaveAPersonInPeaceAfterANo(t *testing.T) {
	run(t, demo.Options{}, func(t *testing.T, w *world) {
		need := request(orchestrator.ConnectRequest{IfNeeded: true})
		a := w.connect(orchestrator.ConnectRequest{})
		w.page(w.as.Deny(a.URL))
		for range 3 {
			_, err := w.Connect(t.Context(), need)
			w.wantCode(err, fault.CoolingDown)
			if said := fault.MessageOf(err); !strings.Contains(said, "keyturn connect demo") || !strings.Contains(said, "not approved") {
				t.Errorf("%q does not say how to go on", said)
			}
			time.Sleep(3 * time.Minute)
		}
		// Another thing to ask for is another thing.
		other := need
		other.Scopes = []string{"profile"}
		started, err := w.Connect(t.Context(), other)
		if err != nil {
			t.Fatal(err)
		}
		_ = w.Cancel(started.Attempt.Handle)

		// A person's own connect is never held back, and ends it for all.
		mine := w.connect(orchestrator.ConnectRequest{})
		joined, err := w.Connect(t.Context(), need)
		if err != nil || !joined.Joined || joined.Attempt.Handle != mine.Handle {
			t.Fatalf("%+v %v", joined, err)
		}
		w.approve(mine, "ada")
		if s, err := w.Connect(t.Context(), need); err != nil || s.Existing == nil {
			t.Errorf("%+v %v", s, err)
		}
	})
}

func TestAFailureIsForgottenInTime(t *testing.T) {
	run(t, demo.Options{}, func(t *testing.T, w *world) {
		need := request(orchestrator.ConnectRequest{IfNeeded: true})
		if _, err := w.Connect(t.Context(), need); err != nil {
			t.Fatal(err)
		}
		time.Sleep(orchestrator.PendingLife + time.Second) // nobody came
		_, err := w.Connect(t.Context(), need)
		w.wantCode(err, fault.CoolingDown)
		time.Sleep(11 * time.Minute)
		s, err := w.Connect(t.Context(), need)
		if err != nil {
			t.Fatal(err)
		}
		_ = w.Cancel(s.Attempt.Handle)
	})
}

func TestAnotherAccountThanTheOneAskedForIsNamed(t *testing.T) {
	run(t, demo.Options{}, func(t *testing.T, w *world) {
		for _, tt := range []struct{ asked, approves, want string }{
			{"ada@example.com", "ada", ""},
			{"ADA@example.com", "ada", ""},
			{"grace@example.com", "ada", "grace@example.com"},
			{"gracehopper", "ada", ""}, // a name says nothing about an address
			{"", "ada", ""},
		} {
			a := w.connect(orchestrator.ConnectRequest{Account: tt.asked})
			out := w.approve(a, tt.approves)
			got, err := w.Attempt(a.Handle)
			if err != nil || got.Asked != tt.want || out.Asked != tt.want || !out.OK {
				t.Errorf("asked for %q: %+v %+v %v", tt.asked, got, out, err)
			}
		}
		if a := w.connect(orchestrator.ConnectRequest{Choose: true}); !strings.Contains(a.URL, "prompt=select_account") {
			t.Errorf("no choice in %s", a.URL)
		}
	})
}
