package bundle_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"keyturn/backend/bundle"
	"keyturn/backend/fault"
)

func TestAPipeIsNotWaitedFor(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := bundle.Read(pipe)
	refused(t, err, fault.BadRequest)
	refused(t, bundle.Write(pipe, []byte("x")), fault.Conflict)
}

// A child of this test runs in namespaces of its own, where it may mount.
const inside = "KEYTURN_TEST_INSIDE"

func TestAFullDiskKeepsNoHalfFile(t *testing.T) {
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
	disk := t.TempDir()
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=64k,mode=0700"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(disk, syscall.MNT_DETACH) })
	path := filepath.Join(disk, "k.age")
	refused(t, bundle.Write(path, make([]byte, 128<<10)), fault.DiskFull)
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("half a file is left: %v", err)
	}
	if err := bundle.Write(path, make([]byte, 16<<10)); err != nil { // there is room again
		t.Error(err)
	}
	if err := syscall.Mount("", disk, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	refused(t, bundle.Write(filepath.Join(disk, "other.age"), []byte("x")), fault.DiskFull)
}
