package hub

import (
	"errors"
	"sync/atomic"

	"keyturn/backend/relay"
)

// Stats are what a Hub counts, for metrics. All but Apps only grow.
type Stats struct {
	Apps        int    // connected through Handler now
	Connected   uint64 // connections of apps, in all
	TurnedAway  uint64 // requests to Handler that became no connection
	Delivered   uint64 // callbacks that an app took
	Unreachable uint64 // callbacks whose app was not there or did not answer
	Unknown     uint64 // callbacks that no attempt waits for
	Refused     uint64 // callbacks that are no authorization response
	Clock       uint64 // callbacks refused because the clocks differ
	Forged      uint64 // answers that the app did not sign
}

type counts struct {
	delivered, unreachable, unknown, refused, clock, forged atomic.Uint64
}

func (c *counts) add(err error) {
	switch {
	case err == nil:
		c.delivered.Add(1)
	case errors.Is(err, relay.ErrUnreachable):
		c.unreachable.Add(1)
	case errors.Is(err, relay.ErrUnknown):
		c.unknown.Add(1)
	case errors.Is(err, relay.ErrClock):
		c.clock.Add(1)
	default:
		c.refused.Add(1)
	}
}

// Stats returns the counts so far.
func (h *Hub) Stats() Stats {
	return Stats{
		Apps:        h.apps.connected(),
		Connected:   h.apps.total.Load(),
		TurnedAway:  h.apps.turnedAway.Load(),
		Delivered:   h.counts.delivered.Load(),
		Unreachable: h.counts.unreachable.Load(),
		Unknown:     h.counts.unknown.Load(),
		Refused:     h.counts.refused.Load(),
		Clock:       h.counts.clock.Load(),
		Forged:      h.counts.forged.Load(),
	}
}
