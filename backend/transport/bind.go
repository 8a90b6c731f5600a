package transport

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"syscall"

	"keyturn/backend/fault"
	"keyturn/backend/oauth"
)

var (
	ipv4 = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	ipv6 = netip.IPv6Loopback()
)

// freePortTries is how often another free port is looked for when one is free
// on 127.0.0.1 and taken on ::1.
const freePortTries = 16

// bind opens the sockets that a redirect rule asks for: 127.0.0.1 always, and
// ::1 at the same port when the redirect URI says localhost. A browser may try
// either address for that name, and whoever holds the other one would get the
// code (RFC 8252 section 8.3).
func bind(ctx context.Context, rule oauth.RedirectRule) ([]net.Listener, error) {
	for try := 1; ; try++ {
		first, err := listen(ctx, ipv4, rule.Port)
		if err != nil {
			return nil, taken(err, rule.Port)
		}
		if !rule.Localhost || !hasIPv6(ctx) {
			return []net.Listener{first}, nil
		}
		port := portOf(first)
		second, err := listen(ctx, ipv6, port)
		if err == nil {
			return []net.Listener{first, second}, nil
		}
		first.Close()
		if rule.Port != 0 || try == freePortTries {
			return nil, taken(err, port)
		}
	}
}

// bindIPv6 adds ::1 to a listener that so far had 127.0.0.1 only.
func (on *listener) bindIPv6(ctx context.Context) error {
	if hasIPv6(ctx) {
		socket, err := listen(ctx, ipv6, on.port)
		if err != nil {
			return taken(err, on.port)
		}
		on.serve(socket)
	}
	on.both = true
	return nil
}

func listen(ctx context.Context, addr netip.Addr, port int) (net.Listener, error) {
	network := "tcp4"
	if addr == ipv6 {
		network = "tcp6"
	}
	var lc net.ListenConfig
	lc.SetMultipathTCP(false) // its sockets are not in /proc/net/tcp
	return lc.Listen(ctx, network, net.JoinHostPort(addr.String(), strconv.Itoa(port)))
}

// hasIPv6 reports whether the machine has ::1 at all.
func hasIPv6(ctx context.Context) bool {
	socket, err := listen(ctx, ipv6, 0)
	if err != nil {
		return false
	}
	socket.Close()
	return true
}

func portOf(socket net.Listener) int { return socket.Addr().(*net.TCPAddr).Port }

// taken is the error for a port that could not be bound.
func taken(err error, port int) error {
	switch {
	case port == 0:
		return fault.Wrap(err, fault.PortInUse, "This computer has no free port on 127.0.0.1. Close some programs and connect again.")
	case errors.Is(err, syscall.EACCES):
		return fault.Wrap(err, fault.PortInUse, "Keyturn may not listen on port %d. Choose a callback port above 1023 and connect again.", port)
	}
	who := "another program"
	if found := holder(port); found != "" {
		who = found
	}
	return fault.Wrap(err, fault.PortInUse, "Port %d is in use by %s. Close it or choose another callback port, then connect again.", port, who)
}
