//go:build bench && linux

package bench

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"keyturn/app/e2e/rig"
)

// oneConnect clicks Connect in the real tray of the real desktop program, and
// follows to the page that shows the outcome. Every run starts the program
// anew, because it opens no more than four pages a minute.
func oneConnect(t *testing.T) []line {
	d := newDesktop(t)
	a := serve(t, time.Hour, 10*time.Millisecond)
	var opened, alone, shown, provider []time.Duration
	for range runs {
		k := crowded(t, d.env...)
		a.known(t, k)
		arrivals := letterbox(t, k)
		k.Run("keyturn-desktop", "--hidden")
		tray := d.Tray()
		entry := tray.Wait("Connect", "Bench")
		// A click in the moment after a line has changed is not counted: it may
		// have been meant for what was there before.
		time.Sleep(600 * time.Millisecond)

		begun := time.Now()
		tray.Press(entry)
		at := next(t, arrivals)
		opened = append(opened, at.when.Sub(begun))

		callback := rig.NewPerson(t).Consent(at.url, map[string]string{"answer": "allow", "account": "ada"})
		browser := &http.Client{Timeout: 10 * time.Second}
		worked := a.worked()
		begun = time.Now()
		page := get(t, browser, callback)
		took := time.Since(begun)
		if !strings.Contains(page, "ada@") {
			t.Fatalf("the first page does not say who is connected:\n%s", page)
		}
		worked = a.worked() - worked
		shown, provider = append(shown, took-worked), append(provider, worked)
		k.Kill()

		begun = time.Now()
		if err := exec.Command(filepath.Join(k.Home, "bin", "xdg-open"), at.url).Run(); err != nil {
			t.Fatal(err)
		}
		alone = append(alone, next(t, arrivals).when.Sub(begun))
	}
	return []line{
		within("B8", "click → URL at the opener", median(opened), median(alone), "opener by hand", 10*time.Millisecond),
		within("", "callback → page with the outcome, beyond the provider", median(shown), median(provider), "the provider's own time", 25*time.Millisecond),
	}
}

// arrival is a URL at the opener.
type arrival struct {
	url  string
	when time.Time
}

// next waits for a URL at the opener, and not for ever.
func next(t *testing.T, arrivals <-chan arrival) arrival {
	t.Helper()
	select {
	case a := <-arrivals:
		return a
	case <-time.After(20 * time.Second):
		t.Fatal("no URL came to the opener")
		return arrival{}
	}
}

// letterbox makes the opener of an install hand its URL over at once.
func letterbox(t *testing.T, k *rig.Install) <-chan arrival {
	t.Helper()
	path := filepath.Join(k.Home, "letterbox")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	k.Opener(fmt.Sprintf("printf '%%s\\n' \"$1\" > %s\n", path))
	box, err := os.OpenFile(path, os.O_RDWR, 0) // both ways, so that it never ends
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { box.Close() })
	arrivals := make(chan arrival, 4)
	go func() {
		for lines := bufio.NewScanner(box); lines.Scan(); {
			arrivals <- arrival{lines.Text(), time.Now()}
		}
	}()
	return arrivals
}

// get follows a URL to the page it leads to.
func get(t *testing.T, c *http.Client, url string) (page string) {
	t.Helper()
	res, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %v\n%s", res.Status, err, body)
	}
	return string(body)
}

// aSecond is how many bogus callbacks are sent in one.
const aSecond = 10_000

// inAFlood has one genuine callback come in the middle of a flood of bogus
// ones to the same port, five times. The floods last ten seconds together,
// with -short three.
func inAFlood(t *testing.T) []line {
	long := 2 * time.Second
	if testing.Short() {
		long = 600 * time.Millisecond
	}
	a := serve(t, time.Hour, 10*time.Millisecond)
	k := rig.Prepare(t)
	a.known(t, k)
	k.Run("keyturn-headless")
	connect := func() (callback string) {
		started := k.JSON(0, "connect", "bench", "--no-browser")
		return rig.NewPerson(t).Consent(started["auth_url"].(string), map[string]string{"answer": "allow", "account": "ada"})
	}
	genuine := func(callback string) (took time.Duration) {
		begun := time.Now()
		if page, _ := rig.NewPerson(t).Follow(callback); !strings.Contains(page, "ada@") {
			t.Fatalf("the genuine one did not get through:\n%s", page)
		}
		return time.Since(begun)
	}
	var alone, amid []time.Duration
	var answered int64
	var flooded time.Duration
	// The first flood brings the program to its working size.
	callback := connect()
	_, stop := flood(t, callback)
	time.Sleep(long)
	genuine(callback)
	stop()
	time.Sleep(rest)
	before := weigh(t, k.Cmd.Process.Pid)
	for range runs {
		alone = append(alone, genuine(connect()))

		callback := connect()
		begun := time.Now()
		sent, stop := flood(t, callback)
		time.Sleep(long / 2)
		amid = append(amid, genuine(callback))
		time.Sleep(long - time.Since(begun))
		flooded += time.Since(begun)
		stop()
		answered += sent.Load()
	}
	time.Sleep(rest)
	after := weigh(t, k.Cmd.Process.Pid)
	rate := float64(answered) / flooded.Seconds()
	l := within("B9", fmt.Sprintf("genuine callback amid %.0f bogus ones a second", rate), median(amid), median(alone), "without them", time.Second)
	if rate < aSecond/2 {
		l.what += fmt.Sprintf(" (%d were meant)", aSecond)
	}
	return []line{l, {
		what:     fmt.Sprintf("   memory (PSS) after %d bogus ones", answered),
		measured: mib(after), yardstick: "before " + mib(before), ratio: after / before,
		allowed: "+ 4 MiB", excess: (after - before) / 4,
	}}
}

// flood sends bogus callbacks to where a genuine one is awaited: the right
// path, a state that nobody knows. A connection is used for ten of them.
func flood(t *testing.T, callback string) (answered *atomic.Int64, stop func()) {
	t.Helper()
	const senders = 8
	u, err := url.Parse(callback)
	if err != nil {
		t.Fatal(err)
	}
	bogus := "GET " + u.Path + "?code=x&state=" + strings.Repeat("A", 43) + " HTTP/1.1\r\nHost: " + u.Host + "\r\n\r\n"
	answered = new(atomic.Int64)
	ended := make(chan struct{})
	begun := time.Now()
	var all sync.WaitGroup
	for range senders {
		all.Go(func() {
			for n := 0; ; {
				c, err := net.Dial("tcp", u.Host)
				if err != nil {
					select {
					case <-ended:
						return
					case <-time.After(time.Millisecond):
						continue
					}
				}
				for in, i := bufio.NewReader(c), 0; i < 10; i, n = i+1, n+1 {
					time.Sleep(time.Until(begun.Add(time.Duration(n) * senders * time.Second / aSecond)))
					select {
					case <-ended:
						c.Close()
						return
					default:
					}
					if _, err := io.WriteString(c, bogus); err != nil {
						break
					}
					res, err := http.ReadResponse(in, nil)
					if err != nil {
						break
					}
					_, _ = io.Copy(io.Discard, res.Body)
					res.Body.Close()
					answered.Add(1)
				}
				c.Close()
			}
		})
	}
	return answered, sync.OnceFunc(func() { close(ended); all.Wait() })
}
