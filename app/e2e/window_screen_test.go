//go:build e2e && linux

package e2e

import (
	"bufio"
	"bytes"
	"fmt"
	"image"
	_ "image/png" // what import writes
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"keyturn/app/e2e/rig"
)

// How large the screen and the panel of build/desktop/xfce4-panel.xml are.
const (
	screenWidth  = 1280
	screenHeight = 800
	panelHeight  = 32
)

// screen is a real desktop that nobody looks at: an X server, a session bus
// and a window manager; a panel and a notification daemon when the test starts
// them. Everything on it has a home of its own, by which it is found again.
type screen struct {
	t    testing.TB
	home string
	env  []string
	bus  *dbus.Conn
	eyes *eyes // made when first used
}

// newScreen starts the desktop. Whatever runs on it ends with the test.
func newScreen(t testing.TB) *screen {
	t.Helper()
	s := &screen{t: t, home: t.TempDir()}
	t.Cleanup(func() { killAll("HOME=" + s.home) })
	s.furnish()
	s.env = []string{
		"HOME=" + s.home, "PATH=/usr/bin:/bin", "LANG=C.UTF-8",
		"XDG_CONFIG_HOME=" + s.home + "/config", "XDG_RUNTIME_DIR=" + s.home + "/run",
		"XDG_DATA_HOME=" + s.home + "/data", "XDG_CACHE_HOME=" + s.home + "/cache",
		"GDK_BACKEND=x11", "LIBGL_ALWAYS_SOFTWARE=1",
	}
	s.env = append(s.env, "DISPLAY=:"+s.xServer())
	address := s.sessionBus()
	s.env = append(s.env, "DBUS_SESSION_BUS_ADDRESS="+address)
	var err error
	if s.bus, err = dbus.Connect(address); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.bus.Close() })
	// On a busy machine the X server may turn its first client away.
	var started time.Time
	rig.Eventually(t, 30*time.Second, "the window manager", func() bool {
		if strings.Contains(s.ask("xprop", "-root", "_NET_SUPPORTING_WM_CHECK"), "window id") {
			return true
		}
		if time.Since(started) > 5*time.Second {
			started = time.Now()
			s.start("openbox")
		}
		return false
	})
	s.ask("display", "-window", "root", "-size", fmt.Sprintf("%dx%d", screenWidth, screenHeight), "xc:#5b6b7b")
	return s
}

// furnish puts the configuration into the home.
func (s *screen) furnish() {
	s.t.Helper()
	copies := map[string]string{
		"bus.conf":                    "build/desktop/bus.conf",
		"config/dunst/dunstrc":        "build/desktop/dunstrc",
		"services/org.a11y.service":   "/usr/share/dbus-1/services/org.a11y.Bus.service",
		"services/org.xfconf.service": "/usr/share/dbus-1/services/org.xfce.Xfconf.service",
		"data/applications/.keep":     "/dev/null",
		"config/gtk-3.0/.keep":        "/dev/null",
		"config/xfce4/xfconf/xfce-perchannel-xml/xfce4-panel.xml": "build/desktop/xfce4-panel.xml",
	}
	if err := os.Mkdir(filepath.Join(s.home, "run"), 0o700); err != nil {
		s.t.Fatal(err)
	}
	for to, from := range copies {
		if !filepath.IsAbs(from) {
			from = filepath.Join(repo, from)
		}
		content, err := os.ReadFile(from)
		if err != nil {
			s.t.Fatal("the desktop is incomplete (build/setup.sh test completes it): ", err)
		}
		to = filepath.Join(s.home, to)
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			s.t.Fatal(err)
		}
		if err := os.WriteFile(to, content, 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
}

// xServer starts it on the first free display and returns its number.
func (s *screen) xServer() string {
	s.t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		s.t.Fatal(err)
	}
	defer read.Close()
	cmd := s.command("Xvfb", "-displayfd", "3", "-screen", "0", fmt.Sprintf("%dx%dx24", screenWidth, screenHeight), "-nolisten", "tcp")
	cmd.ExtraFiles = []*os.File{write}
	s.run(cmd)
	_ = write.Close()
	number, err := bufio.NewReader(read).ReadString('\n')
	if err != nil {
		s.t.Fatal("the X server did not start: ", err)
	}
	return strings.TrimSpace(number)
}

func (s *screen) sessionBus() (address string) {
	s.t.Helper()
	cmd := s.command("dbus-daemon", "--config-file="+s.home+"/bus.conf", "--nofork", "--nosyslog", "--print-address=3")
	read, write, err := os.Pipe()
	if err != nil {
		s.t.Fatal(err)
	}
	defer read.Close()
	cmd.ExtraFiles = []*os.File{write}
	s.run(cmd)
	_ = write.Close()
	address, err = bufio.NewReader(read).ReadString('\n')
	if err != nil {
		s.t.Fatal("the session bus did not start: ", err)
	}
	return strings.TrimSpace(address)
}

// command returns a program that is ready to start on the screen.
func (s *screen) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Env = s.env
	return cmd
}

