package app

import (
	"fmt"
	"strings"
	"time"

	"keyturn/backend/fault"
	"keyturn/backend/orchestrator"
	"keyturn/backend/text"
)

// Notice is one notification, or the wish to take one back. Texts hold no
// markup, whatever the notification server would make of it.
type Notice struct {
	// Key says what it is about: a newer notice with the same key replaces it.
	Key      string
	Withdraw bool // take back the one with this Key; the rest is empty
	Quiet    bool // changes the one that is on show; where none is, none is shown

	Title, Body string
	// Buttons are left to right; a click on the notification itself is one on
	// the first.
	Buttons []Button
	Urgent  bool // only the user can help
}

// Button is something to do about a notice.
type Button struct {
	Label  string
	Action Action
}

// A standing is a notice that is true for a time: told when that begins, taken
// back when it ends. The board says when.
type standing struct {
	name   string // begins its keys
	holds  func(orchestrator.Connection, time.Time) bool
	tell   func(orchestrator.Connection) Notice
	many   string // the title for several: %d says how many
	urgent bool
	// mend is what helps at once, if anything does.
	mend func(orchestrator.Connection) Button
}

const (
	// grace is how long an outage may last that is never told.
	grace = 5 * time.Minute
	// ahead is how long before a sign-in the user is told of it; farSighted is
	// how long a grant must have lasted for that. Who signs in every hour knows.
	ahead      = 3 * 24 * time.Hour
	farSighted = 2 * 24 * time.Hour
)

func reconnectButton(c orchestrator.Connection) Button {
	return Button{"Reconnect", Action{Reconnect, c.ID}}
}

var standings = []standing{{
	name:  "reconnect",
	holds: func(c orchestrator.Connection, _ time.Time) bool { return c.Status == orchestrator.NeedsReconnect },
	tell: func(c orchestrator.Connection) Notice {
		return Notice{Title: plain(c) + " needs to be reconnected", Body: inFull(c.Health)}
	},
	many:   "%d connections need to be reconnected",
	urgent: true,
	mend:   reconnectButton,
}, {
	name:  "outage",
	holds: hurts,
	tell: func(c orchestrator.Connection) Notice {
		return Notice{Title: plain(c) + " cannot be renewed", Body: inFull(c.Health)}
	},
	many: "%d connections cannot be renewed",
}, {
	name:  "unsaved",
	holds: func(c orchestrator.Connection, _ time.Time) bool { return c.Unsaved },
	tell: func(c orchestrator.Connection) Notice {
		return Notice{Title: plain(c) + " could not be saved", Body: inFull(c.Health)}
	},
	many:   "%d connections could not be saved",
	urgent: true,
}, {
	name:  "forecast",
	holds: foreseen,
	tell: func(c orchestrator.Connection) Notice {
		return Notice{
			Title: plain(c) + " will ask you to sign in again on " + c.Forecast.At.Local().Format("Monday, 2 January"),
			Body:  text.Markup(strings.TrimSpace(c.Forecast.Says+" "+c.Forecast.Fix), 200),
		}
	},
	many: "%d connections will ask you to sign in again soon",
	mend: reconnectButton,
}}

// notice tells of one connection.
func (s *standing) notice(c orchestrator.Connection) Notice {
	n := s.tell(c)
	n.Key = s.name + ":" + c.ID
	if s.mend != nil {
		n.Buttons = []Button{s.mend(c)}
	}
	return s.finish(n)
}

// group tells of several; when all but one have healed, of that one.
func (s *standing) group(list []orchestrator.Connection) Notice {
	if len(list) == 1 {
		n := s.tell(list[0])
		n.Key = s.name
		return s.finish(n)
	}
	names := plain(list[0]) + " and " + plain(list[1])
	if len(list) > 2 {
		names = fmt.Sprintf("%s, %s and %d more", plain(list[0]), plain(list[1]), len(list)-2)
	}
	return s.finish(Notice{Key: s.name, Title: fmt.Sprintf(s.many, len(list)), Body: names + "."})
}

func (s *standing) finish(n Notice) Notice {
	n.Urgent = s.urgent
	n.Buttons = append([]Button{showButton}, append(n.Buttons, Button{"Snooze for an hour", Action{Snooze, n.Key}})...)
	return n
}

