package activity_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"keyturn/backend/activity"
)

// The test runs itself again as the program that is killed, or in a namespace
// of its own, where it may mount.
const (
	killed = "KEYTURN_TEST_KILLED"
	inside = "KEYTURN_TEST_INSIDE"
)

func TestAKilledProgramLosesTheLastSecondAtMost(t *testing.T) {
	if path := os.Getenv(killed); path != "" {
		l := activity.Open(path, quiet)
		go l.Run(context.Background())
		for n := 0; ; n++ {
			l.Add(activity.Event{Kind: activity.Refreshed, ConnectionID: fmt.Sprint("con_", n)})
			l.Add(read("con_a", "git"))
			time.Sleep(time.Millisecond)
		}
	}
	t.Parallel()
	path := filepath.Join(t.TempDir(), "activity.log")
	for round := range 2 {
		cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
		cmd.Env = append(os.Environ(), killed+"="+path)
		must(t, cmd.Start())
		before := activity.Open(path, quiet).Recent(activity.Query{Limit: 1})
		for began := time.Now(); time.Since(began) < 20*time.Second; time.Sleep(10 * time.Millisecond) {
			now := activity.Open(path, quiet).Recent(activity.Query{Limit: 1})
			if len(now) > 0 && (len(before) == 0 || now[0].ID != before[0].ID) {
				break
			}
		}
		time.Sleep(1200 * time.Millisecond)
		end := time.Now()
		must(t, cmd.Process.Kill())
		cmd.Wait()
		all := activity.Open(path, quiet).Recent(activity.Query{})
		if len(all) < 100 {
			t.Fatalf("round %d: %d events", round, len(all))
		}
		if lost := end.Sub(all[0].At); lost > 2*time.Second { // one, and what a busy machine adds
			t.Errorf("round %d: the last %v are lost", round, lost)
		}
		for i, e := range all[:len(all)-1] {
			if e.ID != all[i+1].ID+1 {
				t.Fatalf("round %d: after event %d comes %d", round, all[i+1].ID, e.ID)
			}
		}
		if all[len(all)-1].ID != 1 && len(all) < 2000 {
			t.Errorf("round %d: the first of %d events is %d", round, len(all), all[len(all)-1].ID)
		}
	}
}

// insideNamespace runs the calling test again as a child that may mount, and
// reports whether this is the child.
func insideNamespace(t *testing.T) bool {
	t.Helper()
	if os.Getenv(inside) != "" {
		return true
	}
	unshare, err := exec.LookPath("unshare")
	if err != nil {
		t.Skip("unshare is not installed")
	}
	if out, err := exec.Command(unshare, "-rm", "mount", "-t", "tmpfs", "tmpfs", t.TempDir()).CombinedOutput(); err != nil {
		t.Skipf("this system does not let us mount in a namespace: %v: %s", err, out)
	}
	cmd := exec.Command(unshare, "-rm", os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), inside+"=1", "GORACE=atexit_sleep_ms=0")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Fatalf("%v\n%s", err, out)
	}
	return false
}

func TestAFullDiskIsHarmlessAndSaidOnce(t *testing.T) {
	t.Parallel()
	if !insideNamespace(t) {
		return
	}
	base := t.TempDir()
	must(t, syscall.Mount("tmpfs", base, "tmpfs", 0, "size=256k,mode=0700"))
	t.Cleanup(func() { _ = syscall.Unmount(base, syscall.MNT_DETACH) })
	path, ballast := filepath.Join(base, "activity.log"), filepath.Join(base, "ballast")
	var said heard
	l := activity.Open(path, said.log())
	stop := run(t, l)
	wait := func(what string, until func() bool) {
		t.Helper()
		for began := time.Now(); !until(); time.Sleep(10 * time.Millisecond) {
			if time.Since(began) > 20*time.Second {
				t.Fatalf("waited for %s: %s", what, said.b.String())
			}
		}
	}
	l.Add(read("con_a", "before"))
	wait("the first write", func() bool { data, _ := os.ReadFile(path); return len(data) > 0 })
	stuff(t, ballast)
	for n := range 500 { // more than the rest of a page
		l.Add(read("con_a", fmt.Sprint("during", n)))
	}
	wait("a word in the log", func() bool { return said.times("cannot be written") > 0 })
	plain(t, path) // what did not fit was taken back
	began := time.Now()
	for range 10_000 {
		l.Add(read("con_a", "during"))
	}
	if d := time.Since(began); d > time.Second {
		t.Errorf("10,000 reads took %v", d)
	}
	must(t, os.Remove(ballast))
	wait("the disk to be used again", func() bool { return said.times("can be written again") > 0 })
	stop()
	plain(t, path)
	want, got := told(l.Recent(activity.Query{})), told(activity.Open(path, quiet).Recent(activity.Query{}))
	if got != want || strings.Count(got, "\n") != 502 {
		t.Errorf("on disk:\n%s", got)
	}
	if n := said.times("cannot be written"); n != 1 {
		t.Errorf("said %d times", n)
	}
}

// stuff fills the disk under path to the last byte.
func stuff(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	must(t, err)
	defer f.Close()
	for size := 64 << 10; size > 0; size /= 2 {
		for err = nil; err == nil; {
			_, err = f.Write(make([]byte, size))
		}
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
}
