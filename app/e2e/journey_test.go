//go:build e2e && linux

package e2e

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"keyturn/app/e2e/rig"
)

// TestTheTrayTellsTheTruth clicks Connect in the real menu and sees tab, tray,
// notification, status and token agree.
func TestTheTrayTellsTheTruth(t *testing.T) {
	d := rig.NewDesk(t, true)
	k := rig.Start(t, "keyturn-headless", "DBUS_SESSION_BUS_ADDRESS="+d.Addr)
	tr := d.Tray()
	tr.Wait("Nothing connected yet")

	// Deny: the page, the notification and the menu say so; nothing is kept.
	tr.Click("Connect", "Demo")
	page, _ := rig.NewPerson(t).Answer(k.Opened(1), map[string]string{"answer": "deny"})
	if !strings.Contains(page, "not") || strings.Contains(page, "You can close this tab. Connected") {
		t.Errorf("the page after Deny:\n%s", page)
	}
	d.Note("was not connected")
	tr.WaitGone("waiting for you")
	if got := k.JSON(0, "status"); len(got["connections"].([]any)) != 0 {
		t.Errorf("a denied attempt left a connection: %v", got)
	}

	// A wrong state first: a stranger changes nothing. Then the genuine one.
	tr.Click("Connect", "Demo")
	authURL := k.Opened(2)
	tr.Wait("Demo", "Copy link")
	tr.Wait("waiting for you")
	strangers(t, authURL)
	page, final := rig.NewPerson(t).Answer(authURL, map[string]string{"answer": "allow", "account": "ada"})
	if final.RawQuery != "" || !strings.HasPrefix(final.Path, "/oauth/done/") {
		t.Errorf("the last page is at %s", final)
	}
	if !strings.Contains(page, "ada@") {
		t.Errorf("the page does not say who is connected:\n%s", page)
	}
	n := d.Note("connected as")
	if !strings.Contains(n.Title, "ada@") {
		t.Errorf("the notification names nobody: %q", n.Title)
	}
	tr.Wait("ada@", "Disconnect")
	status := k.JSON(0, "status")
	first := status["connections"].([]any)[0].(map[string]any)
	if first["status"] != "connected" || !strings.Contains(page, first["account"].(string)) || !strings.Contains(n.Title, first["account"].(string)) {
		t.Errorf("status, page and notification disagree: %v / %q", first, n.Title)
	}

	token := k.CLI("token", "demo")
	req, _ := http.NewRequest("GET", "http://127.0.0.1:27420/userinfo", nil)
	req.Header.Set("Authorization", "Bearer "+strings.TrimSuffix(token.Stdout, "\n"))
	res, err := http.DefaultClient.Do(req)
	if err != nil || res.StatusCode != 200 {
		t.Fatalf("the token does not work: %v %v", res, err)
	}
	res.Body.Close()

	// Cancel from the menu ends the attempt; its link leads nowhere any more.
	tr.Click("Connect", "Demo")
	late := k.Opened(3)
	tr.Click("waiting for you", "Cancel")
	tr.WaitGone("waiting for you")
	callback := callbackOf(t, late, "code=whatever")
	if res, err := http.Get(callback); err == nil {
		res.Body.Close()
		if res.StatusCode < 400 {
			t.Errorf("a cancelled attempt took a callback: %s", res.Status)
		}
	}

	// Disconnect from the menu: the token is dead at the provider too.
	tr.Click("ada@", "Disconnect")
	tr.WaitGone("ada@")
	if r := k.CLI("token", "demo"); r.Code != 1 {
		t.Errorf("token after disconnect: %+v", r)
	}

	tr.Click("Quit")
	k.Wait(6 * time.Second)
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
// TestTheTraySpeaksTheLanguageThatIsChosen changes it while everything runs.
func TestTheTraySpeaksTheLanguageThatIsChosen(t *testing.T) {
	d := rig.NewDesk(t, true)
	k := rig.Start(t, "keyturn-headless", "DBUS_SESSION_BUS_ADDRESS="+d.Addr)
	tr := d.Tray()
	tr.Wait("Nothing connected yet")
	local := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", k.Socket())
	}}}
	speak := func(language string) {
		t.Helper()
		body := fmt.Sprintf(`{"callback_port": 27419, "notifications": true, "language": %q}`, language)
		res, err := local.Post("http://keyturn/v1/settings", "application/json", strings.NewReader(body))
		if err != nil || res.StatusCode != http.StatusOK {
			t.Fatalf("settings: %v %v", res, err)
		}
		res.Body.Close()
	}
	speak("de")
	tr.Wait("Noch nichts verbunden")
	tr.Click("Verbinden", "Demo")
	rig.NewPerson(t).Answer(k.Opened(1), map[string]string{"answer": "allow", "account": "ada"})
	d.Note("verbunden")
	tr.Wait("ada@", "Trennen")
	speak("")
	tr.Wait("ada@", "Disconnect")
	k.Stop()
	if data, err := os.ReadFile(filepath.Join(k.Home, "k", "config", "config.toml")); err != nil || strings.Contains(string(data), "\nlanguage") {
		t.Errorf("the system's language is written down: %v\n%s", err, data)
	}
}

