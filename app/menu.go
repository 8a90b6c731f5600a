package app

import (
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"keyturn/app/texts"
	"keyturn/backend/fault"
	"keyturn/backend/orchestrator"
	"keyturn/backend/provider"
	"keyturn/backend/text"
)

// Action is what a click asks for, in the menu or on a notification.
type Action struct {
	Verb Verb
	Arg  string
}

// Verb says what an Action does with its argument.
type Verb string

// The verbs; the comment names the argument.
const (
	Show       Verb = "show"       // a view of the window
	Connect    Verb = "connect"    // a provider id
	Reconnect  Verb = "reconnect"  // a connection id
	Disconnect Verb = "disconnect" // a connection id
	OpenPage   Verb = "open"       // the handle of an attempt
	CopyLink   Verb = "copy"       // the handle of an attempt
	Cancel     Verb = "cancel"     // the handle of an attempt
	Snooze     Verb = "snooze"     // the key of a notice
	Pause      Verb = "pause"      // "" to resume
	Lock       Verb = "lock"       // none
	Unlock     Verb = "unlock"     // none
	Quit       Verb = "quit"       // none
)

func (a Action) String() string {
	if a.Arg == "" {
		return string(a.Verb)
	}
	return string(a.Verb) + ":" + a.Arg
}

// The views of the window that something outside it leads to.
const (
	ViewConnections = "connections"
	ViewConnect     = "connect"
)

func viewOfProvider(id string) string    { return ViewConnect + "?provider=" + id }
func viewOfAttempt(handle string) string { return "attempt?state=" + handle }

// Mood is the overall state that the icon shows.
type Mood string

// The moods, calmest first.
const (
	Well      Mood = "well"
	Working   Mood = "working"   // something is under way
	Attention Mood = "attention" // only the user can help
)

// Menu is what the tray shows.
type Menu struct {
	Mood  Mood
	Title string // the mood in words
	Items []Item // top to bottom
}

// Item is a line of the menu. Labels are clean text.
type Item struct {
	Kind   Kind
	Label  string
	Action Action // zero: the line only says something, or has Items
	Items  []Item // a submenu
}

// Kind says which part of the menu a line belongs to. The parts always come in
// this order, so that the tray can keep a line in its place and only change
// what it says.
type Kind int

// The parts, top to bottom.
const (
	Heading Kind = iota
	AttemptLine
	ConnectionLine
	MoreConnections
	ConnectMenu
	OpenLine
	PauseLine
	LockLine
	QuitLine
)

// What does not fit is counted in a line that leads to the window.
const (
	maxAttempts    = 8
	maxConnections = 15
	maxChoices     = 12
)

// room is how many lines a part of the menu may have, and how many inside each
// of them. The tray makes them all before it shows the first.
type room struct{ lines, inside int }

var rooms = map[Kind]room{
	Heading:         {1, 0},
	AttemptLine:     {maxAttempts, 3},
	ConnectionLine:  {maxConnections, 2},
	MoreConnections: {1, 0},
	ConnectMenu:     {1, maxChoices + 1},
	OpenLine:        {1, 0},
	PauseLine:       {1, 0},
	LockLine:        {1, 0},
	QuitLine:        {1, 0},
}

// Choice is a provider that the menu can offer.
type Choice struct {
	ID, Name string
	Ready    bool // an OAuth app is there, or none is needed
	Hosted   bool // an authorization server inside this program
	Popular  bool // offered before others that are not ready
}

// choices orders providers for the menu: the favourites as the user orders
// them, then what was connected last, then what else can be connected at once,
// by name. One that this program hosts comes last among these, because it is
// there to be tried and not to be used.
func choices(providers []provider.Listing, apps []orchestrator.App, favourites []string, connections []orchestrator.Connection) []Choice {
	registered := map[string]bool{}
	for _, a := range apps {
		registered[a.Provider] = true
	}
	var all []Choice
	for _, p := range providers {
		all = append(all, Choice{
			ID:      p.ID,
			Name:    text.Clean(p.Name, 40),
			Ready:   p.Ready || registered[p.AppsAt],
			Hosted:  p.Hosted,
			Popular: p.Popular,
		})
	}
	recent := slices.SortedFunc(slices.Values(connections), func(a, b orchestrator.Connection) int { return b.Created.Compare(a.Created) })
	first := append([]string(nil), favourites...)
	for _, c := range recent {
		first = append(first, c.Provider)
	}
	rank := func(c Choice) int {
		if i := slices.Index(first, c.ID); i >= 0 && (i < len(favourites) || c.Ready && !c.Hosted) {
			return i
		}
		rest := len(first)
		switch {
		case c.Ready && !c.Hosted:
			return rest
		case c.Ready:
			return rest + 1
		case c.Popular:
			return rest + 2
		}
		return rest + 3
	}
	slices.SortStableFunc(all, func(a, b Choice) int { return rank(a) - rank(b) })
	return all
}

