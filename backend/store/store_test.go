package store_test

import (
	"bytes"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"keyturn/backend/fault"
	"keyturn/backend/oauth"
	"keyturn/backend/orchestrator"
	"keyturn/backend/store"
	"keyturn/backend/store/storetest"
)

// place is a data folder with a key file beside it.
type place struct{ dir, key string }

func newPlace(t testing.TB) place {
	base := t.TempDir()
	return place{filepath.Join(base, "data"), filepath.Join(base, "key")}
}

func (p place) options() store.Options { return store.Options{Dir: p.dir, KeyFile: p.key} }

func (p place) database() string { return filepath.Join(p.dir, "keyturn.db") }

func open(t testing.TB, o store.Options) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func shut(t testing.TB, s *store.Store) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func load(t testing.TB, s *store.Store) orchestrator.Contents {
	t.Helper()
	c, err := s.Load(t.Context())
	must(t, err)
	return c
}

// refused demands an error with a code, whose sentence holds all of words.
func refused(t testing.TB, err error, code fault.Code, words ...string) {
	t.Helper()
	if got := fault.CodeOf(err); got != code {
		t.Errorf("code %q, want %q: %v", got, code, err)
	}
	for _, word := range words {
		if !strings.Contains(fault.MessageOf(err), word) {
			t.Errorf("the sentence does not say %q: %s", word, fault.MessageOf(err))
		}
	}
}

// fill saves n connections, apps and providers and closes the store.
func fill(t testing.TB, o store.Options, n int) orchestrator.Contents {
	t.Helper()
	s := open(t, o)
	for i := 1; i <= n; i++ {
		must(t, s.SaveConnection(t.Context(), storetest.Connection(i)))
		must(t, s.SaveApp(t.Context(), storetest.App(i)))
		must(t, s.SaveProvider(t.Context(), storetest.Provider(i)))
	}
	c := load(t, s)
	shut(t, s)
	return c
}

