package orchestrator

import (
	"cmp"
	"slices"
	"strings"
)

// Changes returns a doorbell that rings at least once after every change, and
// once at the start. Read Snapshot when it rings. Ringing never blocks: a slow
// listener misses nothing, because there is nothing to miss but now.
func (o *Orchestrator) Changes() (bell <-chan struct{}, stop func()) {
	ch := make(chan struct{}, 1)
	ch <- struct{}{}
	o.mu.Lock()
	o.bells[ch] = struct{}{}
	o.mu.Unlock()
	return ch, func() {
		o.mu.Lock()
		delete(o.bells, ch)
		o.mu.Unlock()
	}
}

// ringLocked rings every bell. Callers hold mu.
func (o *Orchestrator) ringLocked() {
	for bell := range o.bells {
		select {
		case bell <- struct{}{}:
		default:
		}
	}
}

// Snapshot returns what is now.
func (o *Orchestrator) Snapshot() Snapshot {
	o.mu.Lock()
	s := Snapshot{
		Connections: make([]Connection, 0, len(o.connections)),
		Attempts:    make([]Attempt, 0, len(o.attempts)),
		Store:       o.storeErr,
		Damaged:     slices.Clone(o.damaged),
		Paused:      o.paused,
	}
	// Cached tokens are read under mu: what takes time is done with copies.
	connections := copies(o.connections)
	revoking := copies(o.revoking)
	for _, a := range o.attempts {
		if a.shown() {
			s.Attempts = append(s.Attempts, a.view)
		}
	}
	o.mu.Unlock()
	for i := range connections {
		s.Connections = append(s.Connections, o.view(&connections[i]))
	}
	for i := range revoking {
		s.Revoking = append(s.Revoking, o.view(&revoking[i]))
	}

	s.Protector = o.store.Protector()
	slices.SortFunc(s.Connections, byName)
	slices.SortFunc(s.Revoking, byName)
	slices.SortFunc(s.Attempts, func(a, b Attempt) int {
		return cmp.Or(a.Started.Compare(b.Started), cmp.Compare(a.Handle, b.Handle))
	})
	return s
}

func copies(all map[string]*connection) []connection {
	list := make([]connection, 0, len(all))
	for _, c := range all {
		list = append(list, *c)
	}
	return list
}

func byName(a, b Connection) int {
	return cmp.Or(
		cmp.Compare(strings.ToLower(a.ProviderName), strings.ToLower(b.ProviderName)),
		cmp.Compare(strings.ToLower(a.Account), strings.ToLower(b.Account)),
		cmp.Compare(a.ID, b.ID),
	)
}
