package api_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"keyturn/backend/activity"
	"keyturn/backend/api"
	"keyturn/backend/api/wire"
	"keyturn/backend/orchestrator"
)

// ask sends one request for a token over a socket and returns its status.
func ask(t testing.TB, c *http.Client, path, body string) int {
	t.Helper()
	r, _ := http.NewRequest("POST", "http://keyturn"+path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	answer, err := c.Do(r)
	must(t, err)
	defer answer.Body.Close()
	_, err = io.Copy(io.Discard, answer.Body)
	must(t, err)
	return answer.StatusCode
}

// activityOf reads the activity as p sees it.
func (w *world) activityOf(t testing.TB, p api.Principal, query string) wire.Activity {
	t.Helper()
	var out wire.Activity
	if status, problem := w.call(t, p, "GET", "/v1/activity"+query, nil, &out); status != 200 {
		t.Fatalf("%d %+v", status, problem)
	}
	return out
}

func TestWhoReadATokenIsRecorded(t *testing.T) {
	w := newWorld(t, setup{connections: []orchestrator.Record{granted(adaID, "ada@example.test"), granted("con_00000000000000bb", "grace@example.test")}})
	client, _ := w.serve(t)
	const ada = `{"provider":"demo","account":"ada@example.test"}`
	for _, c := range []struct {
		path, body string
		status     int
	}{
		{"/v1/token", ada, 200}, // the quick way
		{"/v1/token", " " + ada, 200},
		{"/v1/connections/" + adaID + "/token", `{}`, 200},
		{"/v1/token", `{"provider":"demo"}`, 409},
		{"/v1/token", `{"provider":"nobody"}`, 404},
		{"/v1/token", `{"provider":"demo","account":"ada@example.test","scopes":["everything"]}`, 409},
		{"/v1/token", `{"provider":"demo","bogus":1}`, 400}, // asked for nothing
	} {
		if status := ask(t, client, c.path, c.body); status != c.status {
			t.Errorf("%s %s: %d, want %d", c.path, c.body, status, c.status)
		}
	}
	all := w.activityOf(t, api.Window, "")
	var got []string
	for _, e := range all.Activity {
		got = append(got, fmt.Sprintf("%s %s %s %s %s %d", e.Kind, e.ConnectionID, e.Provider, e.Account, e.Code, e.Count))
		if e.Program != filepath.Base(os.Args[0]) || e.PID != os.Getpid() || e.Principal != "local" || time.Since(e.At) > time.Minute {
			t.Errorf("%+v", e)
		}
	}
	want := []string{
		"token_read " + adaID + " demo ada@example.test scope_insufficient 1",
		"token_read  nobody  unknown_provider 1",
		"token_read  demo  ambiguous 1",
		"token_read " + adaID + " demo ada@example.test  3",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if first := all.Activity[len(all.Activity)-1]; first.ProviderName != "Demo" || first.Until == nil || !all.Recording {
		t.Errorf("%+v", first)
	}
	mustNotHold(t, "the activity", textOf(t, all), "canary", "everything")
	for query, n := range map[string]int{
		"?limit=1": 1, "?connection_id=" + adaID: 2, "?provider=nobody": 1, "?since=2999-01-01T00:00:00Z": 0,
		"?since=" + time.Now().Add(-time.Hour).UTC().Format(time.RFC3339) + "&limit=3": 3,
	} {
		if got := len(w.activityOf(t, api.Local, query).Activity); got != n {
			t.Errorf("%s: %d events, want %d", query, got, n)
		}
	}
}

func TestRequestsAreRecordedToo(t *testing.T) {
	a := newAcme(t, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "hello") })
	w := a.connected(t)
	client, _ := w.serve(t)
	for path, want := range map[string]int{"/me": 200, "/again": 200} {
		if status := ask(t, client, "/v1/request", textOf(t, map[string]any{"provider": "acme", "url": a.URL + path})); status != want {
			t.Fatalf("%s: %d", path, status)
		}
	}
	if status := ask(t, client, "/v1/request", `{"provider":"acme","url":"https://elsewhere.example/me?canary"}`); status < 400 {
		t.Fatal(status)
	}
	var got []string
	for _, e := range w.activityOf(t, api.WebUI, "").Activity {
		got = append(got, fmt.Sprintf("%s %s %s %s %v %d", e.Kind, e.ConnectionID, e.Account, e.Principal, e.Code != "", e.Count))
	}
	want := "request " + adaID + " ada local true 1, request " + adaID + " ada local false 2"
	if strings.Join(got, ", ") != want {
		t.Errorf("got %s\nwant %s", strings.Join(got, ", "), want)
	}
	mustNotHold(t, "the activity", textOf(t, w.activityOf(t, api.WebUI, "")), "canary", "elsewhere")
}

