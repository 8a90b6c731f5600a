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

	Title, Body string
	Action      Action // of the button and of a click on the notification itself
	Button      string
	Urgent      bool // only the user can help
}

// manyAtOnce is how many connections may ask for the user at the same moment
// before one notification speaks for all of them.
const manyAtOnce = 3

// look is what was seen at a moment.
type look struct {
	orchestrator.Snapshot
	at time.Time
}

// notices compares what was with what is. It is the whole memory that
// notifications have: an outage is told once because it begins once, and the
// zero look, before anything was known, makes a quiet start.
func notices(before, after look) []Notice {
	list := append(ended(before.Snapshot, after.Snapshot), reconnects(before.Snapshot, after.Snapshot)...)
	for _, s := range standings {
		list = append(list, s.compare(before, after)...)
	}
	return list
}

// A standing is a notice that is true for a time: told when that begins, taken
// back when it ends.
type standing struct {
	key   string
	holds func(orchestrator.Connection, time.Time) bool
	tell  func(orchestrator.Connection) Notice
}

const (
	// grace is how long an outage may last that is never told.
	grace = 5 * time.Minute
	// ahead is how long before a sign-in the user is told of it; farSighted is
	// how long a grant must have lasted for that. Who signs in every hour knows.
	ahead      = 3 * 24 * time.Hour
	farSighted = 2 * 24 * time.Hour
)

var standings = []standing{
	{"outage:", hurts, func(c orchestrator.Connection) Notice {
		return Notice{Title: plain(c) + " cannot be renewed", Body: inFull(c.Health)}
	}},
	{"unsaved:", func(c orchestrator.Connection, _ time.Time) bool { return c.Unsaved }, func(c orchestrator.Connection) Notice {
		return Notice{Title: plain(c) + " could not be saved", Body: inFull(c.Health), Urgent: true}
	}},
	{"forecast:", foreseen, func(c orchestrator.Connection) Notice {
		return Notice{
			Title: plain(c) + " will ask you to sign in again on " + c.Forecast.At.Local().Format("Monday, 2 January"),
			Body:  text.Markup(strings.TrimSpace(c.Forecast.Says+" "+c.Forecast.Fix), 200),
		}
	}},
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

func (s standing) compare(before, after look) (list []Notice) {
	was := map[string]bool{}
	for _, c := range before.Connections {
		was[c.ID] = s.holds(c, before.at)
	}
	is := map[string]bool{}
	for _, c := range after.Connections {
		is[c.ID] = s.holds(c, after.at)
		if !is[c.ID] || was[c.ID] {
			continue
		}
		n := s.tell(c)
		n.Key, n.Action, n.Button = s.key+c.ID, Action{Show, ViewConnections}, "Show"
		list = append(list, n)
	}
	for _, c := range before.Connections {
		if was[c.ID] && !is[c.ID] {
			list = append(list, Notice{Key: s.key + c.ID, Withdraw: true})
		}
	}
	return list
}

// inFull makes a sentence of the words of Connection.Health.
func inFull(health string) string {
	says := text.Markup(health, 200)
	if says == "" {
		return ""
	}
	return strings.ToUpper(says[:1]) + says[1:] + "."
}

// ended tells how attempts ended.
func ended(before, after orchestrator.Snapshot) []Notice {
	was := map[string]orchestrator.AttemptStatus{}
	for _, a := range before.Attempts {
		was[a.Handle] = a.Status
	}
	var list []Notice
	for _, a := range after.Attempts {
		if a.Status == orchestrator.Pending || was[a.Handle] == a.Status {
			continue
		}
		name := text.Markup(a.ProviderName, 40)
		if a.Status == orchestrator.Complete {
			list = append(list, Notice{
				Key:    "connection:" + a.ConnectionID,
				Title:  connectedTitle(name, text.Markup(a.Account, 60)),
				Body:   missingWords(a.Missing),
				Action: Action{Show, ViewConnections},
				Button: "Show",
			})
			continue
		}
		if a.Code == fault.Cancelled || a.Code == fault.Superseded {
			continue // the user's own doing
		}
		list = append(list, Notice{
			Key:    "attempt:" + a.Provider,
			Title:  name + " was not connected",
			Body:   whyFailed(a.Code, name, a.Message),
			Action: Action{Show, viewOfProvider(a.Provider)},
			Button: "Try again",
		})
	}
	return list
}

func connectedTitle(name, account string) string {
	if account == "" {
		return name + " connected"
	}
	return name + " connected as " + account
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

// reconnects tells which connections need the user now, and takes back what
// was told about those that do not any more.
func reconnects(before, after orchestrator.Snapshot) []Notice {
	was, is := needy(before), needy(after)
	var list []Notice
	for _, c := range before.Connections {
		if was[c.ID] && !is[c.ID] {
			list = append(list, Notice{Key: "reconnect:" + c.ID, Withdraw: true})
		}
	}
	if len(was) > 0 && len(is) == 0 {
		list = append(list, Notice{Key: "reconnect", Withdraw: true})
	}
	var fresh []orchestrator.Connection
	for _, c := range after.Connections {
		if is[c.ID] && !was[c.ID] {
			fresh = append(fresh, c)
		}
	}
	if len(fresh) >= manyAtOnce {
		return append(list, Notice{
			Key:    "reconnect",
			Title:  fmt.Sprintf("%d connections need to be reconnected", len(fresh)),
			Body:   fmt.Sprintf("%s, %s and %d more.", plain(fresh[0]), plain(fresh[1]), len(fresh)-2),
			Action: Action{Show, ViewConnections},
			Button: "Show",
			Urgent: true,
		})
	}
	for _, c := range fresh {
		list = append(list, Notice{
			Key:    "reconnect:" + c.ID,
			Title:  plain(c) + " needs to be reconnected",
			Body:   inFull(c.Health),
			Action: Action{Show, ViewConnections},
			Button: "Show",
			Urgent: true,
		})
	}
	return list
}

func needy(s orchestrator.Snapshot) map[string]bool {
	ids := map[string]bool{}
	for _, c := range s.Connections {
		if c.Status == orchestrator.NeedsReconnect {
			ids[c.ID] = true
		}
	}
	return ids
}

func plain(c orchestrator.Connection) string { return text.Markup(whose(c), 100) }
