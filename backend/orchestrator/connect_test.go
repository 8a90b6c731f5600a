package orchestrator_test

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"keyturn/backend/demo"
	"keyturn/backend/fault"
	"keyturn/backend/oauth"
	"keyturn/backend/orchestrator"
	"keyturn/backend/store/storetest"
)

func TestConnectTellsTheSameTruthEverywhere(t *testing.T) {
	run(t, demo.Options{}, func(t *testing.T, w *world) {
		a := w.connect(orchestrator.ConnectRequest{})
		if a.Status != orchestrator.Pending || a.Step != orchestrator.WaitingForBrowser || a.URL == "" {
			t.Fatalf("%+v", a)
		}
		if strings.Contains(a.URL, a.Handle) {
			t.Error("the status handle is in the authorization URL")
		}
		out := w.approve(a, "ada")
		v, _ := w.Attempt(a.Handle)
		c, err := w.Connection(v.ConnectionID)
		if err != nil {
			t.Fatal(err)
		}
		if !out.OK || v.Status != orchestrator.Complete || out.Account == "" || out.Account != v.Account || v.Account != c.Account {
			t.Errorf("page %+v\nattempt %+v\nconnection %+v", out, v, c)
		}
		if !slices.Equal(out.Scopes, c.Granted) || len(c.Granted) == 0 {
			t.Errorf("scopes: page %v, connection %v", out.Scopes, c.Granted)
		}
		kept := w.store.Contents().Connections
		if len(kept) != 1 || kept[0].Token.Access.Reveal() != w.token() || !kept[0].Token.ID.IsZero() {
			t.Errorf("kept: %+v", kept)
		}
	})
}

func TestAnAttemptIsJoinedRunBesideOrRefused(t *testing.T) {
	run(t, demo.Options{}, func(t *testing.T, w *world) {
		first, err := w.Connect(t.Context(), request(orchestrator.ConnectRequest{Scopes: []string{"profile", "email"}}))
		if err != nil || first.Joined {
			t.Fatal(first, err)
		}
		same, err := w.Connect(t.Context(), request(orchestrator.ConnectRequest{Scopes: []string{"email", "profile"}}))
		if err != nil || !same.Joined || same.Attempt.Handle != first.Attempt.Handle || same.Attempt.URL != first.Attempt.URL {
			t.Errorf("an equal request did not join: %+v %v", same, err)
		}
		for _, hint := range []string{"ada", "grace", "joan"} {
			beside, err := w.Connect(t.Context(), request(orchestrator.ConnectRequest{Account: hint}))
			if err != nil || beside.Joined || beside.Attempt.Handle == first.Attempt.Handle {
				t.Fatalf("%+v %v", beside, err)
			}
		}
		_, err = w.Connect(t.Context(), request(orchestrator.ConnectRequest{Account: "fifth"}))
		w.wantCode(err, fault.RateLimited)
		if v, _ := w.Attempt(first.Attempt.Handle); v.Status != orchestrator.Pending {
			t.Error("another request ended the attempt")
		}
		if out := w.approve(first.Attempt, "ada"); !out.OK {
			t.Errorf("%+v", out)
		}
	})
}

func TestRequestsThatAreRefusedLeaveNothing(t *testing.T) {
	run(t, demo.Options{}, func(t *testing.T, w *world) {
		for _, tt := range []struct {
			name string
			r    orchestrator.ConnectRequest
			code fault.Code
		}{
			{"unknown provider", orchestrator.ConnectRequest{Provider: "gihtub"}, fault.UnknownProvider},
			{"no app", orchestrator.ConnectRequest{Provider: "github"}, fault.NoApp},
			{"unknown app", orchestrator.ConnectRequest{Provider: "github", ClientID: "x"}, fault.UnknownApp},
			{"bad transport", orchestrator.ConnectRequest{Transport: "pigeon"}, fault.BadRequest},
			{"scope with a blank", orchestrator.ConnectRequest{Scopes: []string{"a b"}}, fault.BadRequest},
			{"empty scope", orchestrator.ConnectRequest{Scopes: []string{""}}, fault.BadRequest},
		} {
			_, err := w.Connect(t.Context(), request(tt.r))
			if fault.CodeOf(err) != tt.code {
				t.Errorf("%s: %v, want %s", tt.name, err, tt.code)
			}
		}
		w.browser.fail = fault.New(fault.PortInUse, "Port 27419 is taken.")
		_, err := w.Connect(t.Context(), request(orchestrator.ConnectRequest{}))
		w.wantCode(err, fault.PortInUse)
		w.browser.fail = nil

		full := fault.New(fault.DiskFull, "The disk is full.")
		w.store.FailChecks(full)
		_, err = w.Connect(t.Context(), request(orchestrator.ConnectRequest{})) // SG-29
		w.wantCode(err, fault.DiskFull)
		if s := w.Snapshot(); len(s.Attempts) != 0 {
			t.Errorf("left behind: %+v", s.Attempts)
		}
	})
}

