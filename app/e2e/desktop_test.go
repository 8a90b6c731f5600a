//go:build e2e && linux

package e2e

import (
	"encoding/json"
	"image"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"keyturn/app/e2e/rig"
	"keyturn/backend/demo"
)

// TestADesktopFromFirstStartToQuit is the journey of a newcomer with hands and
// eyes: real clicks on the real panel, a real browser, a real notification.
func TestADesktopFromFirstStartToQuit(t *testing.T) {
	s := newScreen(t)
	defer s.photographFailure()
	s.panel()
	s.notifications()
	k := s.install()
	k.Run("keyturn-desktop")

	// The first start shows the window, which says what to do.
	s.waitWindow()
	s.see().waitRead("keyturn", "Nothing connected yet", "Try it with the demo provider")
	s.shoot("desktop-01-first-start.png")
	s.closeWindow()
	well := s.crop(s.icon())

	// Connect ▸ Demo in the menu opens the browser; the icon and the menu say so.
	menu := s.menu()
	s.shoot("desktop-02-menu.png")
	providers := menu.open("Connect")
	s.shoot("desktop-03-menu-connect.png")
	s.click(providers.place("Demo"))
	authURL := k.Opened(1)
	rig.Eventually(t, 5*time.Second, "an icon that says that something is under way", func() bool {
		now := s.crop(s.icon())
		return !now.Bounds().Eq(well.Bounds()) || !difference(well, now, now.Bounds()).Empty()
	})
	s.menu().open("Demo · waiting for you in the browser")
	s.shoot("desktop-04-menu-waiting.png")
	s.must("xdotool", "key", "Escape")

	page := person(t, authURL, "--shot", shot(t, "desktop-05-page.png"))
	if !strings.Contains(page, "ada@") {
		t.Errorf("the last page does not say who is connected: %s", page)
	}

	// The notification leads to the window, which knows the account.
	note := s.notification()
	s.shoot("desktop-06-notification.png")
	s.click(note)
	s.waitWindow()
	s.see().waitRead("keyturn", "ada@", "Connected", "1 account, connected.")
	rig.Eventually(t, 5*time.Second, "the notification to go", func() bool { return s.shown() == 0 })
	s.shoot("desktop-07-connected.png")

	// A connect from the window that the person denies.
	e := s.see()
	e.press(e.find("keyturn", button, "Connect an account"))
	e.waitRead("keyturn", "GitHub", "Demo")
	s.shoot("desktop-08-catalogue.png")
	e.press(e.find("keyturn", listItem, "Demo"))
	e.press(e.find("keyturn", button, "Connect Demo"))
	authURL = k.Opened(2)
	e.waitRead("keyturn", "Connecting Demo", "Waiting for you to approve at Demo")
	s.shoot("desktop-09-waiting.png")
	person(t, authURL, "--click", "deny", "--shot", shot(t, "desktop-10-page-denied.png"))
	e.waitRead("keyturn", "Demo was not connected", "denied at Demo")
	s.notification()
	s.shoot("desktop-11-denied.png")

	// Closing hides; a second start shows it again and ends.
	s.closeWindow()
	second := k.Command("keyturn-desktop")
	if out, err := second.CombinedOutput(); err != nil {
		t.Errorf("the second start: %v\n%s", err, out)
	}
	s.waitWindow()

	// Quit in the menu leaves nothing behind.
	menu = s.menu()
	menu.open("Demo — ada@")
	s.shoot("desktop-12-menu-connected.png")
	s.click(menu.place("Quit"))
	k.Wait(5 * time.Second)
	rig.Eventually(t, 5*time.Second, "the last process of Keyturn to end", func() bool {
		return len(running("HOME="+k.Home)) == 0
	})
}

// TestTrayAndNotificationsComeAndGo starts before there is a panel, takes the
// panel away and brings it back (PR-17), also while Keyturn sleeps, and never has a notification daemon.
func TestTrayAndNotificationsComeAndGo(t *testing.T) {
	s := newScreen(t)
	defer s.photographFailure()
	k := s.install()
	k.Run("keyturn-desktop", "--hidden")
	k.Stop()
	k.Run("keyturn-desktop") // not the first start, but nothing else would show it
	s.waitWindow()
	s.see().waitRead("keyturn", "Nothing connected yet")

	panel := s.panel()
	s.icon()
	s.closeWindow()
	s.menu().open("Connect")
	s.must("xdotool", "key", "Escape", "key", "Escape")

	for _, asleep := range []bool{false, true} {
		if asleep { // as in a suspend: the panel is another one when Keyturn goes on
			_ = k.Cmd.Process.Signal(syscall.SIGSTOP)
		}
		_ = panel.Process.Kill()
		rig.Eventually(t, 10*time.Second, "the icon to go with the panel", func() bool {
			killAll("HOME="+s.home, "panel-") // its plugins are processes of their own
			n, _ := brass(s.look())
			return n == 0
		})
		panel = s.panel()
		if asleep {
			_ = k.Cmd.Process.Signal(syscall.SIGCONT)
		}
		s.icon()
	}
	s.shoot("desktop-20-panel-back.png")

	newAuthority(t, "acme", "Acme", demo.Options{}).connect(k)
	s.click(s.menu().place("Open Keyturn"))
	s.waitWindow()
	s.see().waitRead("keyturn", "ada@example.com", "Acme", "1 account, connected.")
	if check := k.doctor("notifications"); check["status"] != "missing" {
		t.Errorf("without a notification daemon: %v", check)
	}
	s.click(s.menu().place("Quit"))
	k.Wait(5 * time.Second)
}

