package api_test

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"keyturn/backend/api"
	"keyturn/backend/api/wire"
	"keyturn/backend/fault"
	"keyturn/backend/orchestrator"
)

// noNetwork counts requests to providers and refuses them.
type noNetwork struct{ asked atomic.Int32 }

func (n *noNetwork) RoundTrip(*http.Request) (*http.Response, error) {
	n.asked.Add(1)
	return nil, http.ErrServerClosed
}

const (
	adaID   = "con_00000000000000aa"
	graceID = "con_00000000000000bb"
)

func twoAccounts() setup {
	return setup{
		connections: []orchestrator.Record{granted(adaID, "ada@example.test"), granted(graceID, "grace@example.test")},
		providers:   &noNetwork{},
	}
}

func TestSeveralAccountsAreNeverGuessed(t *testing.T) {
	w := newWorld(t, twoAccounts())
	requests := map[string]any{
		"/v1/token":      wire.TokenRequest{Provider: "demo"},
		"/v1/ping":       wire.PingRequest{Provider: "demo"},
		"/v1/disconnect": wire.DisconnectRequest{Provider: "demo"},
	}
	for path, body := range requests {
		code, problem := w.call(t, api.Local, "POST", path, body, nil)
		if code != 409 || problem.Code != "ambiguous" || !strings.Contains(problem.Detail, "ada@example.test") || !strings.Contains(problem.Detail, "grace@example.test") {
			t.Errorf("TK-04 %s: %d %+v", path, code, problem)
		}
	}
	for account, want := range map[string]string{"ada@example.test": adaID, "grace@example.test": graceID} {
		var byAccount, byID wire.Token
		w.call(t, api.Local, "POST", "/v1/token", wire.TokenRequest{Provider: "demo", Account: account}, &byAccount)
		w.call(t, api.Local, "POST", "/v1/connections/"+want+"/token", nil, &byID)
		if byAccount.ConnectionID != want || byAccount.Token != "AT-"+account+"-canary" || byID.Token != byAccount.Token {
			t.Errorf("%s: %+v, by id %+v", account, byAccount, byID)
		}
	}
	code, problem := w.call(t, api.Local, "POST", "/v1/token", wire.TokenRequest{Provider: "demo", Account: "eve@example.test"}, nil)
	if code != 404 || problem.Code != "not_connected" {
		t.Errorf("an account that is not there: %d %+v", code, problem)
	}
}

func TestTheQuickWayAnswersAsTheUsualOneDoes(t *testing.T) {
	w := newWorld(t, twoAccounts())
	for _, body := range []wire.TokenRequest{
		{Provider: "demo", Account: "ada@example.test"},
		{Provider: "demo"},
		{Provider: "nosuch"},
	} {
		var quick, usual wire.Token
		quickStatus, quickProblem := w.call(t, api.Local, "POST", "/v1/token", body, &quick)
		body.Scopes = []string{} // the wire leaves it out: spell it
		spelled := map[string]any{"provider": body.Provider, "scopes": body.Scopes}
		if body.Account != "" {
			spelled["account"] = body.Account
		}
		usualStatus, usualProblem := w.call(t, api.Local, "POST", "/v1/token", spelled, &usual)
		if quickStatus != usualStatus || quickProblem != usualProblem || quick.Token != usual.Token || quick.ConnectionID != usual.ConnectionID {
			t.Errorf("%+v: %d %+v %+v, the usual way %d %+v %+v", body, quickStatus, quickProblem, quick, usualStatus, usualProblem, usual)
		}
	}
}

func TestOnlyProgramsReadTokensAndNobodyARefreshToken(t *testing.T) {
	w := newWorld(t, twoAccounts())
	for _, p := range api.Principals() {
		for _, row := range api.Table() {
			if row.Path == "/v1/events" {
				continue
			}
			path := strings.ReplaceAll(row.Path, "{id}", adaID)
			body := map[string]any{}
			switch row.Path {
			case "/v1/token", "/v1/ping":
				body = map[string]any{"provider": "demo", "account": "ada@example.test"}
			case "/v1/connections/{id}/disconnect", "/v1/internal/quit":
				continue
			}
			var said any
			if row.Method == "GET" {
				w.call(t, p, row.Method, concrete(path), nil, &said)
			} else {
				w.call(t, p, row.Method, concrete(path), body, &said)
			}
			text := textOf(t, said)
			mustNotHold(t, p.String()+" "+row.Path, text, "RT-ada", "RT-grace")
			reads := strings.Contains(text, "AT-ada@example.test-canary")
			if want := p == api.Local && strings.HasSuffix(row.Path, "/token"); reads != want {
				t.Errorf("TK-01 %v %s %s: reads a token: %v, want %v", p, row.Method, row.Path, reads, want)
			}
		}
	}
	mustNotHold(t, "the log", w.log.String(), "-canary")
}

func TestAConnectionThatNeedsTheUserAsksNoProvider(t *testing.T) {
	gone := granted(adaID, "ada@example.test")
	gone.Status, gone.Reason = orchestrator.NeedsReconnect, fault.GrantGone
	network := &noNetwork{}
	w := newWorld(t, setup{connections: []orchestrator.Record{gone}, providers: network})
	code, problem := w.call(t, api.Local, "POST", "/v1/token", wire.TokenRequest{Provider: "demo"}, nil)
	if code != 409 || problem.Code != "needs_reconnect" || network.asked.Load() > 0 {
		t.Errorf("TK-05 %d %+v, %d requests", code, problem, network.asked.Load())
	}
	var c wire.Connection
	w.call(t, api.Window, "GET", "/v1/connections/"+adaID, nil, &c)
	if c.Status != "needs_reconnect" || c.Reason != "grant_gone" {
		t.Errorf("%+v", c)
	}
}

func TestALockedStoreSaysSo(t *testing.T) {
	w := newWorld(t, setup{locked: true})
	code, problem := w.call(t, api.Local, "POST", "/v1/token", wire.TokenRequest{Provider: "demo"}, nil)
	if code != 503 || problem.Code != "store_locked" {
		t.Errorf("TK-10 %d %+v", code, problem)
	}
	var list wire.Connections
	w.call(t, api.Window, "GET", "/v1/connections", nil, &list)
	if list.Store != "store_locked" || list.StoreError == "" || list.Protector == "" {
		t.Errorf("%+v", list)
	}
}

func TestDisconnectByIDHoldsTheProviderToIt(t *testing.T) {
	w := newWorld(t, twoAccounts())
	code, problem := w.call(t, api.Local, "POST", "/v1/disconnect", wire.DisconnectRequest{Provider: "github", ConnectionID: adaID}, nil)
	if code != 400 || problem.Code != "bad_request" {
		t.Errorf("the wrong provider: %d %+v", code, problem)
	}
	var gone wire.Disconnected
	w.call(t, api.Local, "POST", "/v1/disconnect", wire.DisconnectRequest{Provider: "demo", ConnectionID: adaID}, &gone)
	if gone.ConnectionID != adaID || gone.Revoked || !gone.Pending { // there is no network
		t.Errorf("%+v", gone)
	}
	var left wire.Connections
	w.call(t, api.Local, "GET", "/v1/connections", nil, &left)
	if len(left.Connections) != 1 || left.Connections[0].ID != graceID || len(left.Revoking) != 1 || left.Revoking[0].Health == "" {
		t.Errorf("left: %+v", left)
	}
	if code, _ := w.call(t, api.Local, "POST", "/v1/connections/"+adaID+"/disconnect", nil, &gone); code != 200 || !gone.Pending {
		t.Errorf("a second time: %d %+v", code, gone)
	}
}
