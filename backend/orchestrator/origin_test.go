package orchestrator_test

import (
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"keyturn/backend/demo"
	"keyturn/backend/fault"
	"keyturn/backend/oauth"
	"keyturn/backend/orchestrator"
	"keyturn/backend/provider"
)

// own registers the demo server as a provider of the user's own, so that its
// entry can be changed.
func (w *world) own() {
	w.t.Helper()
	_, err := w.RegisterProvider(w.t.Context(), provider.Registration{
		ProviderKey: "own", DisplayName: "Own", AuthURL: demo.DefaultIssuer + "/authorize", TokenURL: demo.DefaultIssuer + "/token",
		RevokeURL: demo.DefaultIssuer + "/revoke", UserinfoURL: demo.DefaultIssuer + "/userinfo",
		TokenAuthMethod: string(oauth.AuthNone), Scopes: []string{"profile", "email"}, AllowLoopbackHTTP: true,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.UpsertApp(w.t.Context(), "own", demo.ClientID, oauth.Secret{}, true); err != nil {
		w.t.Fatal(err)
	}
}

func TestNoTokenGoesToAnOriginItWasNotGrantedWith(t *testing.T) { // RF-19, CF-05, TK-22
	run(t, demo.Options{AccessTTL: time.Hour, Record: true}, func(t *testing.T, w *world) {
		w.own()
		a := w.connect(orchestrator.ConnectRequest{Provider: "own"})
		if out := w.approve(a, "ada"); !out.OK {
			t.Fatalf("%+v", out)
		}
		id := w.Snapshot().Connections[0].ID
		// The same server under another name: to us another origin.
		_, err := w.UpdateProvider(t.Context(), provider.Registration{
			ProviderKey: "own", TokenURL: "http://localhost:27420/token", RevokeURL: "http://localhost:27420/revoke",
			AllowLoopbackHTTP: true,
		})
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		before := len(w.as.Requests(""))
		if c, _ := w.Connection(id); c.Status != orchestrator.NeedsReconnect || c.Reason != fault.ConfigChanged {
			t.Errorf("%+v", c)
		}
		time.Sleep(2 * time.Hour)
		_, err = w.Token(t.Context(), orchestrator.TokenQuery{ConnectionID: id})
		w.wantCode(err, fault.NeedsReconnect)
		d, err := w.Disconnect(t.Context(), id)
		if err != nil || d.Revoked || d.Pending {
			t.Errorf("%+v, %v", d, err)
		}
		if n := len(w.as.Requests("")); n != before {
			t.Errorf("%d requests were made after the origin changed", n-before)
		}
	})
}

func TestAttemptsAreFrozen(t *testing.T) {
	run(t, demo.Options{}, func(t *testing.T, w *world) {
		w.own()
		a := w.connect(orchestrator.ConnectRequest{Provider: "own"})
		_, err := w.UpdateProvider(t.Context(), provider.Registration{
			ProviderKey: "own", TokenURL: "http://localhost:1/token", AllowLoopbackHTTP: true,
		})
		if err != nil {
			t.Fatal(err)
		}
		if out := w.approve(a, "ada"); !out.OK {
			t.Errorf("the code did not go where it was to go when the attempt began: %+v", out)
		}
	})
}

func TestStartsThatNobodyFinishesLeaveNothing(t *testing.T) { // ST-22, FL-01
	run(t, demo.Options{}, func(t *testing.T, w *world) {
		refusedOnes := 0
		for i := range 2000 {
			_, err := w.Connect(t.Context(), request(orchestrator.ConnectRequest{Account: "a" + string(rune('a'+i%26)) + string(rune('a'+i/26%26))}))
			if fault.CodeOf(err) == fault.RateLimited {
				refusedOnes++
			}
			time.Sleep(10 * time.Second)
		}
		if refusedOnes == 0 {
			t.Error("none of the starts was too many")
		}
		time.Sleep(orchestrator.PendingLife + orchestrator.ResultLife + time.Minute)
		synctest.Wait()
		if s := w.Snapshot(); len(s.Attempts) != 0 {
			t.Errorf("%d attempts are left", len(s.Attempts))
		}
		w.connected("ada")
	})
}

func TestTheEndOfAnAttemptIsOneOrTheOther(t *testing.T) { // ST-23
	for _, early := range []time.Duration{time.Millisecond, 0, -time.Millisecond} {
		run(t, demo.Options{}, func(t *testing.T, w *world) {
			a := w.connect(orchestrator.ConnectRequest{})
			time.Sleep(time.Until(a.Expires) - 10*time.Second)
			callback := w.as.Approve(a.URL, "ada") // a code lives a minute
			time.Sleep(time.Until(a.Expires) - early)
			if tb := w.browser.deliver(t, callback); tb != nil {
				<-tb.outcome
			}
			time.Sleep(time.Second)
			synctest.Wait()
			v, err := w.Attempt(a.Handle)
			if err != nil {
				t.Fatal(err)
			}
			stored := len(w.store.Contents().Connections) == 1
			if complete := v.Status == orchestrator.Complete; complete != stored || !complete && v.Code != fault.Expired {
				t.Errorf("%v before the end: stored %v, attempt %+v", early, stored, v)
			}
		})
	}
}

func TestAProviderInUseIsDeletedOnlyByForce(t *testing.T) {
	run(t, demo.Options{}, func(t *testing.T, w *world) {
		w.own()
		a := w.connect(orchestrator.ConnectRequest{Provider: "own"})
		w.approve(a, "ada")
		w.wantCode(w.DeleteProvider(t.Context(), "own", false), fault.Conflict)
		w.wantCode(w.DeleteProvider(t.Context(), "demo", true), fault.Conflict)
		if err := w.DeleteProvider(t.Context(), "own", true); err != nil {
			t.Fatal(err)
		}
		kept := w.store.Contents()
		if len(kept.Connections)+len(kept.Apps)+len(kept.Providers) != 0 || w.as.Counts().LiveGrants != 0 {
			t.Errorf("left: %+v, %d grants alive", kept, w.as.Counts().LiveGrants)
		}
	})
}

func TestAnAppIsTheLastOneUpdated(t *testing.T) {
	run(t, demo.Options{}, func(t *testing.T, w *world) {
		for _, id := range []string{"first", "second"} {
			if _, err := w.UpsertApp(t.Context(), "github", id, oauth.NewSecret("s"), false); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		if _, err := w.UpsertApp(t.Context(), "github", "first", oauth.Secret{}, false); err != nil {
			t.Fatal(err) // keeps its secret
		}
		a := w.connect(orchestrator.ConnectRequest{Provider: "github"})
		u, _ := url.Parse(a.URL)
		if got := u.Query().Get("client_id"); got != "first" {
			t.Errorf("client_id %q", got)
		}
		_, err := w.UpsertApp(t.Context(), "github", "third", oauth.Secret{}, true)
		w.wantCode(err, fault.ClientSecretRequired)
		_, err = w.UpsertApp(t.Context(), "github", "with blank", oauth.NewSecret("s"), false)
		w.wantCode(err, fault.BadRequest)
	})
}
