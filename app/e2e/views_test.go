//go:build e2e && linux

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"keyturn/app/e2e/rig"
	"keyturn/backend/demo"
)

// view is a state that the pages can be in: how a real Keyturn and a real person
// get there. It is seen in light and dark, in three sizes.
type view struct {
	name string
	get  func(*sight)
}

// sight is a Keyturn on an empty home, and a browser for its pages.
type sight struct {
	*rig.Install
	*rig.Browser
	t     *testing.T
	forge *rig.Issuer // the provider "forge", once there is one
}

// TestEveryView goes through every view and state of the pages with the real
// backend in a real browser, and looks at each: whether it is as in
// app/e2e/references, whether axe finds anything, whether it keeps to its
// content security policy. REFERENCES=renew makes the references anew.
func TestEveryView(t *testing.T) {
	references, err := filepath.Abs("references")
	if err != nil {
		t.Fatal(err)
	}
	b := rig.NewBrowser(t, filepath.Join(repo, "build/browser/hands.mjs"), references)
	for _, v := range views {
		t.Run(v.name, func(t *testing.T) {
			s := &sight{Install: rig.Prepare(t, "TZ=UTC"), Browser: b.For(t), t: t}
			s.Run("keyturn-headless")
			v.get(s)
			s.Look(v.name)
		})
	}
}

// show opens the pages, at a view.
func (s *sight) show(view string) {
	s.t.Helper()
	s.Open(s.JSON(0, "ui", "--no-browser")["url"].(string))
	if view != "" {
		s.See("Connections")
		s.Go(view)
	}
}

// settings opens the settings, whole.
func (s *sight) settings() {
	s.t.Helper()
	s.show("settings")
	s.See("Look again")
	s.See("Where pages of providers are opened")
}

// german opens the pages, has them speak German, and goes to a view.
func (s *sight) german(view string) {
	s.t.Helper()
	s.settings()
	s.Choose("Language", "Deutsch")
	s.See("Gespeichert.")
	s.Go(view)
}

// has connects accounts of the demo provider.
func (s *sight) has(accounts ...string) {
	s.t.Helper()
	for _, who := range accounts {
		v := s.JSON(0, "connect", "demo", "--no-browser", "--account", who+"@example.com")
		rig.NewPerson(s.t).Answer(v["auth_url"].(string), map[string]string{"answer": "allow", "account": who})
	}
}

// builds makes the provider "forge", a server of its own.
func (s *sight) builds(name string, opts demo.Options) {
	s.t.Helper()
	opts.Clients = []demo.Client{{ID: "app", Name: name, RedirectURIs: []string{"http://127.0.0.1/oauth/callback/forge"}}}
	s.forge = rig.NewIssuer(s.t, opts)
	s.forge.IntroduceAs(s.Install, "forge", name, "app")
}

// joins connects one more account of the forge.
func (s *sight) joins() {
	s.t.Helper()
	v := s.JSON(0, "connect", "forge", "--no-browser")
	rig.NewPerson(s.t).Answer(v["auth_url"].(string), map[string]string{"answer": "allow"})
}

// brief tokens have to be refreshed soon.
var brief = demo.Options{AccessTTL: 10 * time.Second}

// refreshes asks for a token that is not there without a refresh.
func (s *sight) refreshes() {
	time.Sleep(1100 * time.Millisecond) // less than nine tenths of its life are left
	s.CLI("token", "forge", "--min-valid", "1h")
}

var (
	broken  = demo.Fault{Times: 1000, Status: http.StatusServiceUnavailable, Body: `{}`}
	refused = demo.Fault{Times: 9, Status: http.StatusBadRequest, Body: `{"error":"invalid_grant"}`}
)

func on(op string, f demo.Fault) demo.Fault { f.On = op; return f }

