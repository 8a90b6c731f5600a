//go:build bench && linux

package bench

import (
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// asAProcess runs the command that scripts run, and the same command of
// oidc-agent, which has been doing this for years, in turns.
func asAProcess(t *testing.T) []line {
	k := crowded(t)
	k.Run("keyturn-headless")
	server := openID(24 * time.Hour)
	t.Cleanup(server.Close)
	theirs := oidcAgent(t, server, "yard")["yard"]
	ours := func() *exec.Cmd { return k.Command("keyturn", "token", "demo", "--account", account(42)) }
	timed(t, ours(), accessToken(42))
	timed(t, theirs(), yardToken)

	var keyturn, oidcToken []time.Duration
	for range runs {
		var a, b []time.Duration
		for range 20 {
			a = append(a, timed(t, ours(), accessToken(42)))
			b = append(b, timed(t, theirs(), yardToken))
		}
		keyturn, oidcToken = append(keyturn, median(a)), append(oidcToken, median(b))
	}
	return []line{compare("B2", "keyturn token as a process, cached", median(keyturn), median(oidcToken), "oidc-token", 2)}
}

// timed runs a command that has to print one line, and nothing else.
func timed(t *testing.T, cmd *exec.Cmd, want string) time.Duration {
	t.Helper()
	begun := time.Now()
	out, err := cmd.Output()
	took := time.Since(begun)
	if err != nil || strings.TrimSuffix(string(out), "\n") != want {
		t.Fatalf("%s: %v: %q", cmd.Path, err, out)
	}
	return took
}

// yardToken is the access token that oidc-agent has in its cache.
const yardToken = "access-token-of-the-yardstick-0123456789012345678901234567"

// oidcAgent starts an oidc-agent with accounts at a server, and returns the
// commands that print their tokens. It is set up as a person would with
// oidc-gen, from refresh tokens of a server that knows no other answer.
func oidcAgent(t *testing.T, server *providerServer, accounts ...string) map[string]func() *exec.Cmd {
	t.Helper()
	at := map[string]*providerServer{}
	for _, name := range accounts {
		at[name] = server
	}
	return oidcAgentAt(t, at)
}

// oidcAgentAt is oidcAgent with a server for each account.
func oidcAgentAt(t *testing.T, accounts map[string]*providerServer) map[string]func() *exec.Cmd {
	t.Helper()
	// A folder of its own, because t.TempDir can be too long for a socket.
	home, err := os.MkdirTemp("", "yard")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(home) })
	write := func(name string, content []byte) string {
		path := filepath.Join(home, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	if err := os.MkdirAll(filepath.Join(home, ".config", "oidc-agent"), 0o700); err != nil {
		t.Fatal(err)
	}
	password := write("password", []byte("for this test only\n"))
	socket := filepath.Join(home, "agent.sock")
	env := []string{"HOME=" + home, "PATH=/usr/bin:/bin", "LANG=C.UTF-8", "OIDC_SOCK=" + socket}

	agent := exec.Command("oidc-agent", "--console", "--socket-path="+socket)
	agent.Env = env
	if err := agent.Start(); err != nil {
		t.Fatal("oidc-agent is needed (build/setup.sh bench installs it): ", err)
	}
	t.Cleanup(func() { end(agent) })
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if _, err := os.Stat(socket); err == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatal("oidc-agent did not come up")
		}
	}
	tokens := map[string]func() *exec.Cmd{}
	for name, server := range accounts {
		authority := write(name+".pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}))
		generate := exec.Command("oidc-gen", name, "--manual", "--issuer", server.URL+"/", "--cp", authority,
			"--client-id", name, "--client-secret", "yard", "--redirect-uri", "http://localhost:4242",
			"--scope", "openid offline_access", "--flow", "refresh", "--rt", "refresh-token-of-"+name,
			"--pw-file", password, "--prompt", "none", "--confirm-default")
		generate.Env = env
		if out, err := generate.CombinedOutput(); err != nil {
			t.Fatalf("oidc-gen: %v\n%s", err, out)
		}
		tokens[name] = func() *exec.Cmd {
			cmd := exec.Command("oidc-token", name)
			cmd.Env = env
			return cmd
		}
	}
	return tokens
}

// providerServer is as much of an OpenID provider as oidc-agent asks for. It counts
// what it is asked, and may take its time for one account.
type providerServer struct {
	*httptest.Server
	life      time.Duration
	delay     atomic.Int64 // before each answer
	slow      atomic.Int64 // besides, for the refresh token that ends in "slow"
	refreshes atomic.Int64
}

func openID(life time.Duration) *providerServer {
	mux := http.NewServeMux()
	p := &providerServer{Server: httptest.NewTLSServer(mux), life: life}
	answer := func(w http.ResponseWriter, v map[string]any) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(v)
	}
	mux.HandleFunc("GET /.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, map[string]any{
			"issuer":                   p.URL,
			"authorization_endpoint":   p.URL + "/authorize",
			"token_endpoint":           p.URL + "/token",
			"scopes_supported":         []string{"openid", "offline_access"},
			"grant_types_supported":    []string{"authorization_code", "refresh_token"},
			"response_types_supported": []string{"code"},
		})
	})
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		p.refreshes.Add(1)
		refresh := r.FormValue("refresh_token")
		wait := time.Duration(p.delay.Load())
		if strings.HasSuffix(refresh, "slow") {
			wait += time.Duration(p.slow.Load())
		}
		time.Sleep(wait)
		answer(w, map[string]any{
			"access_token":  yardToken,
			"refresh_token": refresh,
			"token_type":    "Bearer",
			"scope":         "openid offline_access",
			"expires_in":    int(p.life / time.Second),
		})
	})
	return p
}
