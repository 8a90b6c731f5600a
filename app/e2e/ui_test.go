//go:build e2e && linux

package e2e

import (
	"bytes"
	"encoding/json"
	"net/url"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"keyturn/app/e2e/rig"
)

// TestThePagesInABrowser is the browser UI with a real chromium: opened by a
// link of the command line, used, and attacked by DNS rebinding (UI-25).
func TestThePagesInABrowser(t *testing.T) {
	k := rig.Start(t, "keyturn-headless")
	v := k.JSON(0, "ui", "--no-browser")
	link, err := url.Parse(v["url"].(string))
	if err != nil || link.Hostname() != "127.0.0.1" || link.Path != "/" || link.RawQuery != "" || !strings.HasPrefix(link.Fragment, "enter=") {
		t.Fatalf("%v %v", v, err)
	}
	cmd := exec.Command("node", filepath.Join(repo, "build/browser/ui.mjs"), link.String(), "--shot", shot(t, "browser-ui.png"))
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("browser: %v\n%s", err, errs.String())
	}
	var saw struct {
		Text, Address, Connected, Again string
		Rebinding                       []int
		Cookies, Stored                 int
		Wide                            bool
	}
	if err := json.Unmarshal(out.Bytes(), &saw); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	if strings.Contains(saw.Address, link.Fragment) {
		t.Error("the secret stays in the address bar")
	}
	account := k.JSON(0, "status", "demo")["connections"].([]any)[0].(map[string]any)["account"].(string)
	if !strings.Contains(saw.Connected, account) || saw.Wide {
		t.Errorf("connected as %s, too wide %v: %s", account, saw.Wide, saw.Connected)
	}
	if !slices.Equal(saw.Rebinding, []int{403, 403, 403, 403}) || saw.Cookies != 0 || saw.Stored != 0 {
		t.Errorf("%+v", saw)
	}
	if !strings.Contains(saw.Again, "has ended") {
		t.Errorf("the link a second time: %s", saw.Again)
	}
}
