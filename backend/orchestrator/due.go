package orchestrator

import (
	"math/rand/v2"
	"time"
)

// When grants are renewed without being asked for.
const (
	// earlyBy and a tenth of the lifetime, whichever is less: how long before
	// its end a token in use is renewed.
	earlyBy = 5 * time.Minute
	// inUse is how recently a token must have been read for that.
	inUse = 7 * 24 * time.Hour

	// atOnce is how many refreshes work at one provider at the same moment,
	// and unasked how many of these may be nobody's wish: what more there is
	// waits, so that a thousand tokens that ended while a laptop slept are not
	// a thousand sockets.
	atOnce  = 64
	unasked = 16
)

// planLocked decides when c is renewed unasked. It is called whenever its
// record changes. Callers hold mu.
func (o *Orchestrator) planLocked(c *connection) {
	p, _ := o.catalogue.Lookup(c.rec.Provider)
	r := &c.rec
	withAccess := p.Refresh.With == "access_token"
	c.renewable = withAccess || !r.Token.Refresh.IsZero()
	c.due, c.last = time.Time{}, time.Time{}
	life := lifetime(r)
	if !c.renewable {
		c.last = r.Token.Expiry // there is nothing to be done then but to say so
		return
	}
	if life > 0 {
		early := min(earlyBy, life/10)
		c.due = r.Token.Expiry.Add(-early + time.Duration(rand.Int64N(int64(early/4)+1)))
	}
	// A grant that ends by not being renewed is renewed when four fifths of
	// its time are over, used or not.
	switch end := refreshEnd(&p, r); {
	case withAccess && life > 0:
		c.last = r.Refreshed.Add(life / 5 * 4)
	case !withAccess && !end.IsZero() && slides(&p, r):
		c.last = r.Refreshed.Add(end.Sub(r.Refreshed) / 5 * 4)
	}
	if earliest := r.Refreshed.Add(p.Refresh.MinAge); p.Refresh.MinAge > 0 {
		c.due, c.last = later(c.due, earliest), later(c.last, earliest)
	}
}

// later returns the later of t, unless it is zero, and earliest.
func later(t, earliest time.Time) time.Time {
	if t.IsZero() || t.After(earliest) {
		return t
	}
	return earliest
}

// dueLocked reports whether c is to be renewed now. Callers hold mu.
func (c *connection) dueLocked(now time.Time) bool {
	switch {
	case c.rec.Status == NeedsReconnect || c.refreshing != nil:
		return false
	case c.rec.Status == Retrying || !c.rec.RefreshSent.IsZero():
		return !c.waits(now)
	case !c.last.IsZero() && !now.Before(c.last):
		return !c.waits(now)
	}
	used := !c.lastUsed.IsZero() && now.Sub(c.lastUsed) < inUse
	return used && !c.due.IsZero() && !now.Before(c.due) && !c.waits(now)
}

// longestWait is longer than any wait is set for: one that seems longer was
// set before the clock was put back.
const longestWait = 6*time.Hour + time.Minute

// waits reports whether it is too early for another try. Callers hold mu.
func (c *connection) waits(now time.Time) bool {
	return now.Before(c.nextTry) && c.nextTry.Sub(now) <= longestWait
}

// refreshDueLocked renews what is due. Callers hold mu.
func (o *Orchestrator) refreshDueLocked(now time.Time) {
	o.behind = false
	for _, c := range o.connections {
		if !c.dueLocked(now) {
			continue
		}
		if len(o.slotLocked(c.rec.Provider)) >= unasked {
			o.behind = true // whoever leaves a slot looks again
			continue
		}
		_, _ = o.renewLocked(c, now) // an error: not yet
	}
}

// slotLocked returns the slots of a provider; whoever is in has put something
// into the channel. Callers hold mu.
func (o *Orchestrator) slotLocked(providerID string) chan struct{} {
	slots := o.slots[providerID]
	if slots == nil {
		slots = make(chan struct{}, atOnce)
		o.slots[providerID] = slots
	}
	return slots
}

// saveAgainLocked saves what could not be saved. Callers hold mu.
func (o *Orchestrator) saveAgainLocked() {
	for _, c := range o.connections {
		if c.unsaved != "" {
			o.goLocked(func() { o.change(c, func(*connection, *Record, time.Time) {}) })
		}
	}
}

// A moment is one on two clocks: the wall clock, which can be set, and that of
// the process, which cannot.
type moment struct{ wall, process time.Time }

// watchClockLocked has every token in use renewed when the wall clock was put
// back since the last look: their ends were reckoned by the clock as it was,
// and may be nearer than they seem. Callers hold mu.
func (o *Orchestrator) watchClockLocked(now time.Time) {
	before := o.looked
	o.looked = moment{now, time.Now()}
	if before.wall.IsZero() {
		return
	}
	behind := o.looked.process.Sub(before.process) - now.Sub(before.wall)
	if behind < clockSlack {
		return
	}
	o.log.Warn("the clock was put back", "by", behind.Round(time.Second))
	for _, c := range o.connections {
		if c.renewable && !c.due.IsZero() {
			c.due = now
		}
	}
}
