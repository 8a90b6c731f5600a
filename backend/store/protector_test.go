package store_test

import (
	"encoding/base64"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"keyturn/backend/fault"
	"keyturn/backend/orchestrator"
	"keyturn/backend/store"
	"keyturn/backend/store/storetest"
)

// locked demands that o does not open what is there, that the rows are named
// all the same, and that nothing is made or changed.
func locked(t *testing.T, o store.Options, words ...string) {
	t.Helper()
	before := fingerprint(t, o.Dir)
	s := open(t, o)
	c, err := s.Load(t.Context())
	refused(t, err, fault.StoreLocked, words...)
	if len(c.Connections)+len(c.Apps)+len(c.Providers) != 0 {
		t.Errorf("opened without its key: %+v", c)
	}
	want := []orchestrator.Damaged{
		{Kind: "connection", ID: storetest.Connection(1).ID, Provider: "example", Account: "ada1@example.com"},
		{Kind: "app", ID: storetest.App(1).ID, Provider: "example"},
		{Kind: "provider", ID: "custom1", Provider: "custom1"},
	}
	if !reflect.DeepEqual(c.Damaged, want) {
		t.Errorf("named: %+v", c.Damaged)
	}
	refused(t, s.SaveConnection(t.Context(), storetest.Connection(2)), fault.StoreLocked, words...)
	refused(t, s.Check(t.Context()), fault.StoreLocked, words...)
	shut(t, s)
	if fingerprint(t, o.Dir) != before {
		t.Error("the folder was changed")
	}
}

func TestAKeyThatIsLostOrWrongIsToldApart(t *testing.T) {
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent/bus")
	store.CheapPassphrases(t)
	t.Run("SG-20 key file removed, then put back", func(t *testing.T) {
		p := newPlace(t)
		want := fill(t, p.options(), 1)
		must(t, os.Rename(p.key, p.key+"-away"))
		locked(t, p.options(), p.key, "not there")
		if _, err := os.Stat(p.key); err == nil {
			t.Error("a new key was made over sealed rows")
		}
		s := open(t, p.options())
		if _, err := s.Load(t.Context()); err == nil {
			t.Fatal("loaded without a key")
		}
		must(t, os.Rename(p.key+"-away", p.key))
		if got := load(t, s); !reflect.DeepEqual(got, want) {
			t.Errorf("%+v", got)
		}
	})
	t.Run("SG-20 another key file", func(t *testing.T) {
		p := newPlace(t)
		fill(t, p.options(), 1)
		other := newPlace(t)
		fill(t, other.options(), 1)
		locked(t, store.Options{Dir: p.dir, KeyFile: other.key}, "another key", p.key)
	})
	t.Run("another passphrase", func(t *testing.T) {
		p := newPlace(t)
		o := store.Options{Dir: p.dir, PassphraseFile: p.key}
		must(t, os.WriteFile(p.key, []byte("correct horse battery"), 0o600))
		want := fill(t, o, 1)
		must(t, os.WriteFile(p.key, []byte("correct horse staple"), 0o600))
		locked(t, o, "passphrase is not the one")
		must(t, os.WriteFile(p.key, []byte("correct horse battery\r\n"), 0o600))
		if got := load(t, open(t, o)); !reflect.DeepEqual(got, want) {
			t.Errorf("%+v", got)
		}
	})
	t.Run("another protector", func(t *testing.T) {
		p := newPlace(t)
		fill(t, p.options(), 1)
		words := filepath.Join(t.TempDir(), "words")
		must(t, os.WriteFile(words, []byte("correct horse battery"), 0o600))
		locked(t, store.Options{Dir: p.dir, PassphraseFile: words}, "key file", p.key, "a passphrase is set")
		if c := load(t, open(t, store.Options{Dir: p.dir})); len(c.Connections) != 1 {
			t.Errorf("the store does not go by what guarded it last: %+v", c)
		}

		q := newPlace(t)
		fill(t, store.Options{Dir: q.dir, PassphraseFile: words}, 1)
		locked(t, store.Options{Dir: q.dir, KeyFile: q.key}, "sealed with a passphrase", "KEYTURN_PASSPHRASE_FILE")
		locked(t, store.Options{Dir: q.dir}, "passphrase", "keyturn unlock")
		if _, err := os.Stat(q.key); err == nil {
			t.Error("a new key was made over sealed rows")
		}
	})
	t.Run("nothing sealed yet: the choice is free", func(t *testing.T) {
		p := newPlace(t)
		s := open(t, p.options())
		load(t, s)
		shut(t, s)
		must(t, os.Remove(p.key))
		fill(t, store.Options{Dir: p.dir, KeyFile: p.key + "-2"}, 1)
	})
	t.Run("the note about the key altered", func(t *testing.T) {
		p := newPlace(t)
		o := store.Options{Dir: p.dir, PassphraseFile: p.key}
		must(t, os.WriteFile(p.key, []byte("correct horse battery"), 0o600))
		fill(t, o, 1)
		for _, change := range []string{
			`UPDATE meta SET value = replace(value, '"memory":8192', '"memory":4000000000')`,
			`UPDATE meta SET value = '{"protector":"nobody"}'`,
			`UPDATE meta SET value = 'x'`,
		} {
			alter(t, p, change)
			s := open(t, o)
			_, err := s.Load(t.Context())
			refused(t, err, fault.StoreDamaged)
			shut(t, s)
		}
		alter(t, p, "DELETE FROM meta")
		must(t, os.Remove(p.key))
		_, err := open(t, p.options()).Load(t.Context())
		refused(t, err, fault.StoreDamaged)
		if _, err := os.Stat(p.key); err == nil {
			t.Error("a new key was made over sealed rows")
		}
	})
}

