package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// Peak memory is what the kernel says of the process, in units of Linux.
func TestLongBodiesAreNotHeldInMemory(t *testing.T) {
	app := beside(t)
	if err := app.start(); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GORACE", unhurried)
	peak := func(args ...string) int64 {
		t.Helper()
		cmd := exec.Command("keyturn", append([]string{"request", "--provider", "demo"}, args...)...)
		cmd.Dir = t.TempDir()
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%.200s", err, out)
		}
		if name := args[len(args)-1]; name == "out" {
			if info, err := os.Stat(filepath.Join(cmd.Dir, name)); err != nil || info.Size() != 200<<20 {
				t.Errorf("%v %v", info, err)
			}
		}
		return cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss << 10
	}
	short := peak("https://api.example/x", "-o", "out-short")
	long := peak("https://api.example/long", "-o", "out")
	t.Logf("peak memory: %d KiB for a short answer, %d KiB for 200 MiB", short>>10, long>>10)
	if long > short+16<<20 {
		t.Errorf("200 MiB took %d MiB more than a few bytes", (long-short)>>20)
	}
}
