package oauth

import (
	"context"
	"net/netip"
	"testing"
)

func TestOnlyPublicAddressesAreReachedByName(t *testing.T) { // DI-12, DI-14
	s := Server{Issuer: "https://idp.example", TrustedHosts: []string{"Typed.example"}, AllowLoopbackHTTP: true}
	const other, issuer, typed, local = "token.example", "IDP.example", "typed.example", "localhost"
	for _, c := range []struct {
		address string
		reached string // by which names
	}{
		{"93.184.216.34", "oitl"}, {"2606:4700::1111", "oitl"}, {"::ffff:93.184.216.34", "oitl"}, {"64:ff9b::5db8:d822", "oitl"},
		{"127.0.0.1", "itl"}, {"127.9.9.9", "itl"}, {"::1", "itl"}, {"::ffff:127.0.0.1", "itl"}, {"64:ff9b::7f00:1", "itl"}, {"2002:7f00:1::", "itl"}, {"::127.0.0.1", "itl"},
		{"10.0.0.1", "it"}, {"172.16.0.1", "it"}, {"192.168.1.1", "it"}, {"100.64.0.1", "it"}, {"169.254.169.254", "it"}, {"198.18.0.1", "it"}, {"240.0.0.1", "it"}, {"255.255.255.255", "it"}, {"192.0.0.8", "it"}, {"0.1.2.3", "it"},
		{"fe80::1", "it"}, {"fc00::1", "it"}, {"fd12::1", "it"}, {"fec0::1", "it"}, {"2001::1", "it"}, {"64:ff9b::a00:1", "it"}, {"2002:a00:1::", "it"}, {"2001:db8::1", "it"},
		{"0.0.0.0", ""}, {"::", ""}, {"224.0.0.1", ""}, {"ff02::1", ""}, {"::ffff:0.0.0.0", ""},
	} {
		addr := netip.MustParseAddr(c.address)
		got := ""
		for _, name := range []struct{ letter, host string }{{"o", other}, {"i", issuer}, {"t", typed}, {"l", local}} {
			ctx := context.WithValue(t.Context(), reachKey{}, s.reachOf(name.host))
			if control(ctx, "tcp", netip.AddrPortFrom(addr, 443).String(), nil) == nil {
				got += name.letter
			}
		}
		if got != c.reached {
			t.Errorf("%s is reached by %q, want %q", c.address, got, c.reached)
		}
	}
	s.AllowLoopbackHTTP = false
	if s.reachOf(local).allows(netip.MustParseAddr("127.0.0.1")) {
		t.Error("localhost leads inward without permission")
	}
	if control(t.Context(), "tcp", "93.184.216.34:443", nil) == nil {
		t.Error("a dial without a rule was allowed")
	}
}

func TestBehindAProxyANameThatLeadsInwardIsRefusedHere(t *testing.T) { // DI-16
	for _, c := range []struct {
		reach reach
		host  string
		ok    bool
	}{
		{reach{}, "localhost", false},
		{reach{loopback: true}, "localhost", true},
		{reach{any: true}, "localhost", true},
		{reach{}, "only-the-proxy-knows.invalid", true},
	} {
		if err := c.reach.checkBehindProxy(t.Context(), c.host); (err == nil) != c.ok {
			t.Errorf("%+v %s: %v", c.reach, c.host, err)
		}
	}
}
