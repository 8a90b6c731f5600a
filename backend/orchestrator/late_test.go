package orchestrator_test

import (
	"testing"
	"testing/synctest"
	"time"

	"keyturn/backend/demo"
	"keyturn/backend/fault"
	"keyturn/backend/oauth"
	"keyturn/backend/orchestrator"
	"keyturn/backend/store/storetest"
)

var diskFull = fault.New(fault.DiskFull, "The disk is full.")

func TestACancelLeavesWhatIsConnectedAlone(t *testing.T) {
	for _, tt := range []struct {
		account string
		revoked int
	}{{"ada", 0}, {"grace", 1}} {
		t.Run("cancelled by "+tt.account, func(t *testing.T) {
			run(t, demo.Options{Latency: time.Second}, func(t *testing.T, w *world) {
				w.connected("ada")
				a := w.connect(orchestrator.ConnectRequest{Account: tt.account})
				w.browser.deliver(t, w.as.Approve(a.URL, tt.account))
				time.Sleep(500 * time.Millisecond) // the code is out
				if err := w.Cancel(a.Handle); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
				if n := w.as.Counts().Revocations; n != tt.revoked {
					t.Errorf("%d revocations, want %d: some providers end all grants of the account with one", n, tt.revoked)
				}
				if w.token() == "" {
					t.Error("no token")
				}
			})
		})
	}
}

func TestStoppingSavesWhatTheDiskRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, demo.Options{AccessTTL: time.Hour, Latency: time.Second}, storetest.NewMemory(time.Millisecond))
		w.connected("ada")
		time.Sleep(2 * time.Hour)
		got := make(chan string, 1)
		go func() { got <- w.token() }()
		time.Sleep(500 * time.Millisecond)
		w.store.FailSaves(diskFull)
		rotated := <-got
		w.store.FailSaves(nil)
		w.stop()
		if r := w.kept(); r.Token.Access.Reveal() != rotated {
			t.Errorf("generation %d is stored; the rotated token is lost", r.Generation)
		}
	})
}

func TestStoppingLetsASaveFinish(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, demo.Options{}, storetest.NewMemory(time.Second))
		a := w.connect(orchestrator.ConnectRequest{})
		w.browser.deliver(t, w.as.Approve(a.URL, "ada"))
		time.Sleep(500 * time.Millisecond)
		if v, _ := w.Attempt(a.Handle); v.Step != orchestrator.Saving {
			t.Fatalf("the save is not under way: %+v", v)
		}
		w.stop()
		if v, _ := w.Attempt(a.Handle); v.Status != orchestrator.Complete || w.kept().ID != v.ConnectionID {
			t.Errorf("%+v", v)
		}
	})
}

func TestANoteThatCouldNotBeWrittenIsNoRequest(t *testing.T) {
	run(t, demo.Options{AccessTTL: time.Hour}, func(t *testing.T, w *world) {
		w.connected("ada")
		time.Sleep(2 * time.Hour)
		w.store.FailSaves(diskFull)
		_, err := w.Token(t.Context(), orchestrator.TokenQuery{Provider: "demo"})
		w.wantCode(err, fault.DiskFull)
		w.store.FailSaves(nil)
		w.as.End("ada")
		time.Sleep(time.Minute)
		if c := w.Snapshot().Connections[0]; c.Reason != fault.GrantGone {
			t.Errorf("%s: nothing was sent, so nothing was lost", c.Reason)
		}
	})
}

func TestAnOutageDoesNotAnswerWhatWasLost(t *testing.T) { // RF-07
	run(t, demo.Options{AccessTTL: time.Hour}, func(t *testing.T, w *world) {
		w.connected("ada")
		time.Sleep(2 * time.Hour)
		w.as.Script(
			demo.Fault{On: demo.OpRefresh, Drop: demo.Unanswered},
			demo.Fault{On: demo.OpRefresh, Status: 503, Body: `{}`})
		_, err := w.Token(t.Context(), orchestrator.TokenQuery{Provider: "demo"})
		if err == nil {
			t.Fatal("a token came")
		}
		time.Sleep(5 * time.Minute)
		if c := w.Snapshot().Connections[0]; c.Reason != fault.PossibleLostRotation {
			t.Errorf("%s", c.Reason)
		}
	})
}

func TestATokenThatEndsForGoodIsSaidUnasked(t *testing.T) {
	run(t, demo.Options{AccessTTL: time.Hour, Quirks: demo.Quirks{NoRefresh: true}}, func(t *testing.T, w *world) {
		c := w.connected("ada")
		time.Sleep(time.Hour + time.Minute)
		got, err := w.Connection(c.ID)
		if err != nil || got.Status != orchestrator.NeedsReconnect || got.Reason != fault.NoRefreshToken {
			t.Errorf("%+v %v", got, err)
		}
		s, err := w.Connect(t.Context(), request(orchestrator.ConnectRequest{IfNeeded: true}))
		if err != nil || s.Existing != nil {
			t.Errorf("a token that has ended is enough: %+v %v", s, err)
		}
	})
}

func TestADisconnectThatCannotBeWrittenIsNoConnection(t *testing.T) {
	run(t, demo.Options{}, func(t *testing.T, w *world) {
		c := w.connected("ada")
		w.store.FailSaves(diskFull)
		w.store.FailDeletes(diskFull)
		d, err := w.Disconnect(t.Context(), c.ID)
		w.wantCode(err, fault.DiskFull)
		if !d.Revoked {
			t.Fatal("not revoked")
		}
		_, err = w.Token(t.Context(), orchestrator.TokenQuery{ConnectionID: c.ID})
		w.wantCode(err, fault.NeedsReconnect) // not a token that the provider ended
		w.store.FailSaves(nil)
		w.store.FailDeletes(nil)
		if _, err := w.Disconnect(t.Context(), c.ID); err != nil {
			t.Error(err)
		}
	})
}

func TestDeletingAnAppEndsWhatWaitsForIt(t *testing.T) {
	run(t, demo.Options{Clients: []demo.Client{{ID: "keyturn-demo"}, {ID: "mine"}}}, func(t *testing.T, w *world) {
		app, err := w.UpsertApp(t.Context(), "demo", "mine", oauth.Secret{}, true)
		if err != nil {
			t.Fatal(err)
		}
		a := w.connect(orchestrator.ConnectRequest{ClientID: "mine"})
		if err := w.DeleteApp(t.Context(), app.ID); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		v, err := w.Attempt(a.Handle)
		if err != nil || v.Code != fault.Cancelled {
			t.Errorf("%+v %v", v, err)
		}
	})
}
