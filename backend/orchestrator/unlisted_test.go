package orchestrator_test

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"keyturn/backend/demo"
	"keyturn/backend/orchestrator"
	"keyturn/backend/provider"
	"keyturn/backend/store/storetest"
)

// Microsoft grants offline_access and never lists it. Such a scope is not
// missing, neither after the connect nor after a refresh, and a connection
// that has it covers a request for it.
func TestAScopeThatIsNeverListedIsNotMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		catalogue, err := provider.Builtin()
		if err != nil {
			t.Fatal(err)
		}
		p, _ := catalogue.Lookup("demo")
		p.ID, p.Custom, p.Scope.Unlisted = "quiet", true, []string{"email"}
		store := storetest.NewMemory(time.Millisecond)
		if err := store.SaveProvider(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		w := newWorld(t, demo.Options{Quirks: demo.Quirks{Unlisted: "email"}}, store)
		defer w.stop()

		r := orchestrator.ConnectRequest{Provider: "quiet", Scopes: []string{"profile", "email"}}
		a := w.connect(r)
		if out := w.approve(a, "ada"); !out.OK || len(out.Missing) > 0 {
			t.Fatalf("%+v", out)
		}
		time.Sleep(2 * time.Hour)
		tok, err := w.Token(t.Context(), orchestrator.TokenQuery{Provider: "quiet", Scopes: []string{"email"}})
		if err != nil || !slices.Contains(tok.Granted, "email") || w.as.Counts().Refreshes == 0 {
			t.Errorf("after a refresh: %+v %v", tok, err)
		}
		r.IfNeeded = true
		if s, err := w.Connect(t.Context(), request(r)); err != nil || s.Existing == nil {
			t.Errorf("the connection does not cover what was granted: %+v %v", s, err)
		}
	})
}
