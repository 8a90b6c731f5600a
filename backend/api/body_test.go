package api_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"keyturn/backend/api"
	"keyturn/backend/api/wire"
	"keyturn/backend/orchestrator"
	"keyturn/backend/strictjson"
)

const startPath = "/v1/internal/oauth/connect/start"

func TestARequestThatSaysTwoThingsStartsNothing(t *testing.T) {
	w := newWorld(t, setup{})
	const json = "application/json"
	cases := map[string]struct {
		contentType, body string
		status            int
		code              string
	}{
		"ST-07 unknown provider":       {json, `{"service":"nosuch"}`, 404, "unknown_provider"},
		"ST-07 unknown field":          {json, `{"service":"demo","colour":"red"}`, 400, "bad_request"},
		"ST-07 wrong type":             {json, `{"service":7}`, 400, "bad_request"},
		"ST-07 wrong type in list":     {json, `{"service":"demo","requested_scopes":[1]}`, 400, "bad_request"},
		"ST-07 not an object":          {json, `["demo"]`, 400, "bad_request"},
		"ST-07 null":                   {json, `null`, 400, "bad_request"},
		"ST-07 no body":                {json, ``, 400, "bad_request"},
		"ST-07 member missing":         {json, `{}`, 400, "bad_request"},
		"ST-07 empty member":           {json, `{"service":""}`, 400, "bad_request"},
		"ST-07 long member":            {json, `{"service":"` + strings.Repeat("x", 2049) + `"}`, 400, "bad_request"},
		"ST-07 not one of":             {json, `{"service":"demo","callback_transport":"pigeon"}`, 400, "bad_request"},
		"ST-07 65 KiB":                 {json, `{"service":"demo","account_hint":"` + strings.Repeat("x", 65<<10) + `"}`, 413, "bad_request"},
		"ST-07 64 KiB and one byte":    {json, `{"service":"demo"}` + strings.Repeat(" ", 64<<10-17), 413, "bad_request"},
		"ST-07 64 KiB":                 {json, `{"service":"nosuch"}` + strings.Repeat(" ", 64<<10-20), 404, "unknown_provider"},
		"ST-07 text/plain":             {"text/plain", `{"service":"demo"}`, 415, "bad_request"},
		"ST-07 form":                   {"application/x-www-form-urlencoded", `{"service":"demo"}`, 415, "bad_request"},
		"ST-07 no content type":        {"", `{"service":"demo"}`, 415, "bad_request"},
		"ST-07 json of another kind":   {"application/foo+json", `{"service":"demo"}`, 415, "bad_request"},
		"ST-07 second value":           {json, `{"service":"demo"} {"service":"demo"}`, 400, "bad_request"},
		"ST-07 duplicate key":          {json, `{"service":"nosuch","service":"demo"}`, 400, "bad_request"},
		"ST-07 key in another case":    {json, `{"Service":"demo"}`, 400, "bad_request"},
		"ST-07 key with a long s":      {json, `{"service":"demo","ſervice":"demo"}`, 400, "bad_request"},
		"ST-07 half":                   {json, `{"service":"de`, 400, "bad_request"},
		"ST-07 invalid UTF-8":          {json, "{\"service\":\"\xff\"}", 400, "bad_request"},
		"ST-07 deep":                   {json, strings.Repeat("[", 20) + strings.Repeat("]", 20), 400, "bad_request"},
		"ST-08 redirect_uri":           {json, `{"service":"demo","redirect_uri":"http://127.0.0.1:1/"}`, 400, "bad_request"},
		"ST-08 token_endpoint":         {json, `{"service":"demo","token_endpoint":"https://evil.example"}`, 400, "bad_request"},
		"ST-08 auth_url":               {json, `{"service":"demo","auth_url":"https://evil.example"}`, 400, "bad_request"},
		"ST-08 state":                  {json, `{"service":"demo","state":"mine"}`, 400, "bad_request"},
		"ST-08 code_verifier":          {json, `{"service":"demo","code_verifier":"mine"}`, 400, "bad_request"},
		"a transport that is not here": {json, `{"service":"demo","callback_transport":"gateway"}`, 400, "bad_request"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest("POST", startPath, strings.NewReader(c.body))
			r.Header.Set("Content-Type", c.contentType)
			status, problem := refused(t, w, api.Local, r)
			if status != c.status || problem.Code != c.code {
				t.Errorf("%d %s (%s), want %d %s", status, problem.Code, problem.Detail, c.status, c.code)
			}
			if problem.Status != status || problem.Title != http.StatusText(status) || problem.Detail == "" {
				t.Errorf("problem %+v", problem)
			}
		})
	}
	var attempts wire.Attempts
	if w.call(t, api.Local, "GET", "/v1/attempts", nil, &attempts); len(attempts.Attempts) > 0 {
		t.Errorf("attempts were started: %+v", attempts)
	}
}

func refused(t *testing.T, w *world, p api.Principal, r *http.Request) (int, wire.Problem) {
	t.Helper()
	answer := checked(t, w.Server, p, r)
	if answer.StatusCode < 400 {
		t.Fatalf("%s %s: %d, want a refusal", r.Method, r.URL, answer.StatusCode)
	}
	var problem wire.Problem
	must(t, json.NewDecoder(answer.Body).Decode(&problem))
	return answer.StatusCode, problem
}

