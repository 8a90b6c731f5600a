package store_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"keyturn/backend/orchestrator"
	"keyturn/backend/store"
)

func TestFromTheKeyringAndBack(t *testing.T) {
	startBus(t)
	startKeyring(t)
	store.CheapPassphrases(t)
	p := newPlace(t)
	want := fill(t, store.Options{Dir: p.dir}, 2)
	s := open(t, store.Options{Dir: p.dir})
	load(t, s)
	first := keyringItems(t)[0]
	neighbour := store.Options{Dir: newPlace(t).dir} // another data folder of the same user
	other := fill(t, neighbour, 1)
	for _, to := range []orchestrator.Protection{
		{Kind: "key_file", KeyFile: p.key},
		{Kind: "keyring"},
		{Kind: "passphrase", Passphrase: []byte("correct horse battery")},
		{Kind: "keyring"},
	} {
		was := s.Protector()
		came, err := s.ChangeProtector(t.Context(), to)
		if err != nil || len(came.Says) > 0 && was != "key_file" {
			t.Fatalf("to %s: %+v %v", to.Kind, came, err)
		}
		if got := load(t, s); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v", to.Kind, got)
		}
		items := keyringItems(t)
		if to.Kind == "keyring" && len(items) != 2 || to.Kind != "keyring" && len(items) != 1 || slices.Contains(items, first) {
			t.Errorf("%s guards the key, and the keyring holds %v", to.Kind, items)
		}
	}
	shut(t, s)
	if got := load(t, open(t, store.Options{Dir: p.dir})); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	if got := load(t, open(t, neighbour)); !reflect.DeepEqual(got, other) {
		t.Errorf("the other data folder was locked out: %+v", got)
	}
}

// crashChange makes the child of the crash tests change what guards the key.
const crashChange = "KEYTURN_TEST_CRASH_CHANGE"

func changeProtector(dir string) {
	ctx := context.Background()
	s, err := store.Open(ctx, store.Options{Dir: filepath.Join(dir, "data")})
	if err != nil {
		panic(err)
	}
	if _, err := s.Load(ctx); err != nil {
		panic(err)
	}
	_, err = s.ChangeProtector(ctx, orchestrator.Protection{Kind: "key_file", KeyFile: filepath.Join(dir, "second")})
	fmt.Println("changed", err == nil)
	_ = s.Close()
}

// Whatever fails, and wherever the program is killed, the old or the new key
// file opens everything.
func TestEverySystemCallOfAChangeOfProtectorMayFail(t *testing.T) {
	t.Parallel()
	strace := tracer(t)
	for _, tt := range []struct {
		name, call, what string
		last             int
	}{
		{"killed at a write", "write,pwrite64", "signal=SIGKILL", 16},
		{"killed at a sync", "fdatasync,fsync", "signal=SIGKILL", 6},
		{"killed at a rename", "rename,renameat,renameat2", "signal=SIGKILL", 1},
		{"no space at a write", "pwrite64", "error=ENOSPC", 12},
		{"an error at a sync", "fdatasync,fsync", "error=EIO", 6},
		{"a full folder", "rename,renameat,renameat2", "error=ENOSPC", 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			hits, changed := 0, 0
			for when := 1; when <= tt.last; when++ {
				dir := t.TempDir()
				// The note names the key file by its path: each try is filled anew.
				p := place{filepath.Join(dir, "data"), filepath.Join(dir, "key")}
				want := fill(t, p.options(), 3)
				trace := filepath.Join(dir, "trace")
				cmd := exec.Command(strace, "-f", "-q", "-o", trace, "-e", "trace="+tt.call,
					"-e", fmt.Sprintf("inject=%s:%s:when=%d", tt.call, tt.what, when), os.Args[0])
				cmd.Env = append(os.Environ(), crashDir+"="+dir, crashChange+"=1")
				out, _ := cmd.Output()
				if bytes.Contains(out, []byte("changed true")) {
					changed++
				}
				s := open(t, store.Options{Dir: p.dir})
				if got := load(t, s); !reflect.DeepEqual(got, want) {
					t.Errorf("at %d: %+v", when, got)
				}
				shut(t, s)
				seen, err := os.ReadFile(trace)
				must(t, err)
				if bytes.Contains(seen, []byte("(INJECTED)")) || bytes.Contains(seen, []byte("killed by SIGKILL")) {
					hits++
				}
			}
			t.Logf("%d of %d tries hit a system call, %d changed all the same, 0 lost", hits, tt.last, changed)
			if hits == 0 {
				t.Error("nothing was hit")
			}
		})
	}
}
