package api_test

import (
	"slices"
	"strings"
	"testing"

	"keyturn/backend/api"
	"keyturn/backend/api/wire"
)

func TestProvidersAreRegisteredChangedAndForgotten(t *testing.T) {
	w := newWorld(t, setup{providers: &noNetwork{}})
	var p wire.Provider
	code, problem := w.call(t, api.Window, "POST", "/v1/providers", wire.ProviderRegister{
		ProviderKey: "acme",
		AuthURL:     "https://acme.example/authorize",
		TokenURL:    "https://acme.example/token",
		Scopes:      []string{"read"},
	}, &p)
	if code != 200 || !p.Custom || p.Ready || p.ID != "acme" || p.PKCE == "" || p.ScopeSeparator != " " ||
		!slices.Contains(p.CallbackTransports, "loopback") || len(p.Scopes) != 1 || !p.Scopes[0].Default {
		t.Fatalf("register: %d %+v %+v", code, problem, p)
	}
	if !strings.HasSuffix(p.RedirectURI, "/oauth/callback/acme") {
		t.Errorf("redirect URI %q", p.RedirectURI)
	}
	if code, problem := w.call(t, api.Local, "POST", "/v1/providers", wire.ProviderRegister{
		ProviderKey: "acme", AuthURL: "https://acme.example/a", TokenURL: "https://acme.example/t",
	}, nil); code != 409 || problem.Code != "conflict" {
		t.Errorf("again: %d %+v", code, problem)
	}
	if code, problem := w.call(t, api.Local, "POST", "/v1/providers/acme", wire.ProviderRegister{
		ProviderKey: "other", DisplayName: "Other",
	}, nil); code != 400 {
		t.Errorf("another key: %d %+v", code, problem)
	}
	if code, problem := w.call(t, api.Local, "POST", "/v1/providers/acme", wire.ProviderRegister{
		ProviderKey: "acme", DisplayName: "Acme & Sons",
	}, &p); code != 200 || p.Name != "Acme & Sons" || p.TokenURL != "https://acme.example/token" {
		t.Errorf("update: %d %+v %+v", code, problem, p)
	}
	var list wire.Providers
	w.call(t, api.WebUI, "GET", "/v1/providers", nil, &list)
	names := map[string]wire.ProviderSummary{}
	for _, s := range list.Providers {
		names[s.ID] = s
	}
	if !names["acme"].Custom || names["demo"].Custom || !names["demo"].Ready {
		t.Errorf("list: %+v", list)
	}
	if code, problem := w.call(t, api.Local, "POST", "/v1/providers/acme/delete", nil, nil); code != 200 {
		t.Errorf("delete: %d %+v", code, problem)
	}
	if code, problem := w.call(t, api.Local, "GET", "/v1/providers/acme", nil, nil); code != 404 || problem.Code != "unknown_provider" {
		t.Errorf("after delete: %d %+v", code, problem)
	}
	if code, problem := w.call(t, api.Local, "POST", "/v1/providers/demo/delete", wire.ProviderDelete{Force: true}, nil); code < 400 {
		t.Errorf("the catalogue's own: %d %+v", code, problem)
	}
}

func TestAnAppKeepsItsSecretToItself(t *testing.T) {
	w := newWorld(t, setup{providers: &noNetwork{}})
	const secret = "canary-client-secret"
	var a wire.App
	code, problem := w.call(t, api.Window, "POST", "/v1/apps", wire.AppUpsert{Provider: "demo", ClientID: "mine", ClientSecret: secret}, &a)
	if code != 200 || !a.HasClientSecret || a.ClientID != "mine" {
		t.Fatalf("%d %+v %+v", code, problem, a)
	}
	if w.call(t, api.Window, "POST", "/v1/apps", wire.AppUpsert{Provider: "demo", ClientID: "mine"}, &a); !a.HasClientSecret {
		t.Error("a secret that was not mentioned is gone")
	}
	if code, _ := w.call(t, api.Local, "POST", "/v1/apps", wire.AppUpsert{Provider: "demo", ClientID: "mine", ClientSecret: secret, NoClientSecret: true}, nil); code != 400 {
		t.Errorf("a secret and no secret: %d", code)
	}
	var list wire.Apps
	w.call(t, api.Local, "GET", "/v1/apps", nil, &list)
	mustNotHold(t, "the answers", textOf(t, a)+textOf(t, list), secret)
	if w.call(t, api.Local, "POST", "/v1/apps", wire.AppUpsert{Provider: "demo", ClientID: "mine", NoClientSecret: true}, &a); a.HasClientSecret {
		t.Error("a public client has a secret")
	}
	if code, problem := w.call(t, api.Local, "POST", "/v1/apps/"+a.ID+"/delete", nil, nil); code != 200 {
		t.Errorf("delete: %d %+v", code, problem)
	}
	if code, problem := w.call(t, api.Local, "POST", "/v1/apps/"+a.ID+"/delete", nil, nil); code != 404 {
		t.Errorf("delete again: %d %+v", code, problem)
	}
	if code, problem := w.call(t, api.Local, "POST", "/v1/apps", wire.AppUpsert{Provider: "nosuch", ClientID: "mine"}, nil); code != 404 || problem.Code != "unknown_provider" {
		t.Errorf("unknown provider: %d %+v", code, problem)
	}
	mustNotHold(t, "the log", w.log.String(), secret)
}

func TestTheProgramSaysWhatItIs(t *testing.T) {
	w := newWorld(t, setup{})
	var h wire.Health
	if w.call(t, api.WebUI, "GET", "/v1/health", nil, &h); !h.OK || h.Version != "1.2.3" || h.Program != "headless" || h.PID == 0 {
		t.Errorf("%+v", h)
	}
	var d wire.Diagnosis
	if w.call(t, api.Local, "GET", "/v1/diagnosis", nil, &d); len(d.Checks) != 1 || d.Checks[0].Name != "store" {
		t.Errorf("%+v", d)
	}
	var s wire.Settings
	if w.call(t, api.Window, "POST", "/v1/settings", wire.Settings{CallbackPort: 28000}, &s); s.CallbackPort != 28000 || s.Notifications {
		t.Errorf("%+v", s)
	}
	if w.call(t, api.Window, "GET", "/v1/settings", nil, &s); s.CallbackPort != 28000 {
		t.Errorf("%+v", s)
	}
	if code, _ := w.call(t, api.Window, "POST", "/v1/settings", wire.Settings{CallbackPort: 80}, nil); code != 400 {
		t.Errorf("a privileged port: %d", code)
	}
	if code, _ := w.call(t, api.Local, "POST", "/v1/internal/open", wire.Open{View: "javascript:alert(1)"}, nil); code != 400 {
		t.Errorf("a view that is none: %d", code)
	}
	headless := newWorld(t, setup{noWindow: true})
	if code, problem := headless.call(t, api.Local, "POST", "/v1/internal/open", wire.Open{}, nil); code != 404 || problem.Code != "not_found" {
		t.Errorf("no window: %d %+v", code, problem)
	}
}
