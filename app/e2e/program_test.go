//go:build e2e && linux

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// program returns the path of one of the programs under test.
func program(t *testing.T, name string) string {
	t.Helper()
	dir := os.Getenv("KEYTURN_BIN")
	if dir == "" {
		t.Fatal("KEYTURN_BIN is not set; run these tests with: make e2e")
	}
	return filepath.Join(dir, name)
}

// install is one running Keyturn with a home, an opener and a command line.
type install struct {
	t    *testing.T
	home string
	env  []string
	cmd  *exec.Cmd
	log  *bytes.Buffer
}

// start runs a program on an empty home. extra are environment variables.
func start(t *testing.T, name string, extra ...string) *install {
	t.Helper()
	k := prepare(t, extra...)
	k.run(name)
	return k
}

// prepare makes the home without starting anything.
func prepare(t *testing.T, extra ...string) *install {
	t.Helper()
	home := t.TempDir()
	bin := filepath.Join(home, "bin")
	if err := os.Mkdir(bin, 0o700); err != nil {
		t.Fatal(err)
	}
	// The opener records what it was given and says too much, as real ones do.
	opener := fmt.Sprintf("#!/bin/sh\nprintf '%%s\\n' \"$1\" >> %s/opened\necho chatter\necho chatter >&2\n", home)
	if err := os.WriteFile(filepath.Join(bin, "xdg-open"), []byte(opener), 0o700); err != nil {
		t.Fatal(err)
	}
	env := []string{
		"HOME=" + home, "PATH=" + bin + ":/usr/bin:/bin", "LANG=C.UTF-8",
		"KEYTURN_HOME=" + filepath.Join(home, "k"),
		"KEYTURN_KEY_FILE=" + filepath.Join(home, "key"),
	}
	return &install{t: t, home: home, env: append(env, extra...)}
}

// run starts a program on the home and waits for its socket.
func (k *install) run(name string) {
	k.t.Helper()
	k.log = &bytes.Buffer{}
	k.cmd = exec.Command(program(k.t, name))
	k.cmd.Env = k.env
	k.cmd.Stdout, k.cmd.Stderr = k.log, k.log
	if err := k.cmd.Start(); err != nil {
		k.t.Fatal(err)
	}
	cmd := k.cmd
	k.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if k.t.Failed() {
			k.t.Logf("%s said:\n%s", name, k.log)
		}
	})
	eventually(k.t, 10*time.Second, "the socket", func() bool {
		c, err := net.Dial("unix", filepath.Join(k.home, "k", "run", "api.sock"))
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

// stop ends the program as a logout would, and expects it to obey.
func (k *install) stop() {
	k.t.Helper()
	_ = k.cmd.Process.Signal(syscall.SIGTERM)
	k.wait(6 * time.Second)
}

// wait waits for the program to end by itself.
func (k *install) wait(limit time.Duration) {
	k.t.Helper()
	done := make(chan struct{})
	go func() { _ = k.cmd.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(limit):
		k.t.Fatalf("still running after %v", limit)
	}
}

// opened waits for the nth URL at the opener, from 1.
func (k *install) opened(n int) string {
	k.t.Helper()
	var urls []string
	eventually(k.t, 5*time.Second, fmt.Sprintf("URL %d at the opener", n), func() bool {
		b, _ := os.ReadFile(filepath.Join(k.home, "opened"))
		urls = strings.Fields(string(b))
		return len(urls) >= n
	})
	return urls[n-1]
}

// result is what a run of the command line left behind.
type result struct {
	code           int
	stdout, stderr string
}

// cli runs the command line to its end.
func (k *install) cli(args ...string) result {
	k.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program(k.t, "keyturn"), args...)
	cmd.Env = k.env
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if _, isExit := err.(*exec.ExitError); err != nil && !isExit {
		k.t.Fatal(err)
	}
	return result{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

// json runs a command with --json, which prints exactly one value, and
// returns it.
func (k *install) json(wantCode int, args ...string) map[string]any {
	k.t.Helper()
	r := k.cli(append([]string{"--json"}, args...)...)
	if r.code != wantCode {
		k.t.Fatalf("keyturn %v: exit %d, want %d\n%s%s", args, r.code, wantCode, r.stdout, r.stderr)
	}
	var v map[string]any
	dec := json.NewDecoder(strings.NewReader(r.stdout))
	if err := dec.Decode(&v); err != nil {
		k.t.Fatalf("keyturn %v: %v\n%s", args, err, r.stdout)
	}
	if dec.More() {
		k.t.Fatalf("keyturn %v: more than one JSON value\n%s", args, r.stdout)
	}
	return v
}