// run starts a program that ends with the test.
func (s *screen) run(cmd *exec.Cmd) {
	s.t.Helper()
	var log bytes.Buffer
	if cmd.Stdout == nil {
		cmd.Stdout, cmd.Stderr = &log, &log
	}
	cmd.WaitDelay = time.Second
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err, " (build/setup.sh test installs what is needed)")
	}
	s.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if s.t.Failed() && log.Len() > 0 {
			s.t.Logf("%s said:\n%s", filepath.Base(cmd.Path), log.String())
		}
	})
}

func (s *screen) start(name string, args ...string) *exec.Cmd {
	s.t.Helper()
	cmd := s.command(name, args...)
	s.run(cmd)
	return cmd
}

// panel starts the panel and waits until it shows tray icons.
func (s *screen) panel() *exec.Cmd {
	s.t.Helper()
	cmd := s.start("xfce4-panel", "--disable-wm-check")
	s.waitOwned("org.kde.StatusNotifierWatcher")
	return cmd
}

// notifications starts the notification daemon.
func (s *screen) notifications() {
	s.t.Helper()
	s.start("dunst")
	s.waitOwned("org.freedesktop.Notifications")
}

func (s *screen) waitOwned(name string) {
	s.t.Helper()
	rig.Eventually(s.t, 10*time.Second, name+" on the bus", func() bool { return s.owned(name) })
}

func (s *screen) owned(name string) bool {
	var has bool
	return s.bus.BusObject().Call("org.freedesktop.DBus.NameHasOwner", 0, name).Store(&has) == nil && has
}

// install prepares a Keyturn on the screen.
func (s *screen) install(extra ...string) *install {
	s.t.Helper()
	var env []string
	for _, v := range s.env {
		if name, _, _ := strings.Cut(v, "="); name != "HOME" && name != "PATH" && name != "XDG_CONFIG_HOME" {
			env = append(env, v)
		}
	}
	k := &install{rig.Prepare(s.t, append(env, extra...)...)}
	s.t.Cleanup(func() {
		killAll("HOME=" + k.Home)
		if log, err := os.ReadFile(filepath.Join(k.Home, "k/state/keyturn.log")); err == nil && s.t.Failed() {
			s.t.Logf("the log of Keyturn:\n%s", log)
		}
	})
	return k
}

// ask runs a short program and returns what it says; nothing if it failed.
func (s *screen) ask(name string, args ...string) string {
	out, _ := s.command(name, args...).Output()
	return strings.TrimSpace(string(out))
}

