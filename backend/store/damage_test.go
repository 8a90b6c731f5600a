package store_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"keyturn/backend/fault"
	"keyturn/backend/orchestrator"
	"keyturn/backend/store"
	"keyturn/backend/store/storetest"
)

// fingerprint tells whether any file in dir was changed, added or removed.
func fingerprint(t *testing.T, dir string) string {
	t.Helper()
	sum := sha256.New()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, "-shm") {
			return err // the index of the log holds nothing that is not in it
		}
		data, err := os.ReadFile(path)
		fmt.Fprintf(sum, "%s %d ", filepath.Base(path), len(data))
		sum.Write(data)
		return err
	})
	must(t, err)
	return fmt.Sprintf("%x", sum.Sum(nil))
}

func TestADatabaseThatIsNoneIsRefusedAndUntouched(t *testing.T) {
	t.Parallel()
	whole := newPlace(t)
	fill(t, whole.options(), 3)
	good, err := os.ReadFile(whole.database())
	must(t, err)
	for _, tt := range []struct {
		name string
		make func(path string) error
		says string
	}{
		{"SG-31 zero-length", func(p string) error { return os.WriteFile(p, nil, 0o600) }, "is not a database"},
		{"SG-31 one byte", func(p string) error { return os.WriteFile(p, []byte("S"), 0o600) }, "is not a database"},
		{"SG-31 one gigabyte", func(p string) error {
			if err := os.WriteFile(p, nil, 0o600); err != nil {
				return err
			}
			return os.Truncate(p, 1<<30)
		}, "is not a database"},
		{"SG-31 one gigabyte behind a good one", func(p string) error {
			if err := os.WriteFile(p, good, 0o600); err != nil {
				return err
			}
			return os.Truncate(p, 1<<30)
		}, "is larger than it can be"},
		{"SG-31 cut in half", func(p string) error { return os.WriteFile(p, good[:len(good)/2], 0o600) }, "is damaged"},
		{"SG-31 a page of noise", func(p string) error {
			noisy := bytes.Clone(good)
			copy(noisy[4096*2:], bytes.Repeat([]byte("noise"), 800))
			return os.WriteFile(p, noisy, 0o600)
		}, "is damaged"},
		{"somebody else's database", func(p string) error {
			other := bytes.Clone(good)
			copy(other[68:72], "\x00\x00\x00\x00")
			return os.WriteFile(p, other, 0o600)
		}, "not one of Keyturn's"},
		{"SG-16 format 99", func(p string) error {
			newer := bytes.Clone(good)
			newer[63] = 99
			return os.WriteFile(p, newer, 0o600)
		}, "newer Keyturn"},
		{"the log without its database", func(p string) error { return os.WriteFile(p+"-wal", []byte("log"), 0o600) }, "is missing"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPlace(t)
			must(t, os.Mkdir(p.dir, 0o700))
			must(t, tt.make(p.database()))
			small := !strings.Contains(tt.name, "gigabyte")
			var before string
			if small {
				before = fingerprint(t, p.dir)
			}
			start := time.Now()
			s := open(t, p.options())
			for range 3 {
				_, err := s.Load(t.Context())
				refused(t, err, fault.StoreDamaged, tt.says, "keyturn.db")
			}
			refused(t, s.SaveConnection(t.Context(), storetest.Connection(1)), fault.StoreDamaged)
			refused(t, s.Check(t.Context()), fault.StoreDamaged)
			shut(t, s)
			if d := time.Since(start); d > 5*time.Second {
				t.Errorf("took %v", d)
			}
			if small && fingerprint(t, p.dir) != before {
				t.Error("the folder was changed")
			}
			if _, err := os.Stat(p.key); err == nil {
				t.Error("a key was made for it")
			}
			// Putting a good one in its place is all it takes.
			must(t, os.RemoveAll(p.database()+"-wal"))
			must(t, os.WriteFile(p.database(), good, 0o600))
			key, err := os.ReadFile(whole.key)
			must(t, err)
			must(t, os.WriteFile(p.key, key, 0o600))
			if c := load(t, open(t, p.options())); len(c.Connections) != 3 {
				t.Errorf("%d connections", len(c.Connections))
			}
		})
	}
}

