package store_test

import (
	"bufio"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"keyturn/backend/fault"
	"keyturn/backend/store"
)

func TestOneProcessHasTheFolder(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "data")
	if os.Getenv("KEYTURN_TEST_LOCK") != "" {
		holdLock()
	}
	child := exec.Command(os.Args[0], "-test.run=^TestOneProcessHasTheFolder$")
	child.Env = append(os.Environ(), "KEYTURN_TEST_LOCK="+dir, "GORACE=atexit_sleep_ms=0")
	out, err := child.StdoutPipe()
	must(t, err)
	in, err := child.StdinPipe()
	must(t, err)
	must(t, child.Start())
	defer func() { _ = child.Process.Kill(); _ = child.Wait() }()
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "locked\n" {
		t.Fatalf("%q %v", line, err)
	}

	_, err = store.Lock(dir)
	held, is := errors.AsType[*store.Held](err)
	if !is || held.PID != child.Process.Pid || held.Program != filepath.Base(os.Args[0]) {
		t.Fatalf("%T %v", err, err)
	}
	refused(t, err, fault.Conflict, "running already", held.Program)

	_ = in.Close() // the child ends without releasing
	_ = child.Wait()
	release, err := store.Lock(dir)
	must(t, err)
	if _, err := store.Lock(dir); err == nil {
		t.Error("locked twice")
	}
	release()
	release, err = store.Lock(dir)
	must(t, err)
	release()
}

func holdLock() {
	if _, err := store.Lock(os.Getenv("KEYTURN_TEST_LOCK")); err != nil {
		panic(err)
	}
	_, _ = os.Stdout.WriteString("locked\n")
	_, _ = io.ReadAll(os.Stdin)
	os.Exit(0)
}

func TestAHolderThatSaysNothingSensible(t *testing.T) {
	for _, text := range []string{"", "keyturn", "keyturn 0\n", "\x1b[2J 12\n", "keyturn -3\n", "a b c\n"} {
		dir := t.TempDir()
		must(t, os.Chmod(dir, 0o700))
		release, err := store.Lock(dir)
		must(t, err)
		must(t, os.WriteFile(filepath.Join(dir, "keyturn.lock"), []byte(text), 0o600))
		_, err = store.Lock(dir)
		if held, is := errors.AsType[*store.Held](err); !is || *held != (store.Held{}) {
			t.Errorf("%q: %#v", text, err)
		}
		release()
	}
}

// A second store on the folder would be a second owner of what is in it.
func TestADatabaseInUseIsToldApart(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	s := open(t, p.options())
	load(t, s)
	second := open(t, p.options())
	_, err := second.Load(t.Context())
	refused(t, err, fault.StoreLocked, "Another program")
	shut(t, s)
	load(t, second)
}
