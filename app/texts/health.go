package texts

import (
	"time"

	"keyturn/backend/fault"
	"keyturn/backend/orchestrator"
)

// Health is how a connection is, in words that are begun small: they follow a
// name and a dot in the menu, and are made a sentence elsewhere.
type Health struct {
	Connected, Unsaved string
	NeedsReconnect     func(why string) string
	Retrying, Revoking func(since, next, why string) string
	Because            map[fault.Code]func(provider string) string
	Otherwise          func(provider string) string // the reason is none of these
	Now                string
	Clock, Day         string // layouts of a time today, and of one on another day
}

// How says how a connection is.
func (t *Texts) How(c orchestrator.Connection, now time.Time) string {
	h := t.Health
	if h == nil {
		return c.Health
	}
	because := h.Because[c.Reason]
	if because == nil {
		because = h.Otherwise
	}
	why, since, next := because(c.ProviderName), h.clock(c.Since, now), h.Now
	if c.NextTry.After(now) {
		next = h.clock(c.NextTry, now)
	}
	switch c.Status {
	case orchestrator.NeedsReconnect:
		return h.NeedsReconnect(why)
	case orchestrator.Retrying:
		return h.Retrying(since, next, why)
	case orchestrator.Revoking:
		return h.Revoking(since, next, why)
	}
	if c.Unsaved {
		return h.Unsaved
	}
	return h.Connected
}

func (h *Health) clock(at, now time.Time) string {
	at, now = at.Local(), now.Local()
	if at.YearDay() == now.YearDay() && at.Year() == now.Year() {
		return at.Format(h.Clock)
	}
	return at.Format(h.Day)
}