// A crash leaves a log. When the database is damaged too, opening it must not
// move the log into it.
func TestADamagedDatabaseWithALogIsUntouched(t *testing.T) {
	p := newPlace(t)
	fill(t, p.options(), 3)
	s := open(t, p.options())
	must(t, s.SaveConnection(t.Context(), storetest.Connection(4)))
	// As a crash leaves it: copied while it is open.
	crashed := place{filepath.Join(t.TempDir(), "data"), p.key}
	must(t, os.Mkdir(crashed.dir, 0o700))
	for _, name := range []string{"keyturn.db", "keyturn.db-wal"} {
		data, err := os.ReadFile(filepath.Join(p.dir, name))
		must(t, err)
		must(t, os.WriteFile(filepath.Join(crashed.dir, name), data, 0o600))
	}
	t.Run("a whole one recovers", func(t *testing.T) {
		copied := place{filepath.Join(t.TempDir(), "data"), p.key}
		must(t, os.CopyFS(copied.dir, os.DirFS(crashed.dir)))
		must(t, os.Chmod(copied.dir, 0o700))
		for _, name := range []string{"keyturn.db", "keyturn.db-wal"} {
			must(t, os.Chmod(filepath.Join(copied.dir, name), 0o600))
		}
		if c := load(t, open(t, copied.options())); len(c.Connections) != 4 {
			t.Errorf("%d connections", len(c.Connections))
		}
	})
	data, err := os.ReadFile(crashed.database())
	must(t, err)
	copy(data[4096*3:], bytes.Repeat([]byte("noise"), 1600))
	must(t, os.WriteFile(crashed.database(), data, 0o600))
	before := fingerprint(t, crashed.dir)
	bad := open(t, crashed.options())
	_, err = bad.Load(t.Context())
	refused(t, err, fault.StoreDamaged)
	shut(t, bad)
	if fingerprint(t, crashed.dir) != before {
		t.Error("the folder was changed")
	}
}

func TestADamagedRowLeavesTheOthersAlone(t *testing.T) {
	t.Parallel()
	third, fourth := storetest.Connection(3).ID, storetest.Connection(4).ID
	for _, tt := range []struct {
		name, statement string
		connections     int // that still open, of ten
		apps, providers int
	}{
		{"SG-34 a byte of the seal", "UPDATE connections SET sealed = CAST(substr(sealed, 1, 100) || x'0000' || substr(sealed, 103) AS BLOB) WHERE id = '" + third + "'", 9, 10, 10},
		{"an empty seal", "UPDATE connections SET sealed = x'' WHERE id = '" + third + "'", 9, 10, 10},
		{"R-29 another origin", "UPDATE connections SET origin = 'https://evil.example.com' WHERE id = '" + third + "'", 9, 10, 10},
		{"R-29 another issuer", "UPDATE connections SET issuer = '' WHERE id = '" + third + "'", 9, 10, 10},
		{"another provider", "UPDATE connections SET provider = 'evil' WHERE id = '" + third + "'", 9, 10, 10},
		{"another client", "UPDATE connections SET client_id = 'evil' WHERE id = '" + third + "'", 9, 10, 10},
		{"another generation", "UPDATE connections SET generation = 99 WHERE id = '" + third + "'", 9, 10, 10},
		{"SG-11 two rows swapped", "CREATE TEMP TABLE was AS SELECT id, sealed FROM connections WHERE id IN ('" + third + "', '" + fourth + "');" +
			"UPDATE connections SET sealed = (SELECT sealed FROM was WHERE was.id <> connections.id) WHERE id IN ('" + third + "', '" + fourth + "')", 8, 10, 10},
		{"R-29 an app at another provider", "UPDATE apps SET provider = 'evil' WHERE id = '" + storetest.App(3).ID + "'", 10, 9, 10},
		{"CF-05 a provider that sends secrets elsewhere", "UPDATE providers SET definition = replace(definition, 'https://custom.example.com/token', 'https://evil.example.com/token') WHERE id = 'custom3'", 10, 10, 9},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPlace(t)
			want := fill(t, p.options(), 10)
			alter(t, p, tt.statement)
			s := open(t, p.options())
			for range 2 {
				c := load(t, s)
				if len(c.Connections) != tt.connections || len(c.Apps) != tt.apps || len(c.Providers) != tt.providers {
					t.Fatalf("%d connections, %d apps, %d providers", len(c.Connections), len(c.Apps), len(c.Providers))
				}
				if got, want := len(c.Damaged), 30-tt.connections-tt.apps-tt.providers; got != want {
					t.Fatalf("%d damaged, want %d: %+v", got, want, c.Damaged)
				}
				onlyGenuine(t, c, want)
			}
			if tt.connections == 10 {
				return
			}
			d := load(t, s).Damaged[0]
			if d.Kind != "connection" || d.ID != third || d.Account != "ada3@example.com" {
				t.Errorf("the damaged row is named %+v", d)
			}
			refused(t, s.SaveConnection(t.Context(), storetest.Connection(3)), fault.StoreDamaged, "damaged")
			must(t, s.SaveConnection(t.Context(), storetest.Connection(11)))
			must(t, s.DeleteConnection(t.Context(), third))
			must(t, s.SaveConnection(t.Context(), storetest.Connection(3)))
			if c := load(t, s); len(c.Connections) != tt.connections+2 {
				t.Errorf("%d connections", len(c.Connections))
			}
		})
	}
}

