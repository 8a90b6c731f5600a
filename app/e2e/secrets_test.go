//go:build e2e && linux

package e2e

import (
	"bytes"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"keyturn/app/e2e/rig"
)

// TestSecretsStayWhereTheyBelong takes a connection from consent to disconnect
// and looks for its secrets in everything that was written or shown (LG-01).
func TestSecretsStayWhereTheyBelong(t *testing.T) {
	d := rig.NewDesk(t, true)
	k := rig.Start(t, "keyturn-headless", "DBUS_SESSION_BUS_ADDRESS="+d.Addr)
	started := k.JSON(0, "connect", "demo", "--no-browser")
	authURL, err := url.Parse(started["auth_url"].(string))
	if err != nil {
		t.Fatal(err)
	}
	page, _ := rig.NewPerson(t).Answer(authURL.String(), map[string]string{"answer": "allow", "account": "ada"})
	token := strings.TrimSpace(k.CLI("token", "demo").Stdout)
	status := k.CLI("--json", "status")
	secrets := map[string]string{
		"access token":       token,
		"state":              authURL.Query().Get("state"),
		"code challenge":     authURL.Query().Get("code_challenge"),
		"refresh token mark": "rt_", // the demo's refresh tokens begin so
	}
	if len(token) < 20 || len(secrets["state"]) < 43 {
		t.Fatalf("nothing to look for: token %q", token)
	}
	look := func(where string, content []byte) {
		for name, secret := range secrets {
			if bytes.Contains(content, []byte(secret)) {
				t.Errorf("%s holds the %s", where, name)
			}
		}
	}
	look("the last page", []byte(page))
	look("status", []byte(status.Stdout+status.Stderr))
	lookAround := func() {
		t.Helper()
		err := filepath.WalkDir(k.Home, func(path string, e fs.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() {
				return nil
			}
			content, err := os.ReadFile(path)
			if err != nil {
				return nil // gone meanwhile: a journal of the database
			}
			look(strings.TrimPrefix(path, k.Home), content)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		processes, _ := filepath.Glob("/proc/[0-9]*/cmdline")
		for _, p := range processes {
			if content, err := os.ReadFile(p); err == nil {
				look(p, content)
			}
		}
		if content, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(k.Cmd.Process.Pid), "environ")); err == nil {
			look("the environment", content)
		}
		for _, n := range d.Notes() {
			look("a notification", []byte(n.Title+n.Body))
		}
	}
	lookAround()
	k.JSON(0, "disconnect", "demo")
	lookAround() // nothing is left behind either
	k.Stop()
	lookAround()
	if k.Said() == "" {
		t.Error("the program said nothing at all")
	}
	look("the program's output", []byte(k.Said()))
}
