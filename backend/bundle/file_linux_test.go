package bundle_test

import (
	"bytes"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"keyturn/backend/bundle"
	"keyturn/backend/fault"
)

func TestAPipeIsNoFile(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := bundle.Read(pipe)
	refused(t, err, fault.BadRequest)
}

func TestAFullDiskLeavesNoHalfFile(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can make a small disk")
	}
	dir := t.TempDir()
	if err := syscall.Mount("keyturn-test", dir, "tmpfs", 0, "size=64k,mode=700"); err != nil {
		t.Skipf("no small disk can be made here: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	path := filepath.Join(dir, "k.age")
	refused(t, bundle.Write(path, bytes.Repeat([]byte("x"), 1<<20)), fault.DiskFull)
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
	if err := bundle.Write(path, []byte("a small one")); err != nil {
		t.Error(err)
	}
}
