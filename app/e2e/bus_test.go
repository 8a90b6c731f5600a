//go:build e2e && linux

package e2e

import (
	"bufio"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/godbus/dbus/v5/prop"
)

// desk is the desktop that these tests are: a session bus of their own on
// which they own the names of the tray host and of the notification server.
type desk struct {
	t    *testing.T
	addr string
	conn *dbus.Conn

	items chan string // unique names of tray items, as they register

	mu     sync.Mutex
	lastID uint32
	notes  []note
	closed []uint32
}

// note is one notification as the program sent it.
type note struct {
	ID         uint32
	Title      string
	Body       string
	Actions    []string
	ReplacesID uint32
}

// newDesk starts the bus. With host, the tray host and the notification server
// are there from the start.
func newDesk(t *testing.T, host bool) *desk {
	t.Helper()
	cmd := exec.Command("dbus-daemon", "--session", "--nofork", "--nosyslog", "--print-address")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal("dbus-daemon is needed (make e2e installs it): ", err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	d := &desk{t: t, addr: strings.TrimSpace(line), items: make(chan string, 8)}
	if d.conn, err = dbus.Connect(d.addr); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.conn.Close() })
	if host {
		d.appear()
	}
	return d
}

// appear exports the tray host and the notification server and takes their names.
func (d *desk) appear() {
	d.t.Helper()
	const watcher, notifications = "org.kde.StatusNotifierWatcher", "org.freedesktop.Notifications"
	_, err := prop.Export(d.conn, "/StatusNotifierWatcher", prop.Map{watcher: {
		"IsStatusNotifierHostRegistered": {Value: true, Emit: prop.EmitTrue},
		"ProtocolVersion":                {Value: int32(0), Emit: prop.EmitTrue},
		"RegisteredStatusNotifierItems":  {Value: []string{}, Emit: prop.EmitTrue},
	}})
	if err == nil {
		err = d.conn.Export(trayHost{d}, "/StatusNotifierWatcher", watcher)
	}
	if err == nil {
		err = d.conn.Export(notificationServer{d}, "/org/freedesktop/Notifications", notifications)
	}
	if err != nil {
		d.t.Fatal(err)
	}
	for _, name := range []string{watcher, notifications} {
		if _, err := d.conn.RequestName(name, dbus.NameFlagDoNotQueue); err != nil {
			d.t.Fatal(err)
		}
	}
}

type trayHost struct{ *desk }

func (h trayHost) RegisterStatusNotifierItem(sender dbus.Sender, _ string) *dbus.Error {
	h.items <- string(sender) // systray passes an object path; the sender is the service
	return nil
}

func (trayHost) RegisterStatusNotifierHost(string) *dbus.Error { return nil }

type notificationServer struct{ *desk }

func (s notificationServer) Notify(_ string, replaces uint32, _, title, body string, actions []string, _ map[string]dbus.Variant, _ int32) (uint32, *dbus.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := replaces
	if id == 0 {
		s.lastID++
		id = s.lastID
	}
	s.notes = append(s.notes, note{id, title, body, actions, replaces})
	return id, nil
}

func (s notificationServer) CloseNotification(id uint32) *dbus.Error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = append(s.closed, id)
	return nil
}

func (notificationServer) GetCapabilities() ([]string, *dbus.Error) {
	return []string{"actions", "body", "body-markup"}, nil
}

func (notificationServer) GetServerInformation() (string, string, string, string, *dbus.Error) {
	return "desk", "keyturn", "1", "1.2", nil
}

// note waits for a notification whose title contains words.
func (d *desk) note(words string) note {
	d.t.Helper()
	var found note
	eventually(d.t, 5*time.Second, "a notification with "+words, func() bool {
		d.mu.Lock()
		defer d.mu.Unlock()
		for _, n := range d.notes {
			if strings.Contains(n.Title, words) {
				found = n
				return true
			}
		}
		return false
	})
	return found
}

