package app

import (
	"bytes"
	"log/slog"
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

// TestMain lets the test binary be the program, so that tests can start as
// many as they like.
func TestMain(m *testing.M) {
	if os.Getenv("KEYTURN_TEST_PROGRAM") != "" {
		os.Exit(Main(os.Args[1:], fstest.MapFS{}))
	}
	os.Exit(m.Run())
}

var discard = slog.New(slog.DiscardHandler)

// receive waits for one value.
func receive[T any](t *testing.T, what string, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(5 * time.Second):
		t.Fatal("still waiting for " + what)
		panic("unreachable")
	}
}

func TestTheCommandLine(t *testing.T) {
	for _, tt := range []struct {
		args      []string
		status    int
		ok        bool
		out, errs string
	}{
		{nil, 0, true, "", ""},
		{[]string{"--hidden", "--take-over", "--passphrase"}, 0, true, "", ""},
		{[]string{"--version"}, 0, false, "keyturn-" + program + " dev", ""},
		{[]string{"--help"}, 0, false, "Usage: keyturn-" + program, ""},
		{[]string{"-h"}, 0, false, "Usage:", ""},
		{[]string{"--frob"}, 2, false, "", "not an option"},
		{[]string{"connect", "github"}, 2, false, "", "the keyturn command"},
	} {
		var out, errs bytes.Buffer
		_, status, ok := parse(tt.args, &out, &errs)
		if status != tt.status || ok != tt.ok || !strings.Contains(out.String(), tt.out) || !strings.Contains(errs.String(), tt.errs) {
			t.Errorf("%v: status %d, ok %v, %q, %q", tt.args, status, ok, out.String(), errs.String())
		}
		if tt.out == "" && out.Len() > 0 || tt.errs == "" && errs.Len() > 0 {
			t.Errorf("%v: says too much: %q, %q", tt.args, out.String(), errs.String())
		}
	}
}

func TestHelpNamesEveryOption(t *testing.T) {
	for _, name := range []string{"--hidden", "--take-over", "--passphrase", "--version", "--help"} {
		if strings.Count(usage, name) < 1 {
			t.Errorf("help does not name %s", name)
		}
	}
}

// TestWailsIsTheOneThatChecksOrigins: the module proxy's newest is v2.9.2,
// which does not; the check came with v2.13.0 (CVE-2026-34157).
func TestWailsIsTheOneThatChecksOrigins(t *testing.T) {
	t.Run("UI-01", func(t *testing.T) {
		mod, err := os.ReadFile("../go.mod")
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(mod), "\tgithub.com/wailsapp/wails/v2 v2.15.0\n") {
			t.Error("go.mod does not name Wails v2.15.0")
		}
		if strings.Contains(string(mod), "replace github.com/wailsapp") {
			t.Error("go.mod replaces Wails")
		}
	})
}
