//go:build e2e && linux

package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"keyturn/app/e2e/rig"
	"keyturn/backend/demo/evilas"
)

// ways are those by which a response comes home without a person who types it.
var ways = []string{"loopback", "bounce", "forward", "relay"}

var codeOnPage = regexp.MustCompile(`[A-Z0-9]{4}-[A-Z0-9]{4}`)

// target is the Keyturn that is to be robbed, or the one that robs, with two
// authorization servers: one that people trust and one of the attacker's.
type target struct {
	*rig.Install
	t                *testing.T
	way, gateway     string // no gateway: loopback
	honest, attacker *evilas.Server
}

// targets starts the victim's Keyturn and the attacker's. By relay both are
// enrolled at one gateway.
func targets(t *testing.T, way string) (victim, mallory *target) {
	honest, attacker := evilas.New(t, evilas.Config{}), evilas.New(t, evilas.Config{})
	// The attacker's server does not say who it is.
	metadata := attacker.Metadata()
	delete(metadata, "authorization_response_iss_parameter_supported")
	silent, err := json.Marshal(metadata)
	if err != nil {
		t.Fatal(err)
	}
	attacker.Script("/.well-known/openid-configuration", evilas.JSON(string(silent)), evilas.JSON(string(silent)))
	for range 2 {
		k := rig.Prepare(t)
		victim, mallory = mallory, &target{Install: k, t: t, way: way, honest: honest, attacker: attacker}
	}
	victim.begin("victim", nil)
	mallory.begin("mallory", victim)
	return victim, mallory
}

// begin starts the program, with a gateway of its own or the one of host.
func (k *target) begin(name string, host *target) {
	k.t.Helper()
	if k.way == "forward" && host == nil {
		k.gateway = fmt.Sprintf("http://127.0.0.1:%d", freePort(k.t))
		at := fmt.Sprintf("127.0.0.1:%d", freePort(k.t))
		config := filepath.Join(k.Home, "k", "config", "config.toml")
		if err := os.MkdirAll(filepath.Dir(config), 0o700); err != nil {
			k.t.Fatal(err)
		}
		if err := os.WriteFile(config, fmt.Appendf(nil, "gateway_listen = %q\n", at), 0o600); err != nil {
			k.t.Fatal(err)
		}
		k.Run("keyturn-headless")
		k.enrol(name, k.gateway, "--app", "http://"+at)
		k.serveGateway()
	} else {
		k.Run("keyturn-headless")
		switch {
		case k.way == "bounce" && host == nil:
			k.gateway = gatewayBeside(k.t, k.Install, "bounce")
			k.JSON(0, "gateway", "add", k.gateway)
		case k.way == "bounce":
			k.gateway = host.gateway
			k.JSON(0, "gateway", "add", k.gateway)
		case k.way == "relay" && host == nil:
			k.gateway = gatewayBeside(k.t, k.Install, "relay")
			k.enrol(name, k.gateway)
		case k.way == "relay":
			k.gateway = host.gateway
			k.add(host.token(name, k.gateway))
		}
	}
	for id, as := range map[string]*evilas.Server{"honest": k.honest, "evil": k.attacker} {
		k.JSON(0, "providers", "register", "--provider-key", id, "--display-name", id, "--issuer", as.URL(),
			"--scopes", "openid,email", "--token-auth-method", "none", "--allow-http-loopback")
		k.JSON(0, "apps", "upsert", "--provider", id, "--client-id", "public", "--no-client-secret")
	}
}

func (k *target) serveGateway() {
	at := strings.TrimPrefix(k.gateway, "http://")
	serve(k.t, k.Command("keyturn-gateway", "serve", "--url", k.gateway, "--behind-proxy", "--listen", at, "--metrics", "",
		"--way", "forward", "--state", k.Home+"/gateway"), k.gateway+"/readyz")
}

// token makes an enrolment at the gateway of k.
func (k *target) token(name, gateway string, more ...string) string {
	k.t.Helper()
	out, err := k.Command("keyturn-gateway", append([]string{"enrol", "--name", name, "--url", gateway, "--state", k.Home + "/gateway"}, more...)...).Output()
	if err != nil {
		k.t.Fatalf("enrol: %v", err)
	}
	return string(out)
}

