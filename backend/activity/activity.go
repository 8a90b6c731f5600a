// Package activity remembers what happened to the user's grants, and which
// programs read tokens: a record for people, not an event bus.
//
// The rules it keeps:
//
//   - Adding waits for nobody: it takes a mutex and writes to memory. The disk
//     is Run's business, and a disk that refuses is said once.
//   - Memory and disk are bounded. Alike reads within a minute are one event
//     with a count. When there are too many events, whoever has the most of one
//     kind loses its oldest: nobody can push everything else out.
//   - No secret gets here: an event has no field for one, and every word in it
//     passes text.Clean.
//   - The names of programs are what the system says about a process at the
//     time. They are for the user to recognise, not a proof.
package activity

import (
	"slices"
	"time"

	"keyturn/backend/text"
)

// Event is one thing that happened, or several alike.
type Event struct {
	ID           uint64    `json:"id"` // grows; given by the Log
	At           time.Time `json:"at"`
	Until        time.Time `json:"until,omitzero"` // of the last one, when Count is more than 1
	Kind         Kind      `json:"kind"`
	ConnectionID string    `json:"connection_id,omitempty"`
	Provider     string    `json:"provider,omitempty"`
	Account      string    `json:"account,omitempty"`
	Principal    string    `json:"principal,omitempty"` // "local", "window", "web_ui"; empty: Keyturn itself
	Program      string    `json:"program,omitempty"`   // name of the executable
	PID          int       `json:"pid,omitempty"`       // of the last one
	Code         string    `json:"code,omitempty"`      // fault code, when it failed
	Count        int       `json:"count"`               // how many alike within a minute
}

// Kind says what happened.
type Kind string

// The kinds of events.
const (
	Connected        Kind = "connected"
	ConnectFailed    Kind = "connect_failed"
	Refreshed        Kind = "refreshed"
	RefreshFailed    Kind = "refresh_failed"
	NeedsReconnect   Kind = "needs_reconnect"
	TokenRead        Kind = "token_read"
	Request          Kind = "request"
	Disconnected     Kind = "disconnected"
	Revoked          Kind = "revoked"
	RevocationFailed Kind = "revocation_failed"
	Locked           Kind = "locked"
	Unlocked         Kind = "unlocked"
	Exported         Kind = "exported"
	Imported         Kind = "imported"
	ProtectorChanged Kind = "protector_changed"
)

// Kinds lists every kind there is.
func Kinds() []Kind {
	return []Kind{Connected, ConnectFailed, Refreshed, RefreshFailed, NeedsReconnect, TokenRead, Request, Disconnected,
		Revoked, RevocationFailed, Locked, Unlocked, Exported, Imported, ProtectorChanged}
}

// Query picks events. The zero Query picks all.
type Query struct {
	ConnectionID string
	Provider     string
	Since        time.Time
	Limit        int // 0: no limit
}

func (q Query) picks(e *Event) bool {
	return (q.ConnectionID == "" || q.ConnectionID == e.ConnectionID) &&
		(q.Provider == "" || q.Provider == e.Provider) &&
		(q.Since.IsZero() || !e.last().Before(q.Since))
}

// last is when an event happened last.
func (e *Event) last() time.Time {
	if e.Until.IsZero() {
		return e.At
	}
	return e.Until
}

// foldable kinds happen as often as programs please.
func (k Kind) foldable() bool { return k == TokenRead || k == Request }

// alike is what events that become one have in common.
type alike struct {
	kind                                              Kind
	connectionID, provider, principal, program, fault string
}

func alikeOf(e *Event) alike {
	a := alike{e.Kind, e.ConnectionID, e.Provider, e.Principal, e.Program, e.Code}
	if e.ConnectionID != "" {
		a.provider = "" // the connection says it
	}
	return a
}

// family is what shares a number of places in a full log.
type family struct {
	kind                  Kind
	connectionID, program string
}

func familyOf(e *Event) family { return family{e.Kind, e.ConnectionID, e.Program} }

// clean makes e fit to keep and to show.
func (e *Event) clean() {
	e.At = moment(e.At)
	e.Until = moment(e.Until)
	e.Count = max(1, e.Count)
	e.PID = max(0, e.PID)
	e.ConnectionID = text.Clean(e.ConnectionID, 64)
	e.Provider = text.Clean(e.Provider, 64)
	e.Account = text.Clean(e.Account, 120)
	e.Principal = text.Clean(e.Principal, 16)
	e.Program = text.Clean(e.Program, 80)
	e.Code = text.Clean(e.Code, 64)
}

func moment(t time.Time) time.Time { return t.Round(0).UTC().Truncate(time.Millisecond) }

// valid reports whether e is one that a Log has written.
func (e *Event) valid() bool {
	return e.ID > 0 && !e.At.IsZero() && slices.Contains(Kinds(), e.Kind)
}
