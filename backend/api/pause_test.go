package api_test

import (
	"testing"

	"keyturn/backend/api"
	"keyturn/backend/api/wire"
)

func TestNobodyIsHandedATokenWhilePaused(t *testing.T) {
	w := newWorld(t, twoAccounts())
	w.call(t, api.Window, "POST", "/v1/hand-outs", wire.HandOuts{Paused: true}, nil)
	var all wire.Connections
	w.call(t, api.Window, "GET", "/v1/connections", nil, &all)
	if !all.Paused || len(all.Connections) != 2 {
		t.Errorf("%+v", all)
	}
	for path, body := range map[string]any{
		"/v1/token":                           wire.TokenRequest{Provider: "demo", Account: "ada@example.test"},
		"/v1/connections/" + adaID + "/token": nil,
		"/v1/request":                         wire.Request{RequestHead: wire.RequestHead{URL: "https://api.example.test/", ConnectionID: adaID}},
	} {
		if code, problem := w.call(t, api.Local, "POST", path, body, nil); code != 503 || problem.Code != "paused" {
			t.Errorf("%s: %d %+v", path, code, problem)
		}
	}
	w.call(t, api.Local, "POST", "/v1/hand-outs", wire.HandOuts{}, nil)
	var token wire.Token
	if code, _ := w.call(t, api.Local, "POST", "/v1/connections/"+adaID+"/token", nil, &token); code != 200 || token.Token == "" {
		t.Errorf("%d", code)
	}
}
