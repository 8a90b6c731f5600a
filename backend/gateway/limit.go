package gateway

import (
	"net"
	"net/netip"
	"sync"
	"time"
)

const (
	usualPerMinute = 120
	// maxAddresses is how many addresses are remembered: beyond it all share
	// one allowance, which a flood from everywhere uses up for itself only as
	// long as it lasts.
	maxAddresses = 100_000
)

// limit counts callbacks by address, anew each minute.
type limit struct {
	perMinute int

	mu     sync.Mutex
	minute int64
	seen   map[netip.Prefix]int
}

func newLimit(perMinute int) *limit {
	if perMinute <= 0 {
		perMinute = usualPerMinute
	}
	return &limit{perMinute: perMinute, seen: map[netip.Prefix]int{}}
}

// allow takes one from the allowance of an address. IPv6 is counted by network:
// one customer has all addresses of a /64.
func (l *limit) allow(host string, now time.Time) bool {
	addr, err := netip.ParseAddr(host)
	bits := 32
	if err != nil {
		addr, bits = netip.IPv4Unspecified(), 0
	} else if addr = addr.Unmap(); addr.Is6() {
		bits = 64
	}
	network, err := addr.WithZone("").Prefix(bits)
	if err != nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if minute := now.Unix() / 60; minute != l.minute {
		l.minute = minute
		clear(l.seen)
	}
	if _, known := l.seen[network]; !known && len(l.seen) >= maxAddresses {
		network = netip.Prefix{}
	}
	l.seen[network]++
	return l.seen[network] <= l.perMinute
}

// hostOf is the host of an address with or without a port.
func hostOf(address string) string {
	if host, _, err := net.SplitHostPort(address); err == nil {
		return host
	}
	return address
}