func TestAnAttemptExpiresByItselfAndIsForgotten(t *testing.T) {
	run(t, demo.Options{}, func(t *testing.T, w *world) {
		a := w.connect(orchestrator.ConnectRequest{})
		callback := w.as.Approve(a.URL, "ada")
		time.Sleep(orchestrator.PendingLife - 10*time.Millisecond)
		if v, _ := w.Attempt(a.Handle); v.Status != orchestrator.Pending {
			t.Fatalf("ended early: %+v", v)
		}
		time.Sleep(20 * time.Millisecond)
		synctest.Wait()
		if v, _ := w.Attempt(a.Handle); v.Status != orchestrator.Error || v.Code != fault.Expired {
			t.Fatalf("%+v", v) // CB-08
		}
		if w.browser.deliver(t, callback) != nil {
			t.Error("somebody still waits for the callback")
		}
		time.Sleep(orchestrator.ResultLife)
		synctest.Wait()
		_, err := w.Attempt(a.Handle) // ST-20: nobody polled
		w.wantCode(err, fault.StateUnknown)
		if s := w.Snapshot(); len(s.Attempts) != 0 {
			t.Errorf("%+v", s.Attempts)
		}
	})
}

func TestCancelBeforeTheResponse(t *testing.T) {
	run(t, demo.Options{}, func(t *testing.T, w *world) {
		a := w.connect(orchestrator.ConnectRequest{})
		for range 2 { // idempotent
			if err := w.Cancel(a.Handle); err != nil {
				t.Fatal(err)
			}
		}
		if v, _ := w.Attempt(a.Handle); v.Code != fault.Cancelled {
			t.Errorf("%+v", v)
		}
		w.wantCode(w.Cancel("no-such-handle"), fault.StateUnknown)
	})
}

