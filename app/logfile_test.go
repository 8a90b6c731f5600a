package app

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
)

// logLines reads the lines of the log files that there are, oldest first, and
// holds each file to what is promised of it.
func logLines(t *testing.T, path string) []string {
	t.Helper()
	var lines []string
	files, err := filepath.Glob(path + "*")
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(files)
	slices.Reverse(files) // .3 .2 .1 and the one without
	for _, name := range files {
		info, err := os.Lstat(name)
		if err != nil {
			t.Fatal(err)
		}
		if runtime.GOOS != "windows" && info.Mode() != 0o600 {
			t.Errorf("%s has mode %v, want 0600", name, info.Mode())
		}
		if info.Size() > maxLog {
			t.Errorf("%s has %d bytes", name, info.Size())
		}
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if len(data) > 0 && data[len(data)-1] != '\n' {
			t.Errorf("%s ends within a line", name)
		}
		for line := range strings.Lines(string(data)) {
			lines = append(lines, strings.TrimSuffix(line, "\n"))
		}
	}
	return lines
}

func TestNoLineIsLostOrTornWhenTheLogBeginsAnew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "keyturn.log")
	var out strings.Builder
	log, end := openLog(path, &out)
	const writers, each = 8, 250
	padding := strings.Repeat("x", 6000) // 12 MB in all: two rotations
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for n := range each {
				log.Info("line", "key", fmt.Sprintf("%d-%d", w, n), "padding", padding)
			}
		})
	}
	wg.Wait()
	end()
	next := make([]int, writers)
	for _, line := range logLines(t, path) {
		var w, n int
		_, rest, found := strings.Cut(line, `msg=line key=`)
		if _, err := fmt.Sscanf(rest, "%d-%d", &w, &n); !found || err != nil || !strings.HasSuffix(line, " padding="+padding) || !strings.HasPrefix(line, "time=") {
			t.Fatalf("a torn line: %.80q", line)
		}
		if n != next[w] {
			t.Fatalf("writer %d: line %d where %d should be", w, n, next[w])
		}
		next[w]++
	}
	for w, n := range next {
		if n != each {
			t.Errorf("writer %d: %d lines, want %d", w, n, each)
		}
	}
	if files, _ := filepath.Glob(path + "*"); len(files) != 3 {
		t.Errorf("there are %v", files)
	}
	if out.Len() > 0 {
		t.Errorf("said %q", out.String())
	}
}

func TestThreeOldLogsAreKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keyturn.log")
	l := &logFile{path: path, out: &strings.Builder{}}
	line := []byte(strings.Repeat("y", 1<<20-1) + "\n")
	for range 5 * 8 {
		l.Write(line)
	}
	l.close()
	files, _ := filepath.Glob(path + "*")
	want := []string{path, path + ".1", path + ".2", path + ".3"}
	if !slices.Equal(files, want) {
		t.Errorf("there are %v", files)
	}
	if n := len(logLines(t, path)); n != 20 {
		t.Errorf("%d lines are kept, want 20", n)
	}
}

func TestTheLogGoesOnAfterARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keyturn.log")
	if err := os.WriteFile(path, []byte("first\ncut by a cra"), 0o644); err != nil {
		t.Fatal(err)
	}
	log, end := openLog(path, &strings.Builder{})
	log.Info("next")
	end()
	lines := logLines(t, path)
	if len(lines) != 3 || lines[1] != "cut by a cra" || !strings.HasSuffix(lines[2], "msg=next") {
		t.Errorf("%q", lines)
	}
}

func TestALogThatWasTakenAwayIsMadeAgain(t *testing.T) {
	for name, spoil := range map[string]func(path string) error{
		"removed":        os.Remove,
		"moved away":     func(path string) error { return os.Rename(path, filepath.Join(filepath.Dir(path), "mine")) },
		"folder removed": func(path string) error { return os.RemoveAll(filepath.Dir(path)) },
		"truncated":      func(path string) error { return os.Truncate(path, 0) },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "state", "keyturn.log")
			var out strings.Builder
			log, end := openLog(path, &out)
			log.Info("before")
			if err := spoil(path); err != nil {
				t.Skip(err) // Windows keeps open files
			}
			log.Info("after")
			log.Info("and on")
			end()
			lines := logLines(t, path)
			if len(lines) != 2 || !strings.HasSuffix(lines[0], "msg=after") || out.Len() > 0 {
				t.Errorf("%q, said %q", lines, out.String())
			}
		})
	}
}

func TestALogThatIsNoPlainFileIsRefused(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("links need a privilege there")
	}
	for name, c := range map[string]struct {
		before bool // at the start; else while running
		spoil  func(path, victim string) error
	}{
		"a link":                 {true, func(path, victim string) error { return os.Symlink(victim, path) }},
		"a broken link":          {true, func(path, victim string) error { return os.Symlink(victim+"-none", path) }},
		"a folder":               {true, func(path, _ string) error { return os.Mkdir(path, 0o700) }},
		"a link that came later": {false, func(path, victim string) error { os.Remove(path); return os.Symlink(victim, path) }},
		"its folder became a file": {false, func(path, _ string) error {
			os.RemoveAll(filepath.Dir(path))
			return os.WriteFile(filepath.Dir(path), nil, 0o600)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path, victim := filepath.Join(dir, "state", "keyturn.log"), filepath.Join(dir, "victim")
			for _, err := range []error{os.Mkdir(filepath.Dir(path), 0o700), os.WriteFile(victim, []byte("precious\n"), 0o644)} {
				if err != nil {
					t.Fatal(err)
				}
			}
			spoil := func() {
				if err := c.spoil(path, victim); err != nil {
					t.Fatal(err)
				}
			}
			if c.before {
				spoil()
			}
			var out strings.Builder
			log, end := openLog(path, &out)
			if !c.before {
				log.Info("before")
				spoil()
			}
			for range 20 {
				log.Info("during")
			}
			if n := strings.Count(out.String(), "cannot write its log"); n != 1 {
				t.Errorf("said %d times: %s", n, out.String())
			}
			if err := os.RemoveAll(filepath.Dir(path)); err != nil {
				t.Fatal(err)
			}
			log.Info("after")
			end()
			lines := logLines(t, path)
			if len(lines) != 2 || !strings.HasSuffix(lines[0], "lost=20") || !strings.HasSuffix(lines[1], "msg=after") {
				t.Errorf("%q", lines)
			}
			if data, err := os.ReadFile(victim); err != nil || string(data) != "precious\n" {
				t.Errorf("the victim is %q, %v", data, err)
			}
			if _, err := os.Lstat(victim + "-none"); err == nil {
				t.Error("the link was followed")
			}
		})
	}
}

func TestErrorsAreAlsoSaidWhereKeyturnWasStarted(t *testing.T) {
	var out strings.Builder
	log, end := openLog(filepath.Join(t.TempDir(), "keyturn.log"), &out)
	log.Info("calm")
	log.Error("bad", slog.String("err", "x"))
	end()
	if out.String() != "level=ERROR msg=bad err=x\n" {
		t.Errorf("%q", out.String())
	}
}
