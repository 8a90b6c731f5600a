//go:build bench && linux

package bench

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"keyturn/app/e2e/rig"
	"keyturn/backend/api/wire"
)

// rest is how long a program is left alone before it is weighed: by then it has
// given back what only its start needed (app/idle_linux.go). PSS falls by that,
// though the system may keep the pages as cache as long as nobody needs the room.
const rest = 1500 * time.Millisecond

// memory weighs the programs at rest, the desktop before its first window. The
// budgets are for a hundred connections.
func memory(t *testing.T) (all []line) {
	for _, n := range crowds {
		all = append(all, memoryWith(t, n)...)
	}
	return all
}

func memoryWith(t *testing.T, crowd int) []line {
	var headless, hellos, desktops, blanks []float64
	runs := runs
	if crowd != 100 {
		runs = 3
	}
	d := newDesktop(t)
	path := blank(t)
	for range runs {
		k := crowdedBy(t, crowd)
		k.Run("keyturn-headless")
		headless = append(headless, atRest(t, k, crowd))
		k.Kill()

		greeter, socket, _ := hello(t)
		answered(t, socket, "/")
		time.Sleep(rest)
		hellos = append(hellos, weigh(t, greeter.Process.Pid))
		end(greeter)

		k = crowdedBy(t, crowd, d.env...)
		k.Run("keyturn-desktop", "--hidden")
		d.Tray().Lines() // a panel reads them
		desktops = append(desktops, atRest(t, k, crowd))
		k.Kill()

		cmd, _ := d.start(t, path)
		d.Tray().Lines()
		time.Sleep(rest)
		blanks = append(blanks, weigh(t, cmd.Process.Pid))
		end(cmd)
	}
	ours, hello, desktop, blank := middle(headless), middle(hellos), middle(desktops), middle(blanks)
	return []line{
		{
			id: "B7", what: fmt.Sprintf("memory (PSS), %d connections: headless", crowd),
			measured: mib(ours), yardstick: "net/http hello " + mib(hello), ratio: ours / hello,
			allowed: "25 MiB", excess: ours / 25,
		},
		{
			what:     "                              desktop",
			measured: mib(desktop), yardstick: "blank program " + mib(blank), ratio: desktop / blank,
			allowed: "blank + 15 MiB", excess: desktop / (blank + 15),
		},
	}
}

// atRest weighs a program that has all its connections and nothing to do.
func atRest(t *testing.T, k *rig.Install, crowd int) float64 {
	t.Helper()
	c := over(k.Socket())
	defer c.CloseIdleConnections()
	rig.Eventually(t, 5*time.Second, "the connections to be there", func() bool {
		res, err := c.Get("http://keyturn/v1/connections")
		if err != nil {
			return false
		}
		defer res.Body.Close()
		var got wire.Connections
		return res.StatusCode == http.StatusOK && json.NewDecoder(res.Body).Decode(&got) == nil && len(got.Connections) == crowd
	})
	time.Sleep(rest)
	return weigh(t, k.Cmd.Process.Pid)
}

// weigh returns the memory of a process and all below it in MiB: its own pages
// and its share of those that others use, too (PSS).
func weigh(t *testing.T, pid int) (total float64) {
	t.Helper()
	proc := fmt.Sprintf("/proc/%d/", pid)
	rollup, err := os.ReadFile(proc + "smaps_rollup")
	if err != nil {
		t.Fatal(err)
	}
	_, after, found := strings.Cut(string(rollup), "\nPss:")
	fields := strings.Fields(after)
	if !found || len(fields) < 2 || fields[1] != "kB" {
		t.Fatalf("no Pss in %ssmaps_rollup:\n%s", proc, rollup)
	}
	kib, err := strconv.Atoi(fields[0])
	if err != nil {
		t.Fatal(err)
	}
	total = float64(kib) / 1024
	threads, err := os.ReadDir(proc + "task")
	if err != nil {
		t.Fatal(err)
	}
	for _, thread := range threads {
		children, _ := os.ReadFile(proc + "task/" + thread.Name() + "/children") // it may have ended
		for _, child := range strings.Fields(string(children)) {
			pid, _ := strconv.Atoi(child)
			total += weigh(t, pid)
		}
	}
	return total
}

func mib(f float64) string { return three(f) + " MiB" }

func middle(all []float64) float64 { return slices.Sorted(slices.Values(all))[len(all)/2] }
