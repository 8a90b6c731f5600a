package app

import (
	"context"
	"fmt"
	"net"
	"runtime"
	"strings"

	"keyturn/app/open"
	"keyturn/backend/api/wire"
	"keyturn/backend/fault"
	"keyturn/backend/orchestrator"
)

// Each check looks at one thing that may be missing and says, in one sentence,
// what is and what to do about it. The same sentences go to the log at the
// start and to keyturn doctor at any time.

func ok(name, format string, args ...any) wire.Check {
	return wire.Check{Name: name, Status: "ok", Says: fmt.Sprintf(format, args...)}
}

// missing is something that Keyturn works without.
func missing(name, format string, args ...any) wire.Check {
	return wire.Check{Name: name, Status: "missing", Says: fmt.Sprintf(format, args...)}
}

// failed is something that has to be repaired.
func failed(name, format string, args ...any) wire.Check {
	return wire.Check{Name: name, Status: "failed", Says: fmt.Sprintf(format, args...)}
}

// diagnose looks at everything around Keyturn. That it runs and where its
// socket is, whoever asks knows already.
func (a *App) diagnose(ctx context.Context) []wire.Check {
	select {
	case <-a.shown:
	case <-ctx.Done():
		return nil
	}
	return []wire.Check{
		a.checkSettings(),
		a.checkStore(),
		a.checkProviderFiles(),
		a.checkPort(),
		a.checkBrowser(),
		a.checkWindow(),
		a.checkBus(),
		a.checkTray(),
		a.checkNotifications(),
		ok("log", "The log is %s.", a.places.Log),
	}
}

func (a *App) checkSettings() wire.Check {
	if err := a.settings.broken(); err != nil {
		return failed("settings", "%s Until then the usual settings are used.", fault.MessageOf(err))
	}
	return ok("settings", "The settings are in %s.", a.places.Config)
}

func (a *App) checkProviderFiles() wire.Check {
	count, wrong := a.files.state()
	switch {
	case len(wrong) > 0:
		return failed("provider files", "%s Until then what was good before is used. The files are in %s.", strings.Join(wrong, " "), a.files.dir)
	case count == 0:
		return ok("provider files", "None. Providers of your own can be described in %s.", a.files.dir)
	}
	return ok("provider files", "%d in %s.", count, a.files.dir)
}

// sealedWith says what guards the sealing key.
var sealedWith = map[string]string{
	"keyring":    "a key in your keyring",
	"key_file":   "a key file",
	"passphrase": "a passphrase",
}

func (a *App) checkStore() wire.Check {
	select {
	case <-a.core.Ready():
	default:
		return missing("store", "Keyturn is still opening its store.")
	}
	s := a.core.Snapshot()
	switch {
	case s.Store != nil:
		return failed("store", "%s", fault.MessageOf(s.Store))
	case len(s.Damaged) > 0:
		return failed("store", "%d stored entries are damaged and were left as they are. Connect those accounts again.", len(s.Damaged))
	}
	return ok("store", "Secrets are sealed with %s.", sealedWith[s.Protector])
}

// checkPort tries the callback port, which only some providers insist on. An
// attempt of our own may be using it.
func (a *App) checkPort() wire.Check {
	port := a.settings.get().CallbackPort
	l, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", port))
	if err == nil {
		_ = l.Close()
		return ok("callback port", "Port %d is free for providers that insist on one port.", port)
	}
	for _, attempt := range a.core.Snapshot().Attempts {
		if attempt.Status == orchestrator.Pending {
			return ok("callback port", "Port %d is in use while an account is being connected.", port)
		}
	}
	return failed("callback port", "Another program uses port %d, so providers that insist on one port cannot be connected. End that program, or choose another port in the settings.", port)
}

func (a *App) checkBrowser() wire.Check {
	if open.Ready() != nil {
		return missing("app's browser", "Nothing here can open a browser, so links have to be copied: keyturn connect --no-browser prints them.")
	}
	return ok("app's browser", "Links open in your browser.")
}

func (a *App) checkWindow() wire.Check {
	if err := a.window.missing(); err != nil {
		return missing("window", "There is no window: %s. Tray, command line and local API work without it.", err)
	}
	return ok("window", "The window opens when it is asked for.")
}

func (a *App) checkBus() wire.Check {
	if a.desk.bus() != nil {
		return missing("session bus", "There is no session bus, so there are no tray icon, no notifications and no keyring. Window, command line and local API work without it.")
	}
	return ok("session bus", "The session bus answers.")
}

func (a *App) checkTray() wire.Check {
	switch {
	case a.desk.bus() != nil || a.tray == nil:
		return missing("tray", "There is no tray icon here.")
	case !a.desk.trayHost():
		return missing("tray", "Nothing shows tray icons here%s. Keyturn's appears by itself when something does.", trayAdvice())
	}
	return ok("tray", "The icon is in the tray.")
}

func trayAdvice() string {
	if runtime.GOOS == "linux" {
		return " (on GNOME the AppIndicator extension does)"
	}
	return ""
}

func (a *App) checkNotifications() wire.Check {
	switch {
	case !a.settings.get().Notifications:
		return ok("notifications", "Notifications are switched off in the settings.")
	case !a.desk.notifications():
		return missing("notifications", "Nothing shows notifications here. What happens is in the menu, the window and keyturn status.")
	}
	return ok("notifications", "Notifications are shown.")
}
