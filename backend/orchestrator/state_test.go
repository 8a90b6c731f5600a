package orchestrator

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "rewrite golden files")

// TestTheTableOfStates draws every legal step, so that a change is a diff.
func TestTheTableOfStates(t *testing.T) {
	var b strings.Builder
	events := []event{granted, outage, refused, gone, mended, ended}
	fmt.Fprintf(&b, "%-16s", "")
	for _, e := range events {
		fmt.Fprintf(&b, " %-16s", e)
	}
	b.WriteByte('\n')
	for _, s := range []Status{Connected, Retrying, NeedsReconnect, Revoking} {
		fmt.Fprintf(&b, "%-16s", s)
		for _, e := range events {
			to := string(next[s][e])
			if to == "" {
				to = "-"
			}
			fmt.Fprintf(&b, " %-16s", to)
		}
		b.WriteByte('\n')
	}
	got := strings.ReplaceAll(b.String(), " \n", "\n")
	for strings.Contains(got, " \n") {
		got = strings.ReplaceAll(got, " \n", "\n")
	}
	const golden = "testdata/states.golden"
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil || string(want) != got {
		t.Errorf("the table changed (go test -update rewrites %s):\n%s", golden, got)
	}
}
