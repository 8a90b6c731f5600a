//go:build e2e && linux

package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"keyturn/app/e2e/rig"
)

// TestKilledAtEverySystemCallTheGrantIsThere kills the program at the system
// calls of one refresh, from the caller's question to its answer: before each
// of them takes effect, and after it has and before the program knows (RF-07,
// RF-08). The short form takes some of them.
func TestKilledAtEverySystemCallTheGrantIsThere(t *testing.T) {
	for _, grace := range []time.Duration{0, 30 * time.Second} {
		t.Run(fmt.Sprintf("RF-08 grace %v", grace), func(t *testing.T) {
			t.Parallel()
			sum := newTally()
			var at []string
			for _, after := range []bool{false, true} {
				at = append(at, killAtCalls(t, grace, after, sum)...)
			}
			t.Logf("SIGKILL at the system calls of a refresh, rotating server with a grace period of %v: %d points\n%s\n%s", grace, len(at), sum, histogram(at))
		})
	}
}

// killAtCalls kills a victim at one call after the other, until the calls of
// a refresh are through, and returns what it was killed at.
func killAtCalls(t *testing.T, grace time.Duration, after bool, sum *tally) (killed []string) {
	var tr *rig.Tracer
	v := newVictim(t, shortLife, grace, sum, func(k *rig.Install) { tr = k.RunTraced("keyturn-headless") })
	attempt := func(n int) (calls []string, at string) {
		v.round(func(over <-chan struct{}) (when time.Time) {
			tr.Arm(rig.Kill{Call: n, After: after})
			select {
			case <-tr.Ended():
			case <-over:
			}
			calls, at, when = tr.Disarm()
			if at != "" {
				<-tr.Ended() // the kill may have come with the answer
			}
			return when
		})
		return calls, at
	}
	calls, _ := attempt(0)
	if len(calls) < 20 {
		t.Fatalf("a refresh of %d system calls: %v", len(calls), calls)
	}
	if !long() {
		for _, moment := range spread(8) {
			if _, at := attempt(1 + int(moment*float64(len(calls)))); at != "" {
				killed = append(killed, at)
			}
		}
		if len(killed) < 5 {
			t.Errorf("only %d of 8 kills came during the refresh", len(killed))
		}
		return killed
	}
	// No two refreshes make exactly the same calls: some are done by whoever is
	// free. It is over when several in a row have ended before their kill.
	for n, misses := 1, 0; misses < 5; n++ {
		_, at := attempt(n)
		if at == "" {
			misses++
			continue
		}
		killed, misses = append(killed, at), 0
	}
	if len(killed) < len(calls)*3/4 {
		t.Errorf("killed at %d calls, a refresh has %d", len(killed), len(calls))
	}
	return killed
}

// histogram counts equal words.
func histogram(words []string) string {
	counts := map[string]int{}
	for _, w := range words {
		counts[w]++
	}
	var lines []string
	for w, n := range counts {
		lines = append(lines, fmt.Sprintf("%5d  %s", n, w))
	}
	slices.Sort(lines)
	slices.Reverse(lines)
	return strings.Join(lines, "\n")
}
