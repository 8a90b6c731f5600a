//go:build !darwin || (cgo && desktop)

package app

import (
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"time"

	"fyne.io/systray"
)

// tray shows menus in the system tray. It is the only user of systray, which
// keeps its state in package variables: a process has one tray, once.
//
// The rules:
//
//   - All lines are made before the first menu is asked for, and a line that is
//     not needed is hidden. systray can only append, and a menu that is rebuilt
//     closes under the pointer.
//   - A click says only which line it was. Its own goroutine receives it at
//     once, because systray drops clicks that nobody is waiting for.
//   - A click that comes just after its line went from one meaning to another
//     was aimed at the old one, and is not obeyed.
type tray struct {
	act  func(Action) // must not block
	log  *slog.Logger
	next chan Menu // size one: the latest menu, if it was not shown yet
	done chan struct{}
	wg   sync.WaitGroup

	end   func()        // ends systray
	ended chan struct{} // closed when it has, where it has a loop of its own

	mu    sync.Mutex
	slots map[Kind][]*slot
	shown Menu
}

// slot is a place in the menu.
type slot struct {
	item   *systray.MenuItem
	inside []*slot

	label   string
	enabled bool
	visible bool
	action  Action
	changed time.Time // when it went from one action to another
}

// aim is how long a click may have been on its way.
const aim = 400 * time.Millisecond

// separated has the parts that end with a line across the menu.
var separated = map[Kind]bool{MoreConnections: true, OpenLine: true, LockLine: true}

func newTray(act func(Action), log *slog.Logger) *tray {
	return &tray{
		act:   act,
		log:   log,
		next:  make(chan Menu, 1),
		done:  make(chan struct{}),
		slots: map[Kind][]*slot{},
	}
}

// show replaces the menu, soon. It does not block.
func (t *tray) show(m Menu) {
	for {
		select {
		case t.next <- m:
			return
		default:
		}
		select {
		case <-t.next: // an older one that nobody has seen
		default:
		}
	}
}

// ready is called by systray once. No host gets the menu before it returns.
func (t *tray) ready() {
	for kind := Heading; kind <= QuitLine; kind++ {
		for range rooms[kind].lines {
			s := t.slot(systray.AddMenuItem("", ""))
			for range rooms[kind].inside {
				s.inside = append(s.inside, t.slot(s.item.AddSubMenuItem("", "")))
			}
			t.slots[kind] = append(t.slots[kind], s)
		}
		if separated[kind] {
			systray.AddSeparator()
		}
	}
	select {
	case m := <-t.next:
		t.apply(m)
	case <-t.done:
		return
	}
	t.wg.Go(func() {
		for {
			select {
			case m := <-t.next:
				t.apply(m)
			case <-t.done:
				return
			}
		}
	})
}

// slot makes a hidden line and listens to it.
func (t *tray) slot(item *systray.MenuItem) *slot {
	item.Hide()
	s := &slot{item: item, enabled: true}
	t.wg.Go(func() {
		for {
			select {
			case <-item.ClickedCh:
				t.clicked(s, time.Now())
			case <-t.done:
				return
			}
		}
	})
	return s
}

func (t *tray) clicked(s *slot, now time.Time) {
	t.mu.Lock()
	action, fresh := s.action, now.Sub(s.changed) < aim
	t.mu.Unlock()
	switch {
	case action == Action{}:
	case fresh:
		t.log.Info("a click in the menu came just after its line had changed, and was not obeyed")
	default:
		t.act(action)
	}
}

// apply puts m into the slots, touching only what differs.
func (t *tray) apply(m Menu) {
	used := map[Kind]int{}
	now := time.Now()
	for _, item := range m.Items {
		slots := t.slots[item.Kind]
		if used[item.Kind] < len(slots) {
			t.put(slots[used[item.Kind]], item, now)
			used[item.Kind]++
		}
	}
	for kind, slots := range t.slots {
		for _, s := range slots[used[kind]:] {
			t.hide(s, now)
		}
	}
	if m.Mood != t.shown.Mood {
		systray.SetIcon(icon(m.Mood))
	}
	if m.Title != t.shown.Title {
		systray.SetTooltip(m.Title)
	}
	t.shown = m
}

func (t *tray) put(s *slot, item Item, now time.Time) {
	t.mean(s, item.Action, now)
	if label := mnemonic(item.Label); label != s.label {
		s.label = label
		s.item.SetTitle(label)
	}
	if enabled := item.Action != (Action{}) || len(item.Items) > 0; enabled != s.enabled {
		s.enabled = enabled
		if enabled {
			s.item.Enable()
		} else {
			s.item.Disable()
		}
	}
	for i, in := range s.inside {
		if i < len(item.Items) {
			t.put(in, item.Items[i], now)
		} else {
			t.hide(in, now)
		}
	}
	if !s.visible {
		s.visible = true
		s.item.Show()
	}
}

func (t *tray) hide(s *slot, now time.Time) {
	t.mean(s, Action{}, now)
	for _, in := range s.inside {
		t.mean(in, Action{}, now)
	}
	if s.visible {
		s.visible = false
		s.item.Hide()
	}
}

// mean gives a slot its action. While a line meant nothing there was nothing
// that a click could have been aimed at.
func (t *tray) mean(s *slot, action Action, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if s.action == action {
		return
	}
	s.changed = time.Time{}
	if s.action != (Action{}) && action != (Action{}) {
		s.changed = now
	}
	s.action = action
}

// mnemonic escapes the character that a system's menus read as the mark of an
// access key: "_" for com.canonical.dbusmenu, "&" on Windows.
func mnemonic(label string) string {
	switch runtime.GOOS {
	case "darwin":
		return label
	case "windows":
		return strings.ReplaceAll(label, "&", "&&")
	}
	return strings.ReplaceAll(label, "_", "__")
}
