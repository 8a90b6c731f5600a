//go:build bench && linux

package bench

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"keyturn/app/e2e/rig"
)

// desktop is what a program with a tray and a window finds around it.
type desktop struct {
	*rig.Desk
	env    []string
	screen string // file with what is on the display
}

// newDesktop starts a display and a session bus with a tray host.
func newDesktop(t *testing.T) desktop {
	t.Helper()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	screens := t.TempDir()
	cmd := exec.Command("Xvfb", "-fbdir", screens, "-displayfd", "3", "-screen", "0", "1280x800x24", "-nolisten", "tcp")
	cmd.ExtraFiles = []*os.File{write}
	if err := cmd.Start(); err != nil {
		t.Fatal("Xvfb is needed (build/setup.sh bench installs it): ", err)
	}
	write.Close()
	t.Cleanup(func() { end(cmd) })
	number, err := io.ReadAll(read)
	if err != nil || len(number) == 0 {
		t.Fatal("Xvfb did not come up: ", err)
	}
	read.Close()
	d := rig.NewDesk(t, true)
	return desktop{d, []string{
		"DISPLAY=:" + strings.TrimSpace(string(number)),
		"DBUS_SESSION_BUS_ADDRESS=" + d.Addr,
	}, filepath.Join(screens, "Xvfb_screen0")}
}

// blank builds the yardstick program as the desktop program is built.
func blank(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "blank")
	build := exec.Command("go", "build", "-trimpath", "-tags", "desktop,production,webkit2_41", "-ldflags", "-s -w", "-o", path, "./blank")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build ./blank: %v\n%s", err, out)
	}
	return path
}

// start starts a program on the desktop.
func (d desktop) start(t *testing.T, path string) (cmd *exec.Cmd, begun time.Time) {
	t.Helper()
	cmd = exec.Command(path)
	cmd.Env = append([]string{"HOME=" + t.TempDir(), "PATH=/usr/bin:/bin", "LANG=C.UTF-8"}, d.env...)
	begun = time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { end(cmd) })
	return cmd, begun
}

// end ends a program of ours, once or twice.
func end(cmd *exec.Cmd) {
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
}

// starting times the programs from exec to their first sign of life, on a home
// with a hundred connections and a key file.
func starting(t *testing.T) []line {
	var answers, greets, registers, blanks []time.Duration
	headless := crowded(t)
	d := newDesktop(t)
	path := blank(t)
	desktop := crowded(t, d.env...)
	for range runs {
		begun := time.Now()
		headless.Begin("keyturn-headless")
		answers = append(answers, answered(t, headless.Socket(), "/v1/health").Sub(begun))
		headless.Kill()

		greeter, socket, begun := hello(t)
		greets = append(greets, answered(t, socket, "/").Sub(begun))
		end(greeter)

		begun = time.Now()
		desktop.Begin("keyturn-desktop", "--hidden")
		registers = append(registers, d.Tray().Registered.Sub(begun))
		desktop.Kill()

		cmd, begun := d.start(t, path)
		blanks = append(blanks, d.Tray().Registered.Sub(begun))
		end(cmd)
	}
	return []line{
		within("B6", "headless: exec → socket answers", median(answers), median(greets), "net/http hello", 60*time.Millisecond),
		within("", "desktop: exec → tray item", median(registers), median(blanks), "blank program", 200*time.Millisecond),
	}
}
