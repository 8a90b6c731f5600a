package app

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"keyturn/backend/fault"
	"keyturn/backend/orchestrator"
)

func ending(status orchestrator.AttemptStatus, code fault.Code, message string) orchestrator.Attempt {
	a := attempt("h1", "GitHub", "")
	a.Status, a.Code, a.Message, a.URL = status, code, message, ""
	return a
}

func completed(missing ...string) orchestrator.Attempt {
	a := ending(orchestrator.Complete, "", "")
	a.ConnectionID, a.Account, a.Missing = "con_1", "octocat", missing
	return a
}

func broken(id, account string, reason fault.Code) orchestrator.Connection {
	c := connection(id, "GitHub", account, orchestrator.NeedsReconnect)
	c.Reason = reason
	c.Health = "needs reconnecting because " + string(reason)
	return c
}

type (
	snapshot    = orchestrator.Snapshot
	attempts    = []orchestrator.Attempt
	connections = []orchestrator.Connection
)

func TestNotices(t *testing.T) {
	pending := snapshot{Attempts: attempts{attempt("h1", "GitHub", orchestrator.Saving)}}
	well := snapshot{Connections: connections{connection("1", "GitHub", "octocat", orchestrator.Connected)}}
	gone := snapshot{Connections: connections{broken("1", "octocat", fault.GrantGone)}}
	three := snapshot{Connections: connections{broken("1", "a", ""), broken("2", "b", ""), broken("3", "c", "")}}
	for _, tt := range []struct {
		name          string
		before, after snapshot
		want          []string
	}{
		{"nothing happens", well, well, nil},
		{"a start with everything well is quiet", snapshot{}, well, nil},
		{"a start that knows an outage tells it", snapshot{}, gone,
			[]string{"reconnect:con_1! GitHub — octocat needs to be reconnected | Needs reconnecting because grant_gone. | Show → show:connections | Reconnect → reconnect:con_1 | Snooze for an hour → snooze:reconnect:con_1"}},
		{"a start that knows many outages tells them at once", snapshot{}, three,
			[]string{"reconnect! 3 connections need to be reconnected | GitHub — a, GitHub — b and 1 more. | Show → show:connections | Snooze for an hour → snooze:reconnect"}},
		{"an attempt that begins is not told", snapshot{}, pending, nil},
		{"connected, as whom", pending, snapshot{Attempts: attempts{completed()}},
			[]string{"attempt:github withdrawn", "connection:con_1 GitHub connected as octocat |  | Show → show:connections"}},
		{"connected between two looks", snapshot{}, snapshot{Attempts: attempts{completed()}},
			[]string{"connection:con_1 GitHub connected as octocat |  | Show → show:connections"}},
		{"connected is told once", snapshot{Attempts: attempts{completed()}}, snapshot{Attempts: attempts{completed()}}, nil},
		{"a result that is forgotten is not news", snapshot{Attempts: attempts{completed()}}, snapshot{}, nil},
		{"a scope was not granted", pending, snapshot{Attempts: attempts{completed("repo")}},
			[]string{"attempt:github withdrawn", "connection:con_1 GitHub connected as octocat | Not granted: repo. | Show → show:connections"}},
		{"scopes were not granted", pending, snapshot{Attempts: attempts{completed("repo", "gist")}},
			[]string{"attempt:github withdrawn", "connection:con_1 GitHub connected as octocat | 2 of the scopes asked for were not granted. | Show → show:connections"}},
		{"denied", pending, snapshot{Attempts: attempts{ending(orchestrator.Error, fault.Denied, "x")}},
			[]string{"attempt:github GitHub was not connected | Access was denied at GitHub. Nothing was stored. | Try again → show:connect?provider=github"}},
		{"a code without words of ours uses the attempt's", pending, snapshot{Attempts: attempts{ending(orchestrator.Error, fault.ScopeInsufficient, "GitHub gave too <b>little</b>.")}},
			[]string{"attempt:github GitHub was not connected | GitHub gave too blittle/b. | Try again → show:connect?provider=github"}},
		{"what the user cancelled is not told", pending, snapshot{Attempts: attempts{ending(orchestrator.Error, fault.Cancelled, "")}}, []string{"attempt:github withdrawn"}},
		{"what the user started again is not told", pending, snapshot{Attempts: attempts{ending(orchestrator.Error, fault.Superseded, "")}}, []string{"attempt:github withdrawn"}},
		{"an outage begins", well, gone,
			[]string{"reconnect:con_1! GitHub — octocat needs to be reconnected | Needs reconnecting because grant_gone. | Show → show:connections | Reconnect → reconnect:con_1 | Snooze for an hour → snooze:reconnect:con_1"}},
		{"an outage goes on", gone, gone, nil},
		{"an outage is healed", gone, well, []string{"reconnect:con_1 withdrawn"}},
		{"a broken connection is disconnected", gone, snapshot{}, []string{"reconnect:con_1 withdrawn"}},
		{"one of two outages is healed", snapshot{Connections: connections{broken("1", "a", ""), broken("2", "b", "")}},
			snapshot{Connections: connections{connection("1", "GitHub", "a", orchestrator.Connected), broken("2", "b", "")}},
			[]string{"reconnect:con_1 withdrawn"}},
		{"a provider that does not answer passes by itself", well,
			snapshot{Connections: connections{connection("1", "GitHub", "octocat", orchestrator.Retrying)}}, nil},
		{"two outages at once are told one by one", snapshot{}, snapshot{Connections: connections{broken("1", "a", ""), broken("2", "b", fault.ClientRefused)}},
			[]string{
				"reconnect:con_1! GitHub — a needs to be reconnected | Needs reconnecting because. | Show → show:connections | Reconnect → reconnect:con_1 | Snooze for an hour → snooze:reconnect:con_1",
				"reconnect:con_2! GitHub — b needs to be reconnected | Needs reconnecting because client_refused. | Show → show:connections | Reconnect → reconnect:con_2 | Snooze for an hour → snooze:reconnect:con_2",
			}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBoard()
			b.tells(tt.before, noon)
			got := b.tells(tt.after, noon.Add(time.Minute))
			if g, w := strings.Join(got, "\n"), strings.Join(tt.want, "\n"); g != w {
				t.Errorf("got:\n%s\nwant:\n%s", g, w)
			}
		})
	}
}

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestNoticesThatTimeMakes(t *testing.T) {
	retrying := connection("1", "GitHub", "octocat", orchestrator.Retrying)
	retrying.Since, retrying.Expiry = noon, noon.Add(time.Minute)
	retrying.Health = "retrying since noon"
	healed := retrying
	healed.Status, healed.Health = orchestrator.Connected, "connected"
	long := retrying
	long.Expiry = noon.Add(time.Hour)
	unsaved := connection("1", "GitHub", "octocat", orchestrator.Connected)
	unsaved.Unsaved, unsaved.Health = true, "connected, but not saved"
	ends := connection("1", "GitHub", "octocat", orchestrator.Connected)
	ends.Refreshed = noon.Add(-20 * 24 * time.Hour)
	ends.Forecast = orchestrator.Forecast{At: noon.Add(4 * 24 * time.Hour), Says: "GitHub ends it.", Fix: "Use it."}
	hourly := ends
	hourly.Refreshed, hourly.Forecast.At = noon, noon.Add(time.Hour)
	for _, tt := range []struct {
		name string
		c    orchestrator.Connection
		from time.Duration
		to   time.Duration
		next orchestrator.Connection
		want string
	}{
		{"an outage within its grace is not told", retrying, 0, 4 * time.Minute, retrying, ""},
		{"an outage that lasts is told", retrying, 4 * time.Minute, 6 * time.Minute, retrying,
			"outage:con_1 GitHub — octocat cannot be renewed | Retrying since noon. | Show → show:connections | Snooze for an hour → snooze:outage:con_1"},
		{"an outage that lasts is told once", retrying, 6 * time.Minute, 7 * time.Minute, retrying, ""},
		{"an outage that heals is taken back", retrying, 6 * time.Minute, 7 * time.Minute, healed, "outage:con_1 withdrawn"},
		{"an outage that healed within its grace leaves nothing", retrying, 4 * time.Minute, 6 * time.Minute, healed, ""},
		{"an outage is not told while the token lives", long, 0, 30 * time.Minute, long, ""},
		{"a token that the disk refuses is urgent", ends, 0, 0, unsaved,
			"unsaved:con_1! GitHub — octocat could not be saved | Connected, but not saved. | Show → show:connections | Snooze for an hour → snooze:unsaved:con_1"},
		{"a token that was saved at last is taken back", unsaved, 0, 0, ends, "unsaved:con_1 withdrawn"},
		{"a sign-in is not told too early", ends, 0, 12 * time.Hour, ends, ""},
		{"a sign-in is told days before", ends, 0, 25 * time.Hour, ends,
			"forecast:con_1 GitHub — octocat will ask you to sign in again on Thursday, 5 March | GitHub ends it. Use it. | Show → show:connections | Reconnect → reconnect:con_1 | Snooze for an hour → snooze:forecast:con_1"},
		{"a sign-in that moved away is taken back", ends, 25 * time.Hour, 26 * time.Hour, healed, "forecast:con_1 withdrawn"},
		{"who signs in every hour is not told", hourly, 0, 30 * time.Minute, hourly, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBoard()
			b.tells(snapshot{Connections: connections{tt.c}}, noon.Add(tt.from))
			got := b.tells(snapshot{Connections: connections{tt.next}}, noon.Add(tt.to))
			if g := strings.Join(got, "\n"); g != tt.want {
				t.Errorf("got:\n%s\nwant:\n%s", g, tt.want)
			}
		})
	}
}

