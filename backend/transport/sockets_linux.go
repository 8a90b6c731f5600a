package transport

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// owner is whose a socket is.
type owner struct {
	uid  int
	gone bool // its program has closed it
}

// sources know the sockets of this network namespace; the first that can
// answer does. The kernel's own lookup takes microseconds, its lists take as
// long as they are, and a flood makes them long.
var sources = []func(local, remote netip.AddrPort) (o owner, found bool, err error){
	askKernel,
	searchTables,
}

// findSocket looks a socket up by its two ends.
func findSocket(local, remote netip.AddrPort) (o owner, found bool) {
	for _, source := range sources {
		if o, found, err := source(local, remote); err == nil {
			return o, found
		}
	}
	return owner{}, false
}

// Sizes of struct inet_diag_sockid, inet_diag_req_v2 and inet_diag_msg
// (linux/inet_diag.h).
const (
	sockidSize  = 48
	diagReqSize = 8 + sockidSize
	diagMsgSize = 4 + sockidSize + 20
)

var errNoDiag = errors.New("sock_diag: no usable answer")

// askKernel asks for one socket over netlink (sock_diag(7)).
func askKernel(local, remote netip.AddrPort) (o owner, found bool, err error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return owner{}, false, err
	}
	defer unix.Close(fd)
	limit := unix.NsecToTimeval(int64(time.Second))
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit); err != nil {
		return owner{}, false, err
	}
	var id [sockidSize]byte
	binary.BigEndian.PutUint16(id[0:], local.Port())
	binary.BigEndian.PutUint16(id[2:], remote.Port())
	copy(id[4:20], local.Addr().AsSlice())
	copy(id[20:36], remote.Addr().AsSlice())
	for i := 40; i < 48; i++ {
		id[i] = 0xff // INET_DIAG_NOCOOKIE
	}
	family := byte(unix.AF_INET)
	if local.Addr().Is6() {
		family = unix.AF_INET6
	}
	req := make([]byte, 0, unix.SizeofNlMsghdr+diagReqSize)
	req = binary.NativeEndian.AppendUint32(req, unix.SizeofNlMsghdr+diagReqSize)
	req = binary.NativeEndian.AppendUint16(req, unix.SOCK_DIAG_BY_FAMILY)
	req = binary.NativeEndian.AppendUint16(req, unix.NLM_F_REQUEST)
	req = append(req, make([]byte, 8)...) // sequence and port: one question on a socket of its own
	req = append(req, family, unix.IPPROTO_TCP, 0, 0)
	req = binary.NativeEndian.AppendUint32(req, ^uint32(0)) // in any state
	req = append(req, id[:]...)
	if err := unix.Sendto(fd, req, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return owner{}, false, err
	}
	var buf [4096]byte
	n, _, err := unix.Recvfrom(fd, buf[:], 0)
	if err != nil {
		return owner{}, false, err
	}
	if n < unix.SizeofNlMsghdr+4 {
		return owner{}, false, errNoDiag
	}
	body := buf[unix.SizeofNlMsghdr:n]
	switch kind := binary.NativeEndian.Uint16(buf[4:]); {
	case kind == unix.NLMSG_ERROR:
		errno := unix.Errno(-int32(binary.NativeEndian.Uint32(body)))
		if errno == unix.ENOENT {
			return owner{}, false, nil
		}
		return owner{}, false, errno
	case kind != unix.SOCK_DIAG_BY_FAMILY || len(body) < diagMsgSize:
		return owner{}, false, errNoDiag
	}
	// Without a socket of these two ends the kernel offers one that listens.
	if !bytes.Equal(body[4:8], id[0:4]) {
		return owner{}, false, nil
	}
	uid, inode := binary.NativeEndian.Uint32(body[64:]), binary.NativeEndian.Uint32(body[68:])
	return owner{uid: int(uid), gone: inode == 0}, true, nil
}

// table is one of the kernel's lists of sockets, and how it writes addresses.
type table struct {
	path  string
	bytes func(netip.Addr) []byte
}

// tables are those of TCP (proc_pid_net(5)). A socket for both families is in
// the second one, with IPv4 mapped into IPv6.
var tables = []table{
	{"/proc/net/tcp", netip.Addr.AsSlice},
	{"/proc/net/tcp6", func(a netip.Addr) []byte { wide := a.As16(); return wide[:] }},
}

// searchTables reads the lists. One may skip a row while others come and go,
// so it looks twice.
func searchTables(local, remote netip.AddrPort) (o owner, found bool, err error) {
	for range 2 {
		for _, t := range tables {
			l, r := t.hex(local), t.hex(remote)
			eachSocket(t.path, l, func(s socketRow) bool {
				if s.local == l && s.remote == r {
					o, found = owner{uid: s.uid, gone: s.inode == "0"}, true
				}
				return !found
			})
			if found {
				return o, true, nil
			}
		}
	}
	return owner{}, false, nil
}

// socketRow is one line of a table, as far as it is of use here.
type socketRow struct {
	local, remote string // hexadecimal address:port
	state         string
	uid           int
	inode         string
}

const listening = "0A"

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
			continue
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
