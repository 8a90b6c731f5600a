package provider

import (
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/publicsuffix"

	"keyturn/backend/fault"
	"keyturn/backend/oauth"
	"keyturn/backend/text"
)

// API says where access tokens may be used: nowhere else does one go.
type API struct {
	// Hosts are names, or "*." and a name for every name below it. One with a
	// port is for that port only, one without for the port of the scheme.
	Hosts []string `yaml:"hosts,omitempty" json:"hosts,omitempty"`
}

var hostPattern = regexp.MustCompile(`^(\*\.)?[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*(:[1-9][0-9]{0,4})?$`)

// APIAddress reads a URL that an access token of p may be sent to. The error
// says why it may not: fault.BadRequest for what is no plain https URL,
// fault.HostNotAllowed for a host that the entry does not name.
//
// A host has one spelling here. What a browser would still find its way with
// (capitals, a dot at the end, escapes, an address in another notation) is
// refused, because two parsers may disagree on where it leads.
func (p Provider) APIAddress(raw string) (*url.URL, error) {
	if err := oauth.ValidEndpoint(raw, p.AllowLoopbackHTTP); err != nil {
		return nil, err
	}
	u, err := url.Parse(raw)
	if err != nil {
		return nil, fault.New(fault.BadRequest, "The address is not usable: it is not a URL.")
	}
	_, rest, _ := strings.Cut(raw, "://")
	if u.Host != strings.ToLower(u.Host) || !strings.HasPrefix(rest, u.Host) {
		return nil, fault.New(fault.BadRequest, "The address is not usable: write its host in small letters, without escapes.")
	}
	if slices.ContainsFunc(p.API.Hosts, func(h string) bool { return covers(h, u) }) {
		return u, nil
	}
	host, name := text.Clean(u.Host, 120), text.Clean(p.Name, 80)
	if len(p.API.Hosts) == 0 {
		return nil, fault.New(fault.HostNotAllowed, "The entry of %s names no hosts that tokens may be sent to, so nothing was sent. For a provider of your own: keyturn providers update %s --api-hosts %s", name, p.ID, host)
	}
	return nil, fault.New(fault.HostNotAllowed, "Tokens of %s are not sent to %s, so nothing was sent. They go to %s only.", name, host, strings.Join(p.API.Hosts, ", "))
}

// covers reports whether an entry of API.Hosts names the host and port of u.
func covers(entry string, u *url.URL) bool {
	entry, port, _ := strings.Cut(entry, ":")
	if port == "" {
		port = defaultPort[u.Scheme]
	}
	actual := u.Port()
	if actual == "" {
		actual = defaultPort[u.Scheme]
	}
	if port != actual {
		return false
	}
	host := u.Hostname()
	domain, wide := strings.CutPrefix(entry, "*")
	if !wide {
		return host == entry
	}
	// An address has no names below it, although it may end like one.
	return !isAddress(host) && strings.HasSuffix(host, domain) && len(host) > len(domain)
}

var defaultPort = map[string]string{"https": "443", "http": "80"}

// APIServer is Server for calls to the hosts of API. A user who registered a
// host by its name may have it in a private network.
func (p Provider) APIServer() oauth.Server {
	s := p.Server()
	if !p.Custom {
		return s
	}
	s.TrustedHosts = slices.Clone(s.TrustedHosts)
	for _, h := range p.API.Hosts {
		if name, _, _ := strings.Cut(h, ":"); !strings.HasPrefix(name, "*") {
			s.TrustedHosts = append(s.TrustedHosts, name)
		}
	}
	return s
}

// check finds what is wrong with the entry.
func (a API) check(c *check) {
	for i, h := range a.Hosts {
		field := fmt.Sprintf("api.hosts[%d]", i)
		c.that(hostPattern.MatchString(h), field, `must be a host in small letters, or "*." and a host`)
		name, port, _ := strings.Cut(h, ":")
		_, err := strconv.ParseUint(port, 10, 16)
		c.that(port == "" || err == nil, field, "has a port beyond 65535")
		if domain, wide := strings.CutPrefix(name, "*."); wide {
			c.that(narrow(domain), field, "is wider than one domain")
		}
	}
}

// narrow reports whether all names below domain can have one owner: it is no
// address, and no suffix under which anybody may register.
func narrow(domain string) bool {
	if _, err := netip.ParseAddr(domain); err == nil || strings.Trim(domain, "0123456789.") == "" {
		return false
	}
	suffix, icann := publicsuffix.PublicSuffix(domain)
	return strings.Contains(domain, ".") && (suffix != domain || !icann)
}
