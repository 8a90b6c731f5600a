package open

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"keyturn/backend/fault"
)

const page = "https://idp.example/authorize?state=1"

// fakeOpener puts a shell script in front of the PATH as xdg-open. It writes
// what it was given into the folder that is returned, then runs body.
func fakeOpener(t *testing.T, body string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	script := fmt.Sprintf(`#!/bin/sh
cd %q
printf '%%s\n' "$@" >argv
echo $# >count
echo $$ >pid
cut -d ' ' -f 6,7 /proc/$$/stat >session
readlink /proc/$$/fd/0 /proc/$$/fd/1 /proc/$$/fd/2 | cat >standard
ls -l /proc/$$/fd | cat >descriptors
env >environment
echo x >>opened
%s
`, dir, body)
	if err := os.WriteFile(filepath.Join(dir, "xdg-open"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":/usr/bin:/bin")
	t.Setenv("DISPLAY", ":99")
	opened = limiter{}
	return dir
}

func TestTheOpenerGetsOneArgumentAndNothingElseOfOurs(t *testing.T) {
	dir := fakeOpener(t, "touch done")
	t.Setenv("KEYTURN_PASSPHRASE_FILE", "/secret/place")
	t.Setenv("BROWSER", "chosen-by-the-user")
	before := started
	started = os.Environ()
	t.Cleanup(func() { started = before })
	t.Setenv("GDK_BACKEND", "x11") // as a toolkit in this process would
	// A descriptor that a library opened without close-on-exec.
	secret := filepath.Join(t.TempDir(), "held-open-by-the-app")
	fd, err := syscall.Open(secret, syscall.O_CREAT|syscall.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	if flags, _ := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); flags&unix.FD_CLOEXEC != 0 {
		t.Fatal("the descriptor would not be inherited anyway")
	}
	hostile := "https://x/$(touch${IFS}/tmp/p)`id`;&|<>?a=--help"
	if err := Show(t.Context(), "", hostile); err != nil {
		t.Fatal(err)
	}
	t.Run("OB-04 one argument, encoded", func(t *testing.T) {
		want := "https://x/$(touch$%7BIFS%7D/tmp/p)%60id%60;&%7C%3C%3E?a=--help\n"
		if got := read(t, dir, "argv"); got != want || read(t, dir, "count") != "1\n" {
			t.Errorf("argv %q", got)
		}
	})
	t.Run("OB-08 the user's own environment stays, ours does not", func(t *testing.T) {
		env := read(t, dir, "environment")
		if !strings.Contains(env, "BROWSER=chosen-by-the-user\n") || strings.Contains(env, "KEYTURN") || strings.Contains(env, "GDK_BACKEND") {
			t.Error(env)
		}
	})
	t.Run("OB-13 no terminal", func(t *testing.T) {
		var session, terminal int
		fmt.Sscan(read(t, dir, "session"), &session, &terminal)
		if strconv.Itoa(session)+"\n" != read(t, dir, "pid") || terminal != 0 {
			t.Errorf("session %d of process %s with terminal %d", session, read(t, dir, "pid"), terminal)
		}
		if got := read(t, dir, "standard"); got != strings.Repeat("/dev/null\n", 3) {
			t.Errorf("standard streams %q", got)
		}
	})
	t.Run("OB-16 no descriptor of ours", func(t *testing.T) {
		if got := read(t, dir, "descriptors"); strings.Contains(got, secret) {
			t.Errorf("inherited:\n%s", got)
		}
	})
}

func TestChatterOfTheOpenerGoesNowhere(t *testing.T) {
	t.Run("OB-10 a mebibyte", func(t *testing.T) {
		dir := fakeOpener(t, "head -c 1048576 /dev/zero; head -c 1048576 /dev/zero >&2; touch done")
		out, err := os.CreateTemp(t.TempDir(), "")
		if err != nil {
			t.Fatal(err)
		}
		stdout, stderr := os.Stdout, os.Stderr
		os.Stdout, os.Stderr = out, out
		err = Show(t.Context(), "", page)
		os.Stdout, os.Stderr = stdout, stderr
		if err != nil {
			t.Fatal(err)
		}
		if info, _ := out.Stat(); info.Size() != 0 {
			t.Errorf("%d bytes on our output", info.Size())
		}
		read(t, dir, "done")
	})
}

func TestAHangingOpenerHoldsNobodyUp(t *testing.T) {
	t.Run("OB-11 ten minutes", func(t *testing.T) {
		dir := fakeOpener(t, "exec sleep 600")
		start := time.Now()
		if err := Show(t.Context(), "", page); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(start); d > time.Second {
			t.Errorf("took %v", d)
		}
		pid, _ := strconv.Atoi(strings.TrimSpace(read(t, dir, "pid")))
		if group, err := syscall.Getpgid(pid); err != nil || group == syscall.Getpgrp() {
			t.Errorf("not detached: group %d, %v", group, err)
		}
		syscall.Kill(pid, syscall.SIGKILL)
	})
	t.Run("a caller that goes away is let go", func(t *testing.T) {
		dir := fakeOpener(t, "exec sleep 600")
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		if err := Show(ctx, "", page); err != context.DeadlineExceeded {
			t.Error(err)
		}
		pid, _ := strconv.Atoi(strings.TrimSpace(read(t, dir, "pid")))
		syscall.Kill(pid, syscall.SIGKILL)
	})
}

func TestNoBrowserSaysWhatToDo(t *testing.T) {
	says := func(t *testing.T, err error) {
		t.Helper()
		if fault.CodeOf(err) != fault.NoBrowser || !strings.Contains(fault.MessageOf(err), "Copy the link") {
			t.Errorf("%v", err)
		}
	}
	t.Run("OB-13 no display", func(t *testing.T) {
		dir := fakeOpener(t, "")
		for _, name := range []string{"DISPLAY", "WAYLAND_DISPLAY", "BROWSER"} {
			t.Setenv(name, "")
		}
		says(t, Show(t.Context(), "", page))
		says(t, Ready())
		if _, err := os.Stat(filepath.Join(dir, "opened")); err == nil {
			t.Error("the opener was started: what it falls back to reads the terminal")
		}
	})
	t.Run("no opener", func(t *testing.T) {
		fakeOpener(t, "")
		t.Setenv("PATH", t.TempDir())
		says(t, Show(t.Context(), "", page))
	})
	t.Run("opener in the current folder", func(t *testing.T) {
		dir := fakeOpener(t, "")
		t.Chdir(dir)
		t.Setenv("PATH", ".")
		says(t, Show(t.Context(), "", page))
		if _, err := os.Stat(filepath.Join(dir, "opened")); err == nil {
			t.Error("started by a relative path")
		}
	})
	t.Run("opener finds no browser", func(t *testing.T) {
		fakeOpener(t, "exit 3")
		says(t, Show(t.Context(), "", page))
	})
	t.Run("refused before exec", func(t *testing.T) {
		dir := fakeOpener(t, "")
		for _, in := range []string{"--help", "file:///etc/passwd", "ms-msdt:/id"} {
			if err := Show(t.Context(), "", in); fault.CodeOf(err) != fault.BadRequest {
				t.Errorf("%s: %v", in, err)
			}
		}
		if _, err := os.Stat(filepath.Join(dir, "opened")); err == nil {
			t.Error("the opener was started")
		}
	})
}

func TestFourTabsAMinute(t *testing.T) {
	t.Run("OB-14 a hundred calls", func(t *testing.T) {
		dir := fakeOpener(t, "")
		limited := 0
		for range 100 {
			if err := Show(t.Context(), "", page); fault.CodeOf(err) == fault.RateLimited {
				limited++
			} else if err != nil {
				t.Fatal(err)
			}
		}
		if got := strings.Count(read(t, dir, "opened"), "x"); got != perMinute || limited != 100-perMinute {
			t.Errorf("%d opened, %d refused", got, limited)
		}
	})
	t.Run("the minute slides", func(t *testing.T) {
		var l limiter
		at := time.Now()
		for i, want := range []bool{true, true, true, true, false} {
			if got := l.allow(at.Add(time.Duration(i) * 10 * time.Second)); got != want {
				t.Errorf("%d: %v", i, got)
			}
		}
		if !l.allow(at.Add(60*time.Second)) || l.allow(at.Add(61*time.Second)) || !l.allow(at.Add(70*time.Second)) {
			t.Error("does not slide")
		}
	})
}
