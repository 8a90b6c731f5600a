package api_test

import (
	"testing"

	"keyturn/backend/api"
	"keyturn/backend/api/wire"
)

func TestAGatewayIsKeptOnceATestCallbackCameHome(t *testing.T) {
	w := newWorld(t, setup{})
	refused := func(path string, body any, want string) {
		t.Helper()
		if _, problem := w.call(t, api.Local, "POST", path, body, nil); problem.Code != want {
			t.Errorf("%s: %+v, want %s", path, problem, want)
		}
	}
	kept := func() string {
		t.Helper()
		var s wire.Settings
		w.call(t, api.Local, "GET", "/v1/settings", nil, &s)
		if s.Gateway == nil {
			return ""
		}
		return *s.Gateway
	}
	refused("/v1/gateway/check", nil, "not_found")
	refused("/v1/gateway", wire.GatewayAdd{URL: "https://elsewhere.example"}, "gateway_unreachable")
	if got := kept(); got != "" {
		t.Errorf("kept %q, which did not answer", got)
	}
	var out wire.Gateway
	for _, path := range []string{"/v1/gateway", "/v1/gateway/check"} {
		var body any
		if path == "/v1/gateway" {
			body = wire.GatewayAdd{URL: "https://gateway.example"}
		}
		if status, problem := w.call(t, api.Window, "POST", path, body, &out); status != 200 || out.CameHomeMS != 41 {
			t.Errorf("%s: %d %+v %+v", path, status, out, problem)
		}
	}
	if got := kept(); got != "https://gateway.example" {
		t.Errorf("kept %q", got)
	}
	w.call(t, api.Local, "POST", "/v1/gateway/remove", nil, &wire.Done{})
	if got := kept(); got != "" {
		t.Errorf("%q is still there", got)
	}
}

func TestAForwardedCallbackIsReadStrictly(t *testing.T) {
	w := newWorld(t, setup{})
	for _, tt := range []struct {
		name string
		in   wire.Forwarded
		want string // code of the problem, "" for an outcome
	}{
		{"a code", wire.Forwarded{State: "known", Code: "c"}, ""},
		{"an error", wire.Forwarded{State: "known", Error: "access_denied"}, ""},
		{"GW-07 a state of nobody", wire.Forwarded{State: "other", Code: "c"}, "state_unknown"},
		{"of the provider that was asked", wire.Forwarded{Provider: "demo", State: "known", Code: "c"}, ""},
		{"on the path of another provider", wire.Forwarded{Provider: "other", State: "known", Code: "c"}, "state_unknown"},
		{"GW-13 code and error", wire.Forwarded{State: "known", Code: "c", Error: "e"}, "bad_request"},
		{"GW-13 neither", wire.Forwarded{State: "known"}, "bad_request"},
		{"GW-13 a line break", wire.Forwarded{State: "known", Code: "c\r\nX: y"}, "bad_request"},
	} {
		var out wire.Outcome
		status, problem := w.call(t, api.Gateway, "POST", "/v1/internal/oauth/callback", tt.in, &out)
		if problem.Code != tt.want || tt.want == "" && out.Provider != "Demo" {
			t.Errorf("%s: %d %+v %+v", tt.name, status, problem, out)
		}
	}
	for _, p := range []api.Principal{api.Local, api.Window, api.WebUI} {
		if status, _ := w.call(t, p, "POST", "/v1/internal/oauth/callback", wire.Forwarded{State: "known", Code: "c"}, nil); status != 403 {
			t.Errorf("%v may bring callbacks: %d", p, status)
		}
	}
}
