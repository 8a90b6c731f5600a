package transport

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
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

// table is one of the kernel's lists of sockets, and how it writes addresses.
type table struct {
	path  string
	bytes func(netip.Addr) []byte
}

// tables list the TCP sockets of this network namespace (proc_pid_net(5)). A
// socket for both families is in the second one, with IPv4 mapped into IPv6.
var tables = []table{
	{"/proc/net/tcp", netip.Addr.AsSlice},
	{"/proc/net/tcp6", func(a netip.Addr) []byte { wide := a.As16(); return wide[:] }},
}

// socketRow is one line of a table, as far as it is of use here.
type socketRow struct {
	local, remote string // hexadecimal address:port
	state         string
	uid           int
	inode         string
}

const (
	established = "01"
	listening   = "0A"
)

// peerOf finds the user who owns the other end of a connection over loopback.
//
// A socket that its program has closed already shows no owner, and a program
// of another user could hope to be taken for one that cannot be found. So a
// peer that has hung up is not asked for at all: a browser waits for its answer.
func peerOf(c net.Conn) peer {
	us, ok1 := addrPort(c.LocalAddr())
	them, ok2 := addrPort(c.RemoteAddr())
	if !ok1 || !ok2 {
		return peerUnknown
	}
	found, row := findSocket(them, us)
	switch {
	case !found && hasHungUp(c):
		return peerGone
	case !found:
		return peerUnknown
	case row.inode == "0":
		return peerGone
	case row.uid != os.Geteuid():
		return peerForeign
	}
	return peerOurs
}

// findSocket looks a socket up by its two ends. A table may skip a row while
// others come and go, so it looks twice.
func findSocket(local, remote netip.AddrPort) (found bool, row socketRow) {
	for range 2 {
		for _, t := range tables {
			l, r := t.hex(local), t.hex(remote)
			eachSocket(t.path, l, func(s socketRow) bool {
				if s.local == l && s.remote == r {
					found, row = true, s
				}
				return !found
			})
			if found {
				return
			}
		}
	}
	return
}

// eachSocket yields the rows of a table that hold part, until yield says no. A
// table that cannot be read has none.
func eachSocket(path, part string, yield func(socketRow) bool) {
	f, err := os.Open(path)
	if err != nil {
		return
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if !bytes.Contains(lines.Bytes(), []byte(part)) {
			continue // there may be very many
		}
		fields := strings.Fields(lines.Text())
		if len(fields) < 10 {
			continue
		}
		uid, err := strconv.Atoi(fields[7])
		if err != nil {
			continue // the heading
		}
		if !yield(socketRow{fields[1], fields[2], fields[3], uid, fields[9]}) {
			return
		}
	}
}

// hex writes an address as the table does: in 32-bit words, each in the byte
// order of the machine.
func (t table) hex(ap netip.AddrPort) string {
	var b strings.Builder
	for raw := t.bytes(ap.Addr()); len(raw) > 0; raw = raw[4:] {
		fmt.Fprintf(&b, "%08X", binary.NativeEndian.Uint32(raw))
	}
	fmt.Fprintf(&b, ":%04X", ap.Port())
	return b.String()
}

func addrPort(a net.Addr) (netip.AddrPort, bool) {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}, false
	}
	ap := tcp.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap().WithZone(""), ap.Port()), true
}

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
		up = err == nil && fmt.Sprintf("%02X", info.State) == established
	})
	return err != nil || !up
}
