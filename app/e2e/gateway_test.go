//go:build e2e && linux

package e2e

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"keyturn/app/e2e/rig"
	"keyturn/backend/demo"
)

// gatewayBeside starts the gateway program as a proxy would see it, and returns
// its address.
func gatewayBeside(t *testing.T, k *rig.Install, way string) (address string) {
	t.Helper()
	port := freePort(t)
	address = fmt.Sprintf("http://127.0.0.1:%d", port)
	serve(t, k.Command("keyturn-gateway", "serve", "--url", address, "--behind-proxy", "--listen", fmt.Sprintf("127.0.0.1:%d", port),
		"--metrics", "", "--way", way, "--state", k.Home+"/gateway"), address+"/readyz")
	return address
}

// strict is a provider that knows one redirect URI, and that one is at the gateway.
func strict(t *testing.T, k *rig.Install, gateway string) {
	t.Helper()
	i := rig.NewIssuer(t, demo.Options{Clients: []demo.Client{{ID: "gw", Name: "gw", RedirectURIs: []string{gateway + "/oauth/callback/strict"}}}})
	k.JSON(0, "providers", "register", "--provider-key", "strict", "--display-name", "Strict", "--issuer", i.Issuer(),
		"--scopes", "profile,email", "--token-auth-method", "none", "--allow-http-loopback")
	k.JSON(0, "apps", "upsert", "--provider", "strict", "--client-id", "gw", "--no-client-secret")
}

func TestARealBrowserComesHomeThroughTheGateway(t *testing.T) {
	k := rig.Start(t, "keyturn-headless")
	gateway := gatewayBeside(t, k, "bounce")
	if got := k.JSON(1, "gateway", "add", "http://127.0.0.1:9"); got["code"] != "gateway_unreachable" {
		t.Errorf("nobody there: %v", got)
	}
	if got := k.JSON(0, "gateway", "add", gateway); got["redirect_uri"] != gateway+"/oauth/callback/{provider}" {
		t.Errorf("%v", got)
	}
	strict(t, k, gateway)
	v := k.JSON(0, "connect", "strict", "--callback-transport", "gateway", "--no-browser")
	page := chromium(t, v["auth_url"].(string), "--shot", shot(t, "gateway-bounce.png"))
	c := k.JSON(0, "status", "strict")["connections"].([]any)
	if len(c) != 1 || !strings.Contains(page, c[0].(map[string]any)["account"].(string)) {
		t.Fatalf("%v\n%s", c, page)
	}
	if got := k.JSON(0, "disconnect", "strict"); got["revoked"] != true {
		t.Errorf("%v", got)
	}
}

func TestARealBrowserShowsTheCodeOfARelay(t *testing.T) {
	k := rig.Start(t, "keyturn-headless")
	gateway := gatewayBeside(t, k, "relay")
	enrol := k.Command("keyturn-gateway", "enrol", "--name", "test", "--url", gateway, "--state", k.Home+"/gateway")
	token, err := enrol.Output()
	if err != nil {
		t.Fatal(err)
	}
	say := func(words string, args ...string) string {
		t.Helper()
		cmd := k.Command("keyturn", args...)
		cmd.Stdin = strings.NewReader(words)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
		return string(out)
	}
	if got := say(string(token), "gateway", "add", "-"); !strings.Contains(got, "Connected in") {
		t.Errorf("%s", got)
	}
	strict(t, k, gateway)
	v := k.JSON(0, "connect", "strict", "--callback-transport", "gateway", "--no-browser")
	page := chromium(t, v["auth_url"].(string), "--shot", shot(t, "gateway-relay.png"))
	code := regexp.MustCompile(`[A-Z0-9]{4}-[A-Z0-9]{4}`).FindString(page)
	if code == "" {
		t.Fatalf("no code on the page:\n%s", page)
	}
	if c := k.JSON(0, "status", "strict")["connections"].([]any); len(c) != 0 {
		t.Fatalf("connected before the code was typed: %v", c)
	}
	say(strings.ToLower(code)+"\n", "confirm", v["state"].(string))
	var c []any
	for range 50 {
		if c = k.JSON(0, "status", "strict")["connections"].([]any); len(c) == 1 {
			break
		}
	}
	if len(c) != 1 {
		t.Fatal("not connected")
	}
	// The app goes away: whoever comes now is told at once.
	k.Stop()
	res, err := http.Get(gateway + "/oauth/callback/strict?code=x&state=" + stateOf(v["auth_url"].(string)))
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusBadGateway && res.StatusCode != http.StatusBadRequest {
		t.Errorf("%d", res.StatusCode)
	}
}

func stateOf(authURL string) string {
	_, rest, _ := strings.Cut(authURL, "state=")
	state, _, _ := strings.Cut(rest, "&")
	return state
}
