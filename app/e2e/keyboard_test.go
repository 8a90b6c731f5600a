//go:build e2e && linux

package e2e

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"keyturn/app/e2e/rig"
)

// TestTheKeyboardAlone goes from the first start to a disconnect, and takes the
// activity home, in the real window without a pointer.
func TestTheKeyboardAlone(t *testing.T) {
	s := newScreen(t)
	defer s.photographFailure()
	k := s.install()
	k.Run("keyturn-desktop")
	s.waitWindow()
	e := s.see()
	e.waitRead("keyturn", "Nothing connected yet", "sealed with", "Start Keyturn when I log in")

	keys := keyboard{s, e}
	keys.tabTo("Try it with the demo provider")
	s.shoot("keyboard-1-focus.png")
	keys.press("Return")
	person(t, k.Opened(1))
	e.waitRead("keyturn", "ada@", "See connections")
	keys.tabTo("See connections")
	keys.press("Return")
	e.waitRead("keyturn", "1 account, connected.")

	// A change of mind: Escape keeps the connection, and the focus is back.
	keys.tabTo("Disconnect")
	keys.press("Return")
	e.waitRead("keyturn", "Disconnect Demo, ada@")
	keys.press("Escape")
	rig.Eventually(t, 5*time.Second, "the focus to come back", func() bool { return e.focused("keyturn") == "Disconnect" })

	keys.press("Return")
	e.waitRead("keyturn", "Disconnect Demo, ada@")
	keys.tabTo("Disconnect")
	keys.press("Return")
	e.waitRead("keyturn", "Disconnected. Demo confirmed", "Nothing connected yet")
	if list := k.JSON(0, "status")["connections"]; list != nil && len(list.([]any)) > 0 {
		t.Errorf("still connected: %v", list)
	}

	keys.tabTo("Activity")
	keys.press("Return")
	e.waitRead("keyturn", "was disconnected.", "was connected.")
	keys.tabTo("Export")
	keys.press("Return")
	e.waitRead("keyturn", "saved as a table")
	var table string
	rig.Eventually(t, 5*time.Second, "the exported file", func() bool {
		table = exported(k.Home)
		return strings.HasSuffix(table, "\r\n")
	})
	if !strings.HasPrefix(table, "at,until,kind,") || !strings.Contains(table, ",connected,demo,ada@") {
		t.Errorf("the exported table:\n%s", table)
	}
}

// exported returns the activity that was saved somewhere below a home.
func exported(home string) (table string) {
	_ = filepath.WalkDir(home, func(path string, _ fs.DirEntry, _ error) error {
		if name := filepath.Base(path); strings.HasPrefix(name, "keyturn-activity-") && strings.HasSuffix(name, ".csv") {
			data, _ := os.ReadFile(path)
			table = string(data)
		}
		return nil
	})
	return table
}

// keyboard is a person's hands on the keys; what has the focus is seen over
// AT-SPI.
type keyboard struct {
	*screen
	eyes *eyes
}

func (k keyboard) press(key string) { k.must("xdotool", "key", "--clearmodifiers", key) }

// tabTo presses Tab until what has the focus is called words.
func (k keyboard) tabTo(words string) {
	k.t.Helper()
	var way []string
	for range 40 {
		before := k.eyes.focused("keyturn")
		k.press("Tab")
		now := before
		for end := time.Now().Add(time.Second); now == before && time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
			now = k.eyes.focused("keyturn")
		}
		if strings.HasPrefix(now, words) {
			return
		}
		way = append(way, now)
	}
	k.t.Fatalf("Tab does not reach %q, but went over %q", words, way)
}
