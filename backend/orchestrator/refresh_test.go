package orchestrator_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"keyturn/backend/demo"
	"keyturn/backend/fault"
	"keyturn/backend/orchestrator"
)

func TestACachedTokenAsksNobody(t *testing.T) {
	run(t, demo.Options{}, func(t *testing.T, w *world) {
		w.connected("ada")
		first, requests := w.token(), w.tokenRequests()
		for range 100 {
			if w.token() != first {
				t.Fatal("another token")
			}
		}
		if n := w.tokenRequests(); n != requests {
			t.Errorf("%d token requests for cached tokens", n-requests)
		}
	})
}

func TestAHundredCallersOneRefresh(t *testing.T) { // RF-01, TK-07, B4
	run(t, demo.Options{AccessTTL: time.Hour}, func(t *testing.T, w *world) {
		w.connected("ada")
		old := w.kept().Token.Access.Reveal()
		time.Sleep(2 * time.Hour)
		before := w.as.Counts().Refreshes
		tokens := make(chan string, 100)
		for range 100 {
			go func() { tokens <- w.token() }()
		}
		first := <-tokens
		for range 99 {
			if got := <-tokens; got != first {
				t.Error("two different tokens")
			}
		}
		if first == old || w.as.Counts().Refreshes != before+1 {
			t.Errorf("%d refreshes", w.as.Counts().Refreshes-before)
		}
	})
}

