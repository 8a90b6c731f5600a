package oauth

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"
)

// A name in public space must not lead into this machine or its network:
// whoever controls the name could make us talk to what listens there. So the
// address is looked at when it is dialled, after the last DNS answer, and
// refused unless it is public or somebody named that host:
//
//   - a host that is an address itself is connected to as written (what a
//     published document may say is checked by Discover);
//   - the issuer's host and Server.TrustedHosts were named by a person and may
//     be anywhere but a multicast or unspecified address;
//   - localhost may be loopback when Server.AllowLoopbackHTTP.
//
// Behind an HTTPS proxy the dialler sees the proxy only. The name is then
// looked up here as well and refused when it leads into a private network; a
// name that only the proxy can resolve is the proxy's to judge.

var errBlocked = errors.New("address is not allowed")

// reach says where one call may be connected to. The zero reach allows public
// addresses only.
type reach struct {
	any      bool
	loopback bool
	proxied  bool // the connection goes to the user's proxy
}

type reachKey struct{}

// reachOf returns how far a call to host may reach.
func (s Server) reachOf(host string) reach {
	if _, err := netip.ParseAddr(host); err == nil {
		return reach{any: true}
	}
	issuer, err := url.Parse(s.Issuer)
	if err == nil && !s.UntypedIssuer && issuer.Hostname() != "" && strings.EqualFold(issuer.Hostname(), host) {
		return reach{any: true}
	}
	if slices.ContainsFunc(s.TrustedHosts, func(t string) bool { return strings.EqualFold(t, host) }) {
		return reach{any: true}
	}
	return reach{loopback: s.AllowLoopbackHTTP && strings.EqualFold(host, "localhost")}
}

func (r reach) allows(addr netip.Addr) bool {
	addr = embedded(addr)
	switch {
	case r.proxied:
		return true
	case addr.IsUnspecified() || addr.IsMulticast():
		return false
	case r.any || isPublic(addr):
		return true
	}
	return r.loopback && addr.IsLoopback()
}

// control is a net.Dialer.ControlContext: it sees each address before the
// connection is made.
func control(ctx context.Context, _, address string, _ syscall.RawConn) error {
	r, ok := ctx.Value(reachKey{}).(reach)
	ap, err := netip.ParseAddrPort(address)
	if !ok || err != nil || !r.allows(ap.Addr()) {
		return errBlocked
	}
	return nil
}

// checkBehindProxy applies r to what the local resolver knows of a name.
func (r reach) checkBehindProxy(ctx context.Context, host string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	addrs, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil
	}
	for _, addr := range addrs {
		if !r.allows(addr) {
			return errBlocked
		}
	}
	return nil
}

// notPublic lists what net/netip has no word for (IANA special-purpose registries).
var notPublic = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"),
	netip.MustParsePrefix("100.64.0.0/10"), // carrier-grade NAT
	netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"),
	netip.MustParsePrefix("240.0.0.0/4"),
	netip.MustParsePrefix("100::/64"),
	netip.MustParsePrefix("64:ff9b:1::/48"), // local-use NAT64
	netip.MustParsePrefix("2001::/23"),      // Teredo and others
	netip.MustParsePrefix("2001:db8::/32"),
	netip.MustParsePrefix("3fff::/20"),
	netip.MustParsePrefix("5f00::/16"),
	netip.MustParsePrefix("fec0::/10"), // site-local
}

// isPublic reports whether addr is out on the Internet.
func isPublic(addr netip.Addr) bool {
	addr = embedded(addr)
	return addr.IsGlobalUnicast() && !addr.IsPrivate() &&
		!slices.ContainsFunc(notPublic, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// embedded returns the IPv4 address that an IPv6 one stands for: mapped,
// NAT64 (RFC 6052), 6to4 (RFC 3056). Others are returned as they are.
func embedded(addr netip.Addr) netip.Addr {
	addr = addr.Unmap().WithZone("")
	if !addr.Is6() {
		return addr
	}
	b := addr.As16()
	switch {
	case netip.MustParsePrefix("64:ff9b::/96").Contains(addr):
		return netip.AddrFrom4([4]byte(b[12:16]))
	case b[0] == 0x20 && b[1] == 0x02:
		return netip.AddrFrom4([4]byte(b[2:6]))
	case [12]byte(b[:12]) == [12]byte{} && addr != netip.IPv6Loopback() && !addr.IsUnspecified():
		return netip.AddrFrom4([4]byte(b[12:16]))
	}
	return addr
}
