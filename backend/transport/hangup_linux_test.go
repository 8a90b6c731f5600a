package transport

import (
	"net"
	"net/netip"
	"testing"
	"time"
)

// A socket shows no owner once its program has closed it. Who relies on that
// to hide would bring a response that nobody can be asked about.
func TestAPeerThatHangsUpIsNotBelieved(t *testing.T) {
	hangUps := map[string]func(*net.TCPConn){
		"close": func(c *net.TCPConn) { c.Close() },
		"reset": func(c *net.TCPConn) { _ = c.SetLinger(0); c.Close() },
	}
	for _, source := range SourceNames {
		for name, hangUp := range hangUps {
			t.Run(name+", asked of the "+source, func(t *testing.T) {
				UseSource(t, source)
				socket, err := net.Listen("tcp4", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				defer socket.Close()
				browser, err := net.Dial("tcp4", socket.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				us, err := socket.Accept()
				if err != nil {
					t.Fatal(err)
				}
				defer us.Close()
				if got := peerOf(us); got != peerOurs {
					t.Fatalf("before: %v, want ours", got)
				}
				hangUp(browser.(*net.TCPConn))
				time.Sleep(10 * time.Millisecond)
				if got := peerOf(us); got != peerGone {
					t.Errorf("after: %v, want gone", got)
				}
			})
		}
	}
}

// Where no connection matches, the kernel offers a socket that listens on the
// port instead.
func TestAListenerIsNotTakenForAPeer(t *testing.T) {
	socket, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	at, _ := addrPort(socket.Addr())
	nobody := netip.AddrPortFrom(at.Addr(), 1)
	for _, source := range sources {
		if o, found, err := source(at, nobody); err != nil || found {
			t.Errorf("found %+v, %v", o, err)
		}
	}
}
