package transport

import (
	"net"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// peer is whose the other end of a connection is.
type peer int

const (
	peerUnknown peer = iota // not on this system, or in another network namespace
	peerOurs
	peerForeign
	peerGone // hung up, and cannot be asked any more
)

// peerOf finds the user who owns the other end of a connection over loopback.
//
// A socket that its program has closed already shows no owner, and a program
// of another user could hope to be taken for one that cannot be found. So a
// peer that has hung up is not believed: a browser waits for its answer.
func peerOf(c net.Conn) peer {
	us, ok1 := addrPort(c.LocalAddr())
	them, ok2 := addrPort(c.RemoteAddr())
	if !ok1 || !ok2 {
		return peerUnknown
	}
	o, found := findSocket(them, us)
	switch {
	case !found && hasHungUp(c):
		return peerGone
	case !found:
		return peerUnknown
	case o.gone:
		return peerGone
	case o.uid != os.Geteuid():
		return peerForeign
	}
	return peerOurs
}

func addrPort(a net.Addr) (netip.AddrPort, bool) {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}, false
	}
	ap := tcp.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap().WithZone(""), ap.Port()), true
}

// established is TCP_ESTABLISHED of the kernel.
const established = 1

// hasHungUp reports whether the peer has closed its end. A connection that is
// established now was so all the time.
func hasHungUp(c net.Conn) bool {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return true
	}
	up := false
	err = raw.Control(func(fd uintptr) {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		up = err == nil && info.State == established
	})
	return err != nil || !up
}
