package app

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"

	"keyturn/backend/fault"
	"keyturn/backend/orchestrator"
	"keyturn/backend/provider"
)

var update = flag.Bool("update", false, "rewrite testdata")

// offered is a catalogue in the order of the menu.
var offered = []Choice{
	{ID: "github", Name: "GitHub", Ready: true},
	{ID: "demo", Name: "Demo", Ready: true, Hosted: true},
	{ID: "gitlab", Name: "GitLab"},
	{ID: "google", Name: "Google"},
}

func connection(id, name, account string, status orchestrator.Status) orchestrator.Connection {
	health := map[orchestrator.Status]string{
		orchestrator.Connected:      "connected",
		orchestrator.Retrying:       "retrying since 14:02:00, next try 14:05:00: " + name + " cannot be reached, or does not work right now",
		orchestrator.NeedsReconnect: "needs reconnecting because " + name + " ended the grant: it was revoked there, or was not used for too long",
		orchestrator.Revoking:       "disconnected; revoking since 14:02:00, next try 14:05:00: " + name + " cannot be reached, or does not work right now",
	}
	return orchestrator.Connection{
		Health: health[status],
		ID:     "con_" + id, Provider: strings.ToLower(name), ProviderName: name,
		ClientID: "client-" + id, Account: account, Status: status,
	}
}

func attempt(handle, name string, step orchestrator.Step) orchestrator.Attempt {
	return orchestrator.Attempt{
		Handle: handle, Provider: strings.ToLower(name), ProviderName: name,
		Status: orchestrator.Pending, Step: step, URL: "https://as.example/authorize",
	}
}

var menuCases = []struct {
	name     string
	snapshot orchestrator.Snapshot
	offered  []Choice
	starting bool
	headless bool
}{
	{name: "nothing yet", offered: offered},
	{name: "starting, the store is still being read", offered: offered, starting: true, snapshot: orchestrator.Snapshot{
		Store: fault.New(fault.StoreLocked, "Keyturn is still opening its store."),
	}},
	{name: "one connected", offered: offered, snapshot: orchestrator.Snapshot{
		Connections: []orchestrator.Connection{connection("1", "GitHub", "octocat", orchestrator.Connected)},
	}},
	{name: "no account name", offered: offered, snapshot: orchestrator.Snapshot{
		Connections: []orchestrator.Connection{connection("1", "GitHub", "", orchestrator.Connected)},
	}},
	{name: "several accounts, and two that differ only by OAuth app", offered: offered, snapshot: orchestrator.Snapshot{
		Connections: []orchestrator.Connection{
			connection("1", "GitHub", "ada", orchestrator.Connected),
			connection("2", "GitHub", "octocat", orchestrator.Connected),
			connection("3", "GitHub", "octocat", orchestrator.Connected),
		},
	}},
	{name: "retrying", offered: offered, snapshot: orchestrator.Snapshot{
		Connections: []orchestrator.Connection{
			connection("1", "GitHub", "octocat", orchestrator.Retrying),
			connection("2", "GitLab", "ada", orchestrator.Connected),
		},
	}},
	{name: "one waits to be revoked", offered: offered, snapshot: orchestrator.Snapshot{
		Revoking: []orchestrator.Connection{connection("1", "GitHub", "octocat", orchestrator.Revoking)},
	}},
	{name: "one needs to be reconnected", offered: offered, snapshot: orchestrator.Snapshot{
		Connections: []orchestrator.Connection{
			connection("1", "GitHub", "octocat", orchestrator.NeedsReconnect),
			connection("2", "GitLab", "ada", orchestrator.Retrying),
		},
	}},
	{name: "two need to be reconnected", offered: offered, snapshot: orchestrator.Snapshot{
		Connections: []orchestrator.Connection{
			connection("1", "GitHub", "octocat", orchestrator.NeedsReconnect),
			connection("2", "GitLab", "ada", orchestrator.NeedsReconnect),
		},
	}},
	{name: "an attempt waits for the browser, an older one is over", offered: offered, snapshot: orchestrator.Snapshot{
		Attempts: []orchestrator.Attempt{
			{Handle: "h0", ProviderName: "GitLab", Status: orchestrator.Error, Code: fault.Denied},
			attempt("h1", "GitHub", orchestrator.WaitingForBrowser),
		},
	}},
	{name: "two attempts, one past the browser, over a broken connection", offered: offered, snapshot: orchestrator.Snapshot{
		Attempts: []orchestrator.Attempt{
			attempt("h1", "GitHub", orchestrator.Exchanging),
			attempt("h2", "Demo", orchestrator.WaitingForBrowser),
		},
		Connections: []orchestrator.Connection{connection("1", "GitHub", "octocat", orchestrator.NeedsReconnect)},
	}},
	{name: "store locked", offered: offered, snapshot: orchestrator.Snapshot{
		Store: fault.New(fault.StoreLocked, "The keyring is locked. Unlock it."),
	}},
	{name: "store damaged", offered: offered, snapshot: orchestrator.Snapshot{
		Store: fault.New(fault.StoreDamaged, "The database is damaged. The log has the details."),
	}},
	{name: "a damaged row", offered: offered, snapshot: orchestrator.Snapshot{
		Connections: []orchestrator.Connection{connection("1", "GitHub", "octocat", orchestrator.Connected)},
		Damaged:     []orchestrator.Damaged{{Kind: "connection", ID: "con_9"}},
	}},
	{name: "IN-10 hostile names", offered: []Choice{{ID: "x", Name: "A_B & C", Ready: true}}, snapshot: orchestrator.Snapshot{
		Connections: []orchestrator.Connection{
			connection("1", "Evil\x1b[2J\nQuit\u202e", "a_b<b>&amp;\x00\u200b"+strings.Repeat("long ", 40), orchestrator.Connected),
		},
		Attempts: []orchestrator.Attempt{attempt("h1", "Two\r\nlines\u2028"+strings.Repeat("W", 500), orchestrator.WaitingForBrowser)},
	}},
	{name: "a hundred connections and thirty providers", offered: many(30), snapshot: hundred()},
	{name: "without a window", headless: true, offered: offered, snapshot: orchestrator.Snapshot{
		Connections: []orchestrator.Connection{connection("1", "Demo", "Ada", orchestrator.Connected)},
	}},
	{name: "without a window, a hundred connections and thirty providers", headless: true, offered: many(30), snapshot: hundred()},
	{name: "without a window and without a provider that is ready", headless: true, offered: offered[2:]},
}

