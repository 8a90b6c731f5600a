package orchestrator_test

import (
	"strings"
	"testing"

	"keyturn/backend/demo"
	"keyturn/backend/fault"
	"keyturn/backend/oauth"
	"keyturn/backend/orchestrator"
)

// One OAuth app at Google serves all that is Google's.
func TestAPresetUsesTheAppsOfItsProvider(t *testing.T) {
	run(t, demo.Options{}, func(t *testing.T, w *world) {
		if _, err := w.Connect(t.Context(), orchestrator.ConnectRequest{Provider: "google-calendar"}); fault.CodeOf(err) != fault.NoApp {
			t.Fatalf("%v", err)
		}
		app, err := w.UpsertApp(t.Context(), "gmail", "mine.apps.example", oauth.NewSecret("s"), false)
		if err != nil || app.Provider != "google" {
			t.Fatalf("%+v %v", app, err)
		}
		again, err := w.UpsertApp(t.Context(), "google", "mine.apps.example", oauth.NewSecret("rotated"), false)
		if err != nil || again.ID != app.ID {
			t.Fatalf("a second one was made: %+v %v", again, err)
		}
		started, err := w.Connect(t.Context(), orchestrator.ConnectRequest{Provider: "google-calendar"})
		if err != nil || started.Attempt.Provider != "google-calendar" {
			t.Fatalf("%+v %v", started, err)
		}
		if u := started.Attempt.URL; !strings.Contains(u, "client_id=mine.apps.example") {
			t.Errorf("%s", u)
		}
		if p, _ := w.Provider("gmail"); p.RedirectURI(27419, "https://gateway.example") != "http://127.0.0.1/oauth/callback/google" {
			t.Errorf("another redirect URI than the app's: %s", p.RedirectURI(27419, "https://gateway.example"))
		}
		if err := w.DeleteApp(t.Context(), app.ID); err != nil {
			t.Fatal(err)
		}
		if a, err := w.Attempt(started.Attempt.Handle); err != nil || a.Code != fault.Cancelled {
			t.Errorf("it goes on without its app: %+v %v", a, err)
		}
	})
}
