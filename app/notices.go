package app

import (
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
	many   func(n int) string // the title for several
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
	return Button{say().Notices.Reconnect, Action{Reconnect, c.ID}}
}

var standings = []standing{{
	name:  "reconnect",
	holds: func(c orchestrator.Connection, _ time.Time) bool { return c.Status == orchestrator.NeedsReconnect },
	tell: func(c orchestrator.Connection) Notice {
		return Notice{Title: say().Notices.NeedsReconnect(plain(c)), Body: inFull(say().How(c, time.Now()))}
	},
	many:   say().Notices.ManyNeedReconnect,
	urgent: true,
	mend:   reconnectButton,
}, {
	name:  "outage",
	holds: hurts,
	tell: func(c orchestrator.Connection) Notice {
		return Notice{Title: say().Notices.NotRenewed(plain(c)), Body: inFull(say().How(c, time.Now()))}
	},
	many: say().Notices.ManyNotRenewed,
}, {
	name:  "unsaved",
	holds: func(c orchestrator.Connection, _ time.Time) bool { return c.Unsaved },
	tell: func(c orchestrator.Connection) Notice {
		return Notice{Title: say().Notices.NotSaved(plain(c)), Body: inFull(say().How(c, time.Now()))}
	},
	many:   say().Notices.ManyNotSaved,
	urgent: true,
}, {
	name:  "forecast",
	holds: foreseen,
	tell: func(c orchestrator.Connection) Notice {
		return Notice{
			Title: say().Notices.SignIn(plain(c), c.Forecast.At.Local().Format(say().Notices.Day)),
			Body:  text.Markup(strings.TrimSpace(c.Forecast.Says+" "+c.Forecast.Fix), 200),
		}
	},
	many: say().Notices.ManySignIn,
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
	names := say().Notices.Two(plain(list[0]), plain(list[1]))
	if len(list) > 2 {
		names = say().Notices.Several(plain(list[0]), plain(list[1]), len(list)-2)
	}
	return s.finish(Notice{Key: s.name, Title: s.many(len(list)), Body: names})
}

func (s *standing) finish(n Notice) Notice {
	n.Urgent = s.urgent
	n.Buttons = append([]Button{showButton}, append(n.Buttons, Button{say().Notices.Snooze, Action{Snooze, n.Key}})...)
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
	return capital(says) + "."
}

var showButton = Button{say().Notices.Show, Action{Show, ViewConnections}}

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
		Title:   say().Notices.NotConnected(name),
		Body:    whyFailed(a.Code, name, a.Message),
		Buttons: []Button{{say().Notices.TryAgain, again}},
	}
}

func connectedTitle(a orchestrator.Attempt) string {
	return say().Notices.Connected(text.Markup(a.ProviderName, 40), text.Markup(a.Account, 60))
}

// connectedWho is connectedTitle for a list.
func connectedWho(a orchestrator.Attempt) string {
	return say().Notices.Who(text.Markup(a.ProviderName, 40), text.Markup(a.Account, 60))
}

func missingWords(missing []string) string {
	switch len(missing) {
	case 0:
		return ""
	case 1:
		return say().Notices.NotGranted(text.Markup(missing[0], 80))
	}
	return say().Notices.ManyNotGranted(len(missing))
}

// whyFailed returns the sentence for a code, or else the attempt's own.
func whyFailed(code fault.Code, name, message string) string {
	if sentence, ok := say().Notices.Why[code]; ok {
		return sentence(name)
	}
	return text.Markup(message, 200)
}

func plain(c orchestrator.Connection) string { return text.Markup(whose(c), 100) }