// noted returns all notifications so far.
func (d *desk) noted() []note {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]note(nil), d.notes...)
}

// click plays a click on a notification.
func (d *desk) click(n note, action string) {
	d.t.Helper()
	if err := d.conn.Emit("/org/freedesktop/Notifications", "org.freedesktop.Notifications.ActionInvoked", n.ID, action); err != nil {
		d.t.Fatal(err)
	}
}

// tray is one registered tray item.
type tray struct {
	d    *desk
	menu dbus.BusObject
	item dbus.BusObject
}

// tray waits for the program's item.
func (d *desk) tray() tray {
	d.t.Helper()
	select {
	case name := <-d.items:
		return tray{d, d.conn.Object(name, "/StatusNotifierItem/menu"), d.conn.Object(name, "/StatusNotifierItem")}
	case <-time.After(10 * time.Second):
		d.t.Fatal("no tray item was registered")
		return tray{}
	}
}

// line is a visible line of the menu.
type line struct {
	id    int32
	Label string
	Lines []line
}

// lines reads the menu as a panel would.
func (tr tray) lines() []line {
	tr.d.t.Helper()
	var revision uint32
	var root struct {
		ID       int32
		Props    map[string]dbus.Variant
		Children []dbus.Variant
	}
	if err := tr.menu.Call("com.canonical.dbusmenu.GetLayout", 0, int32(0), int32(-1), []string{}).Store(&revision, &root); err != nil {
		tr.d.t.Fatal("menu: ", err)
	}
	return visible(root.Children)
}

func visible(children []dbus.Variant) []line {
	var out []line
	for _, c := range children {
		fields := c.Value().([]any)
		props := fields[1].(map[string]dbus.Variant)
		if v, ok := props["visible"]; ok && v.Value() == false {
			continue
		}
		label, _ := props["label"].Value().(string)
		out = append(out, line{fields[0].(int32), strings.ReplaceAll(label, "__", "_"), visible(fields[2].([]dbus.Variant))})
	}
	return out
}

// find returns the line at a path of labels (each a substring).
func find(lines []line, path ...string) (line, bool) {
	for _, l := range lines {
		if !strings.Contains(l.Label, path[0]) {
			continue
		}
		if len(path) == 1 {
			return l, true
		}
		if found, ok := find(l.Lines, path[1:]...); ok {
			return found, true
		}
	}
	return line{}, false
}

// click waits for the line at a path of labels and clicks it.
func (tr tray) click(path ...string) {
	tr.d.t.Helper()
	l := tr.wait(path...)
	if err := tr.menu.Call("com.canonical.dbusmenu.Event", 0, l.id, "clicked", dbus.MakeVariant(int32(0)), uint32(0)).Err; err != nil {
		tr.d.t.Fatal(err)
	}
}

// wait waits until the menu has a line at a path of labels.
func (tr tray) wait(path ...string) (found line) {
	tr.d.t.Helper()
	eventually(tr.d.t, 5*time.Second, "menu line "+strings.Join(path, " ▸ "), func() bool {
		l, ok := find(tr.lines(), path...)
		found = l
		return ok
	})
	return found
}

// waitGone waits until the menu has no such line.
func (tr tray) waitGone(path ...string) {
	tr.d.t.Helper()
	eventually(tr.d.t, 5*time.Second, "no menu line "+strings.Join(path, " ▸ "), func() bool {
		_, ok := find(tr.lines(), path...)
		return !ok
	})
}

// title is what the panel shows or reads out for the icon.
func (tr tray) title() string {
	v, err := tr.item.GetProperty("org.kde.StatusNotifierItem.Title")
	if err != nil {
		return ""
	}
	s, _ := v.Value().(string)
	return s
}

// eventually polls until ok or the test fails with what it waited for.
func eventually(t *testing.T, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); ; {
		if ok() {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("still waiting after %v: %s", limit, what)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