func TestCancelDuringTheExchangeRevokesWhatArrives(t *testing.T) {
	run(t, demo.Options{Latency: time.Second}, func(t *testing.T, w *world) {
		a := w.connect(orchestrator.ConnectRequest{})
		callback := w.as.Approve(a.URL, "ada")
		tb := w.browser.deliver(t, callback)
		time.Sleep(500 * time.Millisecond) // the code is on its way
		if err := w.Cancel(a.Handle); err != nil {
			t.Fatal(err)
		}
		if out := <-tb.outcome; out.OK || out.Code != string(fault.Cancelled) {
			t.Errorf("%+v", out)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := len(w.store.Contents().Connections); n != 0 {
			t.Errorf("%d connections stored", n)
		}
		if n := w.as.Counts().LiveGrants; n != 0 {
			t.Errorf("%d grants alive at the provider", n)
		}
	})
}

func TestStartAgainSupersedes(t *testing.T) {
	run(t, demo.Options{}, func(t *testing.T, w *world) {
		old := w.connect(orchestrator.ConnectRequest{})
		s, err := w.Restart(t.Context(), old.Handle, "window")
		if err != nil || s.Joined || s.Attempt.Handle == old.Handle || s.Attempt.URL == old.URL {
			t.Fatalf("%+v %v", s, err)
		}
		if v, _ := w.Attempt(old.Handle); v.Code != fault.Superseded {
			t.Errorf("%+v", v)
		}
		if out := w.approve(s.Attempt, "grace"); !out.OK {
			t.Errorf("%+v", out)
		}
	})
}

func TestIssIsCheckedBeforeAnythingIsSent(t *testing.T) {
	for _, tt := range []struct {
		name, iss string
		code      fault.Code
	}{
		{"CB-22 missing", "", fault.IssMissing},
		{"CB-23 somebody else's", "https://evil.example", fault.IssMismatch},
	} {
		t.Run(tt.name, func(t *testing.T) {
			run(t, demo.Options{}, func(t *testing.T, w *world) {
				a := w.connect(orchestrator.ConnectRequest{})
				callback := w.as.Approve(a.URL, "ada")
				u, _ := url.Parse(callback)
				q := u.Query()
				q.Del("iss")
				if tt.iss != "" {
					q.Set("iss", tt.iss)
				}
				if out := w.page(u.Scheme + "://" + u.Host + u.Path + "?" + q.Encode()); out.Code != string(tt.code) {
					t.Errorf("%+v", out)
				}
				if n := w.tokenRequests(); n != 0 {
					t.Errorf("%d token requests", n)
				}
			})
		})
	}
}

func TestSayingNoAgainKeepsTheOldGrant(t *testing.T) {
	run(t, demo.Options{}, func(t *testing.T, w *world) {
		c := w.connected("ada")
		before := w.token()
		a := w.connect(orchestrator.ConnectRequest{})
		callback := w.as.Deny(a.URL)
		if out := w.page(callback); out.OK || out.Code != string(fault.Denied) { // CB-37
			t.Errorf("%+v", out)
		}
		if got, err := w.Connection(c.ID); err != nil || got.Status != orchestrator.Connected || w.token() != before {
			t.Errorf("%+v %v", got, err)
		}
	})
}

func TestAccountsAreMatchedByIdentity(t *testing.T) {
	run(t, demo.Options{}, func(t *testing.T, w *world) {
		ada := w.connected("ada")
		grace := w.connected("grace")
		again := w.connected("ada")
		if ada.ID == grace.ID || ada.ID != again.ID {
			t.Fatalf("ids: %s %s %s", ada.ID, grace.ID, again.ID)
		}
		_, err := w.Token(t.Context(), orchestrator.TokenQuery{Provider: "demo"}) // TK-04
		w.wantCode(err, fault.Ambiguous)
		if !strings.Contains(err.Error(), ada.Account) || !strings.Contains(err.Error(), grace.Account) {
			t.Errorf("the accounts are not listed: %v", err)
		}
		if tok, err := w.Token(t.Context(), orchestrator.TokenQuery{Provider: "demo", Account: strings.ToUpper(grace.Account)}); err != nil || tok.ConnectionID != grace.ID {
			t.Errorf("%+v %v", tok, err)
		}
		_, err = w.Token(t.Context(), orchestrator.TokenQuery{Provider: "demo", Account: "nobody"})
		w.wantCode(err, fault.NotConnected)
	})
}

func TestAnAccountIsFoundByTheNameItHasNow(t *testing.T) {
	email := "old@example.com"
	identity := func(a demo.Account) any { return map[string]string{"sub": a.Subject, "email": email} }
	run(t, demo.Options{Identity: identity}, func(t *testing.T, w *world) {
		c := w.connected("ada")
		email = "new@example.com"
		if again := w.connected("ada"); again.ID != c.ID || again.Account != email {
			t.Fatalf("%+v", again)
		}
		for _, word := range []string{"new@example.com", "New@Example.com", c.ID} {
			if got, err := w.Find("demo", word, ""); err != nil || got.ID != c.ID {
				t.Errorf("%s: %+v %v", word, got, err)
			}
		}
		_, err := w.Find("demo", "old@example.com", "")
		w.wantCode(err, fault.NotConnected)
		_, err = w.Disconnect(t.Context(), c.ID)
		if err != nil {
			t.Fatal(err)
		}
		_, err = w.Find("demo", "new@example.com", "")
		w.wantCode(err, fault.NotConnected)
	})
}

func TestTwoAttemptsForOneAccountMakeOneConnection(t *testing.T) {
	run(t, demo.Options{}, func(t *testing.T, w *world) {
		a := w.connect(orchestrator.ConnectRequest{Account: "a"})
		b := w.connect(orchestrator.ConnectRequest{Account: "b"})
		one := w.as.Approve(a.URL, "ada")
		two := w.as.Approve(b.URL, "ada")
		first, second := w.browser.deliver(t, one), w.browser.deliver(t, two)
		if x, y := <-first.outcome, <-second.outcome; !x.OK || !y.OK {
			t.Errorf("%+v %+v", x, y)
		}
		if n := len(w.Snapshot().Connections); n != 1 {
			t.Errorf("%d connections", n)
		}
	})
}

func TestIfNeededFindsWhatIsThere(t *testing.T) {
	run(t, demo.Options{}, func(t *testing.T, w *world) {
		c := w.connected("ada")
		s, err := w.Connect(t.Context(), request(orchestrator.ConnectRequest{IfNeeded: true}))
		if err != nil || s.Existing == nil || s.Existing.ID != c.ID {
			t.Errorf("%+v %v", s, err)
		}
		s, err = w.Connect(t.Context(), request(orchestrator.ConnectRequest{IfNeeded: true, Account: "grace"}))
		if err != nil || s.Existing != nil {
			t.Errorf("%+v %v", s, err)
		}
	})
}

func TestALockedStoreOpensLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := storetest.NewMemory(time.Millisecond)
		store.FailLoads(fault.New(fault.StoreLocked, "The keyring is locked."))
		w := newWorld(t, demo.Options{}, store)
		defer w.stop()
		_, err := w.Connect(t.Context(), request(orchestrator.ConnectRequest{}))
		w.wantCode(err, fault.StoreLocked)
		w.wantCode(w.Snapshot().Store, fault.StoreLocked)
		store.FailLoads(nil)
		w.connected("ada")
	})
}

