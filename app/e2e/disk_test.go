//go:build e2e && linux

package e2e

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"keyturn/app/e2e/rig"
	"keyturn/backend/api/wire"
)

// A ruin makes the data folder of a running program unwritable, and mend
// makes it good again.
type ruin struct {
	name string
	ruin func(v *victim) (mend func())
	// maybe: what is written may be there all the same, only nobody can tell
	// for how long.
	maybe bool
}

var ruins = []ruin{
	{"full", (*victim).fill, false},
	{"read-only", func(v *victim) func() { return v.inject("pwrite64,ftruncate:error=EROFS") }, false},
	{"failing to write", func(v *victim) func() { return v.inject("pwrite64:error=EIO") }, false},
	{"failing to sync", func(v *victim) func() { return v.inject("fdatasync,fsync:error=EIO") }, true},
}

// These tokens live long enough to be served while the disk is out of order,
// and are due soon.
const (
	mediumLife = 20 * time.Second
	// nextLook is when a program that runs has looked at what is due, and is
	// through with it.
	nextLook = 45 * time.Second
)

// newDiskVictim is a victim whose data folder is a small disk of its own.
func newDiskVictim(t *testing.T, grace time.Duration) *victim {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can make a small disk and take it away")
	}
	mounted := false
	return newVictim(t, mediumLife, grace, nil, func(k *rig.Install) {
		if !mounted {
			mounted = true
			mountTemp(t, k.Data())
		}
		k.Run("keyturn-headless")
	})
}

func mountTemp(t *testing.T, dir string) {
	t.Helper()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("keyturn-e2e", dir, "tmpfs", 0, "size=1m,mode=700"); err != nil {
		t.Skip("this system does not let us mount: ", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
}

// fill leaves no room on the disk.
func (v *victim) fill() (mend func()) {
	v.t.Helper()
	path := filepath.Join(v.k.Data(), "ballast")
	f, err := os.Create(path)
	if err != nil {
		v.t.Fatal(err)
	}
	defer f.Close()
	for block := make([]byte, 4096); err == nil; {
		_, err = f.Write(block)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		v.t.Fatal("the disk does not fill up: ", err)
	}
	return func() { _ = os.Remove(path) }
}

// inject makes system calls of the program fail, those of its database only:
// nothing else in it makes these.
func (v *victim) inject(what string) (mend func()) {
	v.t.Helper()
	calls, _, _ := strings.Cut(what, ":")
	cmd := exec.Command("strace", "-f", "-o", "/dev/null", "-p", fmt.Sprint(v.k.Cmd.Process.Pid), "-e", "trace="+calls, "-e", "inject="+what)
	says, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		v.t.Fatal("strace is needed (build/setup.sh test installs it): ", err)
	}
	lines := bufio.NewScanner(says)
	if !lines.Scan() || !strings.Contains(lines.Text(), "attached") {
		_ = cmd.Process.Kill()
		v.t.Fatalf("strace: %s", lines.Text())
	}
	go func() { _, _ = io.Copy(io.Discard, says) }()
	return func() {
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
	}
}

// status is what is said of the connection, by the API and by the command line.
func (v *victim) status() (status, reason, health string) {
	v.t.Helper()
	for {
		before, said, after := v.listed(), v.k.JSON(0, "status")["connections"].([]any), v.listed()
		if before.Status != after.Status {
			continue // it changed while we looked
		}
		if len(said) != 1 || said[0].(map[string]any)["status"] != after.Status {
			v.t.Errorf("keyturn status says %v where the API says %q", said, after.Status)
		}
		return after.Status, after.Reason, after.Health
	}
}

// listed is the one connection there is.
func (v *victim) listed() wire.Connection {
	v.t.Helper()
	all, err := v.app.Connections(v.t.Context())
	if err != nil || len(all.Connections) != 1 {
		v.t.Fatalf("%d connections: %v", len(all.Connections), err)
	}
	return all.Connections[0]
}

// TestADiskThatFailsBeforeARefreshCostsNothing (SG-03, RF-10): what cannot be
// written down is not sent, the old token serves, and it passes.
func TestADiskThatFailsBeforeARefreshCostsNothing(t *testing.T) {
	for _, r := range ruins {
		t.Run("RF-10 "+r.name, func(t *testing.T) {
			t.Parallel()
			v := newDiskVictim(t, 0)
			v.refreshed()
			old, err := v.ask()
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Until(v.due))
			v.as.Forget()
			mend := r.ruin(v)
			token, err := v.ask()
			if err != nil || token.Token != old.Token {
				mend()
				t.Fatalf("the old token is good and was not served: %v", err)
			}
			status, reason, health := v.status()
			mend()
			if status != "retrying" || reason != "disk_full" || !strings.Contains(health, "disk") {
				t.Errorf("status: %q %q %q", status, reason, health)
			}
			if calls := v.as.Transcript(); len(calls) > 0 {
				t.Fatalf("sent, though it could not be written down:\n%s", rig.Lines(calls))
			}
			limit := 10 * time.Second
			renewed := func() bool {
				token, err := v.ask()
				return err == nil && token.Token != old.Token
			}
			if long() { // nobody asks, and it passes all the same
				limit = nextLook
				renewed = func() bool { return len(v.as.Transcript()) > 0 }
			}
			rig.Eventually(t, limit, "the refresh that the disk held up", renewed)
			rig.Eventually(t, 5*time.Second, "status to be connected", func() bool {
				status, reason, _ = v.status()
				return status == "connected" && reason == ""
			})
			if calls := v.as.Transcript(); len(calls) != 1 {
				t.Errorf("one refresh was due:\n%s", rig.Lines(calls))
			}
		})
	}
}

