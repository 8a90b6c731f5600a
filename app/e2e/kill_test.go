//go:build e2e && linux

package e2e

import (
	"fmt"
	"testing"
	"time"

	"keyturn/app/e2e/rig"
)

// TestKilledDuringARefreshTheGrantIsThere kills the program at moments spread
// over a whole refresh (RF-07, RF-08): 1,000 times for each kind of server in
// the long form.
func TestKilledDuringARefreshTheGrantIsThere(t *testing.T) {
	rounds, victims := 24, 1
	if long() {
		rounds, victims = 1000, 2
	}
	for _, grace := range []time.Duration{0, 30 * time.Second} {
		t.Run(fmt.Sprintf("RF-07 grace %v", grace), func(t *testing.T) {
			t.Parallel()
			sum := newTally()
			t.Run("victims", func(t *testing.T) {
				for n := range victims {
					t.Run(fmt.Sprint(n), func(t *testing.T) {
						t.Parallel()
						killAtRandom(t, grace, rounds/victims, sum)
					})
				}
			})
			t.Logf("SIGKILL during a refresh, rotating server with a grace period of %v:\n%s", grace, sum)
			if n := sum.rounds[beforeNote] + sum.rounds[told]; n > rounds*2/3 {
				t.Errorf("%d of %d kills came before or after all that matters", n, rounds)
			}
		})
	}
}

func killAtRandom(t *testing.T, grace time.Duration, rounds int, sum *tally) {
	v := newVictim(t, shortLife, grace, sum, func(k *rig.Install) { k.Run("keyturn-headless") })
	v.as.Behave = hesitant(6 * time.Millisecond)
	for range 3 {
		v.refreshed() // to know how long one takes
	}
	for _, moment := range spread(rounds) {
		v.refreshed()
		v.round(func(<-chan struct{}) time.Time {
			time.Sleep(time.Duration(moment * 1.1 * float64(v.usual)))
			when := time.Now()
			v.k.Kill()
			return when
		})
		if t.Failed() {
			return
		}
	}
}
