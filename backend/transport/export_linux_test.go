package transport

import (
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

// SourceNames are the ways to find a socket's owner.
var SourceNames = []string{"kernel", "tables"}

// UseSource lets one test find owners in one way only; "" hides every socket.
func UseSource(t *testing.T, name string) {
	was, wasTables := sources, tables
	t.Cleanup(func() { sources, tables = was, wasTables })
	switch name {
	case "kernel":
		sources = was[:1]
	case "tables":
		sources = append(was[:0:0], noNetlink, was[1])
	default:
		sources = append(was[:0:0], noNetlink, was[1])
		tables = []table{{"/proc/net/there-is-none", tables[0].bytes}}
	}
}

// noNetlink stands for a sandbox that forbids netlink.
func noNetlink(netip.AddrPort, netip.AddrPort) (owner, bool, error) {
	return owner{}, false, unix.EPERM
}
