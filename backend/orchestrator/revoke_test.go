package orchestrator_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"keyturn/backend/demo"
	"keyturn/backend/fault"
	"keyturn/backend/orchestrator"
)

// down has the next revocations find nobody.
func down(w *world, times int) {
	w.as.Script(demo.Fault{On: demo.OpRevoke, Times: times, Status: http.StatusServiceUnavailable})
}

func TestADisconnectWhoseProviderIsDownIsRevokedLater(t *testing.T) {
	run(t, demo.Options{}, func(t *testing.T, w *world) {
		c := w.connected("ada")
		down(w, 3)
		d, err := w.Disconnect(t.Context(), c.ID)
		if err != nil || d.Revoked || !d.Pending {
			t.Fatalf("%+v %v", d, err)
		}
		_, err = w.Token(t.Context(), orchestrator.TokenQuery{ConnectionID: c.ID})
		w.wantCode(err, fault.NotConnected)
		s := w.Snapshot()
		if len(s.Connections) != 0 || len(s.Revoking) != 1 || !strings.Contains(s.Revoking[0].Health, "revoking since") || s.Revoking[0].NextTry.IsZero() {
			t.Fatalf("%+v", s)
		}

		// A restart does not forget it.
		w.stop()
		again := start(t, w.as, w.store)
		defer again.stop()
		if s := again.Snapshot(); len(s.Connections) != 0 || len(s.Revoking) != 1 {
			t.Fatalf("after a restart: %+v", s)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if s := again.Snapshot(); len(s.Revoking) != 0 {
			t.Errorf("still revoking: %+v", s.Revoking)
		}
		if n := w.as.Counts().LiveGrants; n != 0 {
			t.Errorf("%d grants alive at the provider", n)
		}
		if n := len(w.store.Contents().Connections); n != 0 {
			t.Errorf("%d rows are left", n)
		}
		w.stop = func() {}
	})
}

func TestDisconnectingAgainTriesAtOnce(t *testing.T) {
	run(t, demo.Options{}, func(t *testing.T, w *world) {
		c := w.connected("ada")
		down(w, 1)
		if d, err := w.Disconnect(t.Context(), c.ID); err != nil || !d.Pending {
			t.Fatalf("%+v %v", d, err)
		}
		if d, err := w.Disconnect(t.Context(), c.ID); err != nil || !d.Revoked || d.Pending {
			t.Fatalf("%+v %v", d, err)
		}
		if n := w.as.Counts().LiveGrants + len(w.store.Contents().Connections); n != 0 {
			t.Errorf("%d grants and rows are left", n)
		}
	})
}

// At some providers revoking one token ends all that an app has for an account.
func TestALateRevocationSparesTheAccountConnectedAnew(t *testing.T) {
	run(t, demo.Options{}, func(t *testing.T, w *world) {
		old := w.connected("ada")
		down(w, 1)
		if d, err := w.Disconnect(t.Context(), old.ID); err != nil || !d.Pending {
			t.Fatalf("%+v %v", d, err)
		}
		w.connected("ada")
		revocations := w.as.Counts().Revocations
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if n := w.as.Counts().Revocations; n != revocations {
			t.Errorf("%d late revocations", n-revocations)
		}
		if s := w.Snapshot(); len(s.Revoking) != 0 || len(s.Connections) != 1 {
			t.Errorf("%+v", s)
		}
		w.token()
	})
}

func TestARevocationIsGivenUpAfterAMonth(t *testing.T) {
	run(t, demo.Options{}, func(t *testing.T, w *world) {
		c := w.connected("ada")
		down(w, 1_000_000)
		if d, err := w.Disconnect(t.Context(), c.ID); err != nil || !d.Pending {
			t.Fatalf("%+v %v", d, err)
		}
		time.Sleep(29 * 24 * time.Hour)
		if s := w.Snapshot(); len(s.Revoking) != 1 {
			t.Errorf("given up too early: %+v", s)
		}
		time.Sleep(2 * 24 * time.Hour)
		synctest.Wait()
		if s := w.Snapshot(); len(s.Revoking) != 0 || len(w.store.Contents().Connections) != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestAnOpenJournalIsFollowedUpAtOnceAfterARestart(t *testing.T) { // RF-07 with grace
	run(t, demo.Options{AccessTTL: time.Hour, Grace: 30 * time.Second}, func(t *testing.T, w *world) {
		w.connected("ada")
		time.Sleep(2 * time.Hour)
		w.stop()
		r := w.kept()
		r.RefreshSent = time.Now()
		if err := w.store.SaveConnection(t.Context(), r); err != nil {
			t.Fatal(err)
		}
		before := w.as.Counts().Refreshes
		again := start(t, w.as, w.store)
		defer again.stop()
		time.Sleep(5 * time.Second) // nobody asks, and servers forgive for seconds only
		synctest.Wait()
		if n := w.as.Counts().Refreshes - before; n != 1 {
			t.Errorf("%d refreshes", n)
		}
		if got := w.kept(); got.Generation != r.Generation+1 || !got.RefreshSent.IsZero() {
			t.Errorf("%+v", got)
		}
		w.stop = func() {}
	})
}

func TestARefusedTokenIsRenewedOncePerGeneration(t *testing.T) {
	run(t, demo.Options{AccessTTL: time.Hour, Latency: time.Second}, func(t *testing.T, w *world) {
		c := w.connected("ada")
		first, err := w.Token(t.Context(), orchestrator.TokenQuery{ConnectionID: c.ID})
		if err != nil {
			t.Fatal(err)
		}
		// Too young: another one would fare no better.
		if got, err := w.Renew(t.Context(), c.ID, first.Generation); err != nil || got.Generation != first.Generation {
			t.Errorf("%+v %v", got, err)
		}
		time.Sleep(10 * time.Minute)
		got := make(chan uint64, 20)
		for range 20 {
			go func() {
				tok, err := w.Renew(t.Context(), c.ID, first.Generation)
				if err != nil {
					t.Error(err)
				}
				got <- tok.Generation
			}()
		}
		for range 20 {
			if g := <-got; g != first.Generation+1 {
				t.Errorf("generation %d", g)
			}
		}
		if n := w.as.Counts().Refreshes; n != 1 {
			t.Errorf("%d refreshes", n)
		}
	})
}

func TestAnAnswerForAnotherAccountIsRefused(t *testing.T) { // RF-20
	run(t, demo.Options{AccessTTL: time.Hour}, func(t *testing.T, w *world) {
		a := w.connect(orchestrator.ConnectRequest{Account: "ada", Scopes: []string{"openid"}})
		if out := w.approve(a, "ada"); !out.OK {
			t.Fatalf("%+v", out)
		}
		time.Sleep(2 * time.Hour)
		// An ID token about somebody else; nobody looks at its signature here.
		part := base64.RawURLEncoding.EncodeToString
		about := part([]byte(`{"alg":"ES256"}`)) + "." + part([]byte(`{"iss":"http://127.0.0.1:27420","sub":"somebody"}`)) + "." + part(make([]byte, 64))
		w.as.Script(demo.Fault{On: demo.OpRefresh, Status: http.StatusOK,
			Body: `{"access_token":"at_other","token_type":"Bearer","expires_in":3600,"refresh_token":"rt_other","id_token":"` + about + `"}`})
		old := w.kept()
		_, err := w.Token(t.Context(), orchestrator.TokenQuery{Provider: "demo"})
		w.wantCode(err, fault.NeedsReconnect)
		got := w.kept()
		if got.Reason != fault.AccountChanged || got.Token.Refresh.Reveal() != old.Token.Refresh.Reveal() {
			t.Errorf("%s %s", got.Status, got.Reason)
		}
	})
}

func TestFewerScopesAreShown(t *testing.T) { // RF-22
	run(t, demo.Options{AccessTTL: time.Hour}, func(t *testing.T, w *world) {
		c := w.connected("ada")
		if len(c.Granted) < 2 {
			t.Fatalf("%v", c.Granted)
		}
		time.Sleep(2 * time.Hour)
		w.as.Script(demo.Fault{On: demo.OpRefresh, Status: http.StatusOK,
			Body: `{"access_token":"at_less","token_type":"Bearer","expires_in":3600,"refresh_token":"rt_less","scope":"` + c.Granted[0] + `"}`})
		w.token()
		got, err := w.Connection(c.ID)
		if err != nil || len(got.Granted) != 1 || len(got.Missing) != len(c.Granted)-1 {
			t.Errorf("%+v %v", got, err)
		}
		_, err = w.Token(t.Context(), orchestrator.TokenQuery{ConnectionID: c.ID, Scopes: c.Granted})
		w.wantCode(err, fault.ScopeInsufficient)
	})
}