// must runs a short program that has to succeed.
func (s *screen) must(name string, args ...string) string {
	s.t.Helper()
	out, err := s.command(name, args...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("%s %v: %v\n%s", name, args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// look returns the screen as it is now.
func (s *screen) look() image.Image {
	s.t.Helper()
	out, err := s.command("import", "-window", "root", "png:-").Output()
	if err != nil {
		s.t.Fatal("screenshot: ", err)
	}
	img, _, err := image.Decode(bytes.NewReader(out))
	if err != nil {
		s.t.Fatal("screenshot: ", err)
	}
	return img
}

// shoot keeps a screenshot.
func (s *screen) shoot(name string) {
	s.t.Helper()
	s.settle()
	s.must("import", "-window", "root", shot(s.t.(*testing.T), name))
}

// photographFailure keeps what the screen showed when a test failed. It is
// deferred, so that it comes before everything is put away.
func (s *screen) photographFailure() {
	if s.t.Failed() {
		_ = s.command("import", "-window", "root", shot(s.t.(*testing.T), "failed-"+s.t.Name()+".png")).Run()
	}
}

// settle waits until two looks in a row are the same, for at most a second: a
// page under a running clock never is.
func (s *screen) settle() {
	s.t.Helper()
	last := s.look()
	for end := time.Now().Add(time.Second); time.Now().Before(end); {
		now := s.look()
		if difference(last, now, now.Bounds()).Empty() {
			return
		}
		last = now
	}
}

// difference returns the smallest rectangle inside within that holds all
// pixels in which two pictures differ.
func difference(a, b image.Image, within image.Rectangle) (d image.Rectangle) {
	for y := within.Min.Y; y < within.Max.Y; y++ {
		for x := within.Min.X; x < within.Max.X; x++ {
			if a.At(x, y) != b.At(x, y) {
				d = d.Union(image.Rect(x, y, x+1, y+1))
			}
		}
	}
	return d
}

// tray is where icons of the panel are; the left half belongs to windows.
var tray = image.Rect(screenWidth/2, 0, screenWidth, panelHeight)

// brass counts the pixels of a tray icon by the colour it is drawn in
// (build/icons), which nothing else on the panel has.
func brass(img image.Image) (n int, where image.Rectangle) {
	for y := tray.Min.Y; y < tray.Max.Y; y++ {
		for x := tray.Min.X; x < tray.Max.X; x++ {
			r, g, b, _ := img.At(x, y).RGBA()
			r, g, b = r>>8, g>>8, b>>8
			if r > 120 && r > g+20 && g > b+30 {
				n++
				where = where.Union(image.Rect(x, y, x+1, y+1))
			}
		}
	}
	return n, where
}

// icon waits until the tray icon can be seen and returns where.
func (s *screen) icon() (where image.Rectangle) {
	s.t.Helper()
	rig.Eventually(s.t, 10*time.Second, "the tray icon on the panel", func() bool {
		n, r := brass(s.look())
		where = r
		return n >= 40 && r.Dx() <= panelHeight
	})
	return where
}

// mainButton waits for the button of the page that is filled with the accent
// (frontend/src/style.css).
func (s *screen) mainButton() (where image.Rectangle) {
	s.t.Helper()
	rig.Eventually(s.t, 15*time.Second, "a button in the window", func() bool {
		img := s.look()
		where = image.Rectangle{}
		for y := panelHeight; y < screenHeight; y++ {
			run := 0
			for x := range screenWidth {
				if r, g, b, _ := img.At(x, y).RGBA(); r>>8 == 0x85 && g>>8 == 0x5a && b>>8 == 0x10 {
					run++
				} else if run > 100 {
					where = where.Union(image.Rect(x-run, y, x, y+1))
					run = 0
				} else {
					run = 0
				}
			}
		}
		return where.Dy() > 10
	})
	return where
}

// click presses a mouse button in the middle of a rectangle.
func (s *screen) click(where image.Rectangle) {
	s.t.Helper()
	s.point(where)
	s.must("xdotool", "click", "1")
}

// point moves the mouse as a hand does: over a pixel on the way.
func (s *screen) point(where image.Rectangle) {
	s.t.Helper()
	x, y := (where.Min.X+where.Max.X)/2, (where.Min.Y+where.Max.Y)/2
	s.must("xdotool", "mousemove", strconv.Itoa(x-1), strconv.Itoa(y), "mousemove", strconv.Itoa(x), strconv.Itoa(y))
}

// window returns the id of the program's window, or nothing while it is not
// on the screen.
func (s *screen) window() string {
	ids := strings.Fields(s.ask("xdotool", "search", "--onlyvisible", "--name", "^Keyturn$"))
	if len(ids) == 0 {
		return ""
	}
	return ids[len(ids)-1]
}

func (s *screen) waitWindow() (id string) {
	s.t.Helper()
	rig.Eventually(s.t, 15*time.Second, "the window on the screen", func() bool {
		id = s.window()
		return id != ""
	})
	return id
}

// closeWindow presses the window's own button, as it were.
func (s *screen) closeWindow() {
	s.t.Helper()
	s.must("wmctrl", "-c", "Keyturn")
	rig.Eventually(s.t, 5*time.Second, "the window to go", func() bool { return s.window() == "" })
}

// resize gives the window its inner size.
func (s *screen) resize(width, height int) {
	s.t.Helper()
	id := s.waitWindow()
	s.must("xdotool", "windowsize", "--sync", id, strconv.Itoa(width), strconv.Itoa(height))
}

// shown is how many notifications are on the screen.
func (s *screen) shown() int {
	n, _ := strconv.Atoi(s.ask("dunstctl", "count", "displayed"))
	return n
}

// notification waits for one and returns where it is.
func (s *screen) notification() (where image.Rectangle) {
	s.t.Helper()
	rig.Eventually(s.t, 10*time.Second, "a notification on the screen", func() bool {
		if s.shown() == 0 {
			return false
		}
		var ok bool
		where, ok = s.geometry(s.ask("xdotool", "search", "--onlyvisible", "--class", "^Dunst$"))
		return ok && where.Dx() > 100
	})
	return where
}

// geometry returns where a window is on the screen.
func (s *screen) geometry(id string) (where image.Rectangle, ok bool) {
	var x, y, w, h int
	for line := range strings.Lines(s.ask("xdotool", "getwindowgeometry", "--shell", id)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		n, _ := strconv.Atoi(value)
		switch name {
		case "X":
			x = n
		case "Y":
			y = n
		case "WIDTH":
			w = n
		case "HEIGHT":
			h = n
		}
	}
	return image.Rect(x, y, x+w, y+h), w > 0
}

// running returns the processes that were started with a variable in their
// environment, as "pid name".
func running(variable string) []string {
	var found []string
	environments, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, file := range environments {
		env, err := os.ReadFile(file)
		if err != nil || !bytes.Contains(append([]byte{0}, env...), []byte("\x00"+variable+"\x00")) {
			continue
		}
		dir := filepath.Dir(file)
		name, _ := os.ReadFile(filepath.Join(dir, "comm"))
		found = append(found, filepath.Base(dir)+" "+strings.TrimSpace(string(name)))
	}
	return found
}

// killAll ends the processes that running finds, or those of them whose names
// begin with one of some: services that the bus has started are nobody's
// children.
func killAll(variable string, names ...string) {
	for _, process := range running(variable) {
		pid, name, _ := strings.Cut(process, " ")
		if len(names) > 0 && !slices.ContainsFunc(names, func(n string) bool { return strings.HasPrefix(name, n) }) {
			continue
		}
		if n, err := strconv.Atoi(pid); err == nil && n > 1 && n != os.Getpid() {
			_ = syscall.Kill(n, syscall.SIGKILL)
		}
	}
}