// onlyGenuine demands that what c holds is, byte for byte, some of want.
func onlyGenuine(t *testing.T, c, want orchestrator.Contents) {
	t.Helper()
	whole := map[string]any{}
	for _, r := range want.Connections {
		whole[r.ID] = r
	}
	for _, a := range want.Apps {
		whole[a.ID] = a
	}
	for _, p := range want.Providers {
		whole[p.ID] = p
	}
	for _, r := range c.Connections {
		if !reflect.DeepEqual(r, whole[r.ID]) {
			t.Errorf("connection %q is not what was saved: %+v", r.ID, r)
		}
	}
	for _, a := range c.Apps {
		if !reflect.DeepEqual(a, whole[a.ID]) {
			t.Errorf("app %q is not what was saved: %+v", a.ID, a)
		}
	}
	for _, p := range c.Providers {
		if !reflect.DeepEqual(p, whole[p.ID]) {
			t.Errorf("provider %q is not what was saved: %+v", p.ID, p)
		}
	}
}

func TestDamagedNamesAreFitToShow(t *testing.T) {
	t.Run("SG-32 escapes in the columns in clear", func(t *testing.T) {
		p := newPlace(t)
		fill(t, p.options(), 1)
		alter(t, p, `UPDATE connections SET id = '../' || char(10) || 'x', provider = char(27) || '[2J', account = 'a' || char(8238) || char(10) || 'b'`)
		d := load(t, open(t, p.options())).Damaged
		if len(d) != 1 || strings.ContainsAny(d[0].ID+d[0].Provider+d[0].Account, "\x1b\n\u202e") {
			t.Errorf("%q", d)
		}
	})
}

func TestStrayFilesAreNobodysBusiness(t *testing.T) {
	t.Run("SG-32 junk with odd names", func(t *testing.T) {
		p := newPlace(t)
		want := fill(t, p.options(), 1)
		for i := range 500 {
			must(t, os.WriteFile(filepath.Join(p.dir, fmt.Sprintf("junk\x1b\n%d", i)), []byte("x"), 0o666))
		}
		if got := load(t, open(t, p.options())); !reflect.DeepEqual(got, want) {
			t.Errorf("%+v", got)
		}
	})
}

// One byte anywhere: the store opens with what is genuine and names the rest,
// or says that it is damaged. It never shows anything else, and never loses a
// row without a word.
func TestNoByteCanLie(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	want := fill(t, p.options(), 2)
	good, err := os.ReadFile(p.database())
	must(t, err)
	t.Run("SG-10 a byte flipped anywhere in the file", func(t *testing.T) {
		flipped := place{filepath.Join(t.TempDir(), "data"), p.key}
		must(t, os.Mkdir(flipped.dir, 0o700))
		// A stride that is prime to the page size visits every region.
		for at := 0; at < len(good); at += 157 {
			bad := bytes.Clone(good)
			bad[at] ^= 0x41
			for _, name := range []string{"-wal", "-shm", "-journal"} {
				must(t, os.RemoveAll(flipped.database()+name))
			}
			must(t, os.WriteFile(flipped.database(), bad, 0o600))
			s, err := store.Open(context.Background(), flipped.options())
			must(t, err)
			c, err := s.Load(context.Background())
			_ = s.Close()
			switch code := fault.CodeOf(err); code {
			case "":
				onlyGenuine(t, c, want)
				if n := len(c.Connections) + len(c.Apps) + len(c.Providers) + len(c.Damaged); n != 6 {
					t.Errorf("byte %d: %d of 6 rows are accounted for", at, n)
				}
			case fault.StoreDamaged, fault.StoreLocked: // locked: the note about the key
			default:
				t.Errorf("byte %d: %s: %v", at, code, err)
			}
		}
	})
}

func TestManyStartsOnADamagedStoreCostTheSame(t *testing.T) {
	t.Run("SG-35 fifty starts", func(t *testing.T) {
		p := newPlace(t)
		fill(t, p.options(), 2)
		alter(t, p, "UPDATE connections SET sealed = x'00'")
		load(t, open(t, p.options()))
		before := fingerprint(t, p.dir)
		for range 50 {
			s, err := store.Open(t.Context(), p.options())
			must(t, err)
			if c, err := s.Load(t.Context()); err != nil || len(c.Damaged) != 2 {
				t.Fatalf("%+v %v", c.Damaged, err)
			}
			shut(t, s)
		}
		if fingerprint(t, p.dir) != before {
			t.Error("the folder was changed")
		}
	})
}
