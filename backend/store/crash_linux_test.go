package store_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"keyturn/backend/oauth"
	"keyturn/backend/orchestrator"
	"keyturn/backend/store"
	"keyturn/backend/store/storetest"
)

// generation returns a connection whose every part says which save it is from.
func generation(n uint64) orchestrator.Record {
	r := storetest.Connection(1)
	r.Generation = n
	r.Account.ID = fmt.Sprint(n)
	r.Token.Access = oauth.NewSecret(fmt.Sprintf("access-%d", n))
	r.Token.Refresh = oauth.NewSecret(strings.Repeat(fmt.Sprintf("refresh-%d ", n), 1+int(n*37%400)))
	return r
}

// The child saves one generation after the other and says each that is saved.
const (
	crashDir   = "KEYTURN_TEST_CRASH_DIR"
	crashSaves = "KEYTURN_TEST_CRASH_SAVES" // how many; 0 for ever
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" && os.Getenv(crashChange) != "" {
		changeProtector(dir)
		os.Exit(0)
	}
	if dir := os.Getenv(crashDir); dir != "" {
		limit, _ := strconv.Atoi(os.Getenv(crashSaves))
		saveGenerations(dir, uint64(limit))
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func saveGenerations(dir string, limit uint64) {
	ctx := context.Background()
	p := place{filepath.Join(dir, "data"), filepath.Join(dir, "key")}
	s, err := store.Open(ctx, p.options())
	if err != nil {
		panic(err)
	}
	c, err := s.Load(ctx)
	if err != nil {
		fmt.Println("load failed")
		return
	}
	var n uint64
	if len(c.Connections) > 0 {
		n = c.Connections[0].Generation
	}
	fmt.Println("ready")
	for end := n + limit; limit == 0 || n < end; {
		n++
		if err := s.SaveConnection(ctx, generation(n)); err != nil {
			fmt.Println("failed", n)
			continue
		}
		fmt.Println("saved", n)
		if n%5 == 0 {
			if s.SaveApp(ctx, storetest.App(int(n))) == nil {
				_ = s.DeleteApp(ctx, storetest.App(int(n)).ID)
			}
		}
	}
	_ = s.Close()
}

// survived demands one whole generation, no older than saved and no newer
// than tried.
func survived(t *testing.T, p place, saved, tried uint64) uint64 {
	t.Helper()
	s := open(t, p.options())
	c := load(t, s)
	shut(t, s)
	if len(c.Damaged) != 0 {
		t.Fatalf("damaged: %+v", c.Damaged)
	}
	if len(c.Connections) == 0 {
		if saved > 0 {
			t.Fatalf("generation %d was saved and is gone", saved)
		}
		return 0
	}
	r := c.Connections[0]
	if r.Generation < saved || r.Generation > tried {
		t.Fatalf("generation %d is there, %d was saved, %d tried", r.Generation, saved, tried)
	}
	want := generation(r.Generation)
	if r.Account != want.Account || r.Token.Access.Reveal() != want.Token.Access.Reveal() || r.Token.Refresh.Reveal() != want.Token.Refresh.Reveal() {
		t.Fatalf("generation %d is mixed with another", r.Generation)
	}
	return r.Generation
}

// child is this test program, saving generations.
func child(dir string, saves int, command ...string) *exec.Cmd {
	command = append(command, os.Args[0])
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env = append(os.Environ(), crashDir+"="+dir, crashSaves+"="+strconv.Itoa(saves), "GORACE=atexit_sleep_ms=0")
	return cmd
}

// lastSaved reads what the child says until it ends.
func lastSaved(out io.Reader, ready func()) (saved, tried uint64) {
	for lines := bufio.NewScanner(out); lines.Scan(); {
		switch word, number, _ := strings.Cut(lines.Text(), " "); word {
		case "ready":
			ready()
		case "saved", "failed":
			n, _ := strconv.ParseUint(number, 10, 64)
			tried = n
			if word == "saved" {
				saved = n
			}
		}
	}
	return saved, tried
}

func TestKilledAtAnyMomentItReopensWhole(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := place{filepath.Join(dir, "data"), filepath.Join(dir, "key")}
	var last uint64
	for kill := range 30 {
		cmd := child(dir, 0)
		out, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
		saved, _ := lastSaved(out, func() {
			// From at once to some dozens of saves later.
			time.AfterFunc(time.Duration(kill*kill)*50*time.Microsecond, func() { _ = cmd.Process.Kill() })
		})
		_ = cmd.Wait()
		if saved == 0 {
			saved = last
		}
		last = survived(t, p, saved, saved+1)
	}
	if last < 30 {
		t.Errorf("only %d saves in all", last)
	}
}

// tracer returns strace, when this system lets it trace.
func tracer(t *testing.T) string {
	t.Helper()
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("strace is not installed")
	}
	if out, err := exec.Command(strace, "-f", "-o", "/dev/null", "true").CombinedOutput(); err != nil {
		t.Skipf("this system does not let us trace: %s", out)
	}
	return strace
}

func TestEverySystemCallOfASaveMayFail(t *testing.T) {
	t.Parallel()
	strace := tracer(t)
	for _, tt := range []struct {
		name, call, what string
		first, last      int
	}{
		{"SG-01 killed at a write", "pwrite64", "signal=SIGKILL", 1, 16},
		{"SG-02 killed at a sync", "fdatasync,fsync", "signal=SIGKILL", 1, 6},
		{"SG-03 no space at a write", "pwrite64", "error=ENOSPC", 1, 9},
		{"SG-04 an error at a write", "pwrite64", "error=EIO", 1, 6},
		{"SG-05 an error at a sync", "fdatasync,fsync", "error=EIO", 1, 4},
		{"SG-06 quota at a write", "pwrite64", "error=EDQUOT", 2, 4},
		{"SG-07 interrupted writes", "pwrite64", "error=EINTR", 1, 4},
		{"SG-08 killed at a rename", "rename,renameat", "signal=SIGKILL", 1, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			hits := 0
			for when := tt.first; when <= tt.last; when++ {
				dir := t.TempDir()
				p := place{filepath.Join(dir, "data"), filepath.Join(dir, "key")}
				// Half of them hit a first start, half a store that is there.
				var old uint64
				if when%2 == 0 {
					s := open(t, p.options())
					must(t, s.SaveConnection(t.Context(), generation(1)))
					shut(t, s)
					old = 1
				}
				trace := filepath.Join(dir, "trace")
				cmd := child(dir, 3, strace, "-f", "-q", "-o", trace,
					"-e", "trace="+tt.call, "-e", fmt.Sprintf("inject=%s:%s:when=%d", tt.call, tt.what, when))
				out, err := cmd.StdoutPipe()
				must(t, err)
				must(t, cmd.Start())
				saved, tried := lastSaved(out, func() {})
				_ = cmd.Wait()
				survived(t, p, max(old, saved), max(old, tried)+1)
				seen, err := os.ReadFile(trace)
				must(t, err)
				if bytes.Contains(seen, []byte("(INJECTED)")) || bytes.Contains(seen, []byte("killed by SIGKILL")) {
					hits++
				}
			}
			if want := tt.last - tt.first + 1; hits < want/2 {
				t.Errorf("%d of %d tries hit a system call", hits, want)
			}
		})
	}
}