func TestCallbacksFindTheirFlowAfterTheCommandsEnded(t *testing.T) {
	k := rig.Start(t, "keyturn-headless")
	first := k.JSON(0, "connect", "demo", "--no-browser", "--account", "ada")
	second := k.JSON(0, "connect", "demo", "--no-browser", "--account", "grace")
	if first["state"] == second["state"] || first["deferred"] != true {
		t.Fatalf("%v\n%v", first, second)
	}
	rig.NewPerson(t).Answer(second["auth_url"].(string), map[string]string{"answer": "allow", "account": "grace"})
	rig.NewPerson(t).Answer(first["auth_url"].(string), map[string]string{"answer": "allow", "account": "ada"})
	var accounts []string
	for _, c := range k.JSON(0, "status", "demo")["connections"].([]any) {
		accounts = append(accounts, c.(map[string]any)["account"].(string))
	}
	if len(accounts) != 2 {
		t.Fatalf("connected: %v", accounts)
	}
	if got := k.JSON(1, "token", "demo"); got["code"] != "ambiguous" {
		t.Errorf("token with two accounts: %v", got)
	}
	if got := k.JSON(0, "token", "demo", "--account", accounts[0]); got["token"] == "" {
		t.Errorf("%v", got)
	}
}

// TestKillAtAnyMomentAndTheNextStartKnows kills the program with a connection
// and with an attempt in progress.
func TestKillAtAnyMomentAndTheNextStartKnows(t *testing.T) {
	k := rig.Start(t, "keyturn-headless")
	v := k.JSON(0, "connect", "demo", "--no-browser")
	rig.NewPerson(t).Answer(v["auth_url"].(string), map[string]string{"answer": "allow", "account": "ada"})
	pending := k.JSON(0, "connect", "demo", "--no-browser", "--account", "grace")
	k.Kill()

	if got := k.JSON(1, "status"); got["code"] != "unreachable" {
		t.Errorf("without the program: %v", got)
	}
	k.Run("keyturn-headless")
	got := k.JSON(0, "status")["connections"].([]any)
	if len(got) != 1 || got[0].(map[string]any)["status"] != "connected" {
		t.Fatalf("after a kill: %v", got)
	}
	if r := k.CLI("token", "demo"); r.Code != 0 || len(r.Stdout) < 10 {
		t.Errorf("token after a kill: %+v", r)
	}
	if got := k.JSON(1, "cancel", pending["state"].(string)); got["code"] != "state_unknown" {
		t.Errorf("an attempt survived the kill: %v", got)
	}
}

// TestAnAttemptExpiresByItsOwnTimer waits the five minutes that an attempt may
// last: nobody polls it meanwhile. Its provider never answers, so that it can
// run beside the tests that use the demo provider.
func TestAnAttemptExpiresByItsOwnTimer(t *testing.T) {
	if testing.Short() {
		t.Skip("takes five minutes")
	}
	d := rig.NewDesk(t, true)
	k := rig.Start(t, "keyturn-headless", "DBUS_SESSION_BUS_ADDRESS="+d.Addr)
	k.JSON(0, "providers", "register", "--provider-key", "silent", "--display-name", "Silent",
		"--auth-url", "http://127.0.0.1:9/authorize", "--token-url", "http://127.0.0.1:9/token",
		"--token-auth-method", "none", "--allow-http-loopback")
	k.JSON(0, "apps", "upsert", "--provider", "silent", "--client-id", "nobody", "--no-client-secret")
	tr := d.Tray()
	tr.Wait("Connect", "Silent")
	time.Sleep(500 * time.Millisecond) // a click right after the menu changed is ignored
	tr.Click("Connect", "Silent")
	authURL := k.Opened(1)
	tr.Wait("waiting for you")
	begun := time.Now()
	rig.Eventually(t, 6*time.Minute, "the attempt to expire", func() bool {
		_, waiting := rig.Find(tr.Lines(), "waiting for you")
		return !waiting
	})
	if took := time.Since(begun); took < 4*time.Minute+50*time.Second || took > 5*time.Minute+15*time.Second {
		t.Errorf("expired after %v", took)
	}
	d.Note("was not connected")
	if res, err := http.Get(callbackOf(t, authURL, "code=late")); err == nil {
		res.Body.Close()
		if res.StatusCode < 400 {
			t.Errorf("an expired attempt took a callback: %s", res.Status)
		}
	}
}
