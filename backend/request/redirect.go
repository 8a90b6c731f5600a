package request

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"keyturn/backend/fault"
	"keyturn/backend/oauth"
	"keyturn/backend/text"
)

// redirects are the statuses that point elsewhere (RFC 9110 section 15.4).
var redirects = map[int]bool{
	http.StatusMovedPermanently:  true,
	http.StatusFound:             true,
	http.StatusSeeOther:          true,
	http.StatusTemporaryRedirect: true,
	http.StatusPermanentRedirect: true,
}

// harmless are the headers of the caller that a host without the token may
// see: what is asked for, and in which form.
var harmless = []string{"Accept", "Accept-Encoding", "Accept-Language", "User-Agent", "Range", "If-Range", "If-None-Match", "If-Modified-Since"}

// follow turns the trip to where the answer a points, and reports whether it
// did; the answer gets a note when it did not.
func (t *trip) follow(a *Answer, location string) bool {
	stay := func(format string, args ...any) bool {
		a.Note = "The redirect was not followed: " + fmt.Sprintf(format, args...) + "."
		return false
	}
	if t.hops == maxRedirects {
		return stay("there have been %d already", maxRedirects)
	}
	target, err := t.url.Parse(location)
	if err != nil {
		return stay("it does not lead to an address")
	}
	target.Fragment, target.RawFragment = "", ""
	if t.url.Scheme == "https" && target.Scheme != "https" {
		return stay("it leads from https to something less")
	}
	allowed, refused := t.provider.APIAddress(target.String())
	if refused != nil && fault.CodeOf(refused) != fault.HostNotAllowed {
		return stay("it leads to an address that is not usable")
	}
	leaves := t.away || refused != nil
	if leaves && !mayLeaveTo(target) {
		return stay("%s is not a host that may be contacted", text.Clean(target.Host, 120))
	}

	method, body, header := t.method, t.body, t.header.Clone()
	if becomesGet(a.Status, method) {
		method, body = http.MethodGet, nil
		for name := range header {
			if strings.HasPrefix(name, "Content-") {
				header.Del(name)
			}
		}
	}
	switch {
	case body != nil && leaves:
		return stay("it would send the body to %s, a host that tokens are not sent to", text.Clean(target.Host, 120))
	case body != nil && !body.again():
		return stay("the body was sent already and cannot be sent a second time")
	}
	t.hops++
	t.method, t.body, t.header, t.url = method, body, header, target
	if !leaves {
		t.url = allowed
		return true
	}
	t.away, t.server = true, oauth.Server{} // public addresses only
	t.header = http.Header{}
	for _, name := range harmless {
		if v, ok := header[name]; ok {
			t.header[name] = v
		}
	}
	return true
}

// becomesGet reports whether a redirect is to be followed with GET (RFC 9110
// section 15.4.2 to 15.4.4).
func becomesGet(status int, method string) bool {
	switch status {
	case http.StatusMovedPermanently, http.StatusFound:
		return method == http.MethodPost
	case http.StatusSeeOther:
		return method != http.MethodGet && method != http.MethodHead
	}
	return false
}

// mayLeaveTo reports whether a redirect may lead to u without the token: by
// https, to a name. An answer of the provider is no reason to talk to an
// address of somebody's own network, or to this computer.
func mayLeaveTo(u *url.URL) bool {
	if u.Scheme != "https" || oauth.ValidEndpoint(u.String(), false) != nil {
		return false
	}
	host := strings.ToLower(u.Hostname())
	if _, err := netip.ParseAddr(host); err == nil {
		return false
	}
	return host != "localhost" && !strings.HasSuffix(host, ".localhost")
}