// alter changes a closed database behind the store's back.
func alter(t testing.TB, p place, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", p.database())
	must(t, err)
	defer db.Close()
	for _, s := range statements {
		if _, err := db.Exec(s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

func reopening(o store.Options) storetest.Opener {
	return func(t *testing.T) (orchestrator.Store, func() orchestrator.Store) {
		s := open(t, o)
		return s, func() orchestrator.Store {
			shut(t, s)
			s = open(t, o)
			return s
		}
	}
}

func TestStoreWithAKeyFile(t *testing.T) {
	t.Parallel()
	storetest.Run(t, func(t *testing.T) (orchestrator.Store, func() orchestrator.Store) {
		return reopening(newPlace(t).options())(t)
	})
}

func TestStoreWithAPassphrase(t *testing.T) {
	t.Run("from a file", func(t *testing.T) {
		store.CheapPassphrases(t)
		storetest.Run(t, func(t *testing.T) (orchestrator.Store, func() orchestrator.Store) {
			p := newPlace(t)
			must(t, os.WriteFile(p.key, []byte("correct horse battery\n"), 0o600))
			return reopening(store.Options{Dir: p.dir, PassphraseFile: p.key})(t)
		})
	})
	t.Run("asked for", func(t *testing.T) {
		p := newPlace(t)
		ask := func() ([]byte, error) {
			time.Sleep(10 * time.Millisecond)
			return []byte("correct horse battery"), nil
		}
		want := fill(t, store.Options{Dir: p.dir, Protector: "passphrase", AskPassphrase: ask}, 1)
		// The database knows that it has a passphrase.
		if got := load(t, open(t, store.Options{Dir: p.dir, AskPassphrase: ask})); !reflect.DeepEqual(got, want) {
			t.Errorf("%+v", got)
		}
	})
}

// The orchestrator is tested in fake time, with this store where it can be.
func TestStoreWorksInABubble(t *testing.T) {
	p := newPlace(t)
	synctest.Test(t, func(t *testing.T) {
		s, err := store.Open(t.Context(), p.options())
		must(t, err)
		start := time.Now()
		must(t, s.SaveConnection(t.Context(), storetest.Connection(1)))
		if c, err := s.Load(t.Context()); err != nil || len(c.Connections) != 1 {
			t.Errorf("%+v %v", c, err)
		}
		must(t, s.DeleteConnection(t.Context(), storetest.Connection(1).ID))
		must(t, s.Close())
		if d := time.Since(start); d != 0 {
			t.Errorf("fake time passed: %v", d)
		}
	})
}

func TestOptionsThatContradictEachOtherAreRefused(t *testing.T) {
	p := newPlace(t)
	for _, o := range []store.Options{
		{Dir: p.dir, KeyFile: p.key, PassphraseFile: p.key},
		{Dir: p.dir, Protector: "plaintext"},
	} {
		_, err := store.Open(t.Context(), o)
		refused(t, err, fault.BadRequest)
	}
	if _, err := os.Stat(p.dir); !errors.Is(err, fs.ErrNotExist) {
		t.Error("something was made all the same")
	}
}

func TestAClosedStoreSaysSo(t *testing.T) {
	s := open(t, newPlace(t).options())
	load(t, s)
	shut(t, s)
	shut(t, s)
	if _, err := s.Load(t.Context()); err == nil {
		t.Error("loaded")
	}
	if err := s.SaveConnection(t.Context(), storetest.Connection(1)); err == nil {
		t.Error("saved")
	}
}

func TestNothingIsInClear(t *testing.T) {
	canaries := []string{"access-token-1", "refresh-token-1", "id-token-1", "client-secret-1", "id-1"}
	p := newPlace(t)
	s := open(t, p.options())
	must(t, s.SaveConnection(t.Context(), storetest.Connection(1)))
	must(t, s.SaveApp(t.Context(), storetest.App(1)))
	key, err := os.ReadFile(p.key)
	must(t, err)
	canaries = append(canaries, strings.TrimSpace(string(key)))
	t.Run("SG-14 while it is open", func(t *testing.T) { absent(t, p.dir, canaries) })
	shut(t, s)
	t.Run("SG-14 after it was closed", func(t *testing.T) { absent(t, p.dir, canaries) })
}

// absent demands that no file in dir holds any of the canaries.
func absent(t *testing.T, dir string, canaries []string) {
	t.Helper()
	files, err := os.ReadDir(dir)
	must(t, err)
	if len(files) == 0 {
		t.Fatal("no files")
	}
	for _, f := range files {
		data, err := os.ReadFile(filepath.Join(dir, f.Name()))
		must(t, err)
		for _, c := range canaries {
			if bytes.Contains(data, []byte(c)) {
				t.Errorf("%s holds %q", f.Name(), c)
			}
		}
	}
}

func TestTheLengthOfATokenDoesNotShow(t *testing.T) {
	p := newPlace(t)
	s := open(t, p.options())
	short, long := storetest.Connection(1), storetest.Connection(2)
	short.Token.Access = oauth.NewSecret("a")
	long.Token.Access = oauth.NewSecret(strings.Repeat("a", 60))
	must(t, s.SaveConnection(t.Context(), short))
	must(t, s.SaveConnection(t.Context(), long))
	shut(t, s)
	db, err := sql.Open("sqlite", p.database())
	must(t, err)
	defer db.Close()
	var sizes int
	must(t, db.QueryRow("SELECT count(DISTINCT length(sealed)) FROM connections").Scan(&sizes))
	if sizes != 1 {
		t.Errorf("%d lengths", sizes)
	}
}

// What a disconnect removes must not be found again, not even sealed: whoever
// gets the key later would read it.
func TestDisconnectLeavesNoSealedCopy(t *testing.T) {
	p := newPlace(t)
	s := open(t, p.options())
	for n := 1; n <= 20; n++ {
		must(t, s.SaveConnection(t.Context(), storetest.Connection(n)))
	}
	shut(t, s)
	var pieces []string
	db, err := sql.Open("sqlite", p.database())
	must(t, err)
	rows, err := db.Query("SELECT sealed FROM connections WHERE id BETWEEN ? AND ?", storetest.Connection(3).ID, storetest.Connection(7).ID)
	must(t, err)
	for rows.Next() {
		var sealed []byte
		must(t, rows.Scan(&sealed))
		for at := 32; at+24 <= len(sealed); at += 100 {
			pieces = append(pieces, string(sealed[at:at+24]))
		}
	}
	must(t, rows.Close())
	must(t, db.Close())
	if len(pieces) < 50 {
		t.Fatalf("only %d pieces to look for", len(pieces))
	}

	s = open(t, p.options())
	must(t, s.SaveConnection(t.Context(), storetest.Connection(5))) // an older copy in the log
	for n := 3; n <= 7; n++ {
		must(t, s.DeleteConnection(t.Context(), storetest.Connection(n).ID))
	}
	t.Run("SG-37 R-49 while the store is open", func(t *testing.T) {
		absent(t, p.dir, pieces)
		if info, err := os.Stat(p.database() + "-wal"); err != nil || info.Size() != 0 {
			t.Errorf("the log was not emptied: %v %v", info, err)
		}
	})
	for n := 1; n <= 20; n++ {
		must(t, s.DeleteConnection(t.Context(), storetest.Connection(n).ID))
	}
	shut(t, s)
	t.Run("SG-37 R-49 after it was closed", func(t *testing.T) {
		absent(t, p.dir, pieces)
		absent(t, p.dir, []string{"ada3@example.com", "con_"})
	})
}

func TestCheckWritesAndLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	s := open(t, p.options())
	must(t, s.Check(t.Context()))
	before := fileSize(t, p.database()+"-wal")
	must(t, s.Check(t.Context()))
	if wrote := fileSize(t, p.database()+"-wal") - before; wrote < 8192 {
		t.Errorf("a check wrote %d bytes", wrote)
	}
	for range 50 {
		must(t, s.Check(t.Context()))
	}
	shut(t, s)
	if size := fileSize(t, p.database()); size > 128<<10 {
		t.Errorf("an empty database of %d bytes", size)
	}
}

func fileSize(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	must(t, err)
	return info.Size()
}

func TestCallersWaitForOneQuestion(t *testing.T) {
	p := newPlace(t)
	var asked atomic.Int32
	answer := make(chan string)
	s := open(t, store.Options{Dir: p.dir, Protector: "passphrase", AskPassphrase: func() ([]byte, error) {
		asked.Add(1)
		return []byte(<-answer), nil
	}})
	loads := make(chan error, 5)
	for range cap(loads) {
		go func() {
			_, err := s.Load(t.Context())
			loads <- err
		}()
	}
	answer <- "correct horse battery"
	for range cap(loads) {
		must(t, <-loads)
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

func BenchmarkOpenAndLoad(b *testing.B) {
	p := newPlace(b)
	s := open(b, p.options())
	for n := range 100 {
		must(b, s.SaveConnection(b.Context(), storetest.Connection(n)))
	}
	must(b, s.Close())
	b.ReportAllocs()
	for b.Loop() {
		s, err := store.Open(b.Context(), p.options())
		must(b, err)
		if c, err := s.Load(b.Context()); err != nil || len(c.Connections) != 100 {
			b.Fatal(err)
		}
		b.StopTimer()
		must(b, s.Close())
		b.StartTimer()
	}
}

func BenchmarkSaveConnection(b *testing.B) {
	s := open(b, newPlace(b).options())
	must(b, s.Check(b.Context()))
	r := storetest.Connection(1)
	b.ReportAllocs()
	for b.Loop() {
		must(b, s.SaveConnection(b.Context(), r))
	}
}

func BenchmarkCheck(b *testing.B) {
	s := open(b, newPlace(b).options())
	for b.Loop() {
		must(b, s.Check(b.Context()))
	}
}