func hundred() (s orchestrator.Snapshot) {
	for i := range 100 {
		status := orchestrator.Connected
		if i == 97 {
			status = orchestrator.NeedsReconnect
		}
		s.Connections = append(s.Connections, connection(fmt.Sprint(i), "GitHub", fmt.Sprintf("user%02d", i), status))
	}
	return s
}

func many(n int) (list []Choice) {
	for i := range n {
		list = append(list, Choice{ID: fmt.Sprintf("p%02d", i), Name: fmt.Sprintf("Provider %02d", i), Ready: i < 20})
	}
	return list
}

// draw is the menu as text: one line per item, what a click does at its right.
func draw(b *strings.Builder, items []Item, indent string) {
	for _, i := range items {
		line := indent + i.Label
		if len(i.Items) > 0 {
			line += " ▸"
		}
		if i.Action != (Action{}) {
			line = fmt.Sprintf("%-60s → %s", line, i.Action)
		}
		b.WriteString(line + "\n")
		draw(b, i.Items, indent+"    ")
	}
}

func TestMenus(t *testing.T) {
	var b strings.Builder
	for _, tt := range menuCases {
		m := menu(tt.snapshot, tt.offered, !tt.starting, !tt.headless)
		fmt.Fprintf(&b, "── %s\n[%s] %s\n", tt.name, m.Mood, m.Title)
		draw(&b, m.Items, "  ")
		b.WriteString("\n")
	}
	compare(t, "menus.golden", b.String())
}

// compare holds got against a golden file.
func compare(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs (go test -run %s -update, then look at the change):\n%s", file, t.Name(), got)
	}
}

func TestEveryMenuKeepsTheOrderOfItsPartsAndFitsTheTray(t *testing.T) {
	for _, tt := range menuCases {
		m := menu(tt.snapshot, tt.offered, !tt.starting, !tt.headless)
		counts := map[Kind]int{}
		for i, item := range m.Items {
			if i > 0 && item.Kind < m.Items[i-1].Kind {
				t.Errorf("%s: %q stands below a later part", tt.name, item.Label)
			}
			counts[item.Kind]++
			room := rooms[item.Kind]
			if counts[item.Kind] > room.lines || len(item.Items) > room.inside {
				t.Errorf("%s: no room in the tray for %q with %d lines inside", tt.name, item.Label, len(item.Items))
			}
		}
		for _, kind := range []Kind{Heading, ConnectMenu, QuitLine} {
			if counts[kind] != 1 {
				t.Errorf("%s: %d lines of kind %d, want one", tt.name, counts[kind], kind)
			}
		}
	}
}

func TestMenusShowOnlyCleanWords(t *testing.T) {
	for _, tt := range menuCases {
		m := menu(tt.snapshot, tt.offered, !tt.starting, !tt.headless)
		var b strings.Builder
		draw(&b, m.Items, "")
		for line := range strings.Lines(b.String() + m.Title + "\n") {
			for _, r := range strings.TrimSuffix(line, "\n") {
				if !unicode.IsPrint(r) {
					t.Errorf("%s: %U in %q", tt.name, r, line)
				}
			}
			if n := len([]rune(line)); n > 200 {
				t.Errorf("%s: a line of %d characters", tt.name, n)
			}
		}
	}
}

func TestProvidersThatNeedNothingComeFirst(t *testing.T) {
	providers := []provider.Listing{
		{ID: "a", Name: "A"},
		{ID: "b", Name: "B", Ready: true, Hosted: true},
		{ID: "c", Name: "C", AppsAt: "c"},
		{ID: "d", Name: "D", Ready: true},
		{ID: "e", Name: "E", Ready: true},
		{ID: "f", Name: "F", Ready: true},
	}
	made := func(provider string, ago time.Duration) orchestrator.Connection {
		return orchestrator.Connection{Provider: provider, Created: noon.Add(-ago)}
	}
	for _, tt := range []struct {
		name        string
		favourites  []string
		connections []orchestrator.Connection
		want        string
	}{
		{"ready ones, then the one hosted here, then others", nil, nil, "c d e f b a"},
		{"connected last is first, but not what is there to be tried", nil,
			connections{made("e", time.Hour), made("f", time.Minute), made("f", 2*time.Hour), made("b", 0)}, "f e c d b a"},
		{"what was connected and has no OAuth app any more is no recent one", nil, connections{made("a", 0)}, "c d e f b a"},
		{"favourites before all, whatever they need", []string{"a", "gone", "b"}, connections{made("f", 0)}, "a b f c d e"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var ids []string
			for _, c := range choices(providers, []orchestrator.App{{Provider: "c"}}, tt.favourites, tt.connections) {
				ids = append(ids, c.ID)
			}
			if order := strings.Join(ids, " "); order != tt.want {
				t.Errorf("order %s, want %s", order, tt.want)
			}
		})
	}
}
