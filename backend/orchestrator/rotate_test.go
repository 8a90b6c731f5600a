package orchestrator_test

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"keyturn/backend/demo"
	"keyturn/backend/oauth"
	"keyturn/backend/orchestrator"
	"keyturn/backend/provider"
)

// A client secret is changed at the provider and then here: what was connected
// before goes on, refreshed with the new one.
func TestASecretIsRotatedWithoutReconnecting(t *testing.T) {
	var current atomic.Value
	current.Store("first")
	client := demo.Client{ID: "web", Auth: "post", RedirectURIs: []string{"http://127.0.0.1/oauth/callback/demo"}, Verify: func(secret string) bool { return secret == current.Load() }}
	run(t, demo.Options{AccessTTL: time.Hour, Clients: []demo.Client{client}}, func(t *testing.T, w *world) {
		if _, err := w.RegisterProvider(t.Context(), provider.Registration{
			ProviderKey: "own", AuthURL: demo.DefaultIssuer + "/authorize", TokenURL: demo.DefaultIssuer + "/token", UserinfoURL: demo.DefaultIssuer + "/userinfo",
			TokenAuthMethod: "client_secret_post", Scopes: []string{"profile"}, AllowLoopbackHTTP: true,
		}); err != nil {
			t.Fatal(err)
		}
		set := func(secret string) {
			if _, err := w.UpsertApp(t.Context(), "own", "web", oauth.NewSecret(secret), false); err != nil {
				t.Fatal(err)
			}
		}
		set("first")
		if out := w.approve(w.connect(orchestrator.ConnectRequest{Provider: "own"}), "ada"); !out.OK {
			t.Fatalf("%+v", out)
		}
		id := w.Snapshot().Connections[0].ID
		query := orchestrator.TokenQuery{ConnectionID: id}
		before, err := w.Token(t.Context(), query)
		if err != nil {
			t.Fatal(err)
		}

		current.Store("second") // there first: for a while the old one is refused
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if _, err := w.Token(t.Context(), query); err == nil {
			t.Fatal("refreshed with a secret that is no longer good")
		}
		set("second")
		time.Sleep(time.Minute)
		synctest.Wait()
		after, err := w.Token(t.Context(), query)
		if err != nil || after.Token.Reveal() == before.Token.Reveal() {
			t.Fatalf("%v", err)
		}
		if c, err := w.Connection(id); err != nil || c.Status != orchestrator.Connected {
			t.Errorf("%+v %v", c, err)
		}
	})
}
