package relay

import (
	"math/rand/v2"
	"time"
)

const (
	firstPause = time.Second
	// lastPause is the pause that a gateway which stays away, or throws us out
	// again and again, ends at.
	lastPause = 5 * time.Minute
	// standing is how long a connection must have held for the failures before
	// it to be forgotten. A gateway that closes every second earns no second
	// try per second.
	standing = 10 * time.Minute
)

// backoff says how long to wait before the next try. The zero value is one
// without failures.
type backoff struct{ failures int }

// next is called when a connection, or a try for one, ended after it held for
// this long. The jitter only ever adds, so that lastPause is kept; half of the
// pause spreads thousands of apps over a gateway that just came back.
func (b *backoff) next(held time.Duration) time.Duration {
	if held >= standing {
		b.failures = 0
	}
	pause := lastPause
	if b.failures < 9 { // 2^9 s is more than lastPause
		pause = min(firstPause<<b.failures, lastPause)
	}
	b.failures++
	return pause + rand.N(pause/2)
}