// say is what the tray and notifications say, in the user's language.
var say = texts.Here

// menu draws the menu. loaded says that the store has been read at least once;
// window that there is a window to lead to: without one, lines that need it
// are left out.
func menu(s orchestrator.Snapshot, offered []Choice, loaded, window bool) Menu {
	mood, words := mood(s, loaded)
	items := []Item{{Kind: Heading, Label: capital(words)}}
	items = append(items, attemptLines(s)...)
	items = append(items, connectionLines(s, window)...)
	items = append(items, Item{Kind: ConnectMenu, Label: say().Menu.Connect, Items: connectLines(offered, window)})
	if window {
		items = append(items, Item{Kind: OpenLine, Label: say().Menu.Open, Action: Action{Show, ViewConnections}})
	}
	items = append(items, guardLines(s, loaded)...)
	items = append(items, Item{Kind: QuitLine, Label: say().Menu.Quit, Action: Action{Verb: Quit}})
	return Menu{Mood: mood, Title: say().Menu.Title(words), Items: items}
}

// guardLines are what keeps programs from tokens: for a moment, or with the key
// gone from memory.
func guardLines(s orchestrator.Snapshot, loaded bool) []Item {
	switch {
	case !loaded:
		return nil
	case s.Store != nil && fault.CodeOf(s.Store) == fault.StoreLocked:
		return []Item{{Kind: LockLine, Label: say().Menu.Unlock, Action: Action{Verb: Unlock}}}
	case s.Store != nil:
		return nil
	}
	pause := Item{Kind: PauseLine, Label: say().Menu.Pause, Action: Action{Pause, "on"}}
	if s.Paused {
		pause = Item{Kind: PauseLine, Label: say().Menu.Resume, Action: Action{Verb: Pause}}
	}
	return []Item{pause, {Kind: LockLine, Label: say().Menu.Lock, Action: Action{Verb: Lock}}}
}

// capital begins a sentence.
func capital(words string) string {
	_, n := utf8.DecodeRuneInString(words)
	return strings.ToUpper(words[:n]) + words[n:]
}

// mood judges the whole. What the user is doing right now comes before what
// waits for them.
func mood(s orchestrator.Snapshot, loaded bool) (Mood, string) {
	var pending []orchestrator.Attempt
	for _, a := range s.Attempts {
		if a.Status == orchestrator.Pending {
			pending = append(pending, a)
		}
	}
	var broken, retrying []orchestrator.Connection
	for _, c := range s.Connections {
		switch c.Status {
		case orchestrator.NeedsReconnect:
			broken = append(broken, c)
		case orchestrator.Retrying:
			retrying = append(retrying, c)
		}
	}
	switch {
	case len(pending) == 1:
		return Working, say().Mood.Connecting(text.Clean(pending[0].ProviderName, 40))
	case len(pending) > 1:
		return Working, say().Mood.ManyConnecting(len(pending))
	case !loaded:
		return Working, say().Mood.Starting
	case s.Store != nil && fault.CodeOf(s.Store) == fault.StoreLocked:
		return Attention, say().Mood.Locked
	case s.Store != nil:
		return Attention, text.Clean(say().Mood.Unreadable(fault.MessageOf(s.Store)), 80)
	case s.Paused:
		return Attention, say().Mood.Paused
	case len(broken) == 1:
		return Attention, say().Mood.NeedsReconnect(whose(broken[0]))
	case len(broken) > 1:
		return Attention, say().Mood.ManyNeedReconnect(len(broken))
	case len(s.Damaged) > 0:
		return Attention, say().Mood.Damaged
	case len(retrying) == 1:
		return Working, say().Mood.Retrying(whose(retrying[0]))
	case len(retrying) > 1:
		return Working, say().Mood.ManyRetrying(len(retrying))
	case len(s.Connections) == 0:
		return Well, say().Mood.Nothing
	}
	return Well, say().Mood.Well
}