func TestAKeyFileThatIsNoneIsRefused(t *testing.T) {
	for name, text := range map[string]string{
		"empty": "", "short": "AAAA\n", "noise": "not base64 at all, but of some length....\n",
		"long": base64.StdEncoding.EncodeToString(make([]byte, 64)), "two lines": base64.StdEncoding.EncodeToString(make([]byte, 32)) + "\n\n",
	} {
		p := newPlace(t)
		must(t, os.WriteFile(p.key, []byte(text), 0o600))
		_, err := open(t, p.options()).Load(t.Context())
		if fault.CodeOf(err) != fault.StoreLocked {
			t.Errorf("%s: %v", name, err)
		}
		if data, err := os.ReadFile(p.key); err != nil || string(data) != text {
			t.Errorf("%s: the file was changed", name)
		}
	}
}

func TestAKeyFileThatIsThereIsUsed(t *testing.T) {
	p := newPlace(t)
	text := base64.StdEncoding.EncodeToString([]byte("0123456789abcdef0123456789abcdef")) + "\n"
	must(t, os.WriteFile(p.key, []byte(text), 0o600))
	fill(t, p.options(), 1)
	if data, err := os.ReadFile(p.key); err != nil || string(data) != text {
		t.Errorf("%q %v", data, err)
	}
}

func TestPassphrasesAreNotAskedForWithoutEnd(t *testing.T) {
	store.CheapPassphrases(t)
	right := []byte("correct horse battery")
	p := newPlace(t)
	fill(t, store.Options{Dir: p.dir, Protector: "passphrase", AskPassphrase: func() ([]byte, error) { return append([]byte{}, right...), nil }}, 1)

	t.Run("SG-19 three wrong answers", func(t *testing.T) {
		asked := 0
		s := open(t, store.Options{Dir: p.dir, AskPassphrase: func() ([]byte, error) { asked++; return []byte("wrong"), nil }})
		for range 10 {
			_, err := s.Load(t.Context())
			refused(t, err, fault.StoreLocked)
		}
		if asked != 3 {
			t.Errorf("asked %d times", asked)
		}
		shut(t, s)
	})
	t.Run("SG-19 the question closed", func(t *testing.T) {
		asked := 0
		s := open(t, store.Options{Dir: p.dir, AskPassphrase: func() ([]byte, error) { asked++; return nil, errors.New("interrupted") }})
		for range 10 {
			_, err := s.Load(t.Context())
			refused(t, err, fault.StoreLocked, "KEYTURN_PASSPHRASE_FILE")
		}
		if asked != 1 {
			t.Errorf("asked %d times", asked)
		}
		shut(t, s)
	})
	t.Run("wrong, then right", func(t *testing.T) {
		answers := [][]byte{[]byte("wrong"), append([]byte{}, right...)}
		s := open(t, store.Options{Dir: p.dir, AskPassphrase: func() ([]byte, error) {
			a := answers[0]
			answers = answers[1:]
			return a, nil
		}})
		_, err := s.Load(t.Context())
		refused(t, err, fault.StoreLocked, "not the one")
		if c := load(t, s); len(c.Connections) != 1 {
			t.Errorf("%+v", c)
		}
	})
	t.Run("a new one that is too short, or empty", func(t *testing.T) {
		for _, words := range []string{"", "\n", "1234567"} {
			q := newPlace(t)
			must(t, os.WriteFile(q.key, []byte(words), 0o600))
			_, err := open(t, store.Options{Dir: q.dir, PassphraseFile: q.key}).Load(t.Context())
			refused(t, err, fault.StoreLocked)
		}
	})
}
