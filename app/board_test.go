package app

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"keyturn/backend/orchestrator"
)

// dead are connections that need the user, one for each letter.
func dead(letters string) (s snapshot) {
	for _, l := range letters {
		s.Connections = append(s.Connections, broken(string(l), string(l), ""))
	}
	return s
}

// TestABoardTells plays days of a board: what is true from a moment on, what the
// user does, and what is told.
func TestABoardTells(t *testing.T) {
	one := func(id string) string {
		return fmt.Sprintf("reconnect:con_%[1]s! GitHub — %[1]s needs to be reconnected | Needs reconnecting because. | Show → show:connections | Reconnect → reconnect:con_%[1]s | Snooze for an hour → snooze:reconnect:con_%[1]s", id)
	}
	many := func(mark string, n int, names string) string {
		return fmt.Sprintf("reconnect!%s %d connections need to be reconnected | %s. | Show → show:connections | Snooze for an hour → snooze:reconnect", mark, n, names)
	}
	type step struct {
		at     time.Duration
		snooze string // what the user puts off before
		is     string // which connections need the user
		want   []string
	}
	for _, tt := range []struct {
		name  string
		steps []step
	}{
		{"what passes at once is not told", []step{
			{0, "", "a", nil}, {gather / 2, "", "", nil}, {gather, "", "a", nil}, {gather * 3 / 2, "", "a", nil}, {gather * 2, "", "a", []string{one("a")}},
		}},
		{"what breaks one after the other within a moment is told as one", []step{
			{0, "", "a", nil}, {gather / 2, "", "ab", nil}, {gather, "", "abc", []string{many("", 3, "GitHub — a, GitHub — b and 1 more")}}, {gather * 9, "", "abc", nil},
		}},
		{"a third one joins two, and their notifications become one", []step{
			{0, "", "ab", nil}, {gather, "", "ab", []string{one("a"), one("b")}},
			{time.Minute, "", "abc", nil},
			{time.Minute + gather, "", "abc", []string{"reconnect:con_a withdrawn", "reconnect:con_b withdrawn", many("", 3, "GitHub — a, GitHub — b and 1 more")}},
		}},
		{"one that speaks for many counts down, and goes with the last", []step{
			{0, "", "abc", nil}, {gather, "", "abc", []string{many("", 3, "GitHub — a, GitHub — b and 1 more")}},
			{time.Minute, "", "bc", []string{many("~", 2, "GitHub — b and GitHub — c")}},
			{2 * time.Minute, "", "c", []string{"reconnect!~ GitHub — c needs to be reconnected | Needs reconnecting because. | Show → show:connections | Snooze for an hour → snooze:reconnect"}},
			{3 * time.Minute, "", "", []string{"reconnect withdrawn"}},
			{4 * time.Minute, "", "c", nil}, {4*time.Minute + gather, "", "c", []string{one("c")}},
		}},
		{"snoozed is told again after an hour", []step{
			{0, "", "a", nil}, {gather, "", "a", []string{one("a")}},
			{time.Minute, "reconnect:con_a", "a", nil},
			{time.Minute + snooze - time.Second, "", "a", nil}, {time.Minute + snooze, "", "a", []string{one("a")}},
		}},
		{"snoozed and healed meanwhile is not told again", []step{
			{0, "", "a", nil}, {gather, "", "a", []string{one("a")}},
			{time.Minute, "reconnect:con_a", "a", nil}, {2 * time.Minute, "", "", nil}, {2 * snooze, "", "", nil},
		}},
		{"snoozing one leaves the others", []step{
			{0, "", "ab", nil}, {gather, "", "ab", []string{one("a"), one("b")}},
			{time.Minute, "reconnect:con_a", "ab", nil},
			{2 * time.Minute, "", "a", []string{"reconnect:con_b withdrawn"}},
		}},
		{"all of a group rest, and speak as one again", []step{
			{0, "", "abc", nil}, {gather, "", "abc", []string{many("", 3, "GitHub — a, GitHub — b and 1 more")}},
			{time.Minute, "reconnect", "abc", nil},
			{2 * time.Minute, "", "abcd", nil}, {2*time.Minute + gather, "", "abcd", []string{one("d")}},
			{time.Minute + snooze, "", "abcd", []string{"reconnect:con_d withdrawn", many("", 4, "GitHub — a, GitHub — b and 2 more")}},
		}},
		{"snoozing what was never told does nothing", []step{
			{0, "reconnect:con_a", "", nil}, {1, "nonsense", "a", nil}, {gather + 1, "outage:con_a", "a", []string{one("a")}},
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBoard()
			for _, s := range tt.steps {
				if s.snooze != "" {
					b.snooze(s.snooze, noon.Add(s.at))
				}
				list, again := b.look(dead(s.is), noon.Add(s.at))
				var got []string
				for _, n := range list {
					got = append(got, line(n))
				}
				if g, w := strings.Join(got, "\n"), strings.Join(s.want, "\n"); g != w {
					t.Errorf("at %v got:\n%s\nwant:\n%s", s.at, g, w)
				}
				if again <= 0 || again > lookAgain {
					t.Errorf("at %v it is looked again in %v", s.at, again)
				}
			}
		})
	}
}

// TestManyConnectsAreToldAsOne: whoever connects ten accounts in a row needs no
// ten notifications.
func TestManyConnectsAreToldAsOne(t *testing.T) {
	b, s := newBoard(), snapshot{}
	var got []string
	for i, provider := range []string{"GitHub", "Google", "GitLab", "Slack"} {
		a := attempt(provider, provider, "")
		a.Status, a.ConnectionID, a.Account = orchestrator.Complete, "con_"+provider, "ada"
		s.Attempts = append(s.Attempts, a)
		got = append(got, b.tells(s, noon.Add(time.Duration(i)*20*time.Second))...)
	}
	late := attempt("late", "Zoom", "")
	late.Status, late.ConnectionID = orchestrator.Complete, "con_Zoom"
	s.Attempts = append(s.Attempts, late)
	got = append(got, b.tells(s, noon.Add(time.Hour))...)
	want := []string{
		"connection:con_GitHub GitHub connected as ada |  | Show → show:connections",
		"connection:con_Google Google connected as ada |  | Show → show:connections",
		"connection:con_GitHub withdrawn", "connection:con_Google withdrawn", "connection:con_GitLab withdrawn",
		"connected 3 accounts connected | GitHub as ada, Google as ada, GitLab as ada. | Show → show:connections",
		"connection:con_GitHub withdrawn", "connection:con_Google withdrawn", "connection:con_GitLab withdrawn", "connection:con_Slack withdrawn",
		"connected 4 accounts connected | GitHub as ada, Google as ada, GitLab as ada, Slack as ada. | Show → show:connections",
		"connection:con_Zoom Zoom connected |  | Show → show:connections",
	}
	if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
		t.Errorf("got:\n%s\nwant:\n%s", g, w)
	}
}
