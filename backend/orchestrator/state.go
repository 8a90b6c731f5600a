package orchestrator

import (
	"fmt"
	"time"

	"keyturn/backend/fault"
)

// An event is what may happen to a connection.
type event string

const (
	granted event = "token"   // a token response, from an attempt or a refresh
	outage  event = "outage"  // a refresh failed for a reason that may pass
	refused event = "refused" // the provider refused us, not the grant; three in a row count as gone
	gone    event = "gone"    // only the user can help
	mended  event = "mended"  // the OAuth app was changed after it had been refused
	ended   event = "ended"   // the user disconnected
)

// next lists every legal step of a connection. A grant that is gone stays gone
// until the user connects again; late news about it changes nothing. From
// everywhere, ended leads to revoking, and nothing leads back.
//
//	              ┌────── token ──────┐
//	              ▼                   │
//	needs    ─ token ─▶ connected ─ outage, refused ─▶ retrying ─┐
//	reconnect             │                              │ ▲     │ outage, refused
//	   ▲ └── mended ──────┼──────────────────────────────┼─┴─────┘
//	   └─────── gone ─────┴───────────── gone ───────────┘
var next = map[Status]map[event]Status{
	Connected: {
		granted: Connected,
		outage:  Retrying,
		refused: Retrying,
		gone:    NeedsReconnect,
		ended:   Revoking,
	},
	Retrying: {
		granted: Connected,
		outage:  Retrying,
		refused: Retrying,
		gone:    NeedsReconnect,
		ended:   Revoking,
	},
	NeedsReconnect: {
		granted: Connected,
		gone:    NeedsReconnect,
		mended:  Retrying,
		ended:   Revoking,
	},
	Revoking: {
		ended: Revoking,
	},
}

// to takes a record to where an event leads, for a reason.
func (r *Record) to(e event, why fault.Code, now time.Time) {
	s := step(r.Status, e)
	if s != r.Status || r.Since.IsZero() {
		r.Since = now
	}
	r.Status, r.Reason = s, why
}

// step returns where an event leads. An event that is not listed is a bug.
func step(s Status, e event) Status {
	to, ok := next[s][e]
	if !ok {
		panic(fmt.Sprintf("orchestrator: %s while %s", e, s))
	}
	return to
}
