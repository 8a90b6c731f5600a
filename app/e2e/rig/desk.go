//go:build linux

package rig

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

// Desk is a desktop played by the test: a session bus of its own on which it
// owns the names of the tray host and of the notification server.
type Desk struct {
	Addr string // of the session bus

	t     testing.TB
	conn  *dbus.Conn
	items chan item

	mu     sync.Mutex // guards what follows
	lastID uint32
	notes  []Note
	closed []uint32
}

// item is a tray item that has registered.
type item struct {
	service string // its unique name on the bus
	at      time.Time
}

// Note is one notification as the program sent it.
type Note struct {
	ID         uint32
	Title      string
	Body       string
	Actions    []string
	ReplacesID uint32
}

// NewDesk starts the bus. With host, the tray host and the notification server
// are there from the start.
func NewDesk(t testing.TB, host bool) *Desk {
	t.Helper()
	cmd := exec.Command("dbus-daemon", "--session", "--nofork", "--nosyslog", "--print-address")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal("dbus-daemon is needed (build/setup.sh test installs it): ", err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	d := &Desk{t: t, Addr: strings.TrimSpace(line), items: make(chan item, 8)}
	if d.conn, err = dbus.Connect(d.Addr); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.conn.Close() })
	if host {
		d.Appear()
	}
	return d
}

// Appear exports the tray host and the notification server and takes their
// names, as a panel that comes up does.
func (d *Desk) Appear() {
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

type trayHost struct{ *Desk }

func (h trayHost) RegisterStatusNotifierItem(sender dbus.Sender, _ string) *dbus.Error {
	h.items <- item{string(sender), time.Now()} // systray passes an object path; the sender is the service
	return nil
}

func (trayHost) RegisterStatusNotifierHost(string) *dbus.Error { return nil }

type notificationServer struct{ *Desk }

func (s notificationServer) Notify(_ string, replaces uint32, _, title, body string, actions []string, _ map[string]dbus.Variant, _ int32) (uint32, *dbus.Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := replaces
	if id == 0 {
		s.lastID++
		id = s.lastID
	}
	s.notes = append(s.notes, Note{id, title, body, actions, replaces})
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

// Note waits for a notification whose title contains words.
func (d *Desk) Note(words string) (found Note) {
	d.t.Helper()
	Eventually(d.t, 5*time.Second, "a notification with "+words, func() bool {
		for _, n := range d.Notes() {
			if strings.Contains(n.Title, words) {
				found = n
				return true
			}
		}
		return false
	})
	return found
}

// Notes returns all notifications so far.
func (d *Desk) Notes() []Note {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]Note(nil), d.notes...)
}

// Closed returns the notifications that the program took back.
func (d *Desk) Closed() []uint32 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]uint32(nil), d.closed...)
}

// Click plays a click on a notification.
func (d *Desk) Click(n Note, action string) {
	d.t.Helper()
	if err := d.conn.Emit("/org/freedesktop/Notifications", "org.freedesktop.Notifications.ActionInvoked", n.ID, action); err != nil {
		d.t.Fatal(err)
	}
}

// Eventually polls until ok, or fails the test with what it waited for.
func Eventually(t testing.TB, limit time.Duration, what string, ok func() bool) {
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