func (k *target) enrol(name, gateway string, more ...string) {
	k.t.Helper()
	k.add(k.token(name, gateway, more...))
}

func (k *target) add(token string) {
	k.t.Helper()
	cmd := k.Command("keyturn", "gateway", "add", "-")
	cmd.Stdin = strings.NewReader(token)
	if out, err := cmd.CombinedOutput(); err != nil {
		k.t.Fatalf("gateway add: %v\n%s", err, out)
	}
}

// connect starts an attempt and returns what it goes by and the address to open.
func (k *target) connect(provider string) (handle string, open *url.URL) {
	k.t.Helper()
	by := "gateway"
	if k.gateway == "" {
		by = "loopback"
	}
	v := k.JSON(0, "connect", provider, "--callback-transport", by, "--no-browser")
	open, err := url.Parse(v["auth_url"].(string))
	if err != nil {
		k.t.Fatal(err)
	}
	return v["state"].(string), open
}

func (k *target) connections() []any {
	k.t.Helper()
	return k.JSON(0, "status")["connections"].([]any)
}

// with returns u with some of its parameters replaced.
func with(u *url.URL, change map[string]string) *url.URL {
	changed, q := *u, u.Query()
	for name, value := range change {
		q.Set(name, value)
	}
	changed.RawQuery = q.Encode()
	return &changed
}

// onTheComputerOf is where an address of "this computer" leads in the victim's
// browser: to the victim's own, whatever the port is used for there.
func onTheComputerOf(victim *url.URL, callback *url.URL) string {
	u := *callback
	if u.Path != "" && (strings.HasPrefix(u.Path, "/gw/") || victim.Scheme == u.Scheme && strings.HasPrefix(victim.Host, "127.0.0.1:")) {
		u.Host = victim.Host
	}
	return u.String()
}

// visit opens an address as a browser that is sent no further.
func visit(t *testing.T, address string) (status int, location *url.URL, page string) {
	t.Helper()
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(res.Body)
	location, _ = res.Location()
	return res.StatusCode, location, string(body)
}

// TestAConsentThatSomebodyElseStarted is session fixation (RFC 9700 section 4.7,
// GW-01, GW-02): the attacker starts an attempt and talks the victim into
// opening its address. The victim consents, and the attacker has nothing.
func TestAConsentThatSomebodyElseStarted(t *testing.T) {
	for _, way := range ways {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			victim, mallory := targets(t, way)
			attempt, theirs := mallory.connect("honest")
			ownAttempt, own := victim.connect("honest") // so that a listener is there, and something to lose
			landing, err := url.Parse(own.Query().Get("redirect_uri"))
			if err != nil {
				t.Fatal(err)
			}
			lure := theirs
			if way == "forward" { // she cannot enrol, but may name any address that is registered
				if out, err := victim.Command("keyturn-gateway", "enrol", "--name", "mallory", "--url", victim.gateway, "--app", "http://127.0.0.1:9999",
					"--state", victim.Home+"/gateway").CombinedOutput(); err == nil {
					t.Fatalf("a forwarding gateway took a second user: %s", out)
				}
				lure = with(theirs, map[string]string{"redirect_uri": landing.String()})
			}
			callback := victim.honest.Consent(t, lure.String())
			opened := callback.String()
			if way == "loopback" {
				opened = onTheComputerOf(landing, callback)
			}
			status, onward, page := visit(t, opened)
			if way == "bounce" {
				if onward == nil || onward.Hostname() != "127.0.0.1" {
					t.Fatalf("%d to %v", status, onward)
				}
				_, ownOnward, _ := visit(t, victim.honest.Consent(t, with(own, map[string]string{"state": own.Query().Get("state")[:3] + "." + strings.Repeat("x", 43)}).String()).String())
				if ownOnward == nil {
					t.Fatal("no way to the victim's own computer")
				}
				status, _, page = visit(t, onTheComputerOf(ownOnward, onward))
			}
			if way == "relay" {
				// The victim sees a code, and no attempt of the victim's takes it.
				code := codeOnPage.FindString(page)
				if status != http.StatusOK || code == "" {
					t.Fatalf("%d\n%s", status, page)
				}
				confirm := func(k *target, attempt, code string) int {
					cmd := k.Command("keyturn", "confirm", attempt)
					cmd.Stdin = strings.NewReader(code + "\n")
					_, _ = cmd.CombinedOutput()
					return cmd.ProcessState.ExitCode()
				}
				if got := confirm(victim, ownAttempt, code); got == 0 {
					t.Error("the victim's own attempt took the code of another")
				}
				for _, guess := range []string{"AAAA-AAAA", "BBBB-BBBB", "CCCC-CCCC", "DDDD-DDDD", "EEEE-EEEE", "FFFF-FFFF"} {
					confirm(mallory, attempt, guess)
				}
				// Even the right one is too late now.
				if got := confirm(mallory, attempt, code); got == 0 {
					t.Error("guessing has no end")
				}
			} else if status < 400 || status >= 500 {
				t.Errorf("the victim's browser got %d\n%s", status, page)
			}
			if n := victim.honest.Count("grant_type=authorization_code"); n != 0 {
				t.Errorf("%d codes were exchanged", n)
			}
			if got := mallory.connections(); len(got) != 0 {
				t.Errorf("the attacker has %v", got)
			}
			if got := victim.connections(); len(got) != 0 {
				t.Errorf("the victim was connected to %v", got)
			}
		})
	}
}

