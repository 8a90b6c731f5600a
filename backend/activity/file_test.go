package activity_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"keyturn/backend/activity"
)

// heard is a log that remembers what it was told.
type heard struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (h *heard) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.b.Write(p)
}

func (h *heard) times(word string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.Count(h.b.String(), word)
}

func (h *heard) log() *slog.Logger { return slog.New(slog.NewTextHandler(h, nil)) }

// plain holds a file to what the log promises of it.
func plain(t testing.TB, path string) []byte {
	t.Helper()
	info, err := os.Lstat(path)
	must(t, err)
	if runtime.GOOS != "windows" && info.Mode() != 0o600 {
		t.Errorf("%s has mode %v, want 0600", path, info.Mode())
	}
	data, err := os.ReadFile(path)
	must(t, err)
	if n := len(data); n > 0 && data[n-1] != '\n' {
		t.Errorf("%s ends within a line", path)
	}
	for line := range bytes.Lines(data) {
		if !json.Valid(line) {
			t.Errorf("%s has a line that is not JSON: %q", path, line)
		}
	}
	return data
}

func TestWhatWasRecordedIsThereAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "state", "activity.log")
		l := activity.Open(path, quiet)
		stop := run(t, l)
		for n := range 30 {
			l.Add(read("con_a", "git"))
			l.Add(activity.Event{Kind: activity.Refreshed, ConnectionID: "con_a", Code: fmt.Sprint(n)})
			time.Sleep(10 * time.Second)
		}
		stop()
		plain(t, path)
		want := l.Recent(activity.Query{})
		again := activity.Open(path, quiet)
		got := again.Recent(activity.Query{})
		if fmt.Sprint(got) != fmt.Sprint(want) || len(got) != 35 {
			t.Fatalf("got %d events\n%v\nwant %d\n%v", len(got), got, len(want), want)
		}
		again.Add(read("con_a", "git"))
		if e := again.Recent(activity.Query{Limit: 1})[0]; e.ID != want[0].ID+1 {
			t.Errorf("the next id is %d after %d", e.ID, want[0].ID)
		}
	})
}

func TestACutOrForeignLineIsSkipped(t *testing.T) {
	path := filepath.Join(t.TempDir(), "activity.log")
	const line = `{"id":%d,"at":"2026-01-02T03:04:05Z","kind":"%s","program":"%s","count":2}`
	text := fmt.Sprintf(line, 3, "token_read", "good") + "\n" +
		"\x00\x00\x00\n" + "[]\n" + `{"id":"x"}` + "\n" + strings.Repeat("z", 1<<20) + "\n" +
		fmt.Sprintf(line, 4, "invented", "bad") + "\n" + fmt.Sprintf(line, 0, "token_read", "bad") + "\n" +
		fmt.Sprintf(line, 5, "token_read", `e\u001b[2Jvil`) + "\n" + fmt.Sprintf(line, 3, "token_read", "better") + "\n" +
		fmt.Sprintf(line, 6, "token_read", "cut")
	must(t, os.WriteFile(path, []byte(text), 0o644))
	l := activity.Open(path, quiet)
	const want = "token_read  e[2Jvil 2\ntoken_read  better 2\n"
	if got := told(l.Recent(activity.Query{})); got != want {
		t.Errorf("got %q", got)
	}
	stop := run(t, l)
	l.Add(read("con_a", "git"))
	stop()
	plain(t, path)
	if got := told(activity.Open(path, quiet).Recent(activity.Query{})); got != "token_read con_a git 1\n"+want {
		t.Errorf("after one more: %q", got)
	}
}