func TestACallerWhoGivesUpDoesNotEndTheRefresh(t *testing.T) { // TK-08
	run(t, demo.Options{AccessTTL: time.Hour, Latency: time.Second}, func(t *testing.T, w *world) {
		w.connected("ada")
		time.Sleep(2 * time.Hour)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if _, err := w.Token(ctx, orchestrator.TokenQuery{Provider: "demo"}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
		time.Sleep(2 * time.Second)
		if n := w.as.Counts().Refreshes; n != 1 {
			t.Errorf("%d refreshes", n)
		}
		if got := w.kept(); got.Generation != 2 || got.Token.Access.Reveal() != w.token() {
			t.Errorf("%+v", got)
		}
	})
}

func TestMinValidBeyondWhatIsIssuedIsNoRefreshPerCall(t *testing.T) {
	run(t, demo.Options{AccessTTL: 5 * time.Minute}, func(t *testing.T, w *world) {
		w.connected("ada")
		before := w.as.Counts().Refreshes
		for range 60 {
			if _, err := w.Token(t.Context(), orchestrator.TokenQuery{Provider: "demo", MinValid: time.Hour}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		if n := w.as.Counts().Refreshes - before; n > 2 {
			t.Errorf("%d refreshes in a minute", n)
		}
	})
}

func TestATokenInUseIsRenewedBeforeItEnds(t *testing.T) {
	run(t, demo.Options{AccessTTL: time.Hour}, func(t *testing.T, w *world) {
		w.connected("ada")
		w.token()
		time.Sleep(58 * time.Minute)
		synctest.Wait()
		if n := w.as.Counts().Refreshes; n != 1 {
			t.Fatalf("%d refreshes", n)
		}
		requests := w.tokenRequests()
		w.token()
		if w.tokenRequests() != requests {
			t.Error("the caller had to wait for a refresh")
		}
	})
}

func TestDisconnectWinsOverALateRefresh(t *testing.T) { // TK-23
	run(t, demo.Options{AccessTTL: time.Hour, Latency: 2 * time.Second}, func(t *testing.T, w *world) {
		c := w.connected("ada")
		time.Sleep(2 * time.Hour)
		go func() { _, _ = w.Token(context.Background(), orchestrator.TokenQuery{Provider: "demo"}) }()
		time.Sleep(time.Second) // the refresh is under way
		d, err := w.Disconnect(t.Context(), c.ID)
		if err != nil || !d.Revoked {
			t.Fatal(d, err)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := len(w.store.Contents().Connections); n != 0 {
			t.Errorf("%d connections came back", n)
		}
		if n := w.as.Counts().LiveGrants; n != 0 {
			t.Errorf("%d grants alive at the provider", n)
		}
	})
}

func TestAFullDiskKeepsTheRotatedToken(t *testing.T) { // RF-10
	run(t, demo.Options{AccessTTL: time.Hour, Latency: time.Second}, func(t *testing.T, w *world) {
		w.connected("ada")
		old := w.kept().Token.Access.Reveal()
		time.Sleep(2 * time.Hour)
		got := make(chan string, 1)
		go func() { got <- w.token() }()
		time.Sleep(500 * time.Millisecond) // the note is written, the request is out
		w.store.FailSaves(fault.New(fault.DiskFull, "The disk is full."))
		if tok := <-got; tok == old || tok == "" {
			t.Errorf("token %q", tok)
		}
		w.store.FailSaves(nil)
		time.Sleep(time.Minute)
		synctest.Wait()
		if r := w.kept(); r.Generation != 2 || r.Token.Access.Reveal() != w.token() {
			t.Errorf("not saved again when the disk recovered: %+v", r)
		}
	})
}

func TestAFullDiskBeforeTheRequestSendsNothing(t *testing.T) {
	run(t, demo.Options{AccessTTL: time.Hour}, func(t *testing.T, w *world) {
		w.connected("ada")
		time.Sleep(59*time.Minute + 30*time.Second) // not fresh, but alive
		w.store.FailSaves(fault.New(fault.DiskFull, "The disk is full."))
		if w.token() == "" {
			t.Error("the old token does not serve")
		}
		if n := w.as.Counts().Refreshes; n != 0 {
			t.Errorf("%d refreshes without a note", n)
		}
		if c := w.Snapshot().Connections[0]; c.Status != orchestrator.Retrying || c.Reason != fault.DiskFull {
			t.Errorf("%+v", c)
		}
	})
}

func TestAGrantThatIsGoneNeedsTheUser(t *testing.T) { // RF-11, TK-05
	run(t, demo.Options{AccessTTL: time.Hour}, func(t *testing.T, w *world) {
		c := w.connected("ada")
		w.as.Script(demo.Fault{On: demo.OpRefresh, Status: http.StatusBadRequest, Body: `{"error":"invalid_grant"}`})
		time.Sleep(2 * time.Hour)
		_, err := w.Token(t.Context(), orchestrator.TokenQuery{Provider: "demo"})
		w.wantCode(err, fault.NeedsReconnect)
		requests := w.tokenRequests()
		_, err = w.Token(t.Context(), orchestrator.TokenQuery{Provider: "demo"})
		w.wantCode(err, fault.NeedsReconnect)
		if w.tokenRequests() != requests {
			t.Error("a grant that is gone was tried again")
		}
		got, _ := w.Connection(c.ID)
		if got.Status != orchestrator.NeedsReconnect || got.Reason != fault.GrantGone {
			t.Errorf("%+v", got)
		}
		if again := w.connected("ada"); again.ID != c.ID || again.Status != orchestrator.Connected {
			t.Errorf("%+v", again)
		}
	})
}

func TestAnOutageIsNotTakenForARevocation(t *testing.T) {
	run(t, demo.Options{AccessTTL: time.Hour}, func(t *testing.T, w *world) {
		c := w.connected("ada")
		old := w.kept().Token.Access.Reveal()
		time.Sleep(59*time.Minute + 30*time.Second)
		w.as.Script(demo.Fault{On: demo.OpRefresh, Times: 3, Status: http.StatusBadGateway, Body: "<html>captive portal</html>", Header: http.Header{"Content-Type": {"text/html"}}})
		if got := w.token(); got != old {
			t.Error("the old token should serve as long as it lives")
		}
		if got, _ := w.Connection(c.ID); got.Status != orchestrator.Retrying || got.NextTry.IsZero() {
			t.Errorf("%+v", got)
		}
		time.Sleep(time.Minute) // now it has ended
		_, err := w.Token(t.Context(), orchestrator.TokenQuery{Provider: "demo"})
		w.wantCode(err, fault.ProviderUnavailable)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if got, _ := w.Connection(c.ID); got.Status != orchestrator.Connected {
			t.Errorf("did not heal: %+v", got)
		}
		w.token()
	})
}

func TestASlowProviderSlowsOnlyItself(t *testing.T) { // promise 5
	run(t, demo.Options{AccessTTL: time.Hour}, func(t *testing.T, w *world) {
		ada := w.connected("ada")
		time.Sleep(30 * time.Minute)
		grace := w.connected("grace")
		time.Sleep(40 * time.Minute) // ada's token has ended, grace's has not
		w.as.Script(demo.Fault{On: demo.OpRefresh, Delay: 20 * time.Second})
		var wg sync.WaitGroup
		wg.Go(func() { _, _ = w.Token(t.Context(), orchestrator.TokenQuery{ConnectionID: ada.ID}) })
		time.Sleep(time.Second)
		begun := time.Now()
		if _, err := w.Token(t.Context(), orchestrator.TokenQuery{ConnectionID: grace.ID}); err != nil {
			t.Error(err)
		}
		if took := time.Since(begun); took != 0 {
			t.Errorf("grace waited %v behind ada", took)
		}
		wg.Wait()
	})
}

func TestScopesThatWereNotGrantedAreNotHandedOut(t *testing.T) { // TK-11
	run(t, demo.Options{}, func(t *testing.T, w *world) {
		w.connected("ada")
		requests := w.tokenRequests()
		_, err := w.Token(t.Context(), orchestrator.TokenQuery{Provider: "demo", Scopes: []string{"admin"}})
		w.wantCode(err, fault.ScopeInsufficient)
		if w.tokenRequests() != requests {
			t.Error("the provider was asked")
		}
	})
}

func TestALostAnswerIsNamed(t *testing.T) { // RF-07 without grace
	run(t, demo.Options{AccessTTL: time.Hour}, func(t *testing.T, w *world) {
		c := w.connected("ada")
		time.Sleep(2 * time.Hour)
		w.as.Script(demo.Fault{On: demo.OpRefresh, Drop: demo.Unanswered})
		_, err := w.Token(t.Context(), orchestrator.TokenQuery{Provider: "demo"})
		if err == nil {
			t.Fatal("a token came although its answer was dropped and the old one is spent")
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		got, _ := w.Connection(c.ID)
		if got.Status != orchestrator.NeedsReconnect || got.Reason != fault.PossibleLostRotation {
			t.Errorf("%+v", got)
		}
	})
}
