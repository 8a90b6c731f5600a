package store_test

import (
	"bytes"
	"database/sql"
	"io/fs"
	"os"
	"reflect"
	"testing"

	"keyturn/backend/fault"
	"keyturn/backend/orchestrator"
	"keyturn/backend/store"
	"keyturn/backend/store/storetest"
)

func TestANewFormatKeepsWhatTheOldOneHeld(t *testing.T) {
	p := newPlace(t)
	want := fill(t, p.options(), 3)
	old, err := os.ReadFile(p.database())
	must(t, err)
	grants := sealedGrants(t, p)
	copied := p.database() + ".before-3"

	t.Run("a step that fails changes nothing", func(t *testing.T) {
		store.AnotherStep(t, "ALTER TABLE apps ADD COLUMN note TEXT NOT NULL DEFAULT ''; SELECT no_such_function()")
		s := open(t, p.options())
		_, err := s.Load(t.Context())
		if err == nil {
			t.Fatal("a step that failed went through")
		}
		shut(t, s)
	})
	t.Run("and the older Keyturn goes on", func(t *testing.T) {
		if got := load(t, open(t, p.options())); !reflect.DeepEqual(got, want) {
			t.Errorf("%+v", got)
		}
	})
	t.Run("a step that works leaves a copy without grants", func(t *testing.T) {
		must(t, os.WriteFile(copied+".new", old, 0o600)) // a crash left this
		store.AnotherStep(t, "ALTER TABLE apps ADD COLUMN note TEXT NOT NULL DEFAULT ''")
		s := open(t, p.options())
		if got := load(t, s); !reflect.DeepEqual(got, want) {
			t.Errorf("%+v", got)
		}
		shut(t, s)
		if _, err := os.Stat(copied + ".new"); err == nil {
			t.Error("what a crash left is still there")
		}
		info, err := os.Stat(copied)
		must(t, err)
		if info.Mode() != fs.FileMode(0o600) {
			t.Errorf("the copy has mode %v", info.Mode())
		}
	})
	t.Run("the copy opens in the older Keyturn, and names what has to be connected again", func(t *testing.T) {
		backup, err := os.ReadFile(copied)
		must(t, err)
		for _, sealed := range grants {
			if bytes.Contains(backup, sealed) {
				t.Fatal("a sealed grant is in the copy")
			}
		}
		s := open(t, p.options())
		_, err = s.Load(t.Context())
		refused(t, err, fault.StoreDamaged, "newer Keyturn")
		shut(t, s)
		must(t, os.Rename(copied, p.database()))
		s = open(t, p.options())
		got, err := s.Load(t.Context())
		must(t, err)
		if !reflect.DeepEqual(got.Apps, want.Apps) || !reflect.DeepEqual(got.Providers, want.Providers) || len(got.Connections) != 0 {
			t.Errorf("%+v", got)
		}
		if len(got.Damaged) != 3 || got.Damaged[0] != (orchestrator.Damaged{Kind: "connection", ID: storetest.Connection(1).ID, Provider: "example", Account: "ada1@example.com"}) {
			t.Errorf("%+v", got.Damaged)
		}
	})
}

// sealedGrants reads the sealed tokens of a closed database.
func sealedGrants(t *testing.T, p place) (all [][]byte) {
	t.Helper()
	db, err := sql.Open("sqlite", p.database())
	must(t, err)
	defer db.Close()
	rows, err := db.Query("SELECT sealed FROM connections")
	must(t, err)
	defer rows.Close()
	for rows.Next() {
		var one []byte
		must(t, rows.Scan(&one))
		all = append(all, one)
	}
	must(t, rows.Err())
	return all
}
