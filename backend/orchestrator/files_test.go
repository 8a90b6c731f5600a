package orchestrator_test

import (
	"testing"
	"testing/synctest"
	"time"

	"keyturn/backend/demo"
	"keyturn/backend/fault"
	"keyturn/backend/oauth"
	"keyturn/backend/orchestrator"
	"keyturn/backend/provider"
)

// described is the demo server as a file of the user's would describe it.
func described(t *testing.T, tokenURL string) provider.Provider {
	t.Helper()
	p, err := provider.FromRegistration(provider.Registration{
		ProviderKey: "filed", DisplayName: "Filed", AuthURL: demo.DefaultIssuer + "/authorize", TokenURL: tokenURL,
		UserinfoURL: demo.DefaultIssuer + "/userinfo", TokenAuthMethod: string(oauth.AuthNone), Scopes: []string{"profile"}, AllowLoopbackHTTP: true,
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestProvidersComeAndGoWithTheirFiles(t *testing.T) {
	run(t, demo.Options{AccessTTL: time.Hour}, func(t *testing.T, w *world) {
		p := described(t, demo.DefaultIssuer+"/token")
		if refused := w.FileProviders([]provider.Provider{p}); len(refused) != 0 {
			t.Fatal(refused)
		}
		if _, err := w.UpsertApp(t.Context(), "filed", demo.ClientID, oauth.Secret{}, true); err != nil {
			t.Fatal(err)
		}
		a := w.connect(orchestrator.ConnectRequest{Provider: "filed"})
		if out := w.approve(a, "ada"); !out.OK {
			t.Fatalf("%+v", out)
		}
		if err := w.DeleteProvider(t.Context(), "filed", true); fault.CodeOf(err) != fault.Conflict {
			t.Errorf("deleted although the file is there: %v", err)
		}
		if _, err := w.UpdateProvider(t.Context(), provider.Registration{ProviderKey: "filed", DisplayName: "Other"}); fault.CodeOf(err) != fault.Conflict {
			t.Errorf("changed although the file says otherwise: %v", err)
		}
		// The file goes: what is connected stays, and can be revoked.
		w.FileProviders(nil)
		id := w.Snapshot().Connections[0].ID
		if _, err := w.Provider("filed"); err != nil {
			t.Fatal(err)
		}
		// It comes back with another token endpoint: no old token goes there.
		w.FileProviders([]provider.Provider{described(t, "http://localhost:27420/token")})
		time.Sleep(time.Second)
		synctest.Wait()
		if c, err := w.Connection(id); err != nil || c.Status != orchestrator.NeedsReconnect || c.Reason != fault.ConfigChanged {
			t.Errorf("%+v %v", c, err)
		}
		if _, err := w.Disconnect(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		if err := w.DeleteApp(t.Context(), w.Apps()[0].ID); err != nil {
			t.Fatal(err)
		}
		w.FileProviders(nil)
		if _, err := w.Provider("filed"); fault.CodeOf(err) != fault.UnknownProvider {
			t.Errorf("still there: %v", err)
		}
	})
}

func TestAFileTakesNobodysPlace(t *testing.T) { // CF-04
	run(t, demo.Options{}, func(t *testing.T, w *world) {
		w.own()
		own, builtin := described(t, demo.DefaultIssuer+"/token"), described(t, "https://evil.example/token")
		own.ID, builtin.ID = "own", "github"
		refused := w.FileProviders([]provider.Provider{own, builtin})
		if fault.CodeOf(refused["own"]) != fault.Conflict || fault.CodeOf(refused["github"]) != fault.Conflict {
			t.Errorf("%v", refused)
		}
		if p, _ := w.Provider("github"); p.Custom {
			t.Error("a built-in was replaced")
		}
	})
}
