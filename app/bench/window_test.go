//go:build bench && linux

package bench

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"keyturn/app/e2e/rig"
)

// accent is the colour of the button beside the list of connections, which is
// there when the list is; the yardstick paints its whole page with it. Pixels
// are little-endian.
var accent = []byte{0x10, 0x5a, 0x85}

// sampled is the distance of the pixels that are looked at: looking at all
// would take a processor from what is measured.
const sampled = 4

// painted estimates how many pixels on the screen have the accent colour. Xvfb
// keeps its screen in a file (an XWD dump), which is looked at where it is.
func (d desktop) painted(t *testing.T) (n int) {
	t.Helper()
	file, err := os.Open(d.screen)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		t.Fatal(err)
	}
	dump, err := unix.Mmap(int(file.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Munmap(dump) }()
	header := func(field int) int { return int(binary.BigEndian.Uint32(dump[4*field:])) } // as in XWDFile.h
	size, width, height, stride, colours := header(0), header(4), header(5), header(12), header(19)
	pixels := dump[size+12*colours:]
	for y := 0; y < height; y += sampled {
		row := pixels[y*stride:][:4*width]
		for x := 0; x < len(row); x += 4 * sampled {
			if bytes.Equal(row[x:x+3], accent) {
				n++
			}
		}
	}
	return n * sampled * sampled
}

// enough is less than the button has, and more than a line of text would.
const enough = 1000

// appears opens the window from the tray and returns how long it takes until
// what is in it can be used: painted, with what it has to say.
func (d desktop) appears(t *testing.T, tray rig.Tray, label string) time.Duration {
	t.Helper()
	line := tray.Wait(label)
	begun := time.Now()
	tray.Press(line)
	for d.painted(t) < enough {
		if time.Since(begun) > 20*time.Second {
			t.Fatal("the window did not appear")
		}
		time.Sleep(2 * time.Millisecond)
	}
	return time.Since(begun)
}

// hides closes the window as its button would.
func (d desktop) hides(t *testing.T, name string) {
	t.Helper()
	cmd := exec.Command("wmctrl", "-F", "-c", name)
	cmd.Env = d.env
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("wmctrl: %v\n%s", err, out)
	}
	rig.Eventually(t, 5*time.Second, "the window to go", func() bool { return d.painted(t) == 0 })
}

// opening times the window from the click on Open, and weighs what it does while
// nobody does anything.
func opening(t *testing.T) []line {
	var first, again, blanks []time.Duration
	var idle, idleBlank time.Duration
	d := newDesktop(t)
	manager := exec.Command("openbox", "--sm-disable")
	manager.Env = append([]string{"HOME=" + t.TempDir()}, d.env...)
	if err := manager.Start(); err != nil {
		t.Fatal("openbox is needed (build/setup.sh bench installs it): ", err)
	}
	t.Cleanup(func() { end(manager) })
	path := blank(t)
	for i := range runs {
		k := crowded(t, d.env...)
		k.Run("keyturn-desktop", "--hidden")
		tray := d.Tray()
		time.Sleep(rest)
		first = append(first, d.appears(t, tray, "Open Keyturn"))
		time.Sleep(rest)
		for range 3 {
			d.hides(t, "Keyturn")
			again = append(again, d.appears(t, tray, "Open Keyturn"))
		}
		if i == 0 {
			idle = works(t, k.Cmd.Process.Pid)
		}
		k.Kill()
		rig.Eventually(t, 5*time.Second, "the window to go", func() bool { return d.painted(t) == 0 })

		cmd, _ := d.start(t, path)
		time.Sleep(rest)
		blanks = append(blanks, d.appears(t, d.Tray(), "Open"))
		if i == 0 {
			idleBlank = works(t, cmd.Process.Pid)
		}
		end(cmd)
		rig.Eventually(t, 5*time.Second, "the blank window to go", func() bool { return d.painted(t) == 0 })
	}
	return []line{
		within("B12", "window: first Open → the list is there", median(first), median(blanks), "blank window", 400*time.Millisecond),
		within("", "        opened again", median(again), median(blanks), "blank window", 100*time.Millisecond),
		{
			// What is told with one decimal is then 0.0.
			id: "B13", what: "CPU of an open window, a minute of nothing",
			measured: share(idle), yardstick: "blank window " + share(idleBlank),
			allowed: "0.05 %", excess: float64(idle) / float64(idleFor) / 0.0005,
		},
	}
}

// idleFor is how long an open window is watched.
const idleFor = time.Minute

func share(d time.Duration) string { return fmt.Sprintf("%.3f %%", 100*float64(d)/float64(idleFor)) }

// works returns the processor time that a program and what it started take while
// it is left alone.
func works(t *testing.T, pid int) time.Duration {
	t.Helper()
	time.Sleep(12 * time.Second) // WebKit tidies up eight to eleven seconds after a page was shown
	before := worked(pid)
	time.Sleep(idleFor)
	return worked(pid) - before
}

// worked is the processor time of a program and of what it started, by the
// clock that the system keeps for each process: threads that have ended count.
func worked(pid int) (sum time.Duration) {
	var spent unix.Timespec
	clock := ^pid<<3 | 2 // as clock_getcpuclockid(3) has it
	if unix.ClockGettime(int32(clock), &spent) == nil {
		sum = time.Duration(spent.Nano())
	}
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
	for _, task := range tasks {
		children, _ := os.ReadFile(filepath.Join(task, "children"))
		for child := range strings.FieldsSeq(string(children)) {
			if n, err := strconv.Atoi(child); err == nil {
				sum += worked(n)
			}
		}
	}
	return sum
}

// typing times the search among 500 providers in a browser, from a key to the
// list laid out anew.
func typing(t *testing.T) []line {
	out, err := exec.Command("node", "../../frontend/test/keystrokes.mjs").Output()
	var took []float64 // milliseconds
	if err != nil || json.Unmarshal(out, &took) != nil || len(took) < 100 {
		t.Fatalf("keystrokes.mjs: %v\n%s", err, out)
	}
	var keys []time.Duration
	for _, ms := range took {
		keys = append(keys, time.Duration(ms*float64(time.Millisecond)))
	}
	p95 := percentile(keys, 95)
	return []line{{
		id: "B14", what: "search: a key among 500 providers, p95", measured: show(p95), yardstick: "median " + show(median(keys)),
		allowed: "16 ms", excess: float64(p95) / float64(16*time.Millisecond),
	}}
}

// bundle weighs the pages as they would travel.
func bundle(t *testing.T) []line {
	var all int
	err := filepath.WalkDir("../../frontend/dist", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		_, _ = w.Write(data)
		_ = w.Close()
		all += b.Len()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	kB := float64(all) / 1000
	return []line{{id: "B15", what: "the pages, gzip", measured: fmt.Sprintf("%.0f kB", kB), yardstick: "–", allowed: "250 kB", excess: kB / 250, broken: kB > 250}}
}