// hurts reports whether programs have gone without a token for longer than
// what passes by itself.
func hurts(c orchestrator.Connection, at time.Time) bool {
	return c.Status == orchestrator.Retrying && at.Sub(c.Since) >= grace && !c.Expiry.IsZero() && !at.Before(c.Expiry)
}

func foreseen(c orchestrator.Connection, at time.Time) bool {
	f := c.Forecast
	return !f.At.IsZero() && at.Before(f.At) && f.At.Sub(at) < ahead && f.At.Sub(c.Refreshed) >= farSighted
}

// inFull makes a sentence of the words of Connection.Health.
func inFull(health string) string {
	says := text.Markup(health, 200)
	if says == "" {
		return ""
	}
	return strings.ToUpper(says[:1]) + says[1:] + "."
}

var showButton = Button{"Show", Action{Show, ViewConnections}}

// complete tells of an attempt that went well.
func complete(a orchestrator.Attempt) Notice {
	return Notice{
		Key:     "connection:" + a.ConnectionID,
		Title:   connectedTitle(a),
		Body:    missingWords(a.Missing),
		Buttons: []Button{showButton},
	}
}

// unconnected tells of an attempt that did not go well, unless the user knows.
func unconnected(a orchestrator.Attempt) Notice {
	if a.Code == fault.Cancelled || a.Code == fault.Superseded {
		return Notice{Key: "attempt:" + a.Provider, Withdraw: true}
	}
	name := text.Markup(a.ProviderName, 40)
	again := Action{Show, viewOfProvider(a.Provider)}
	return Notice{
		Key:     "attempt:" + a.Provider,
		Title:   name + " was not connected",
		Body:    whyFailed(a.Code, name, a.Message),
		Buttons: []Button{{tryAgain, again}},
	}
}

// tryAgain is a button that needs no window; see show.
const tryAgain = "Try again"

func connectedTitle(a orchestrator.Attempt) string {
	name, account := text.Markup(a.ProviderName, 40), text.Markup(a.Account, 60)
	if account == "" {
		return name + " connected"
	}
	return name + " connected as " + account
}

// connectedWho is connectedTitle for a list.
func connectedWho(a orchestrator.Attempt) string {
	return strings.Replace(connectedTitle(a), " connected", "", 1)
}

func missingWords(missing []string) string {
	switch len(missing) {
	case 0:
		return ""
	case 1:
		return "Not granted: " + text.Markup(missing[0], 80) + "."
	}
	return fmt.Sprintf("%d of the scopes asked for were not granted.", len(missing))
}

// why has a sentence for each code that an attempt is likely to end with; %s
// is the provider.
var why = map[fault.Code]string{
	fault.Denied:                 "Access was denied at %s. Nothing was stored.",
	fault.Expired:                "Nobody answered in time. You can start again whenever you like.",
	fault.IssMissing:             "The answer did not say that it came from %s, so it was not used.",
	fault.IssMismatch:            "The answer came from somebody else than %s, so it was not used.",
	fault.ExchangeFailed:         "%s did not accept the authorization code. Try again.",
	fault.ExchangeOutcomeUnknown: "The connection to %s broke at the last step. Try again.",
	fault.IdentityFailed:         "%s did not say whose account it is. Nothing was stored.",
	fault.ProviderUnavailable:    "%s does not answer. Check the network, or try again later.",
	fault.ProviderError:          "%s answered with an error. Try again.",
	fault.ClientRefused:          "%s does not accept the OAuth app. Check its client id and secret.",
	fault.StoreLocked:            "The key that seals your tokens is not available. Unlock your keyring and try again.",
	fault.DiskFull:               "The disk is full, so the connection to %s could not be saved.",
	fault.PortInUse:              "Another program uses the port that %s has to answer to.",
}

// whyFailed returns the sentence for a code, or else the attempt's own.
func whyFailed(code fault.Code, name, message string) string {
	if sentence, ok := why[code]; ok {
		return strings.Replace(sentence, "%s", name, 1)
	}
	return text.Markup(message, 200)
}

func plain(c orchestrator.Connection) string { return text.Markup(whose(c), 100) }