// TestATokenThatCannotBeSavedServes (RF-10): the disk fails between the note
// and the save. The token is used, loudly, and saved when the disk is back;
// after that even a kill does no harm.
func TestATokenThatCannotBeSavedServes(t *testing.T) {
	for _, r := range ruins {
		t.Run("RF-10 "+r.name, func(t *testing.T) {
			t.Parallel()
			if r.name != "full" && !long() {
				return // each takes as long as the program takes to look again
			}
			v := newDiskVictim(t, 0)
			issued, mend := v.ruinedAfterTheAnswer(r)
			if kept := v.onDisk(); !r.maybe && (fingerprint(kept) != issued.With || kept.RefreshSent.IsZero()) {
				mend()
				t.Fatalf("the disk did not fail: it holds generation %d with %s, journal %v", kept.Generation, fingerprint(kept), kept.RefreshSent)
			}
			mend()
			// Meanwhile the next refresh may be due, with the token that was kept.
			var newest rig.Refresh
			rig.Eventually(t, nextLook, "the newest token to be saved", func() bool {
				calls := v.as.Transcript()
				newest = calls[len(calls)-1]
				_, _, health := v.status()
				return fingerprint(v.onDisk()) == newest.Issued && health == "connected"
			})
			v.k.Kill()
			v.restart()
			time.Sleep(time.Until(newest.Rotated.Add(v.untilDue())))
			if token, err := v.ask(); err != nil || !v.as.Honours(t, token.Token) {
				t.Fatalf("after a kill: %v", err)
			}
			calls := v.as.Transcript()
			for n, call := range calls[1:] {
				if call.With != calls[n].Issued {
					t.Errorf("not with the newest refresh token: %s", call)
				}
			}
			if last := calls[len(calls)-1]; last.With != newest.Issued {
				t.Errorf("after a kill, not with the token that was saved:\n%s", rig.Lines(calls))
			}
		})
	}
}

