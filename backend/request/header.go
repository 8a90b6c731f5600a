package request

import (
	"net/http"
	"strings"

	"keyturn/backend/fault"
	"keyturn/backend/text"
)

// notYours lists the headers that a caller may not set, and why.
var notYours = map[string]string{
	"Authorization": "Keyturn puts the token there",
	"Cookie":        "Keyturn keeps no cookies and sends none",
	"Cookie2":       "Keyturn keeps no cookies and sends none",
	"Host":          "it is the host of the address",

	"Content-Length": "it is the length of the body",

	// Of one connection, not of the request (RFC 9110 section 7.6.1).
	"Connection":        "it is about the connection, which is Keyturn's",
	"Keep-Alive":        "it is about the connection, which is Keyturn's",
	"Te":                "it is about the connection, which is Keyturn's",
	"Trailer":           "it is about the connection, which is Keyturn's",
	"Transfer-Encoding": "it is about the connection, which is Keyturn's",
	"Upgrade":           "it is about the connection, which is Keyturn's",
	"Http2-Settings":    "it is about the connection, which is Keyturn's",
}

const (
	maxHeaders     = 100
	maxHeaderBytes = 16 << 10
)

// headerOf reads what the caller wants sent.
func headerOf(given map[string]string) (http.Header, error) {
	header := make(http.Header, len(given)+2)
	total := 0
	for name, value := range given {
		if total += len(name) + len(value); len(given) > maxHeaders || total > maxHeaderBytes {
			return nil, fault.New(fault.BadRequest, "The headers are too many or too long: at most %d, and %d KiB in all.", maxHeaders, maxHeaderBytes>>10)
		}
		shown := text.Clean(name, 40)
		if !isToken(name) {
			return nil, fault.New(fault.BadRequest, "%q is not the name of a header.", shown)
		}
		canonical := http.CanonicalHeaderKey(name)
		why, refused := notYours[canonical]
		if strings.HasPrefix(canonical, "Proxy-") {
			why, refused = "it is for a proxy, not for the provider", true
		}
		if refused {
			return nil, fault.New(fault.BadRequest, "The header %s cannot be set: %s.", shown, why)
		}
		if _, twice := header[canonical]; twice {
			return nil, fault.New(fault.BadRequest, "The header %s is there twice.", shown)
		}
		if !isFieldValue(value) {
			return nil, fault.New(fault.BadRequest, "The header %s holds a line break or another control character.", shown)
		}
		if canonical == "Expect" && !strings.EqualFold(value, "100-continue") {
			return nil, fault.New(fault.BadRequest, "The header Expect can only be 100-continue.")
		}
		header[canonical] = []string{strings.Trim(value, " \t")}
	}
	return header, nil
}

// methodOf is the method of a call. Two are refused: TRACE has the request
// repeated in the answer, token included, and CONNECT is for proxies.
func methodOf(c Call) (string, error) {
	switch {
	case c.Method == "" && c.Body != nil:
		return http.MethodPost, nil
	case c.Method == "":
		return http.MethodGet, nil
	case !isToken(c.Method) || len(c.Method) > 32:
		return "", fault.New(fault.BadRequest, "%q is not a method.", text.Clean(c.Method, 40))
	}
	switch strings.ToUpper(c.Method) {
	case http.MethodConnect, http.MethodTrace, "TRACK":
		return "", fault.New(fault.BadRequest, "The method %s cannot be used with a token.", c.Method)
	}
	return c.Method, nil
}

// isToken reports whether s is a token (RFC 9110 section 5.6.2).
func isToken(s string) bool {
	for i := range len(s) {
		c := s[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return false
		}
	}
	return s != ""
}

// isFieldValue reports whether s can be the value of a header (RFC 9110
// section 5.5): no control character but the tab.
func isFieldValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}