var views = []view{
	{"empty", func(s *sight) { s.show(""); s.See("Nothing connected yet") }},
	{"unreachable", func(s *sight) { s.has("ada"); s.show(""); s.See("ada@"); s.Kill(); s.See("Could not reach") }},
	{"ended", func(s *sight) {
		link := s.JSON(0, "ui", "--no-browser")["url"].(string)
		s.Open(link)
		s.See("Nothing connected yet")
		s.Open(link)
		s.See("has ended")
	}},

	{"connections", func(s *sight) {
		s.builds("Forge", demo.Options{})
		s.has("ada", "grace")
		s.joins()
		s.show("")
		s.See("grace@")
	}},
	{"connection-unfolded", func(s *sight) {
		s.has("ada")
		s.JSON(0, "token", "demo")
		s.show("")
		s.Unfold("ada@", "scopes")
		s.See("More scopes")
	}},
	{"connection-accepted", func(s *sight) { s.has("ada"); s.show(""); s.Press("Test"); s.See("accepts the token") }},
	{"connection-refused", func(s *sight) {
		s.builds("Forge", demo.Options{})
		s.joins()
		s.forge.Script(demo.Fault{On: demo.OpUserinfo, Times: 9, Status: http.StatusUnauthorized, Body: `{}`})
		s.show("")
		s.Press("Test")
		s.See("does not accept the token")
	}},
	{"retrying", func(s *sight) {
		s.builds("Forge", brief)
		s.joins()
		s.forge.Script(on(demo.OpRefresh, broken))
		s.refreshes()
		s.show("")
		s.See("Retrying")
	}},
	{"needs-reconnect", func(s *sight) {
		s.builds("Forge", brief)
		s.joins()
		s.forge.Script(on(demo.OpRefresh, refused))
		s.refreshes()
		s.show("")
		s.See("Reconnect needed")
	}},
	{"no-refresh-token", func(s *sight) {
		s.builds("Forge", demo.Options{Quirks: demo.Quirks{NoRefresh: true}})
		s.joins()
		s.show("")
		s.See("Sign in again")
	}},
	{"hundred", func(s *sight) {
		var n atomic.Int64
		s.builds("Forge", demo.Options{Identity: func(demo.Account) any {
			i := n.Add(1)
			return map[string]any{"sub": fmt.Sprint("person-", i), "email": fmt.Sprintf("person%d@example.com", i)}
		}})
		for range 100 {
			s.joins()
		}
		s.show("")
		s.See("100 accounts")
		s.See("person10@")
	}},
	{"long", func(s *sight) {
		s.builds("The Most Excellent and Honourable Society for the Improvement of Forges & Anvils",
			demo.Options{Identity: func(demo.Account) any {
				return map[string]any{"sub": "1", "email": "Donaudampfschifffahrtselektrizitaetenhauptbetriebswerkbauunterbeamtengesellschaft.direktion@subdomain.of.a.very.long.domain.example.com"}
			}})
		s.joins()
		s.show("")
		s.Unfold("Donaudampf", "scopes")
	}},
	{"damaged", func(s *sight) {
		s.has("ada", "grace")
		s.Stop()
		file := filepath.Join(s.Data(), "keyturn.db")
		data, err := os.ReadFile(file)
		if err != nil {
			s.t.Fatal(err)
		}
		damaged := bytes.ReplaceAll(data, []byte("grace@example.comkeyturn-demo"), []byte("grace@example.comkeyturn-dem0"))
		if bytes.Equal(data, damaged) {
			s.t.Fatal("the row is not there")
		}
		if err := os.WriteFile(file, damaged, 0o600); err != nil {
			s.t.Fatal(err)
		}
		s.Run("keyturn-headless")
		s.show("")
		s.See("damaged")
	}},
	{"store-damaged", func(s *sight) {
		s.has("ada")
		s.Stop()
		if err := os.WriteFile(filepath.Join(s.Data(), "keyturn.db"), make([]byte, 8192), 0o600); err != nil {
			s.t.Fatal(err)
		}
		s.Run("keyturn-headless")
		s.show("")
		s.See("Your data")
	}},
	{"locked", func(s *sight) { s.has("ada"); s.JSON(0, "lock"); s.show(""); s.See("Unlock") }},
	{"unlocked", func(s *sight) { s.has("ada"); s.JSON(0, "lock"); s.show(""); s.Press("Unlock"); s.See("ada@") }},
	{"paused", func(s *sight) { s.has("ada"); s.JSON(0, "pause"); s.show(""); s.See("paused") }},

	{"disconnect", func(s *sight) { s.has("ada"); s.show(""); s.Press("Disconnect"); s.See("What ends") }},
	{"disconnected", func(s *sight) {
		s.has("ada", "grace")
		s.show("")
		s.PressIn("ada@", "Disconnect")
		s.PressIn("What ends", "Disconnect")
		s.See("confirmed that the grant")
	}},
	{"revoking", func(s *sight) {
		s.builds("Forge", demo.Options{})
		s.joins()
		s.forge.Script(on(demo.OpRevoke, broken))
		s.show("")
		s.Press("Disconnect")
		s.PressIn("What ends", "Disconnect")
		s.See("Waiting to be revoked")
	}},

	{"catalogue", func(s *sight) { s.show("connect"); s.See("Demo") }},
	{"catalogue-search", func(s *sight) { s.show("connect"); s.See("Demo"); s.Type("git"); s.See("GitLab"); s.Key("ArrowDown") }},
	{"catalogue-mcp", func(s *sight) { s.show("connect"); s.See("Demo"); s.Type("sentry"); s.See("MCP server") }},
	{"catalogue-address", func(s *sight) {
		s.show("connect")
		s.See("Demo")
		s.Type("https://mcp.example.com/mcp")
		s.See("Connect the server at")
	}},
	{"catalogue-none", func(s *sight) { s.show("connect"); s.See("Demo"); s.Type("zzz"); s.See("No provider fits") }},

	{"provider-ready", func(s *sight) { s.show("connect?provider=demo"); s.See("Ask for more") }},
	{"provider-needs-app", func(s *sight) { s.show("connect?provider=github"); s.See("Redirect URI") }},
	{"provider-app-missing", func(s *sight) {
		s.show("connect?provider=github")
		s.Fill("Client ID", "Iv1.0123456789abcdef")
		s.Press("Save")
		s.See("needs a client secret too")
	}},
	{"provider-app", func(s *sight) {
		s.show("connect?provider=github")
		s.Fill("Client ID", "Iv1.0123456789abcdef")
		s.Fill("Client secret", "of no use to anyone")
		s.Press("Save")
		s.Unfold("", "OAuth app")
	}},
	{"provider-vars", func(s *sight) { s.show("connect?provider=zendesk"); s.See("is yours?") }},
	{"provider-unknown", func(s *sight) { s.show("connect?provider=nobody"); s.See("does not know this provider") }},
	{"more-scopes", func(s *sight) {
		s.has("ada")
		s.show("")
		s.Unfold("ada@", "scopes")
		s.Press("More scopes")
		s.See("More scopes for")
	}},

	{"attempt-waiting", func(s *sight) {
		s.show("connect?provider=demo")
		s.Press("Connect Demo")
		s.See("Waiting for you to approve")
	}},
	{"attempt-complete", func(s *sight) {
		s.show("connect?provider=demo")
		s.Press("Connect Demo")
		s.Answer("Allow")
		s.See("Demo is connected")
	}},
	{"attempt-less", func(s *sight) {
		s.show("connect?provider=demo")
		s.Press("Connect Demo")
		s.Answer("Allow", "See your email address")
		s.See("is connected")
	}},
	{"attempt-denied", func(s *sight) {
		s.show("connect?provider=demo")
		s.Press("Connect Demo")
		s.Answer("Deny")
		s.See("was not connected")
	}},
	{"attempt-cancelled", func(s *sight) {
		s.show("connect?provider=demo")
		s.Press("Connect Demo")
		s.See("Waiting for you to approve")
		s.Press("Cancel")
		s.See("cancelled")
	}},
	{"attempt-exchange-failed", func(s *sight) {
		s.builds("Forge", demo.Options{})
		s.forge.Script(on(demo.OpToken, refused))
		s.show("connect?provider=forge")
		s.Press("Connect Forge")
		s.Answer("Allow")
		s.See("was not connected")
	}},
	{"attempt-other-account", func(s *sight) {
		s.has("ada")
		v := s.JSON(0, "connect", "demo", "--no-browser", "--account", "ada@example.com")
		rig.NewPerson(s.t).Answer(v["auth_url"].(string), map[string]string{"answer": "allow", "account": "grace"})
		s.show("attempt?state=" + url.QueryEscape(v["state"].(string)))
		s.See("another account")
	}},
	{"attempt-device", func(s *sight) {
		s.show("connect?provider=demo")
		s.Unfold("", "another computer")
		s.Press("Connect by a code")
		s.See("Waiting for you to approve")
	}},
	{"attempt-device-elsewhere", func(s *sight) {
		v := s.JSON(0, "connect", "demo", "--callback-transport", "device", "--no-browser")
		s.show("attempt?state=" + url.QueryEscape(v["state"].(string)))
		s.See("started this")
	}},
	{"attempt-paste", func(s *sight) {
		s.show("connect?provider=demo")
		s.Unfold("", "another computer")
		s.Press("Connect by pasting…")
		s.Fill("Address of the page that did not load", "nonsense")
		s.Press("Finish")
		s.See("There is no code in that")
	}},
	{"attempt-confirm", func(s *sight) {
		gateway := gatewayBeside(s.t, s.Install, "relay")
		k := &target{Install: s.Install, t: s.t, way: "relay", gateway: gateway}
		k.enrol("views", gateway)
		strict(s.t, s.Install, gateway)
		v := s.JSON(0, "connect", "strict", "--callback-transport", "gateway", "--no-browser")
		callback := rig.NewPerson(s.t).Consent(v["auth_url"].(string), map[string]string{"answer": "allow"})
		if res, err := http.Get(callback); err != nil { // the page that shows the code
			s.t.Fatal(err)
		} else {
			res.Body.Close()
		}
		s.show("attempt?state=" + url.QueryEscape(v["state"].(string)))
		s.Fill("Code", "AAAA")
		s.Press("Confirm")
		s.See("2 tries are left")
	}},
	{"attempt-forgotten", func(s *sight) { s.show("attempt?state=gone"); s.See("See connections") }},
	{"pending-elsewhere", func(s *sight) {
		s.has("grace")
		s.JSON(0, "connect", "demo", "--no-browser", "--account", "ada@example.com")
		s.show("")
		s.See("Connecting Demo")
	}},

	{"activity-none", func(s *sight) { s.show("activity"); s.See("Nothing has happened yet") }},
	{"activity", func(s *sight) {
		s.busy()
		s.show("activity")
		s.See("was disconnected")
	}},
	{"activity-trouble", func(s *sight) {
		s.busy()
		s.show("activity?about=trouble")
		s.See("needs to be reconnected by you")
	}},
	{"activity-of-one", func(s *sight) {
		s.busy()
		s.show("")
		s.Unfold("ada@", "scopes")
		s.PressIn("ada@", "Activity")
		s.See("was connected")
	}},
	{"activity-off", func(s *sight) {
		s.settings()
		s.Press("Record activity…")
		s.See("Saved")
		s.Go("activity")
		s.See("Activity is not recorded")
	}},

	{"settings", func(s *sight) { s.settings() }},
	{"settings-locked", func(s *sight) { s.settings(); s.Press("Lock"); s.See("This page has ended") }},
	{"settings-paused", func(s *sight) {
		s.settings()
		s.Press("Pause hand-outs")
		s.See("programs get no tokens")
	}},
	{"settings-refused", func(s *sight) {
		s.settings()
		s.Fill("Callback port", "27420")
		s.Press("Save")
		s.See("the demo provider's")
	}},
	{"settings-gateway", func(s *sight) {
		gateway := gatewayBeside(s.t, s.Install, "bounce")
		s.settings()
		s.Fill("Gateway", gateway)
		s.Press("Test and save")
		s.See("came home through the gateway")
	}},

	{"own", func(s *sight) { s.show("own"); s.See("Everything else is read") }},
	{"own-kept", func(s *sight) {
		s.show("own")
		s.Press("From a file")
		s.Fill("The file, or the address of one", "id: forge\nname: Our forge\nauthorize: {url: https://forge.example/authorize}\ntoken: {url: https://forge.example/token}\n")
		s.Press("Look at it")
		s.Press("Keep it")
		s.See("OAuth app at Our forge")
	}},
	{"own-file", func(s *sight) {
		s.show("own")
		s.Press("From a file")
		s.Fill("The file, or the address of one", "id: forge\nname: Forge\nauthorize: {url: https://forge.example/authorize}\ntoken: {url: https://evil.example/token}\n")
		s.Press("Look at it")
		s.See("evil.example")
	}},
	{"own-refused", func(s *sight) {
		s.show("own")
		s.Press("From a file")
		s.Fill("The file, or the address of one", "id: github\nname: GitHub\nauthorize: {url: https://evil.example/authorize}\ntoken: {url: https://evil.example/token}\n")
		s.Press("Look at it")
		s.See("cannot be replaced")
	}},
	{"own-in-use", func(s *sight) {
		s.builds("Forge", demo.Options{})
		s.joins()
		s.show("connect?provider=forge")
		s.Unfold("", "OAuth app")
		s.Press("Remove this provider")
		s.See("is in use")
	}},

	{"german-empty", func(s *sight) { s.german("connections"); s.See("Noch nichts verbunden") }},
	{"german-connections", func(s *sight) {
		s.builds("Forge", brief)
		s.has("ada", "grace")
		s.joins()
		s.forge.Script(on(demo.OpRefresh, broken))
		s.refreshes()
		s.german("connections")
		s.See("nächster Versuch")
	}},
	{"german-catalogue", func(s *sight) { s.german("connect"); s.See("Demo"); s.Type("git"); s.See("GitLab") }},
	{"german-provider", func(s *sight) { s.german("connect?provider=github"); s.See("Redirect-URI") }},
	{"german-attempt", func(s *sight) {
		v := s.JSON(0, "connect", "demo", "--no-browser")
		s.german("attempt?state=" + url.QueryEscape(v["state"].(string)))
		s.See("Demo wird verbunden")
	}},
	{"german-activity", func(s *sight) { s.busy(); s.german("activity"); s.See("muss") }},
	{"german-settings", func(s *sight) {
		s.german("settings")
		s.See("Darin öffnen sich")
		s.Key("ArrowDown") // whoever chose the language is still there
		s.See("Saved.")
		s.Key("ArrowUp")
		s.See("Gespeichert.")
	}},
}

// busy lets all kinds of things happen.
func (s *sight) busy() {
	s.t.Helper()
	s.builds("Forge", brief)
	s.has("ada", "grace")
	s.joins()
	for range 3 {
		s.JSON(0, "token", "demo", "--account", "ada@example.com")
	}
	s.JSON(0, "disconnect", "demo", "--account", "grace@example.com")
	s.forge.Script(on(demo.OpRefresh, refused))
	s.refreshes()
	var events struct{ Events []json.RawMessage }
	for range 50 { // activity is written a moment later
		r := s.CLI("--json", "activity")
		if json.Unmarshal([]byte(r.Stdout), &events); len(events.Events) >= 7 {
			return
		}
	}
}
