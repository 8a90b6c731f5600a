//go:build e2e && linux

package e2e

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"keyturn/app/e2e/rig"
)

// repo is the root of the repository, seen from this folder.
const repo = "../.."

// chromium plays the person in a real browser and returns the last page's text.
func chromium(t *testing.T, authURL string, args ...string) string {
	t.Helper()
	cmd := exec.Command("node", append([]string{filepath.Join(repo, "build/browser/person.mjs"), authURL}, args...)...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("browser: %v\n%s", err, errs.String())
	}
	var page struct {
		URL, Text string
		History   []string
	}
	if err := json.Unmarshal(out.Bytes(), &page); err != nil {
		t.Fatalf("browser: %v\n%s", err, out.String())
	}
	// What "back" leads to holds no code (RFC 9700 section 4.3).
	for _, entry := range page.History {
		if strings.Contains(page.URL, "/oauth/done/") && strings.Contains(entry, "code=") {
			t.Errorf("the history of the browser holds %.60s…", entry)
		}
	}
	if len(page.History) == 0 {
		t.Error("the browser has no history")
	}
	return page.Text
}

// shot returns the path of a screenshot to be kept.
func shot(t *testing.T, name string) string {
	t.Helper()
	dir, _ := filepath.Abs(filepath.Join(repo, "build/shots"))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(dir, name)
}

// serve starts a server of somebody else and waits until url answers.
func serve(t *testing.T, cmd *exec.Cmd, url string) {
	t.Helper()
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s said:\n%.4000s", cmd.Path, log.String())
		}
	})
	rig.Eventually(t, 60*time.Second, url, func() bool {
		res, err := http.Get(url)
		if err == nil {
			res.Body.Close()
		}
		return err == nil && res.StatusCode == 200
	})
}

// nextPort is where freePort looks: below the range from which systems give out
// ports by themselves, so that nobody else is given it in between.
var nextPort atomic.Int32

func freePort(t *testing.T) int {
	t.Helper()
	nextPort.CompareAndSwap(0, 20000)
	for range 5000 {
		port := int(nextPort.Add(1))
		if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
			l.Close()
			return port
		}
	}
	t.Fatal("no free port")
	return 0
}

// TestServersThatAreNotOurs takes three authorization servers of other people
// from registration by issuer to a revoked grant, with a real browser.
func TestServersThatAreNotOurs(t *testing.T) {
	panva := freePort(t)
	cmd := exec.Command(nodeFor(t, filepath.Join(repo, "build/servers")), filepath.Join(repo, "build/servers/oidc-provider.mjs"))
	cmd.Env = append(os.Environ(), fmt.Sprintf("PORT=%d", panva), "ACCESS_TTL=4", "DPOP_NONCE=1")
	key, public := clientKey(t)
	cmd.Env = append(cmd.Env, "CLIENT_JWK="+public)
	serve(t, cmd, fmt.Sprintf("http://127.0.0.1:%d/.well-known/openid-configuration", panva))

	zitadel := freePort(t)
	built := filepath.Join(t.TempDir(), "zitadel")
	build := exec.Command("go", "build", "-modfile=build/tools/go.mod", "-o", built, "github.com/zitadel/oidc/v3/example/server")
	build.Dir = repo
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cmd = exec.Command(built)
	cmd.Env = append(os.Environ(), fmt.Sprintf("PORT=%d", zitadel), "REDIRECT_URI=http://127.0.0.1/oauth/callback/zitadel")
	serve(t, cmd, fmt.Sprintf("http://localhost:%d/.well-known/openid-configuration", zitadel))

	mock := freePort(t)
	cmd = exec.Command(nodeFor(t, filepath.Join(repo, "build/servers")), filepath.Join(repo, "build/servers/node_modules/oauth2-mock-server/dist/oauth2-mock-server.mjs"), "-a", "localhost", "-p", strconv.Itoa(mock))
	serve(t, cmd, fmt.Sprintf("http://localhost:%d/.well-known/openid-configuration", mock))

	for _, server := range []struct {
		key, issuer, client, secret string
		auth                        string
		login                       []string
		account                     string
		short                       bool // access tokens end within seconds
	}{
		{"panva", fmt.Sprintf("http://127.0.0.1:%d", panva), "public-native", "", "none",
			[]string{"--user", "grace", "--pass", "x"}, "grace@example.test", true},
		{"panva-basic", fmt.Sprintf("http://127.0.0.1:%d", panva), "conf-basic", "s3cret:with/specials+%", "client_secret_basic",
			[]string{"--user", "ada", "--pass", "x"}, "ada@example.test", true},
		{"panva-key", fmt.Sprintf("http://127.0.0.1:%d", panva), "conf-key", key, "private_key_jwt",
			[]string{"--user", "edsger", "--pass", "x"}, "edsger@example.test", true},
		{"panva-dpop", fmt.Sprintf("http://127.0.0.1:%d", panva), "dpop-native", "", "none",
			[]string{"--user", "barbara", "--pass", "x"}, "barbara@example.test", true},
		{"zitadel", fmt.Sprintf("http://localhost:%d/", zitadel), "native", "", "none",
			[]string{"--user", "test-user@localhost", "--pass", "verysecure"}, "test-user@zitadel.ch", false},
		{"mock", fmt.Sprintf("http://localhost:%d", mock), "anybody", "", "none", nil, "johndoe", false},
	} {
		t.Run(server.key, func(t *testing.T) {
			k := rig.Start(t, "keyturn-headless")
			register := []string{"providers", "register", "--provider-key", server.key, "--issuer", server.issuer,
				"--scopes", "openid,profile,email,offline_access", "--token-auth-method", server.auth, "--allow-http-loopback"}
			if server.key == "panva-dpop" {
				register = append(register, "--dpop", "--api-hosts", strings.TrimPrefix(server.issuer, "http://"))
			}
			k.JSON(0, register...)
			app := []string{"apps", "upsert", "--provider", server.key, "--client-id", server.client}
			if server.secret == "" {
				app = append(app, "--no-client-secret")
			} else {
				file := filepath.Join(t.TempDir(), "secret")
				if err := os.WriteFile(file, []byte(server.secret+"\n"), 0o600); err != nil {
					t.Fatal(err)
				}
				app = append(app, "--client-secret-file", file)
			}
			k.JSON(0, app...)

			v := k.JSON(0, "connect", server.key, "--no-browser")
			page := chromium(t, v["auth_url"].(string), append(server.login, "--shot", shot(t, "interop-"+server.key+".png"))...)
			if !strings.Contains(page, server.account) {
				t.Errorf("the last page does not name %s: %s", server.account, page)
			}
			c := k.JSON(0, "status", server.key)["connections"].([]any)[0].(map[string]any)
			if c["account"] != server.account || c["status"] != "connected" {
				t.Fatalf("%v", c)
			}
			handed := k.JSON(0, "token", server.key)
			first := handed["token"].(string)
			if server.key == "panva-dpop" {
				if handed["token_type"] != "DPoP" {
					t.Errorf("%v", handed)
				}
				if got := k.JSON(0, "request", server.issuer+"/me", "--provider", server.key); got["status"] != 200.0 {
					t.Errorf("a request with a proof: %v", got)
				}
			}
			if got := k.JSON(0, "ping", server.key); got["ok"] != true {
				t.Errorf("ping: %v", got)
			}
			if server.short && c["has_refresh_token"] == true {
				time.Sleep(4 * time.Second)
				second := k.JSON(0, "token", server.key)["token"].(string)
				if second == first {
					t.Error("an expired token was handed out again")
				}
				if got := k.JSON(0, "ping", server.key); got["ok"] != true {
					t.Errorf("ping after refresh: %v", got)
				}
			}
			if got := k.JSON(0, "disconnect", server.key); got["revoked"] != true {
				t.Errorf("disconnect: %v", got)
			}
		})
	}
}