func TestAQueryIsReadStrictly(t *testing.T) {
	w := newWorld(t, setup{})
	for _, query := range []string{
		"?limits=1", "?Limit=1", "?limit=1&limit=2", "?limit=", "?limit", "?limit=0", "?limit=2001", "?limit=1e2", "?since=yesterday",
		"?since=2026-01-02", "?%zz", "?a;b", "?connection_id=" + strings.Repeat("c", 65), "?limit=1&canary-secret=1",
	} {
		r := httptest.NewRequest("GET", "/v1/activity", nil)
		r.URL.RawQuery = query[1:]
		answer := checked(t, w.Server, api.Local, r)
		body, _ := io.ReadAll(answer.Body)
		if answer.StatusCode != 400 || !strings.Contains(string(body), `"code":"bad_request"`) {
			t.Errorf("%s: %d %s", query, answer.StatusCode, body)
		}
		mustNotHold(t, "the refusal", string(body), "canary-secret")
	}
	if got := w.activityOf(t, api.Local, "?connection_id=con_x&provider=demo&limit=2000&since=2026-01-02T03:04:05Z"); len(got.Activity) != 0 {
		t.Errorf("%+v", got)
	}
}

func TestAConnectionSaysWhoUsedItLast(t *testing.T) {
	w := newWorld(t, setup{connections: []orchestrator.Record{granted(adaID, "ada")}})
	client, _ := w.serve(t)
	if status := ask(t, client, "/v1/token", `{"provider":"demo"}`); status != 200 {
		t.Fatal(status)
	}
	var list wire.Connections
	if status, problem := w.call(t, api.Window, "GET", "/v1/connections", nil, &list); status != 200 {
		t.Fatalf("%d %+v", status, problem)
	}
	if c := list.Connections[0]; c.LastUsedBy == "" || c.LastUsedAt == nil || time.Since(*c.LastUsedAt) > time.Minute {
		t.Errorf("used by %q at %v", c.LastUsedBy, c.LastUsedAt)
	}
}

func TestSwitchedOffNothingIsRecorded(t *testing.T) {
	w := newWorld(t, setup{connections: []orchestrator.Record{granted(adaID, "ada")}, saveSettings: func(wire.Settings) error { return nil }})
	client, _ := w.serve(t)
	off := false
	w.mu.Lock()
	w.settings.Activity = &off
	w.mu.Unlock()
	w.activity.Switch(off)
	if status := ask(t, client, "/v1/token", `{"provider":"demo"}`); status != 200 {
		t.Fatal(status)
	}
	if got := w.activityOf(t, api.Window, ""); got.Recording || len(got.Activity) > 0 {
		t.Errorf("%+v", got)
	}
}

func TestReadingTokensRingsAtMostOnceASecond(t *testing.T) {
	w := newWorld(t, setup{connections: []orchestrator.Record{granted(adaID, "ada")}})
	client, path := w.serve(t)
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	defer cancel()
	r, _ := http.NewRequestWithContext(ctx, "GET", "http://keyturn/v1/events", nil)
	stream, err := clientOf(t, path).Do(r)
	must(t, err)
	defer stream.Body.Close()
	rings := make(chan time.Time, 1000)
	go func() {
		for lines := bufio.NewScanner(stream.Body); lines.Scan(); {
			if lines.Text() == "event: changed" {
				rings <- time.Now()
			}
		}
		close(rings)
	}()
	<-rings // the one at the start
	time.Sleep(100 * time.Millisecond)
	for len(rings) > 0 {
		<-rings
	}
	began, reads := time.Now(), 0
	for ; time.Since(began) < 2500*time.Millisecond; reads++ {
		ask(t, client, "/v1/token", `{"provider":"demo"}`)
	}
	first := <-rings
	if d := first.Sub(began); d > time.Second {
		t.Errorf("the first ring came after %v", d)
	}
	n := 1
	for range rings {
		n++
	}
	if n < 2 || n > 5 { // one a second for up to four seconds
		t.Errorf("%d rings for %d reads", n, reads)
	}
	sum := 0
	for _, e := range w.activity.Recent(activity.Query{}) {
		sum += e.Count
	}
	if sum != reads {
		t.Errorf("%d recorded, %d read", sum, reads)
	}
}
