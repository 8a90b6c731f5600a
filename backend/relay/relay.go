// Package relay brings authorization responses to an app that no browser can
// reach: one on a server or behind SSH, without an address of its own.
//
// The app holds a connection out to its gateway. A callback that arrives at
// any replica of the gateway goes over NATS to the one app it is for, sealed so
// that only the attempt it belongs to can open it, and signed by the gateway.
// The app then waits for a code that the gateway's page shows in the browser
// that consented. This package is the app's side and the words of both;
// relay/hub is the gateway's side, and the only one that holds a NATS server.
//
//	browser ──https──▶ gateway ──▶ hub ──NATS──▶ Client ──▶ Attempt
//	   │                  ▲                        │           ▲
//	   │ shows the code   └──────── Answer ────────┘           │
//	   └───────── the person types it into the app ────────────┘
//
// # Its rules
//
//   - The gateway remembers nothing. The state carries the app's id, the
//     attempt's one-time public key and a tag that only this app could make
//     (state.go). So any replica can pass any callback on, a replica may die at
//     any time, and what a stranger makes up is dropped before the app hears
//     of it.
//   - The code goes from the browser to the app, never back. Somebody who sends
//     his own authorization URL to a victim ends with an attempt that waits for
//     a code that only the victim's browser shows (security of RFC 8628 section
//     5.4, turned around).
//   - The response is in nobody's hands before its code was typed: an Attempt
//     gives it out once, after Confirm. Three wrong codes end the attempt.
//   - A response that says error carries nothing worth guarding and needs no
//     code. Knowing the state is enough for it, as it is on loopback.
//   - The same callback again, from a browser that was reloaded or a gateway
//     that did not hear the answer, changes nothing and shows the same code.
//   - A message that is malformed, signed by nobody we know or of another
//     version is dropped and counted; nothing is answered. One that is more than
//     MaxSkew old or new is refused, and the clock is named as the reason.
//
// # Shapes
//
// State: "r." id "." key "." tag, all base64url without padding, 112 letters.
// The id is the app's Ed25519 public key, so whoever answers for it proves it.
//
// Delivery (gateway to app, on keyturn.app.<id>), big-endian:
//
//	version 1 │ kind 'D' │ key id 8 │ message id 16 │ time, ms 8 │ flow 32 │ enc 32 │ sealed … │ signature 64
//
// flow is SHA-256(state) and the additional data of the seal; enc and sealed
// are HPKE base mode (RFC 9180) with DHKEM(X25519), HKDF-SHA256 and
// ChaCha20-Poly1305. Inside, padded with zeros to a multiple of 512:
//
//	length 1 │ provider │ length 1 │ code │ length 2 │ query
//
// Answer (app to gateway): version 1 │ kind 'A' │ message id 16 │ verdict 1 │ signature 64.
//
// A message is at most MaxMessage bytes, a query at most 8 KiB.
package relay

import (
	"errors"
	"time"
)

const (
	// MaxMessage is the size of the largest message, in bytes.
	MaxMessage = 16 << 10
	// MaxSkew is how far the clocks of gateway and app may differ, travel included.
	MaxSkew = 5 * time.Minute
	// MaxAttempts is how many attempts may wait in one Client.
	MaxAttempts = 256
	// Tries is how often a code may be typed for one attempt.
	Tries = 3
	// maxHeld is how many different responses one attempt holds until a code
	// tells which is meant.
	maxHeld = 4
	// maxQuery is the longest query of a response, as on loopback.
	maxQuery = 8 << 10
)

// What can become of a callback. The gateway's page tells them apart.
var (
	// ErrUnreachable: the app is not connected, or does not answer. The same
	// callback may be delivered again.
	ErrUnreachable = errors.New("relay: the app is not reachable")
	// ErrUnknown: no attempt of this state waits anywhere: made up, revoked,
	// over, or of another provider.
	ErrUnknown = errors.New("relay: no attempt waits for this callback")
	// ErrRefused: the parameters are no authorization response, or the attempt
	// holds too many different ones.
	ErrRefused = errors.New("relay: the callback is not acceptable")
	// ErrClock: the clocks of gateway and app differ by more than MaxSkew.
	ErrClock = errors.New("relay: the clocks of gateway and app differ too much")
)

// ErrNotEnrolled: the gateway does not accept this enrolment, or not any more.
var ErrNotEnrolled = errors.New("relay: the gateway does not accept this enrolment")

// What Confirm can say besides nil, inside a *fault.Error.
var (
	// ErrNothingHeld: no response has come yet.
	ErrNothingHeld = errors.New("relay: nothing waits for a code")
	// ErrWrongCode: not the code; there are tries left.
	ErrWrongCode = errors.New("relay: wrong code")
	// ErrOver: the attempt has ended, by Cancel, Confirm or too many wrong codes.
	ErrOver = errors.New("relay: the attempt is over")
)

// Subject is where the messages for an app go. Its id is public.
func Subject(id string) string { return "keyturn.app." + id }