// clientKey is a key for private_key_jwt: PEM, and its public half as a JSON
// Web Key.
func clientKey(t *testing.T) (private, public string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	jwk, err := json.Marshal(jose.JSONWebKey{Key: key.Public(), Algorithm: "ES256", Use: "sig"})
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), string(jwk)
}

// aimed is longer than the tray takes a click for one that was meant for the
// line that stood there before.
const aimed = 600 * time.Millisecond

// TestARealBrowserSeesTheDemo is the journey of the tray with chromium as the
// browser: the consent page is clicked, the last page is looked at.
func TestARealBrowserSeesTheDemo(t *testing.T) {
	d := rig.NewDesk(t, true)
	k := rig.Start(t, "keyturn-headless", "DBUS_SESSION_BUS_ADDRESS="+d.Addr)
	tr := d.Tray()
	tr.Click("Connect", "Demo")
	page := chromium(t, k.Opened(1), "--shot", shot(t, "page-connected.png"))
	c := k.JSON(0, "status")["connections"].([]any)[0].(map[string]any)
	account := c["account"].(string)
	if !strings.Contains(page, account) {
		t.Errorf("the page does not name %s: %s", account, page)
	}
	d.Note("connected as " + account)
	tr.Wait(account)

	tr.Click("Connect", "Demo")
	page = chromium(t, k.Opened(2), "--click", "^deny", "--dark", "--shot", shot(t, "page-denied-dark.png"))
	if strings.Contains(page, account) {
		t.Errorf("the page after Deny names an account: %s", page)
	}
	d.Note("was not connected")
	if got := k.JSON(0, "status")["connections"].([]any); len(got) != 1 {
		t.Errorf("saying no again cost the connection: %v", got)
	}

	// The user's own switch, in the tray: programs get nothing until it goes back.
	tr.Click("Pause hand-outs")
	tr.Wait("Resume hand-outs")
	time.Sleep(aimed)
	if got := k.JSON(1, "token", "demo"); got["code"] != "paused" {
		t.Errorf("%v", got)
	}
	tr.Click("Resume hand-outs")
	tr.Wait("Pause hand-outs")
	k.JSON(0, "token", "demo")
	tr.Click("Lock")
	tr.Wait("Unlock")
	time.Sleep(aimed)
	if got := k.JSON(1, "token", "demo"); got["code"] != "store_locked" {
		t.Errorf("%v", got)
	}
	tr.Click("Unlock")
	tr.Wait("Lock")
	k.JSON(0, "token", "demo")
}
