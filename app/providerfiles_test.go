package app

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const acmeFile = `id: acme
name: Acme
authorize:
  url: https://acme.example/authorize
token:
  url: https://acme.example/token
`

func TestProviderFilesAreReadWhenTheyChange(t *testing.T) {
	config := filepath.Join(t.TempDir(), "config.toml")
	f := newProviderFiles(config, slog.New(slog.DiscardHandler))
	if all, changed := f.read(); changed || all != nil {
		t.Errorf("without a folder: %v %v", all, changed)
	}
	at := time.Now().Add(-time.Hour)
	write := func(name, document string) {
		t.Helper()
		file := filepath.Join(f.dir, name)
		at = at.Add(time.Second)
		if err := os.MkdirAll(f.dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(document), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(file, at, at); err != nil {
			t.Fatal(err)
		}
	}
	write("acme.yaml", acmeFile)
	write("notes.txt", "not a provider")
	all, changed := f.read()
	if !changed || len(all) != 1 || all[0].Token.URL != "https://acme.example/token" {
		t.Fatalf("%+v %v", all, changed)
	}
	if _, changed := f.read(); changed {
		t.Error("read again without a change")
	}
	// A mistake: file, line and a suggestion; the last good version counts.
	write("acme.yaml", strings.Replace(acmeFile, "token:\n  url", "token:\n  ulr", 1))
	all, changed = f.read()
	_, wrong := f.state()
	if !changed || len(all) != 1 || len(wrong) != 1 || !strings.Contains(wrong[0], "acme.yaml:6") || !strings.Contains(wrong[0], "url") {
		t.Errorf("%+v %v %q", all, changed, wrong)
	}
	// The name of the file is the id; an entry of the catalogue can be extended.
	write("acme.yaml", acmeFile)
	write("other.yaml", acmeFile)
	write("mail.yaml", "id: mail\nextends: google\nname: Mail\n")
	all, _ = f.read()
	if _, wrong = f.state(); len(all) != 2 || len(wrong) != 1 || !strings.Contains(wrong[0], "acme.yaml") {
		t.Errorf("%d providers, %q", len(all), wrong)
	}
	if err := os.RemoveAll(f.dir); err != nil {
		t.Fatal(err)
	}
	if all, changed = f.read(); !changed || len(all) != 0 {
		t.Errorf("%v %v", all, changed)
	}
}