// whose names a connection in a few words.
func whose(c orchestrator.Connection) string {
	name := text.Clean(c.ProviderName, 40)
	if account := text.Clean(c.Account, 60); account != "" {
		return name + " — " + account
	}
	return name
}

func attemptLines(s orchestrator.Snapshot) []Item {
	var lines []Item
	for _, a := range s.Attempts {
		if a.Status != orchestrator.Pending || len(lines) == maxAttempts {
			continue
		}
		label, again, link := say().Menu.Finishing, Action{}, Action{}
		if a.Step == orchestrator.WaitingForBrowser && a.URL != "" {
			label, again, link = say().Menu.Waiting, Action{OpenPage, a.Handle}, Action{CopyLink, a.Handle}
		}
		// The lines inside stay where they are: Cancel must not move to where
		// Open was a moment ago.
		lines = append(lines, Item{
			Kind:  AttemptLine,
			Label: label(text.Clean(a.ProviderName, 40)),
			Items: []Item{
				{Label: say().Menu.OpenPage, Action: again},
				{Label: say().Menu.CopyLink, Action: link},
				{Label: say().Menu.Cancel, Action: Action{Cancel, a.Handle}},
			},
		})
	}
	return lines
}

func connectionLines(s orchestrator.Snapshot, window bool) []Item {
	all, hidden := slices.Clone(s.Connections), 0
	if len(all) > maxConnections {
		// What needs the user must be among what is shown.
		slices.SortStableFunc(all, func(a, b orchestrator.Connection) int { return urgency(b) - urgency(a) })
		hidden = len(all) - maxConnections
		all = all[:maxConnections]
	}
	twins := map[string]int{}
	for _, c := range all {
		twins[whose(c)]++
	}
	var lines []Item
	for _, c := range all {
		label := whose(c)
		if twins[label] > 1 {
			label += " (" + text.Clean(c.ClientID, 16) + ")"
		}
		lines = append(lines, Item{
			Kind:  ConnectionLine,
			Label: label + " · " + text.Clean(say().How(c, time.Now()), 100),
			Items: []Item{
				{Label: say().Menu.Reconnect, Action: Action{Reconnect, c.ID}},
				{Label: say().Menu.Disconnect, Action: Action{Disconnect, c.ID}},
			},
		})
	}
	for _, c := range s.Revoking {
		if len(lines) < maxConnections {
			lines = append(lines, Item{
				Kind:  ConnectionLine,
				Label: whose(c) + " · " + text.Clean(say().How(c, time.Now()), 100),
				Items: []Item{{Label: say().Menu.TryAgainNow, Action: Action{Disconnect, c.ID}}},
			})
		}
	}
	if hidden > 0 {
		more := Item{Kind: MoreConnections, Label: say().Menu.MoreConnections(hidden), Action: Action{Show, ViewConnections}}
		if !window {
			more = Item{Kind: MoreConnections, Label: say().Menu.MoreConnectionsHow(hidden)}
		}
		lines = append(lines, more)
	}
	return lines
}

func urgency(c orchestrator.Connection) int {
	if c.Status == orchestrator.NeedsReconnect {
		return 1
	}
	return 0
}

// connectLines offers what can be connected at once; with a window also what
// needs an OAuth app first, which is asked for there.
func connectLines(offered []Choice, window bool) []Item {
	var lines []Item
	more := false
	for _, c := range offered {
		switch {
		case !c.Ready && !window:
			continue
		case len(lines) == maxChoices:
			more = true
		case c.Ready:
			lines = append(lines, Item{Label: c.Name, Action: Action{Connect, c.ID}})
		default:
			lines = append(lines, Item{Label: c.Name + "…", Action: Action{Show, viewOfProvider(c.ID)}})
		}
	}
	switch {
	case window:
		lines = append(lines, Item{Label: say().Menu.More, Action: Action{Show, ViewConnect}})
	case more:
		lines = append(lines, Item{Label: say().Menu.MoreProvidersHow})
	case len(lines) == 0:
		lines = append(lines, Item{Label: say().Menu.NoProviderIsReady})
	}
	return lines
}

// icon returns the picture of a mood, in the format of the system's tray.
func icon(m Mood) []byte {
	switch m {
	case Working:
		return workingIcon
	case Attention:
		return attentionIcon
	}
	return wellIcon
}
