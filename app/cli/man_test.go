package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/spf13/cobra/doc"
)

// TestManualPages makes the manual pages of the commands, into the folder that
// KEYTURN_MAN names when packages are built.
func TestManualPages(t *testing.T) {
	folder := os.Getenv("KEYTURN_MAN")
	if folder == "" {
		folder = t.TempDir()
	}
	root := (&command{}).root("")
	root.DisableAutoGenTag = true
	when := time.Date(2026, time.January, 1, 0, 0, 0, 0, time.UTC) // the same pages from the same source
	if err := doc.GenManTree(root, &doc.GenManHeader{Title: "KEYTURN", Section: "1", Source: "Keyturn " + version, Manual: "Keyturn", Date: &when}, folder); err != nil {
		t.Fatal(err)
	}
	for name, says := range map[string]string{"keyturn.1": "keyturn-connect", "keyturn-connect.1": "add-scopes", "keyturn-providers-register.1": "extends"} {
		page, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil || !bytes.Contains(bytes.ReplaceAll(page, []byte(`\-`), []byte("-")), []byte(says)) {
			t.Errorf("%s: no %s (%v)", name, says, err)
		}
	}
}
