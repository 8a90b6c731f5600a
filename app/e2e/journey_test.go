//go:build e2e && linux

package e2e

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// TestTheTrayTellsTheTruth clicks Connect in the real menu and sees tab, tray,
// notification, status and token agree.
func TestTheTrayTellsTheTruth(t *testing.T) {
	d := newDesk(t, true)
	k := start(t, "keyturn-headless", "DBUS_SESSION_BUS_ADDRESS="+d.addr)
	tr := d.tray()
	tr.wait("Nothing connected yet")

	// Deny: the page, the notification and the menu say so; nothing is kept.
	tr.click("Connect", "Demo")
	page, _ := newPerson(t).answer(k.opened(1), map[string]string{"decision": "deny"})
	if !strings.Contains(page, "not") || strings.Contains(page, "You can close this tab. Connected") {
		t.Errorf("the page after Deny:\n%s", page)
	}
	d.note("was not connected")
	tr.waitGone("waiting for you")
	if got := k.json(0, "status"); len(got["connections"].([]any)) != 0 {
		t.Errorf("a denied attempt left a connection: %v", got)
	}

	// A wrong state first: a stranger changes nothing. Then the genuine one.
	tr.click("Connect", "Demo")
	authURL := k.opened(2)
	tr.wait("Demo", "Copy link")
	tr.wait("waiting for you")
	strangers(t, authURL)
	page, final := newPerson(t).answer(authURL, map[string]string{"decision": "allow", "account": "ada"})
	if final.RawQuery != "" || !strings.HasPrefix(final.Path, "/oauth/done/") {
		t.Errorf("the last page is at %s", final)
	}
	if !strings.Contains(page, "ada@") {
		t.Errorf("the page does not say who is connected:\n%s", page)
	}
	n := d.note("connected as")
	if !strings.Contains(n.Title, "ada@") {
		t.Errorf("the notification names nobody: %q", n.Title)
	}
	tr.wait("ada@", "Disconnect")
	status := k.json(0, "status")
	first := status["connections"].([]any)[0].(map[string]any)
	if first["status"] != "connected" || !strings.Contains(page, first["account"].(string)) || !strings.Contains(n.Title, first["account"].(string)) {
		t.Errorf("status, page and notification disagree: %v / %q", first, n.Title)
	}

	token := k.cli("token", "demo")
	req, _ := http.NewRequest("GET", "http://127.0.0.1:27420/userinfo", nil)
	req.Header.Set("Authorization", "Bearer "+strings.TrimSuffix(token.stdout, "\n"))
	res, err := http.DefaultClient.Do(req)
	if err != nil || res.StatusCode != 200 {
		t.Fatalf("the token does not work: %v %v", res, err)
	}
	res.Body.Close()

	// Cancel from the menu ends the attempt; its link leads nowhere any more.
	tr.click("Connect", "Demo")
	late := k.opened(3)
	tr.click("waiting for you", "Cancel")
	tr.waitGone("waiting for you")
	callback := callbackOf(t, late, "code=whatever")
	if res, err := http.Get(callback); err == nil {
		res.Body.Close()
		if res.StatusCode < 400 {
			t.Errorf("a cancelled attempt took a callback: %s", res.Status)
		}
	}

	// Disconnect from the menu: the token is dead at the provider too.
	tr.click("ada@", "Disconnect")
	tr.waitGone("ada@")
	if r := k.cli("token", "demo"); r.code != 1 {
		t.Errorf("token after disconnect: %+v", r)
	}

	tr.click("Quit")
	k.wait(6 * time.Second)
}

// strangers sends what is not the genuine response to the callback of an
// authorization URL.
func strangers(t *testing.T, authURL string) {
	t.Helper()
	for _, query := range []string{"code=x&state=" + strings.Repeat("A", 43), "error=access_denied", "code=x"} {
		u, _ := url.Parse(callbackOf(t, authURL, query))
		u.RawQuery = query
		res, err := http.Get(u.String())
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusBadRequest {
			t.Errorf("a stranger with %s got %s", query, res.Status)
		}
	}
}