// TestAKillBeforeAFailingDiskIsBack: the newest token was in memory alone, and
// is gone. A server with a period of grace takes the old one; of one without,
// it is said what happened.
func TestAKillBeforeAFailingDiskIsBack(t *testing.T) {
	for _, grace := range []time.Duration{0, 30 * time.Second} {
		t.Run(fmt.Sprintf("RF-10 grace %v", grace), func(t *testing.T) {
			t.Parallel()
			v := newDiskVictim(t, grace)
			issued, mend := v.ruinedAfterTheAnswer(ruins[0])
			v.k.Kill()
			mend()
			v.as.Forget()
			v.restart()
			token, err := v.ask()
			status, reason, _ := v.status()
			calls := v.as.Transcript()
			if len(calls) != 1 || calls[0].With != issued.With {
				t.Fatalf("one try with the old refresh token:\n%s", rig.Lines(calls))
			}
			if grace == 0 {
				if err == nil || status != "needs_reconnect" || reason != "possible_lost_rotation" {
					t.Errorf("%v, status %q %q", err, status, reason)
				}
				v.connect()
				if status, reason, _ = v.status(); status != "connected" || reason != "" {
					t.Errorf("connected again: %q %q", status, reason)
				}
				return
			}
			if err != nil || status != "connected" || !v.as.Honours(t, token.Token) {
				t.Errorf("within the period of grace: %v, status %q %q", err, status, reason)
			}
		})
	}
}

// ruinedAfterTheAnswer makes one refresh during which the disk fails when the
// server has rotated, and holds that the caller is served and the status says
// what is the matter.
func (v *victim) ruinedAfterTheAnswer(r ruin) (issued rig.Refresh, mend func()) {
	v.t.Helper()
	time.Sleep(time.Until(v.due))
	v.as.Forget()
	broken := make(chan func(), 1)
	v.as.Rotated = func() { broken <- r.ruin(v) }
	token, err := v.ask()
	v.as.Quiet()
	v.as.Rotated = nil
	select {
	case mend = <-broken:
	default:
		v.t.Fatalf("no refresh: %v", err)
	}
	status, _, health := v.status()
	issued = v.as.Transcript()[0]
	if err != nil || token.Token != issued.Access || !v.as.Honours(v.t, token.Token) {
		mend()
		v.t.Fatalf("the new token is there and was not served: %v\n%s", err, issued)
	}
	if again := v.k.CLI("token", "rotating"); strings.TrimSpace(again.Stdout) != issued.Access {
		mend()
		v.t.Fatalf("the new token is not served again: %+v", again)
	}
	if status != "connected" || !strings.Contains(health, "could not be saved") {
		v.t.Errorf("status does not say that the token is not saved: %q %q", status, health)
	}
	return issued, mend
}

// TestADiskThatIsReadOnlyAtTheStartLosesNothing (SG-29).
func TestADiskThatIsReadOnlyAtTheStartLosesNothing(t *testing.T) {
	t.Parallel()
	v := newDiskVictim(t, 0)
	v.k.Kill()
	remount := func(flags uintptr) {
		t.Helper()
		if err := syscall.Mount("", v.k.Data(), "", syscall.MS_REMOUNT|flags, "size=1m"); err != nil {
			t.Fatal(err)
		}
	}
	before := v.onDisk()
	remount(syscall.MS_RDONLY)
	v.as.Forget()
	v.k.Begin("keyturn-headless")
	time.Sleep(time.Second)
	result := v.k.CLI("token", "rotating", "--min-valid", "1h")
	v.k.Kill()
	said := v.k.Said() + result.Stdout + result.Stderr
	if result.Code == 0 || !strings.Contains(said, "read-only") {
		t.Errorf("it does not say that the folder is read-only: exit %d\n%s", result.Code, said)
	}
	if calls := v.as.Transcript(); len(calls) > 0 {
		t.Errorf("refreshed without being able to write it down:\n%s", rig.Lines(calls))
	}
	remount(0)
	if now := v.onDisk(); now.Generation != before.Generation || fingerprint(now) != fingerprint(before) {
		t.Errorf("something changed on a read-only disk")
	}
	v.restart()
	time.Sleep(time.Until(v.due))
	if _, err := v.ask(); err != nil {
		t.Errorf("the disk is back: %v", err)
	}
}
