package oauth

import (
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"keyturn/backend/fault"
)

// maxURL is how long a URL may be that we read or make.
const maxURL = 8 << 10

// ValidEndpoint returns nil when raw is a URL that may be called or opened:
// https (or http on a loopback host, when that is allowed), a host in its one
// plain spelling, no user name, no fragment, no character that a shell, a
// browser or another parser could read differently. The error is a
// fault.BadRequest that says what to change.
func ValidEndpoint(raw string, allowLoopbackHTTP bool) error {
	refuse := func(why string) error { return fault.New(fault.BadRequest, "The address is not usable: %s.", why) }
	if raw == "" {
		return refuse("it is empty")
	}
	if len(raw) > maxURL {
		return refuse("it is too long")
	}
	for i := range len(raw) {
		if c := raw[i]; c <= 0x20 || c >= 0x7f || strings.IndexByte("\\\"<>^`{|}", c) >= 0 {
			return refuse("it holds a character that does not belong in a URL")
		}
	}
	plain := strings.HasPrefix(raw, "http://")
	if !plain && !strings.HasPrefix(raw, "https://") {
		return refuse("it must start with https://")
	}
	u, err := url.Parse(raw)
	if err != nil {
		return refuse("it is not a URL")
	}
	switch {
	case u.User != nil:
		return refuse("it must not hold a user name or password")
	case strings.Contains(raw, "#"):
		return refuse("it must not hold a fragment (#)")
	case !validPort(u):
		return refuse("its port is not a number from 1 to 65535")
	case !validHost(u.Host, u.Hostname()):
		return refuse("its host is not a plain host name or IP address")
	case plain && !isLoopbackHost(u.Hostname()):
		return refuse("it must start with https://; http is for hosts on this computer")
	case plain && !allowLoopbackHTTP:
		return refuse("it must start with https://; http on this computer has to be allowed for the provider")
	}
	return nil
}

// validPort refuses an empty port and one with signs or leading zeros.
func validPort(u *url.URL) bool {
	port := u.Port()
	if port == "" {
		return !strings.HasSuffix(u.Host, ":")
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0 && port[0] != '0'
}

// validHost accepts an IP address in its usual spelling or a name of letters,
// digits and hyphens. Spellings that only some parsers read as an address
// (2130706433, 0x7f.1, 127.1) are refused: a name does not end in a number.
func validHost(host, name string) bool {
	if strings.HasPrefix(host, "[") {
		addr, err := netip.ParseAddr(name)
		return err == nil && addr.Is6() && !addr.Is4In6() && addr.Zone() == "" && !addr.IsUnspecified() && !addr.IsMulticast()
	}
	if addr, err := netip.ParseAddr(name); err == nil {
		return addr.Is4() && !addr.IsUnspecified() && !addr.IsMulticast()
	}
	if len(name) > 253 {
		return false
	}
	labels := strings.Split(name, ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := range len(label) {
			if c := label[i]; c != '-' && !isAlnum(c) {
				return false
			}
		}
	}
	last := labels[len(labels)-1]
	return strings.Trim(last, "0123456789") != "" && !strings.HasPrefix(strings.ToLower(last), "0x")
}

func isAlnum(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// isLoopbackHost reports whether host is this computer by its spelling.
func isLoopbackHost(host string) bool {
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback() || strings.EqualFold(host, "localhost")
}

// Origin returns the origin of a URL (RFC 6454 section 6.2): scheme, host in
// lower case, and the port when it is not the scheme's own. It is "" for what
// has none.
func Origin(rawURL string) string {
	u, err := url.Parse(rawURL)
	if err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http" {
		return ""
	}
	host := strings.ToLower(u.Hostname())
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	port := u.Port()
	if port == "" || u.Scheme == "https" && port == "443" || u.Scheme == "http" && port == "80" {
		return u.Scheme + "://" + host
	}
	return u.Scheme + "://" + host + ":" + port
}
