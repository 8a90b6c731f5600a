package gateway

import (
	"crypto/sha256"
	"sync"
	"time"
)

// replays remembers which states were passed on, by their hash, for a while and
// up to a number of them.
type replays struct {
	life time.Duration
	max  int

	mu    sync.Mutex
	taken map[[sha256.Size]byte]time.Time
	order [][sha256.Size]byte // oldest first; some are given back already
}

func newReplays(life time.Duration, most int) *replays {
	return &replays{life: life, max: most, taken: map[[sha256.Size]byte]time.Time{}}
}

// take reports whether state has not been taken, and takes it.
func (r *replays) take(state string, now time.Time) bool {
	key := sha256.Sum256([]byte(state))
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.order) > 0 {
		at, there := r.taken[r.order[0]]
		if there && now.Sub(at) < r.life && len(r.taken) < r.max {
			break
		}
		delete(r.taken, r.order[0])
		r.order = r.order[1:]
	}
	if _, there := r.taken[key]; there {
		return false
	}
	r.taken[key] = now
	r.order = append(r.order, key)
	return true
}

// giveBack lets a state be taken again.
func (r *replays) giveBack(state string) {
	key := sha256.Sum256([]byte(state))
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.taken, key)
}