// tells returns what is told of s, a line each, by the time that it has held
// for long enough.
func (b *board) tells(s snapshot, at time.Time) (lines []string) {
	for _, at := range []time.Time{at, at.Add(gather)} {
		list, _ := b.look(s, at)
		for _, n := range list {
			lines = append(lines, line(n))
		}
	}
	return lines
}

// line is a notice in one line; an urgent one has an exclamation mark, one that
// only changes another a tilde.
func line(n Notice) string {
	if n.Withdraw {
		return n.Key + " withdrawn"
	}
	mark := ""
	if n.Urgent {
		mark = "!"
	}
	if n.Quiet {
		mark += "~"
	}
	s := fmt.Sprintf("%s%s %s | %s", n.Key, mark, n.Title, n.Body)
	for _, b := range n.Buttons {
		s += fmt.Sprintf(" | %s → %s", b.Label, b.Action)
	}
	return s
}

func TestNoNoticeHoldsMarkup(t *testing.T) {
	hostile := "<img src=x>&amp;\x1b[2J\xff\u202e\n<a href='x'>y</a>"
	c := broken("1", hostile, fault.GrantGone)
	c.ProviderName = hostile
	done := completed(hostile)
	done.ProviderName, done.Account = hostile, hostile
	failed := ending(orchestrator.Error, fault.Internal, hostile)
	failed.Handle, failed.ProviderName = "h2", hostile
	denied := ending(orchestrator.Error, fault.Denied, hostile)
	denied.Handle, denied.ProviderName = "h3", hostile
	b, all := newBoard(), snapshot{Connections: connections{c}, Attempts: attempts{done, failed, denied}}
	list, _ := b.look(all, noon)
	later, _ := b.look(all, noon.Add(gather))
	list = append(list, later...)
	if len(list) != 4 {
		t.Fatalf("%d notices, want 4", len(list))
	}
	for _, n := range list {
		t.Run("IN-16 "+n.Key, func(t *testing.T) {
			for _, s := range []string{n.Title, n.Body} {
				if strings.ContainsAny(s, "<>&\x1b\n\u202e") || !utf8.ValidString(s) {
					t.Errorf("%q", s)
				}
			}
		})
	}
}
