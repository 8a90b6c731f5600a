//go:build linux

package rig

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

// Program returns the path of one of the programs under test.
func Program(t testing.TB, name string) string {
	t.Helper()
	dir := os.Getenv("KEYTURN_BIN")
	if dir == "" {
		t.Fatal("KEYTURN_BIN is not set to the folder of the programs; run this with: make e2e, make bench")
	}
	return filepath.Join(dir, name)
}

// Install is one Keyturn with a home, an opener and a command line.
type Install struct {
	Home string
	Cmd  *exec.Cmd // the program, once it was run

	t      testing.TB
	env    []string
	log    *bytes.Buffer // of the program that was run last
	before *bytes.Buffer // of the one before it
	traced bool          // the next program is started under a tracer
}

// Start runs a program on an empty home. extra are environment variables.
func Start(t testing.TB, name string, extra ...string) *Install {
	t.Helper()
	k := Prepare(t, extra...)
	k.Run(name)
	return k
}

// Prepare makes the home without starting anything.
func Prepare(t testing.TB, extra ...string) *Install {
	t.Helper()
	home := t.TempDir()
	k := &Install{Home: home, t: t}
	if err := os.Mkdir(filepath.Join(home, "bin"), 0o700); err != nil {
		t.Fatal(err)
	}
	// The opener records what it was given and says too much, as real ones do.
	k.Opener(fmt.Sprintf("printf '%%s\\n' \"$1\" >> %s/opened\necho chatter\necho chatter >&2\n", home))
	k.env = append([]string{
		"HOME=" + home, "PATH=" + home + "/bin:/usr/bin:/bin", "LANG=C.UTF-8",
		"BROWSER=" + home + "/bin/xdg-open", // without a display only a browser that was named is opened
		"KEYTURN_HOME=" + filepath.Join(home, "k"),
		"KEYTURN_KEY_FILE=" + k.KeyFile(),
	}, extra...)
	return k
}

// Set changes the environment of what starts from now on.
func (k *Install) Set(variables ...string) { k.env = append(k.env, variables...) }

// Opener replaces what opens the browser by a shell script.
func (k *Install) Opener(script string) {
	k.t.Helper()
	if err := os.WriteFile(filepath.Join(k.Home, "bin", "xdg-open"), []byte("#!/bin/sh\n"+script), 0o700); err != nil {
		k.t.Fatal(err)
	}
}

// Data is the data folder, KeyFile what guards it, Socket the local API.
func (k *Install) Data() string    { return filepath.Join(k.Home, "k", "data") }
func (k *Install) KeyFile() string { return filepath.Join(k.Home, "key") }
func (k *Install) Socket() string  { return filepath.Join(k.Home, "k", "run", "api.sock") }

// Command returns a program that is ready to start on the home.
func (k *Install) Command(name string, args ...string) *exec.Cmd {
	k.t.Helper()
	cmd := exec.Command(Program(k.t, name), args...)
	cmd.Env = k.env
	return cmd
}

// Run starts a program on the home and waits for its socket.
func (k *Install) Run(name string, args ...string) {
	k.t.Helper()
	k.Begin(name, args...)
	k.await()
}

// await waits for the socket.
func (k *Install) await() {
	k.t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(2 * time.Millisecond) {
		c, err := net.Dial("unix", k.Socket())
		if err == nil {
			c.Close()
			return
		}
		if time.Now().After(end) {
			k.t.Fatal("no socket after 10 s")
		}
	}
}

// Begin starts a program on the home and does not wait for it.
func (k *Install) Begin(name string, args ...string) {
	k.t.Helper()
	if err := k.begin(name, args...); err != nil {
		k.t.Fatal(err)
	}
}

func (k *Install) begin(name string, args ...string) error {
	log := &bytes.Buffer{}
	cmd := k.Command(name, args...)
	cmd.Stdout, cmd.Stderr = log, log
	if k.traced {
		cmd.SysProcAttr = &syscall.SysProcAttr{Ptrace: true}
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	if k.Cmd == nil {
		k.t.Cleanup(func() {
			k.Kill()
			if k.t.Failed() {
				k.t.Logf("%s said:\n%s", name, k.log)
				if k.before != nil {
					k.t.Logf("the one before it said:\n%s", k.before)
				}
			}
		})
	}
	k.Cmd, k.log, k.before = cmd, log, k.log
	return nil
}

// Kill ends the program as a power cut would.
func (k *Install) Kill() {
	_ = k.Cmd.Process.Kill()
	_ = k.Cmd.Wait()
}

// Stop ends the program as a logout would, and expects it to obey.
func (k *Install) Stop() {
	k.t.Helper()
	_ = k.Cmd.Process.Signal(syscall.SIGTERM)
	k.Wait(6 * time.Second)
}

// Said is what the program wrote to its standard outputs, once it has ended.
func (k *Install) Said() string { return k.log.String() }

// Wait waits for the program to end by itself.
func (k *Install) Wait(limit time.Duration) {
	k.t.Helper()
	done := make(chan struct{})
	go func() { _ = k.Cmd.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(limit):
		k.t.Fatalf("still running after %v", limit)
	}
}

// Opened waits for the nth URL at the opener, from 1.
func (k *Install) Opened(n int) string {
	k.t.Helper()
	var urls []string
	Eventually(k.t, 5*time.Second, fmt.Sprintf("URL %d at the opener", n), func() bool {
		b, _ := os.ReadFile(filepath.Join(k.Home, "opened"))
		urls = strings.Fields(string(b))
		return len(urls) >= n
	})
	return urls[n-1]
}

// Result is what a run of the command line left behind.
type Result struct {
	Code           int
	Stdout, Stderr string
}

// CLI runs the command line to its end.
func (k *Install) CLI(args ...string) Result {
	k.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, Program(k.t, "keyturn"), args...)
	cmd.Env = k.env
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if _, isExit := err.(*exec.ExitError); err != nil && !isExit {
		k.t.Fatal(err)
	}
	return Result{cmd.ProcessState.ExitCode(), out.String(), errs.String()}
}

// JSON runs a command with --json, which prints exactly one value, and
// returns it.
func (k *Install) JSON(wantCode int, args ...string) map[string]any {
	k.t.Helper()
	r := k.CLI(append([]string{"--json"}, args...)...)
	if r.Code != wantCode {
		k.t.Fatalf("keyturn %v: exit %d, want %d\n%s%s", args, r.Code, wantCode, r.Stdout, r.Stderr)
	}
	var v map[string]any
	dec := json.NewDecoder(strings.NewReader(r.Stdout))
	if err := dec.Decode(&v); err != nil {
		k.t.Fatalf("keyturn %v: %v\n%s", args, err, r.Stdout)
	}
	if dec.More() {
		k.t.Fatalf("keyturn %v: more than one JSON value\n%s", args, r.Stdout)
	}
	return v
}
