//go:build e2e && linux

package e2e

import (
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"keyturn/app/e2e/rig"
)

// TestOneProcessOneRefresh: a second process on the same data folder does not
// start, and two hundred programs that find the token ended at the same moment
// make one refresh (RF-01, RF-02, PR-01).
func TestOneProcessOneRefresh(t *testing.T) {
	t.Parallel()
	v := newVictim(t, 8*time.Second, 0, nil, func(k *rig.Install) { k.Run("keyturn-headless") })
	second := func() {
		t.Helper()
		cmd := v.k.Command("keyturn-headless")
		begun := time.Now()
		out, err := cmd.CombinedOutput()
		if _, exited := err.(*exec.ExitError); !exited || cmd.ProcessState.ExitCode() != 1 || !strings.Contains(string(out), "running") {
			t.Errorf("a second start: %v\n%s", err, out)
		}
		if took := time.Since(begun); took > 6*time.Second {
			t.Errorf("a second start took %v to say no", took)
		}
	}
	second()

	const shells, each = 20, 10
	time.Sleep(8 * time.Second) // the token has ended
	v.as.Forget()
	v.as.Behave = func(*rig.Refresh) rig.Behaviour { return rig.Behaviour{Before: 2 * time.Second} }
	var mu sync.Mutex
	tokens := map[string]int{}
	var all sync.WaitGroup
	all.Go(second) // in the middle of it
	for range shells {
		all.Go(func() {
			cmd := v.k.Command("keyturn")
			cmd.Args = []string{"sh", "-c", `for i in 1 2 3 4 5 6 7 8 9 10; do "$0" token rotating & done; wait`, cmd.Path}
			cmd.Path = "/bin/sh"
			out, err := cmd.CombinedOutput()
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Errorf("%v\n%s", err, out)
			}
			for _, token := range strings.Fields(string(out)) {
				tokens[token]++
			}
		})
	}
	all.Wait()
	calls := v.as.Transcript()
	if len(calls) != 1 || tokens[calls[0].Access] != shells*each {
		t.Errorf("%d callers were given %d different tokens:\n%s", shells*each, len(tokens), rig.Lines(calls))
	}
}