// TestACodeOfTheServerThatWasNotAsked is the mix-up attack (RFC 9700 section
// 4.4): the victim connects a server of the attacker's, which sends the browser
// on to the honest one with the victim's own state, and waits for its code.
func TestACodeOfTheServerThatWasNotAsked(t *testing.T) {
	for _, way := range ways {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			victim, _ := targets(t, way)
			for _, path := range []string{"honest", "evil"} { // the redirect URI registered there, and one too many
				attempt, asked := victim.connect("evil")
				redirect := strings.Replace(asked.Query().Get("redirect_uri"), "/evil", "/"+path, 1)
				through, err := url.Parse(victim.honest.URL() + "/authorize")
				if err != nil {
					t.Fatal(err)
				}
				through.RawQuery = asked.RawQuery
				callback := victim.honest.Consent(t, with(through, map[string]string{"redirect_uri": redirect}).String())
				code := callback.Query().Get("code")
				status, onward, page := visit(t, callback.String())
				for status == http.StatusSeeOther && onward != nil {
					status, onward, page = visit(t, onward.String())
				}
				if shown := codeOnPage.FindString(page); shown != "" { // even if it is typed
					cmd := victim.Command("keyturn", "confirm", attempt)
					cmd.Stdin = strings.NewReader(shown + "\n")
					_, _ = cmd.CombinedOutput()
				}
				if strings.Contains(page, "is connected</h1>") {
					t.Errorf("%s: the page says\n%s", path, page)
				}
				if victim.attacker.Saw(code) {
					t.Errorf("%s: the attacker's server was given the code", path)
				}
				if victim.honest.Count("grant_type=authorization_code") != 0 {
					t.Errorf("%s: the code was exchanged", path)
				}
				if got := victim.connections(); len(got) != 0 {
					t.Errorf("%s: connected to %v", path, got)
				}
				victim.CLI("cancel", attempt)
			}
			// The same way, as it should be.
			attempt, asked := victim.connect("honest")
			status, onward, page := visit(t, victim.honest.Consent(t, asked.String()).String())
			for status == http.StatusSeeOther && onward != nil {
				status, onward, page = visit(t, onward.String())
			}
			if shown := codeOnPage.FindString(page); shown != "" {
				cmd := victim.Command("keyturn", "confirm", attempt)
				cmd.Stdin = strings.NewReader(shown + "\n")
				if out, err := cmd.CombinedOutput(); err != nil {
					t.Errorf("confirm %s: %v\n%s", shown, err, out)
				}
			}
			rig.Eventually(t, 5*time.Second, "the honest server to be connected", func() bool { return len(victim.connections()) == 1 })
		})
	}
}
