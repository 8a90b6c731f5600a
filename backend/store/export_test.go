package store

import "testing"

// CheapPassphrases lowers the cost of new passphrases for one test: with the
// race detector on, the real one takes most of a second each time.
func CheapPassphrases(t *testing.T) {
	was := today
	today.Memory, today.Time = 8<<10, 1
	t.Cleanup(func() { today = was })
}

// AnotherStep makes this Keyturn one format newer for one test.
func AnotherStep(t *testing.T, step string) {
	was := steps
	steps = append(steps[:len(steps):len(steps)], step)
	t.Cleanup(func() { steps = was })
}