// TestWithoutADisplayTheRestWorks starts the program of the desktop where there
// is none.
func TestWithoutADisplayTheRestWorks(t *testing.T) {
	k := &install{rig.Start(t, "keyturn-desktop", "DBUS_SESSION_BUS_ADDRESS=unix:path=/nonexistent")}
	for _, name := range []string{"window", "session bus", "tray", "notifications"} {
		if check := k.doctor(name); check["status"] != "missing" || check["says"] == "" {
			t.Errorf("without a desktop: %v", check)
		}
	}
	newAuthority(t, "acme", "Acme", demo.Options{}).connect(k)
	if r := k.CLI("token", "acme"); r.Code != 0 || len(r.Stdout) < 20 {
		t.Errorf("token without a desktop: %+v", r)
	}
	if r := k.CLI("open"); r.Code != 1 || !strings.Contains(r.Stderr, "no display") {
		t.Errorf("open without a display: %+v", r)
	}
	k.Stop()
	if !strings.Contains(k.Said(), "no display") {
		t.Errorf("what is missing was not said:\n%s", k.Said())
	}
}

// TestWithoutASessionBusTheWindowIsThere has a display, and nothing else.
func TestWithoutASessionBusTheWindowIsThere(t *testing.T) {
	s := newScreen(t)
	defer s.photographFailure()
	k := s.install("DBUS_SESSION_BUS_ADDRESS=unix:path=/nonexistent")
	k.Run("keyturn-desktop")
	s.waitWindow()
	s.click(s.mainButton()) // screen readers have no bus either
	k.Opened(1)
	s.shoot("window-light-no-bus.png")
	if check := k.doctor("session bus"); check["status"] != "missing" {
		t.Errorf("without a session bus: %v", check)
	}
	k.Stop()
	rig.Eventually(t, 5*time.Second, "the last process of Keyturn to end", func() bool {
		return len(running("HOME="+k.Home)) == 0
	})
}

// TestTheWindowInEveryDress shows connections in every state, with names as
// long as they come, in a light and in a dark window, large and small.
func TestTheWindowInEveryDress(t *testing.T) {
	s := newScreen(t)
	defer s.photographFailure()
	s.panel()
	k := s.install()
	k.Run("keyturn-desktop", "--hidden")

	const long = "wilhelmina.featherstonehaugh-cholmondeley@procurement.department.acme-corporation.example"
	wordy := func(demo.Account) any { return map[string]any{"sub": "1", "email": long} }
	newAuthority(t, "acme", "Acme", demo.Options{}).connect(k)
	newAuthority(t, "wordy", "The Identity Platform of Acme Corporation", demo.Options{Identity: wordy}).connect(k)
	newAuthority(t, "brief", "Brief", demo.Options{AccessTTL: 3 * time.Second, RefreshTTL: time.Millisecond}).connect(k)
	absent := newAuthority(t, "absent", "Absent", demo.Options{AccessTTL: 3 * time.Second})
	absent.connect(k)
	absent.Close()
	rig.Eventually(t, 15*time.Second, "a grant that is gone and a server that is away", func() bool {
		k.CLI("token", "brief", "--min-valid", "5m")
		k.CLI("token", "absent", "--min-valid", "5m")
		said := k.CLI("--json", "status").Stdout
		return strings.Contains(said, `"needs_reconnect"`) && strings.Contains(said, `"retrying"`)
	})

	for _, theme := range []string{"light", "dark"} {
		if theme == "dark" {
			k.Stop()
			k.Set("GTK_THEME=Adwaita:dark")
			k.Run("keyturn-desktop", "--hidden")
		}
		e := s.see()
		name := func(what string) string { return "window-" + theme + "-" + what + ".png" }
		k.CLI("open", "connections")
		s.waitWindow()
		e.waitRead("keyturn", long[:60], "Reconnect needed", "Retrying", "1 needs you")
		s.shoot(name("connections"))
		s.resize(640, 480)
		s.shoot(name("connections-small"))
		k.CLI("open", "connect/github")
		e.waitRead("keyturn", "First, an OAuth app at GitHub")
		s.shoot(name("provider-small"))
		s.resize(920, 640)
		s.shoot(name("provider"))
		k.CLI("open", "connect/acme")
		e.press(e.find("keyturn", button, "Connect Acme"))
		e.waitRead("keyturn", "Waiting for you to approve at Acme")
		s.shoot(name("attempt"))
		e.press(e.find("keyturn", button, "Cancel"))
		e.waitRead("keyturn", "You cancelled this.")
		s.shoot(name("cancelled"))
		s.menu()
		s.shoot(name("menu"))
		s.must("xdotool", "key", "Escape")
	}
	k.Stop()

	// With nothing to open the store with, the window says so.
	locked := s.install("KEYTURN_KEY_FILE=")
	locked.Run("keyturn-desktop")
	s.waitWindow()
	s.see().waitRead("keyturn", "Your secrets are locked")
	s.shoot("window-light-locked.png")
}

// person answers in a real browser and returns what the last page says.
func person(t *testing.T, authURL string, args ...string) string {
	t.Helper()
	cmd := exec.Command("node", append([]string{filepath.Join(repo, "build/browser/person.mjs"), authURL}, args...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatal("the browser: ", err)
	}
	var page struct{ Text string }
	if err := json.Unmarshal(out, &page); err != nil {
		t.Fatal(err)
	}
	return page.Text
}

// crop returns a part of the screen.
func (s *screen) crop(where image.Rectangle) image.Image {
	s.t.Helper()
	return s.look().(interface {
		SubImage(image.Rectangle) image.Image
	}).SubImage(where)
}
