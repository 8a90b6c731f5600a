//go:build bench && linux

package bench

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"keyturn/app/e2e/rig"
)

// aBouncedCallback is B10: callbacks through the gateway program, as behind a
// proxy, beside nginx with one line of configuration that sends the browser on.
// Both are asked on connections that stay open, by the same client.
func aBouncedCallback(t *testing.T) []line {
	k := rig.Prepare(t)
	gateway, nginx := freeAddress(t), freeAddress(t)
	listens(t, gateway, k.Command("keyturn-gateway", "serve", "--url", "https://gw.example", "--behind-proxy", "--listen", gateway,
		"--metrics", "", "--per-minute", "1000000000", "--state", k.Home+"/gateway"))

	folder := t.TempDir()
	file := filepath.Join(folder, "nginx.conf")
	if err := os.WriteFile(file, fmt.Appendf(nil, nginxConf, folder, folder, nginx), 0o600); err != nil {
		t.Fatal(err)
	}
	listens(t, nginx, exec.Command("/usr/sbin/nginx", "-p", folder, "-c", file, "-e", "stderr"))

	ours, theirs := callbacksTo(t, gateway), callbacksTo(t, nginx)
	saturated(t, ours)
	saturated(t, theirs)
	var bounced, returned []time.Duration
	for range runs {
		bounced = append(bounced, saturated(t, ours))
		returned = append(returned, saturated(t, theirs))
	}
	rate := func(d time.Duration) string { return fmt.Sprintf("%.0f", float64(time.Second)/float64(d)) }
	return []line{compare("B10", "bounced callback ("+rate(median(bounced))+" a second)", median(bounced), median(returned), "nginx ("+rate(median(returned))+" a second)", 2)}
}

const nginxConf = `daemon off;
worker_processes auto;
pid %s/pid;
events { worker_connections 256; }
http {
	access_log off;
	client_body_temp_path %s/body;
	keepalive_requests 1000000000;
	server {
		listen %s;
		location ~ ^/oauth/callback/(?<provider>[a-z0-9][a-z0-9_-]*)$ { return 303 http://127.0.0.1:35000/gw/$provider?code=$arg_code&state=$arg_state; }
	}
}
`

// freeAddress is one on this machine that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// listens starts a server and waits until it takes connections.
func listens(t *testing.T, address string, cmd *exec.Cmd) {
	t.Helper()
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
	})
	for range 200 {
		if c, err := net.Dial("tcp", address); err == nil {
			c.Close()
			return
		}
		time.Sleep(25 * time.Millisecond)
	}
	t.Fatalf("%s does not listen", cmd.Path)
}

// callbacksTo returns what brings a callback to a server and reads where it
// sends the browser, on one of atOnce connections.
func callbacksTo(t *testing.T, address string) func(int) error {
	t.Helper()
	type open struct {
		net.Conn
		in *bufio.Reader
	}
	idle := make(chan open, atOnce)
	for range atOnce {
		c, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		idle <- open{c, bufio.NewReader(c)}
	}
	state := strconv.FormatInt(35000, 36) + "." + strings.Repeat("s", 43)
	request := "GET /oauth/callback/github?code=4/0AX4XfWh-a-code-of-usual-length&state=" + state + " HTTP/1.1\r\nHost: gw.example\r\n\r\n"
	return func(int) error {
		c := <-idle
		defer func() { idle <- c }()
		if _, err := io.WriteString(c, request); err != nil {
			return err
		}
		r, err := http.ReadResponse(c.in, nil)
		if err != nil {
			return err
		}
		defer r.Body.Close()
		if to := r.Header.Get("Location"); r.StatusCode != http.StatusSeeOther || !strings.HasPrefix(to, "http://127.0.0.1:35000/gw/github?code=") {
			return fmt.Errorf("%d to %q", r.StatusCode, to)
		}
		_, err = io.Copy(io.Discard, r.Body)
		return err
	}
}
