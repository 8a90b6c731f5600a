package api_test

import (
	"slices"
	"testing"

	"keyturn/backend/api"
	"keyturn/backend/api/wire"
)

func TestAnAppSaysWhichPresetsItServes(t *testing.T) {
	w := newWorld(t, setup{})
	var app wire.App
	w.call(t, api.Window, "POST", "/v1/apps", wire.AppUpsert{Provider: "gmail", ClientID: "mine", ClientSecret: "s"}, &app)
	if app.Provider != "google" || !slices.Contains(app.Serves, "gmail") || !slices.Contains(app.Serves, "google-calendar") || slices.Contains(app.Serves, "github") {
		t.Errorf("%+v", app)
	}
	for _, id := range []string{"google", "gmail", "google-calendar"} {
		var p wire.Provider
		w.call(t, api.Window, "GET", "/v1/providers/"+id, nil, &p)
		if !p.Ready || p.RedirectURI != "http://127.0.0.1/oauth/callback/google" {
			t.Errorf("%s: ready %v, %s", id, p.Ready, p.RedirectURI)
		}
	}
}
