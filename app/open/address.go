package open

import (
	"net"
	"net/url"
	"strconv"
	"strings"

	"keyturn/backend/fault"
)

// maxLength is the longest URL that browsers and openers agree on.
const maxLength = 8 << 10

// An address is a URL that may be opened. Only parse makes one.
//
// It is https, or http to this machine; it names a host in ASCII, so that a
// homograph shows as the punycode it is; it holds no user, no fragment, and
// no byte that a shell, a desktop file or a log reads as anything but itself.
type address struct{ s string }

// parse returns the address that raw is. Characters of path and query that
// have no business in a URL (RFC 3986 section 2) are percent-encoded; anything
// else out of order is refused. parse of an address is that address.
func parse(raw string) (address, error) {
	if raw == "" || len(raw) > maxLength {
		return address{}, refused("it is empty or too long")
	}
	for i := 0; i < len(raw); i++ {
		if raw[i] < 0x21 || raw[i] > 0x7e {
			return address{}, refused("it holds a blank, a control character or a letter beyond ASCII")
		}
	}
	raw, fragment := ownFragment(raw)
	scheme, rest, ok := strings.Cut(raw, "://")
	scheme = strings.ToLower(scheme)
	if !ok || scheme != "https" && scheme != "http" {
		return address{}, refused("only https addresses are opened")
	}
	authority, tail := rest, ""
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		authority, tail = rest[:end], rest[end:]
	}
	if strings.Contains(tail, "#") {
		return address{}, refused("it has a fragment")
	}
	authority = strings.ToLower(authority)
	host, err := hostOf(authority)
	if err != nil {
		return address{}, err
	}
	if scheme == "http" && !loopback(host) {
		return address{}, refused("http is opened only on this machine")
	}
	a := address{scheme + "://" + authority + encode(tail) + fragment}

	// The standard library has to read the same thing as we did.
	u, err := url.Parse(a.s)
	if err != nil || len(a.s) > maxLength || u.Scheme != scheme || u.Host != authority ||
		u.User != nil || u.Opaque != "" || u.Fragment != strings.TrimPrefix(fragment, "#") || !wellEscaped(u.RawQuery) {
		return address{}, refused("it is malformed")
	}
	return a, nil
}

// ownFragment splits off the fragment of a page of this machine, which is how
// a link into the browser UI says its secret to the page and to nobody else.
func ownFragment(raw string) (rest, fragment string) {
	rest, after, ok := strings.Cut(raw, "#")
	if !ok || !strings.HasPrefix(rest, "http://127.0.0.1:") || after == "" || len(after) > 128 ||
		strings.Trim(after, "=-_ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789") != "" {
		return raw, ""
	}
	return rest, "#" + after
}

// hostOf returns the host of an authority without a user: a name or an IPv4
// address in plain ASCII, or an IPv6 address in brackets; then maybe a port.
func hostOf(authority string) (string, error) {
	host, port := authority, ""
	bracketed := strings.HasPrefix(authority, "[")
	if at := strings.LastIndexByte(authority, ':'); at > strings.LastIndexByte(authority, ']') {
		host, port = authority[:at], authority[at+1:]
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return "", refused("its port is not a number")
		}
	}
	if bracketed {
		inner := strings.TrimSuffix(host[1:], "]")
		if ip := net.ParseIP(inner); ip == nil || !strings.Contains(inner, ":") || len(inner) != len(host)-2 {
			return "", refused("its host is malformed")
		}
		return inner, nil
	}
	named := false
	for i := 0; i < len(host); i++ {
		switch c := host[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
			named = true
		case c == '-' || c == '.' || c == '_':
		default:
			return "", refused("its host is malformed")
		}
	}
	if !named {
		return "", refused("it has no host")
	}
	return host, nil
}

// loopback reports whether host is this machine and nothing else.
func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// encode percent-encodes the printable characters that RFC 3986 leaves out of
// path and query, and the single quote, which it allows and shells do not.
func encode(tail string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := 0; i < len(tail); i++ {
		switch c := tail[i]; c {
		case '"', '\'', '<', '>', '\\', '^', '`', '{', '|', '}':
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// wellEscaped reports whether each percent sign in query starts an escape;
// url.Parse looks at those of the path only.
func wellEscaped(query string) bool {
	_, err := url.QueryUnescape(query)
	return err == nil
}

// refused is the error for what is not opened; why never quotes the URL.
func refused(why string) error {
	return fault.New(fault.BadRequest, "This link is not opened in the browser: %s.", why)
}
