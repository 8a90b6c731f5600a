package app

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"keyturn/app/open"
	"keyturn/backend/api/wire"
	"keyturn/backend/text"
)

// openTray puts the icon into the tray and returns what takes it away.
func (a *App) openTray() (stop func()) {
	if a.desk.bus() != nil {
		return func() {}
	}
	a.tray = newTray(a.act, a.log)
	if a.tray == nil {
		return func() {}
	}
	a.tray.show(a.menu())
	a.tray.start()
	return a.tray.stop
}

// menu draws the menu as it is now.
func (a *App) menu() Menu {
	loaded := false
	select {
	case <-a.core.Ready():
		loaded = true
	default:
	}
	s := a.core.Snapshot()
	return menu(s, choices(a.core.ProviderList(), a.core.Apps(), a.settings.all().Favourites, s.Connections), loaded, a.window.missing() == nil)
}

// listen keeps tray, window and notifications up to date until it is stopped.
// Each waits for a doorbell of its own, so that none holds up another: a
// notification server may take seconds to come up.
func (a *App) listen() (stop func()) {
	ctx, cancel := context.WithCancel(a.ctx)
	var wg sync.WaitGroup
	on := func(changes func() (<-chan struct{}, func()), do func()) {
		bell, hush := changes()
		wg.Go(func() {
			defer hush()
			for {
				select {
				case <-bell:
					do()
				case <-ctx.Done():
					return
				}
			}
		})
	}
	if a.tray != nil {
		on(a.core.Changes, func() { a.tray.show(a.menu()) })
	}
	on(a.core.Changes, a.window.changed)
	on(a.activity.Changes, a.window.recorded)
	wg.Go(func() { a.watch(ctx) })
	wg.Go(func() {
		for {
			select {
			case <-a.desk.host:
				a.log.Info("something shows tray icons now")
			case <-a.desk.lost():
				a.log.Warn("the session bus went away: tray icon and notifications are gone until Keyturn starts again")
				return
			case <-ctx.Done():
				return
			}
		}
	})
	return func() {
		cancel()
		a.desk.close() // whoever waits for a notification server waits no longer
		wg.Wait()
	}
}

// watch tells what is worth it, until ctx ends.
func (a *App) watch(ctx context.Context) {
	bell, hush := a.core.Changes()
	defer hush()
	for {
		list, again := a.board.look(a.core.Snapshot(), time.Now())
		for _, n := range list {
			_ = a.notify(n)
		}
		select {
		case <-bell:
		case <-a.board.bell:
		case <-time.After(again):
		case <-ctx.Done():
			return
		}
	}
}

var errSilent = errors.New("notifications are switched off")

// notify shows a notice, if the user wants any.
func (a *App) notify(n Notice) error {
	if !a.settings.get().Notifications {
		return errSilent
	}
	if a.window.missing() != nil {
		n = windowless(n)
	}
	err := a.desk.notify(n)
	if err != nil && !n.Withdraw {
		a.silent.Do(func() { a.log.Warn("notifications are not shown: "+a.checkNotifications().Says, "err", err) })
	}
	return err
}

// windowless leaves a notice the buttons that need no window. A click beside
// them must not put it off.
func windowless(n Notice) Notice {
	n.Buttons = slices.DeleteFunc(slices.Clone(n.Buttons), func(b Button) bool {
		return b.Action.Verb == Show && b.Label != say().Notices.TryAgain
	})
	if len(n.Buttons) > 0 && n.Buttons[0].Action.Verb == Snooze {
		n.Buttons = nil
	}
	return n
}

// openURL opens a page in the browser that the user has chosen.
func (a *App) openURL(url string) error { return open.Show(a.ctx, a.settings.all().Browser, url) }

func browsers() (out []wire.Browser) {
	for _, b := range open.Browsers() {
		out = append(out, wire.Browser{ID: b.ID, Name: text.Clean(b.Name, 80)})
	}
	return out
}

// announce tells whoever started us where things stand: the log always, the
// terminal what is worth a line there.
func (a *App) announce() {
	if program == "headless" {
		fmt.Fprintf(a.Out, "Keyturn is ready at %s\n", a.places.Socket)
	}
	select {
	case <-a.core.Ready():
	case <-a.ctx.Done():
		return
	}
	for _, check := range a.diagnose(a.ctx) {
		a.log.Info("check", "name", check.Name, "status", check.Status, "says", check.Says)
		if a.noteworthy(check) {
			fmt.Fprintln(a.Out, check.Says)
		}
	}
	if program == "headless" && a.core.Snapshot().Store == nil {
		fmt.Fprintln(a.Out, "Try: keyturn connect demo")
	}
	if a.UI {
		a.sayLink()
	}
	// What only the start needed is not needed again: what read catalogue and
	// store, and unless there is a window its libraries.
	if !a.window.asked() {
		a.pages.giveBack()
	}
	a.pages = startPages{}
	debug.FreeOSMemory()
}

// sayLink prints a way into the browser UI.
func (a *App) sayLink() {
	address, _, err := a.ui.Link()
	if err != nil {
		fmt.Fprintln(a.Out, sentence(err))
		return
	}
	fmt.Fprintf(a.Out, "Open Keyturn in a browser, within a minute: %s\n", address)
}

// noteworthy picks what whoever started us should read. A server has no
// desktop, and knows that; where there is no bus, that says it all.
func (a *App) noteworthy(check wire.Check) bool {
	switch {
	case check.Status == "failed":
		return true
	case program == "headless":
		return check.Name == "store"
	case check.Name == "tray" || check.Name == "notifications":
		return check.Status == "missing" && a.desk.bus() == nil
	}
	return check.Status == "missing"
}