// callbackOf returns the redirect URI of an authorization URL with its state
// and more parameters.
func callbackOf(t *testing.T, authURL, more string) string {
	t.Helper()
	u, err := url.Parse(authURL)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query().Get("redirect_uri") + "?" + more + "&state=" + url.QueryEscape(u.Query().Get("state"))
}

// TestCallbacksFindTheirFlowAfterTheCommandsEnded is the promise that matters
// most: two command line processes start flows and exit; both callbacks find
// the process that waits.
func TestCallbacksFindTheirFlowAfterTheCommandsEnded(t *testing.T) {
	k := start(t, "keyturn-headless")
	first := k.json(0, "connect", "demo", "--no-browser", "--account", "ada")
	second := k.json(0, "connect", "demo", "--no-browser", "--account", "grace")
	if first["state"] == second["state"] || first["deferred"] != true {
		t.Fatalf("%v\n%v", first, second)
	}
	newPerson(t).answer(second["auth_url"].(string), map[string]string{"decision": "allow", "account": "grace"})
	newPerson(t).answer(first["auth_url"].(string), map[string]string{"decision": "allow", "account": "ada"})
	var accounts []string
	for _, c := range k.json(0, "status", "demo")["connections"].([]any) {
		accounts = append(accounts, c.(map[string]any)["account"].(string))
	}
	if len(accounts) != 2 {
		t.Fatalf("connected: %v", accounts)
	}
	if got := k.json(1, "token", "demo"); got["code"] != "ambiguous" {
		t.Errorf("token with two accounts: %v", got)
	}
	if got := k.json(0, "token", "demo", "--account", accounts[0]); got["token"] == "" {
		t.Errorf("%v", got)
	}
}

// TestKillAtAnyMomentAndTheNextStartKnows kills the program with a connection
// and with an attempt in progress.
func TestKillAtAnyMomentAndTheNextStartKnows(t *testing.T) {
	k := start(t, "keyturn-headless")
	v := k.json(0, "connect", "demo", "--no-browser")
	newPerson(t).answer(v["auth_url"].(string), map[string]string{"decision": "allow", "account": "ada"})
	pending := k.json(0, "connect", "demo", "--no-browser", "--account", "grace")
	_ = k.cmd.Process.Kill()
	_ = k.cmd.Wait()

	if got := k.json(1, "status"); got["code"] != "unreachable" {
		t.Errorf("without the program: %v", got)
	}
	k.run("keyturn-headless")
	got := k.json(0, "status")["connections"].([]any)
	if len(got) != 1 || got[0].(map[string]any)["status"] != "connected" {
		t.Fatalf("after a kill: %v", got)
	}
	if r := k.cli("token", "demo"); r.code != 0 || len(r.stdout) < 10 {
		t.Errorf("token after a kill: %+v", r)
	}
	if got := k.json(1, "cancel", pending["state"].(string)); got["code"] != "state_unknown" {
		t.Errorf("an attempt survived the kill: %v", got)
	}
}

// TestAnAttemptExpiresByItsOwnTimer waits the five minutes that an attempt may
// last: nobody polls it meanwhile.
func TestAnAttemptExpiresByItsOwnTimer(t *testing.T) {
	if testing.Short() {
		t.Skip("takes five minutes")
	}
	t.Parallel()
	d := newDesk(t, true)
	k := start(t, "keyturn-headless", "DBUS_SESSION_BUS_ADDRESS="+d.addr)
	tr := d.tray()
	tr.click("Connect", "Demo")
	authURL := k.opened(1)
	tr.wait("waiting for you")
	begun := time.Now()
	eventually(t, 6*time.Minute, "the attempt to expire", func() bool {
		_, waiting := find(tr.lines(), "waiting for you")
		return !waiting
	})
	if took := time.Since(begun); took < 4*time.Minute+50*time.Second || took > 5*time.Minute+15*time.Second {
		t.Errorf("expired after %v", took)
	}
	d.note("was not connected")
	if res, err := http.Get(callbackOf(t, authURL, "code=late")); err == nil {
		res.Body.Close()
		if res.StatusCode < 400 {
			t.Errorf("an expired attempt took a callback: %s", res.Status)
		}
	}
}
