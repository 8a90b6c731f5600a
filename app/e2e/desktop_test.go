//go:build e2e && linux

package e2e

import (
	"encoding/json"
	"image"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"keyturn/app/e2e/rig"
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
	e.waitRead("keyturn", "Demo is not connected", "denied at Demo")
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
