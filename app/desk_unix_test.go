//go:build !windows && !darwin

package app

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
)

// busConfig is a session bus that starts no services: what a test does not
// bring is not there.
const busConfig = `<busconfig>
  <type>session</type>
  <listen>unix:tmpdir=/tmp</listen>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>`

// startBus starts a session bus of the test's own and points the environment
// to it.
func startBus(t *testing.T) *dbus.Conn {
	t.Helper()
	if _, err := exec.LookPath("dbus-daemon"); err != nil {
		t.Skip("there is no dbus-daemon here (apt install dbus)")
	}
	config := filepath.Join(t.TempDir(), "bus.conf")
	if err := os.WriteFile(config, []byte(busConfig), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("dbus-daemon", "--config-file="+config, "--nofork", "--nopidfile", "--print-address")
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	stop := sync.OnceFunc(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	t.Cleanup(stop)
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", strings.TrimSpace(address))
	conn, err := dbus.Connect(strings.TrimSpace(address))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	stopBus[t.Name()] = stop
	return conn
}

// stopBus ends the bus of a test.
var stopBus = map[string]func(){}

// shownNote is what the notification server of a test was asked to show.
type shownNote struct {
	id, replaces     uint32
	app, title, body string
	actions          []string
	timeout          int32
}

// server is a notification server.
type server struct {
	mu     sync.Mutex
	last   uint32
	notes  chan shownNote
	closed chan uint32
}

func (s *server) Notify(app string, replaces uint32, _, title, body string, actions []string, _ map[string]dbus.Variant, timeout int32) (uint32, *dbus.Error) {
	time.Sleep(5 * time.Millisecond)
	s.mu.Lock()
	defer s.mu.Unlock()
	id := replaces
	if id == 0 {
		s.last++
		id = s.last
	}
	s.notes <- shownNote{id, replaces, app, title, body, actions, timeout}
	return id, nil
}

func (s *server) CloseNotification(id uint32) *dbus.Error {
	s.closed <- id
	return nil
}

func serveNotifications(t *testing.T, conn *dbus.Conn) *server {
	t.Helper()
	s := &server{notes: make(chan shownNote, 16), closed: make(chan uint32, 16)}
	if err := conn.Export(s, notificationPath, notificationName); err != nil {
		t.Fatal(err)
	}
	own(t, conn, notificationName)
	return s
}

func own(t *testing.T, conn *dbus.Conn, name string) {
	t.Helper()
	if reply, err := conn.RequestName(name, dbus.NameFlagDoNotQueue); err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
		t.Fatal(reply, err)
	}
}

func testDesk(t *testing.T) (d *desk, acted chan Action) {
	t.Helper()
	acted = make(chan Action, 16)
	d = newDesk(func(a Action) { acted <- a }, discard)
	d.connect()
	t.Cleanup(d.close)
	return d, acted
}

func TestNotificationsAreShownReplacedClickedAndTakenBack(t *testing.T) {
	conn := startBus(t)
	s := serveNotifications(t, conn)
	d, acted := testDesk(t)
	if !d.notifications() {
		t.Error("the notification server was not seen")
	}
	rest := Action{Snooze, "b"}
	if err := d.notify(Notice{Key: "a", Title: "One", Body: "Two", Buttons: []Button{showButton, {"Snooze", rest}}, Urgent: true}); err != nil {
		t.Fatal(err)
	}
	first := receive(t, "the notification", s.notes)
	if first.app != "Keyturn" || first.title != "One" || first.body != "Two" || first.timeout != 0 ||
		strings.Join(first.actions, ",") != "default,Show,0,Show,1,Snooze" {
		t.Errorf("%+v", first)
	}

	// A newer one with the same key replaces it; another key does not.
	_ = d.notify(Notice{Key: "a", Title: "Three"})
	if n := receive(t, "the newer one", s.notes); n.replaces != first.id || len(n.actions) != 0 || n.timeout != -1 {
		t.Errorf("%+v", n)
	}
	_ = d.notify(Notice{Key: "b", Title: "Four", Buttons: []Button{showButton, {"Snooze", rest}}})
	other := receive(t, "the other one", s.notes)
	if other.replaces != 0 {
		t.Errorf("%+v", other)
	}

	// Signals of the wrong shape, and about what is not ours, change nothing.
	for _, body := range [][]any{{}, {"x"}, {other.id}, {other.id, uint32(1)}, {uint32(999), "default"}} {
		_ = conn.Emit(notificationPath, notificationName+".ActionInvoked", body...)
		_ = conn.Emit(notificationPath, notificationName+".NotificationClosed", body[:min(1, len(body))]...)
	}
	// A click acts once, however often it is told, and closes.
	_ = conn.Emit(notificationPath, notificationName+".ActionInvoked", other.id, "7")
	_ = conn.Emit(notificationPath, notificationName+".ActionInvoked", other.id, "1")
	_ = conn.Emit(notificationPath, notificationName+".ActionInvoked", other.id, "default")
	if got := receive(t, "the action", acted); got != rest {
		t.Errorf("%v", got)
	}
	if id := receive(t, "the close after the click", s.closed); id != other.id {
		t.Errorf("closed %d", id)
	}

	// What only changes a notification shows none where there is none.
	_ = d.notify(Notice{Key: "b", Title: "Five", Quiet: true})
	_ = d.notify(Notice{Key: "a", Title: "Six", Quiet: true})
	if n := receive(t, "the change", s.notes); n.replaces != first.id || n.title != "Six" {
		t.Errorf("%+v", n)
	}

	// Taking back closes what is on show and nothing else.
	_ = d.notify(Notice{Key: "b", Withdraw: true})
	_ = d.notify(Notice{Key: "never", Withdraw: true})
	_ = d.notify(Notice{Key: "a", Withdraw: true})
	if id := receive(t, "the close", s.closed); id != first.id {
		t.Errorf("closed %d, want %d", id, first.id)
	}
	select {
	case a := <-acted:
		t.Errorf("acted once more: %v", a)
	case id := <-s.closed:
		t.Errorf("closed %d as well", id)
	default:
	}
}

func TestATrayHostIsSeenWhenItAppears(t *testing.T) {
	t.Run("PR-17", func(t *testing.T) {
		conn := startBus(t)
		d, _ := testDesk(t)
		if d.trayHost() {
			t.Error("a tray host was seen where none is")
		}
		own(t, conn, trayHostName)
		receive(t, "the doorbell", d.host)
		if !d.trayHost() {
			t.Error("the tray host was not seen")
		}
		if _, err := conn.ReleaseName(trayHostName); err != nil {
			t.Fatal(err)
		}
		if d.trayHost() {
			t.Error("the tray host is gone and still seen")
		}
		own(t, conn, trayHostName)
		receive(t, "the doorbell again", d.host)
	})
}

func TestNobodyShowsNotifications(t *testing.T) {
	startBus(t)
	d, _ := testDesk(t)
	if d.notifications() {
		t.Error("a notification server was seen where none is")
	}
	if err := d.notify(Notice{Key: "a", Title: "One"}); err == nil {
		t.Error("a notification that nobody shows was reported as shown")
	}
}

func TestTheBusIsNotThereOrGoesAway(t *testing.T) {
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	for name, address := range map[string]string{
		"no such socket": "unix:path=/nonexistent/bus",
		"nonsense":       "not an address",
	} {
		t.Setenv("DBUS_SESSION_BUS_ADDRESS", address)
		d, _ := testDesk(t)
		if d.bus() == nil || d.trayHost() || d.notifications() || d.notify(Notice{}) == nil || d.lost() != nil {
			t.Errorf("%s: taken for a bus", name)
		}
	}
	startBus(t)
	d, _ := testDesk(t)
	if err := d.bus(); err != nil {
		t.Fatal(err)
	}
	stopBus[t.Name()]()
	receive(t, "the end of the bus", d.lost())
	if d.bus() == nil || d.trayHost() || d.notify(Notice{Key: "x"}) == nil {
		t.Error("the bus is gone and still believed in")
	}
}
