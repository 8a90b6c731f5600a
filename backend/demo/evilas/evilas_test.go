package evilas_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"testing"

	"keyturn/backend/demo/evilas"
)

const verifier = "verifier-verifier-verifier-verifier-verifier"

func post(t *testing.T, address string, form url.Values) (int, map[string]any) {
	t.Helper()
	resp, err := http.PostForm(address, form)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	var answer map[string]any
	json.Unmarshal(body, &answer)
	return resp.StatusCode, answer
}

func exchange(code, verifier string) url.Values {
	return url.Values{
		"grant_type": {"authorization_code"}, "client_id": {"public"}, "code": {code},
		"code_verifier": {verifier}, "redirect_uri": {"http://127.0.0.1:1/cb"},
	}
}

func TestACodeIsGoodOnceAndOnlyWithItsVerifier(t *testing.T) {
	as := evilas.New(t, evilas.Config{})
	code := as.NewCode("public", "http://127.0.0.1:1/cb", verifier, "", "read")
	if status, _ := post(t, as.URL()+"/token", exchange(code, "another")); status != http.StatusBadRequest {
		t.Errorf("a wrong verifier was answered with %d", status)
	}
	status, first := post(t, as.URL()+"/token", exchange(code, verifier))
	if status != http.StatusOK || !as.Live(first["access_token"].(string)) {
		t.Fatalf("exchange: %d %v", status, first)
	}
	if status, _ := post(t, as.URL()+"/token", exchange(code, verifier)); status != http.StatusBadRequest {
		t.Errorf("a used code was answered with %d", status)
	}
	if as.Live(first["access_token"].(string)) {
		t.Error("a code used twice left its tokens alive")
	}
}

func TestAnOldRefreshTokenEndsTheFamily(t *testing.T) {
	as := evilas.New(t, evilas.Config{})
	_, first := post(t, as.URL()+"/token", exchange(as.NewCode("public", "http://127.0.0.1:1/cb", verifier, ""), verifier))
	refresh := func(token any) (int, map[string]any) {
		return post(t, as.URL()+"/token", url.Values{"grant_type": {"refresh_token"}, "client_id": {"public"}, "refresh_token": {token.(string)}})
	}
	status, second := refresh(first["refresh_token"])
	if status != http.StatusOK || second["refresh_token"] == first["refresh_token"] {
		t.Fatalf("refresh: %d %v", status, second)
	}
	if status, _ := refresh(first["refresh_token"]); status != http.StatusBadRequest {
		t.Errorf("an old refresh token was answered with %d", status)
	}
	if status, _ := refresh(second["refresh_token"]); status != http.StatusBadRequest {
		t.Errorf("the family survived: %d", status)
	}
}

func TestTheTranscriptHoldsWhatWasSentAndScriptsRunOut(t *testing.T) {
	as := evilas.New(t, evilas.Config{})
	as.Script("/token", evilas.Step{Status: 503})
	if status, _ := post(t, as.URL()+"/token", url.Values{"code": {"needle in hay"}}); status != 503 {
		t.Errorf("script not played: %d", status)
	}
	if status, _ := post(t, as.URL()+"/token", url.Values{"client_id": {"nobody"}}); status != 401 {
		t.Errorf("script did not end: %d", status)
	}
	if as.Count("needle in hay") != 1 || as.Saw("thread") || len(as.Requests("/token")) != 2 {
		t.Errorf("transcript: %q", as.Connections())
	}
}