func TestStoppingEndsAttemptsAndLeavesNothingRunning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, demo.Options{}, storetest.NewMemory(time.Millisecond))
		a := w.connect(orchestrator.ConnectRequest{})
		w.stop() // the bubble fails if a goroutine is left
		v, err := w.Attempt(a.Handle)
		if err != nil || v.Code != fault.Cancelled {
			t.Errorf("%+v %v", v, err)
		}
		_, err = w.Connect(context.Background(), request(orchestrator.ConnectRequest{}))
		if err == nil {
			t.Error("a connect after the end")
		}
	})
}

func TestTheBellRingsForEachChange(t *testing.T) {
	run(t, demo.Options{}, func(t *testing.T, w *world) {
		bell, stop := w.Changes()
		defer stop()
		<-bell // once at the start
		a := w.connect(orchestrator.ConnectRequest{})
		<-bell
		w.approve(a, "ada")
		<-bell
		synctest.Wait()
		if s := w.Snapshot(); len(s.Connections) != 1 {
			t.Errorf("%+v", s)
		}
	})
}

func TestAnIDTokenForSomebodyElseStoresNothing(t *testing.T) {
	run(t, demo.Options{}, func(t *testing.T, w *world) {
		a := w.connect(orchestrator.ConnectRequest{Scopes: []string{"openid", "profile"}})
		// The nonce in the URL is replaced: the ID token is for another request.
		head, tail, found := strings.Cut(a.URL, "nonce=")
		if !found {
			t.Fatal("no nonce although openid was asked for")
		}
		_, tail, _ = strings.Cut(tail, "&")
		callback := w.as.Approve(head+"nonce=somebodyelse&"+tail, "ada")
		if out := w.page(callback); out.OK || out.Code != string(fault.IdentityFailed) {
			t.Errorf("%+v", out)
		}
		if n := len(w.store.Contents().Connections); n != 0 {
			t.Errorf("%d connections stored", n)
		}
	})
}

var _ orchestrator.Transport = (*browser)(nil)
var _ = oauth.Secret{}
