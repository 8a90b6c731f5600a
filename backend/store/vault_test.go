package store_test

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"keyturn/backend/fault"
	"keyturn/backend/orchestrator"
	"keyturn/backend/store"
	"keyturn/backend/store/storetest"
)

func TestALockedStoreOpensForNobody(t *testing.T) {
	p := newPlace(t)
	want := fill(t, p.options(), 2)
	s := open(t, p.options())
	load(t, s)
	must(t, s.Lock(t.Context()))
	for range 2 { // locking twice is no error, and reading does not unlock
		must(t, s.Lock(t.Context()))
		_, err := s.Load(t.Context())
		refused(t, err, fault.StoreLocked, "keyturn unlock")
		refused(t, s.SaveConnection(t.Context(), storetest.Connection(9)), fault.StoreLocked, "keyturn unlock")
		refused(t, s.DeleteConnection(t.Context(), storetest.Connection(1).ID), fault.StoreLocked)
	}
	must(t, s.Unlock(t.Context(), nil))
	if got := load(t, s); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
}

func TestUnlockingTakesTheRightPassphrase(t *testing.T) {
	store.CheapPassphrases(t)
	p := newPlace(t)
	must(t, os.WriteFile(p.key, []byte("correct horse battery"), 0o600))
	want := fill(t, store.Options{Dir: p.dir, PassphraseFile: p.key}, 1)
	s := open(t, store.Options{Dir: p.dir})
	if _, err := s.Load(t.Context()); fault.CodeOf(err) != fault.StoreLocked {
		t.Fatal(err)
	}
	refused(t, s.Unlock(t.Context(), []byte("correct horse staple")), fault.StoreLocked, "not the one")
	refused(t, s.Unlock(t.Context(), nil), fault.StoreLocked, "keyturn unlock")
	words := []byte("correct horse battery")
	must(t, s.Unlock(t.Context(), words))
	if string(words) == "correct horse battery" {
		t.Error("the passphrase was left in the caller's memory")
	}
	if got := load(t, s); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
	must(t, s.Lock(t.Context()))
	refused(t, s.Unlock(t.Context(), []byte("correct horse staple")), fault.StoreLocked)
	_, err := s.Load(t.Context())
	refused(t, err, fault.StoreLocked, "keyturn unlock")
	must(t, s.Unlock(t.Context(), []byte("correct horse battery")))
}

func TestChangingWhatGuardsTheKey(t *testing.T) {
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent/bus")
	store.CheapPassphrases(t)
	p := newPlace(t)
	want := fill(t, p.options(), 3)
	s := open(t, store.Options{Dir: p.dir})
	load(t, s)
	second := filepath.Join(t.TempDir(), "second")

	change := func(to orchestrator.Protection) {
		t.Helper()
		left := 0 // the file of another key is the user's, who is told
		if s.Protector() == "key_file" {
			left = 1
		}
		if came, err := s.ChangeProtector(t.Context(), to); err != nil || len(came.Damaged) > 0 || len(came.Says) != left {
			t.Fatalf("%+v %v", came, err)
		}
		if s.Protector() != to.Kind {
			t.Errorf("%s guards it", s.Protector())
		}
		must(t, s.SaveConnection(t.Context(), want.Connections[0]))
		shut(t, s)
		s = open(t, store.Options{Dir: p.dir})
		if to.Kind == "passphrase" {
			must(t, s.Unlock(t.Context(), []byte("correct horse battery")))
		}
		if got := load(t, s); !reflect.DeepEqual(got, want) {
			t.Errorf("after %s: %+v", to.Kind, got)
		}
	}
	change(orchestrator.Protection{Kind: "passphrase", Passphrase: []byte("correct horse battery")})
	if _, err := os.Stat(p.key); err != nil {
		t.Error("a key file that other data may need was removed")
	}
	change(orchestrator.Protection{Kind: "passphrase", Passphrase: []byte("correct horse battery")}) // a new salt
	change(orchestrator.Protection{Kind: "key_file", KeyFile: second})
	change(orchestrator.Protection{Kind: "key_file", KeyFile: p.key})

	before := fingerprint(t, p.dir)
	for _, tt := range []struct {
		to    orchestrator.Protection
		code  fault.Code
		words string
	}{
		{orchestrator.Protection{Kind: "keyring"}, fault.StoreLocked, "keyring"},
		{orchestrator.Protection{Kind: "key_file", KeyFile: p.key}, fault.Conflict, "already"},
		{orchestrator.Protection{Kind: "key_file"}, fault.BadRequest, "key file"},
		{orchestrator.Protection{Kind: "passphrase", Passphrase: []byte("short")}, fault.StoreLocked, "too short"},
		{orchestrator.Protection{Kind: "passphrase"}, fault.BadRequest, "empty"},
		{orchestrator.Protection{Kind: "paper"}, fault.BadRequest, "paper"},
	} {
		_, err := s.ChangeProtector(t.Context(), tt.to)
		refused(t, err, tt.code, tt.words)
	}
	if fingerprint(t, p.dir) != before {
		t.Error("a change that was refused changed something")
	}
	if got := load(t, s); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
}

func TestTheEnvironmentThatContradictsIsNamed(t *testing.T) {
	store.CheapPassphrases(t)
	p := newPlace(t)
	fill(t, p.options(), 1)
	s := open(t, p.options())
	came, err := s.ChangeProtector(t.Context(), orchestrator.Protection{Kind: "passphrase", Passphrase: []byte("correct horse battery")})
	if err != nil || len(came.Says) != 2 { // and the key file, which is left
		t.Fatalf("%+v %v", came, err)
	}
	shut(t, s)
	_, err = open(t, p.options()).Load(t.Context())
	refused(t, err, fault.StoreLocked, "passphrase", "KEYTURN_PASSPHRASE_FILE")
}