func TestARefusalSaysWhichMemberAndNotWhatWasInIt(t *testing.T) {
	w := newWorld(t, setup{})
	r := httptest.NewRequest("POST", "/v1/apps", strings.NewReader(`{"provider":"demo","client_id":"x","client_secret":["canary-secret"],"canary\u001b[31m":1}`))
	r.Header.Set("Content-Type", "application/json")
	_, problem := refused(t, w, api.Local, r)
	for _, want := range []string{"client_secret: expected string", "is not a known member"} {
		if !strings.Contains(problem.Detail, want) {
			t.Errorf("%q does not say %q", problem.Detail, want)
		}
	}
	mustNotHold(t, "the refusal", problem.Detail, "canary-secret", "\x1b")
	mustNotHold(t, "the log", w.log.String(), "canary-secret")
}

func TestBodiesAndQueriesAreOnlyWhereTheyBelong(t *testing.T) {
	w := newWorld(t, setup{})
	post := func(path, body string) *http.Request {
		r := httptest.NewRequest("POST", path, strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		return r
	}
	const quit = "/v1/internal/quit"
	if status, _ := refused(t, w, api.Local, post(quit, `{"now":true}`)); status != 400 {
		t.Errorf("a body where none belongs: %d", status)
	}
	if status, _ := refused(t, w, api.Local, post(quit+"?now=1", "")); status != 400 {
		t.Errorf("a query: %d", status)
	}
	if w.quits > 0 {
		t.Error("it quit all the same")
	}
	for _, body := range []string{"", "{}", " {}\n"} {
		checked(t, w.Server, api.Local, post(quit, body))
	}
	if w.quits != 3 {
		t.Errorf("an empty body: quit %d times, want 3", w.quits)
	}
	r := post("/v1/internal/open", `{"view":"connect/demo"}`)
	r.Header.Set("Content-Type", "application/json; charset=utf-8")
	r.Header.Set("Accept", "text/html, application/problem+json;q=0.5")
	if answer := checked(t, w.Server, api.Local, r); answer.StatusCode != 200 || w.shown[0] != "connect/demo" {
		t.Errorf("%d, shown %q", answer.StatusCode, w.shown)
	}
}

// slow is what a request that goes the usual way means.
func slow(body []byte) (wire.TokenRequest, bool) {
	var in wire.TokenRequest
	if strictjson.Check(body) != nil {
		return in, false
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	return in, dec.Decode(&in) == nil
}

// FuzzPlainTokenQuery holds the quick way to the usual one: what it accepts,
// the usual way accepts and reads the same.
func FuzzPlainTokenQuery(f *testing.F) {
	for _, body := range []string{
		`{"provider":"demo"}`, "{\"provider\":\"demo\"}\n", `{"provider":"demo","account":"ada@example.test","min_valid_seconds":60}`,
		`{"provider":"demo","provider":"x"}`, `{"Provider":"demo"}`, `{"provider":"d\u0065mo"}`, `{"provider":"demo","min_valid_seconds":01}`,
		`{"provider":"demo","min_valid_seconds":31536001}`, `{"provider":"demo",}`, `{}`, `{"provider":""}`, `{"provider":"demo"}{`, `{"min_valid_seconds":0,"provider":"x"}`,
		`{"provider":"demo","min_valid_seconds":1e3}`, `{"provider":"demo","min_valid_seconds":00}`, `{"client_id":"a b","provider":"x"}`,
	} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		q, plain := api.PlainTokenQuery(body)
		if !plain {
			return
		}
		in, ok := slow(body)
		if !ok {
			t.Fatalf("the quick way accepts %q", body)
		}
		want := orchestrator.TokenQuery{
			Provider: in.Provider, Account: in.Account, ClientID: in.ClientID,
			MinValid: time.Duration(in.MinValidSeconds) * time.Second,
		}
		if !reflect.DeepEqual(q, want) || len(in.Scopes) > 0 {
			t.Fatalf("the quick way reads %q as %+v, the usual way as %+v", body, q, want)
		}
		if in.Provider == "" || len(in.Provider) > api.MaxProvider || len(in.Account) > api.MaxAccount ||
			len(in.ClientID) > api.MaxClientID || in.MinValidSeconds < 0 || in.MinValidSeconds > api.MaxMinValid {
			t.Fatalf("the quick way accepts %+v, which is out of bounds", in)
		}
	})
}

func TestThePlainFormIsWhatOurClientSends(t *testing.T) {
	for _, in := range []wire.TokenRequest{
		{Provider: "demo"},
		{Provider: "demo", Account: "ada@example.test", ClientID: "keyturn-demo", MinValidSeconds: 90},
	} {
		body, err := json.Marshal(in)
		must(t, err)
		if q, plain := api.PlainTokenQuery(body); !plain || q.Provider != in.Provider || q.Account != in.Account ||
			q.ClientID != in.ClientID || q.MinValid != time.Duration(in.MinValidSeconds)*time.Second {
			t.Errorf("%s: %+v, %v", body, q, plain)
		}
	}
}

func TestTheQuickWayKnowsTheLimitsOfTheWire(t *testing.T) {
	limits := map[string]map[string]int{
		"Provider":        {"maxLength": api.MaxProvider, "minLength": 1},
		"Account":         {"maxLength": api.MaxAccount},
		"ClientID":        {"maxLength": api.MaxClientID},
		"MinValidSeconds": {"maximum": api.MaxMinValid, "minimum": 0},
	}
	request := reflect.TypeFor[wire.TokenRequest]()
	if got := request.NumField(); got != len(limits)+1 { // and Scopes, which are not plain
		t.Errorf("wire.TokenRequest has %d members: does the quick way know them?", got)
	}
	for name, tags := range limits {
		field, ok := request.FieldByName(name)
		if !ok {
			t.Errorf("%s is gone", name)
		}
		for tag, want := range tags {
			if got, err := strconv.Atoi(field.Tag.Get(tag)); err != nil || got != want {
				t.Errorf("%s %s: the wire says %q, the quick way %d", name, tag, field.Tag.Get(tag), want)
			}
		}
	}
}