func TestTheFileBeginsAnewAtItsSizeAndKeepsOneOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "activity.log")
		l := activity.Open(path, quiet)
		stop := run(t, l)
		l.Add(activity.Event{Kind: activity.Connected, ConnectionID: "con_first"})
		for n := range 16_000 { // about 6 MB of lines
			e := read("con_a", "mad")
			e.Code, e.Account = fmt.Sprint(n), strings.Repeat("é", 100)
			l.Add(e)
			if n%1000 != 0 {
				continue
			}
			time.Sleep(2 * time.Second)
			if info, err := os.Stat(path); err != nil || info.Size() > 4<<20 {
				t.Fatalf("the file has %d bytes, %v", info.Size(), err)
			}
		}
		stop()
		if !bytes.Contains(plain(t, path), []byte("con_first")) {
			t.Error("the new file does not hold what there is")
		}
		plain(t, path+".1")
		found, _ := filepath.Glob(path + "*")
		if len(found) != 2 {
			t.Errorf("there are %v", found)
		}
		want := told(l.Recent(activity.Query{}))
		if got := told(activity.Open(path, quiet).Recent(activity.Query{})); got != want {
			t.Error("after a restart it is not the same")
		}
		must(t, os.Remove(path)) // as a crash between two renames leaves it
		if n := len(activity.Open(path, quiet).Recent(activity.Query{ConnectionID: "con_first"})); n != 1 {
			t.Errorf("%d events of the old file", n)
		}
	})
}

func TestAFileThatSomebodyTouchedIsWrittenAnew(t *testing.T) {
	for name, spoil := range map[string]func(path string) error{
		"removed":         os.Remove,
		"moved away":      func(path string) error { return os.Rename(path, path+".mine") },
		"truncated":       func(path string) error { return os.Truncate(path, 3) },
		"emptied":         func(path string) error { return os.Truncate(path, 0) },
		"folder removed":  func(path string) error { return os.RemoveAll(filepath.Dir(path)) },
		"written to":      func(path string) error { return os.WriteFile(path, []byte("hello"), 0o666) },
		"open to reading": func(path string) error { return os.Chmod(path, 0o644) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "state", "activity.log")
				l := activity.Open(path, quiet)
				stop := run(t, l)
				l.Add(read("con_a", "before"))
				time.Sleep(2 * time.Second)
				must(t, spoil(path))
				l.Add(read("con_a", "after"))
				stop()
				plain(t, path)
				const want = "token_read con_a after 1\ntoken_read con_a before 1\n"
				if got := told(activity.Open(path, quiet).Recent(activity.Query{})); got != want {
					t.Errorf("%q", got)
				}
			})
		})
	}
}

func TestAPlaceThatIsNoPlainFileIsRefusedAndSaidOnce(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("links need a privilege there")
	}
	for name, spoil := range map[string]func(path, victim string) error{
		"a link":        func(path, victim string) error { return os.Symlink(victim, path) },
		"a broken link": func(path, victim string) error { return os.Symlink(victim+"-none", path) },
		"a folder":      func(path, _ string) error { return os.Mkdir(path, 0o700) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				dir := t.TempDir()
				path, victim := filepath.Join(dir, "activity.log"), filepath.Join(dir, "victim")
				must(t, os.WriteFile(victim, []byte("precious\n"), 0o644))
				must(t, spoil(path, victim))
				var said heard
				l := activity.Open(path, said.log())
				stop := run(t, l)
				for range 100 {
					l.Add(read("con_a", "git"))
					time.Sleep(time.Second)
				}
				if said.times("cannot be written") != 1 {
					t.Errorf("said %d times", said.times("cannot be written"))
				}
				if got := len(l.Recent(activity.Query{})); got != 2 {
					t.Errorf("%d events in memory", got)
				}
				must(t, os.RemoveAll(path))
				time.Sleep(15 * time.Second)
				if said.times("can be written again") != 1 {
					t.Error("it did not say that all is well again")
				}
				stop()
				plain(t, path)
				if got := len(activity.Open(path, quiet).Recent(activity.Query{})); got != 2 {
					t.Errorf("%d events on disk", got)
				}
				data, err := os.ReadFile(victim)
				if err != nil || string(data) != "precious\n" {
					t.Errorf("the victim is %q, %v", data, err)
				}
				if _, err := os.Lstat(victim + "-none"); err == nil {
					t.Error("the link was followed")
				}
			})
		})
	}
}
