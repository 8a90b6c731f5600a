package app

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"keyturn/backend/oauth"
)

func TestOnlyTheEnrolledGatewayComesIn(t *testing.T) {
	const bearer = "a-bearer-of-an-enrolment-that-is-long-enough"
	asked := 0
	door := forwardDoor(oauth.NewSecret(bearer), http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if asked++; r.Header.Get("Authorization") != "" {
			t.Error("the bearer goes further than the door")
		}
	}))
	for name, headers := range map[string][]string{
		"none":            nil,
		"another":         {"Bearer " + strings.Repeat("x", len(bearer))},
		"a part":          {"Bearer " + bearer[:10]},
		"another scheme":  {"Basic " + bearer},
		"twice":           {"Bearer " + bearer, "Bearer " + bearer},
		"small letters":   {"bearer " + bearer},
		"with something":  {"Bearer " + bearer + "x"},
		"with a blank":    {"Bearer  " + bearer},
		"the bearer bare": {bearer},
	} {
		r := httptest.NewRequest("POST", "/v1/internal/oauth/callback", nil)
		r.Header["Authorization"] = headers
		w := httptest.NewRecorder()
		door.ServeHTTP(w, r)
		if w.Code != http.StatusUnauthorized || strings.Contains(w.Body.String(), bearer) {
			t.Errorf("RP-10 %s: %d", name, w.Code)
		}
	}
	if asked != 0 {
		t.Errorf("%d came in", asked)
	}
	r := httptest.NewRequest("POST", "/v1/internal/oauth/callback", nil)
	r.Header.Set("Authorization", "Bearer "+bearer)
	w := httptest.NewRecorder()
	if door.ServeHTTP(w, r); w.Code != http.StatusOK || asked != 1 {
		t.Errorf("%d, %d came in", w.Code, asked)
	}
}
