package demo

import (
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"keyturn/backend/fault"
)

// free returns a port that nobody has at the moment.
func free(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

func listens(h *Host) bool {
	c, err := net.Dial("tcp4", h.address)
	if err != nil {
		return false
	}
	c.Close()
	return true
}

// until waits for a condition on real sockets.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not in time: " + what)
		}
	}
}

func TestTheHostListensOnlyWhileUsed(t *testing.T) {
	h := NewHost(t.TempDir(), free(t))
	h.linger = 50 * time.Millisecond
	defer h.Close()
	if listens(h) {
		t.Fatal("it listens before anybody uses it")
	}
	var releases []func()
	var mu sync.Mutex
	var users sync.WaitGroup
	for range 8 {
		users.Go(func() {
			release, err := h.Use()
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			releases = append(releases, release)
		})
	}
	users.Wait()
	resp, err := http.Get("http://" + h.address + "/")
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatal(resp, err)
	}
	resp.Body.Close()
	for _, release := range releases[1:] {
		release()
		release() // a second time is none
	}
	time.Sleep(150 * time.Millisecond)
	if !listens(h) {
		t.Fatal("it stopped under its last user")
	}
	releases[0]()
	again, err := h.Use() // within the time it lingers
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(150 * time.Millisecond)
	if !listens(h) {
		t.Fatal("it stopped under a user who came back")
	}
	again()
	until(t, "the port is free again", func() bool { return !listens(h) })
	back, err := h.Use()
	if err != nil || !listens(h) {
		t.Fatal("it does not start a second time:", err)
	}
	back()
}

func TestATakenPortIsSaid(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := NewHost(t.TempDir(), l.Addr().(*net.TCPAddr).Port)
	defer h.Close()
	if _, err := h.Use(); fault.CodeOf(err) != fault.PortInUse || !strings.Contains(fault.MessageOf(err), h.address) {
		t.Fatal(err)
	}
	l.Close()
	release, err := h.Use()
	if err != nil {
		t.Fatal("it does not recover:", err)
	}
	release()
}

func TestAClosedHostStaysClosed(t *testing.T) {
	h := NewHost(t.TempDir(), free(t))
	release, err := h.Use()
	if err != nil {
		t.Fatal(err)
	}
	h.Close()
	release()
	if _, err := h.Use(); err == nil || listens(h) {
		t.Error("it came back:", err)
	}
}
