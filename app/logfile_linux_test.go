package app

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestALogOnAFullDiskHasWholeLinesAndSaysHowManyAreMissing runs itself again
// in a namespace of its own, where it may mount a small disk.
func TestALogOnAFullDiskHasWholeLinesAndSaysHowManyAreMissing(t *testing.T) {
	const inside = "KEYTURN_TEST_INSIDE"
	if os.Getenv(inside) == "" {
		unshare, err := exec.LookPath("unshare")
		if err != nil {
			t.Skip("unshare is not installed")
		}
		if out, err := exec.Command(unshare, "-rm", "mount", "-t", "tmpfs", "tmpfs", t.TempDir()).CombinedOutput(); err != nil {
			t.Skipf("this system does not let us mount in a namespace: %v: %s", err, out)
		}
		cmd := exec.Command(unshare, "-rm", os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
		cmd.Env = append(os.Environ(), inside+"=1", "GORACE=atexit_sleep_ms=0")
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	base := t.TempDir()
	if err := syscall.Mount("tmpfs", base, "tmpfs", 0, "size=256k,mode=0700"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(base, syscall.MNT_DETACH) })
	path, ballast := filepath.Join(base, "keyturn.log"), filepath.Join(base, "ballast")
	var out strings.Builder
	log, end := openLog(path, &out)
	log.Info("before")
	f, err := os.Create(ballast)
	if err != nil {
		t.Fatal(err)
	}
	for size := 64 << 10; size > 0; size /= 2 {
		for err = nil; err == nil; {
			_, err = f.Write(make([]byte, size))
		}
	}
	if f.Close(); !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	const during = 200
	for range during { // more than the rest of a page takes
		log.Info("during", "padding", strings.Repeat("x", 100))
	}
	written := len(logLines(t, path)) // each of them whole
	if n := strings.Count(out.String(), "cannot write its log"); n != 1 || written < 2 || written > during {
		t.Errorf("%d lines, said %q", written, out.String())
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	log.Info("after")
	end()
	lines := logLines(t, path)
	missing := during + 1 - written
	if len(lines) != written+2 || !strings.HasSuffix(lines[len(lines)-1], "msg=after") {
		t.Errorf("%d lines, the last is %q", len(lines), lines[len(lines)-1])
	}
	if told := lines[len(lines)-2]; !strings.HasSuffix(told, fmt.Sprint("lost=", missing)) {
		t.Errorf("%q, want %d", told, missing)
	}
}
