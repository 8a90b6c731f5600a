package oauth

import (
	"bytes"
	"cmp"
	"encoding/json"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"keyturn/backend/strictjson"
)

// Token responses (RFC 6749 section 5.1, errors 5.2), read as hostile: keys in
// their exact letter case and once, tokens in the RFC's alphabet, lifetimes
// that do not overflow, nothing that is not understood taken for something.

const (
	maxToken    = 16 << 10 // of each token
	maxScope    = 16 << 10 // of the whole scope value
	maxLifetime = 365 * 24 * time.Hour
	// maxRefreshLifetime bounds what servers say about refresh tokens.
	maxRefreshLifetime = 10 * maxLifetime
	// maxColons bounds the members of a JSON document before it is parsed.
	maxColons = 10_000
)

// readToken reads the answer of a token endpoint. odd lists what is usable but
// worth a line in the log.
func readToken(op string, s Server, c Client, a answer) (t Token, odd []string, failed *Error) {
	shape := s.Token.Response
	top, reason := members(shape, a)
	code := errorCode(shape, top)
	if a.status != http.StatusOK && (a.status < 200 || a.status > 299) {
		return Token{}, nil, judge(op, a, code)
	}
	malformed := func(reason string) (Token, []string, *Error) {
		return Token{}, odd, &Error{Op: op, Status: a.status, Kind: Malformed, reason: reason}
	}
	switch {
	case top == nil && (isHTML(a) || !claimsJSON(shape, a)):
		return Token{}, nil, &Error{Op: op, Status: a.status, Kind: Outage, reason: reason}
	case top == nil:
		return malformed(reason)
	case a.status != http.StatusOK:
		return malformed("success with another status than 200")
	case code != "":
		return Token{}, nil, &Error{Op: op, Status: a.status, Kind: Refused, Code: code}
	}
	fields := descend(top, shape.Root)

	var ok bool
	if t.Access, ok = tokenField(fields, "access_token"); !ok || t.Access.IsZero() {
		return malformed("no usable access_token")
	}
	if t.Refresh, ok = tokenField(fields, "refresh_token"); !ok {
		return malformed("refresh_token is not a token")
	}
	if t.Type, ok = readTokenType(fields, shape, c); !ok {
		return malformed("token_type is not one that was asked for")
	}
	if t.Type == typeDPoP {
		t.Key = c.Key
	}
	if t.Scopes, ok = readScope(fields["scope"], cmp.Or(shape.ScopeSeparator, s.ScopeSeparator)); !ok {
		return malformed("scope is not a list of scopes")
	}
	t.ID, _ = tokenField(fields, "id_token") // some servers put other things there
	if s.JWKSURL != "" && !fitsAccessToken(t.ID, t.Access) {
		return malformed("id_token belongs to another access token")
	}

	lifetime, known, strange := readLifetime(fields["expires_in"], maxLifetime)
	if strange {
		odd = append(odd, "expires_in is not a whole number of seconds and was ignored")
	}
	if fields["expires_in"] == nil && shape.DefaultLifetime > 0 {
		lifetime, known = min(shape.DefaultLifetime, maxLifetime), true
	}
	if known {
		t.Expiry = a.asked.Add(lifetime)
	}
	for _, name := range []string{"refresh_token_expires_in", "refresh_expires_in", "x_refresh_token_expires_in"} {
		// Zero is how servers say that a refresh token does not expire.
		if lifetime, known, _ := readLifetime(fields[name], maxRefreshLifetime); known && lifetime > 0 && !t.Refresh.IsZero() {
			t.RefreshExpiry = a.asked.Add(lifetime)
			break
		}
	}
	return t, odd, nil
}

// members returns the top-level members of an answer, or nil and why not.
func members(shape TokenResponseShape, a answer) (map[string]json.RawMessage, string) {
	contentType := mediaType(a)
	success := a.status >= 200 && a.status <= 299
	if shape.Form && (contentType == "application/x-www-form-urlencoded" || contentType == "text/plain") {
		if m := formMembers(a.body); m != nil {
			return m, ""
		}
	}
	// An error may come under any type but HTML; a token only under its own.
	if isHTML(a) && !shape.AnyContentType {
		return nil, "answer is a page"
	}
	if success && contentType != "application/json" && !shape.AnyContentType {
		return nil, "content type is not application/json"
	}
	return object(a.body)
}

// object parses a JSON object, or says why it cannot be used.
func object(data []byte) (map[string]json.RawMessage, string) {
	if bytes.Count(data, []byte{':'}) > maxColons {
		return nil, "answer has too many members"
	}
	m, err := strictjson.Object(data)
	if err != nil {
		return nil, "answer is not one JSON object"
	}
	return m, ""
}

// formMembers reads a form as if it were an object of strings. A repeated key
// makes it unusable, as in JSON.
func formMembers(body []byte) map[string]json.RawMessage {
	values, err := url.ParseQuery(strings.TrimSpace(string(body)))
	if err != nil || len(values) > maxParameters {
		return nil
	}
	if !values.Has("access_token") && !values.Has("error") {
		return nil
	}
	m := map[string]json.RawMessage{}
	for name, v := range values {
		if len(v) != 1 {
			return nil
		}
		m[name], _ = json.Marshal(v[0])
	}
	return m
}

func mediaType(a answer) string {
	contentType, _, err := mime.ParseMediaType(a.header.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return contentType
}

// isHTML recognizes the pages of proxies and captive portals, also unlabelled.
func isHTML(a answer) bool {
	contentType := mediaType(a)
	return contentType == "text/html" || contentType == "application/xhtml+xml" ||
		bytes.HasPrefix(bytes.TrimLeft(a.body, " \t\r\n"), []byte{'<'})
}

// claimsJSON reports whether the answer says that it is what we asked for: then
// a body that is not is the server's fault, and no stranger's page.
func claimsJSON(shape TokenResponseShape, a answer) bool {
	return shape.AnyContentType || mediaType(a) == "application/json"
}

// errorCode returns the error code of an answer, "" when it holds none.
func errorCode(shape TokenResponseShape, top map[string]json.RawMessage) string {
	code := errorMember(top["error"])
	if code == "" && shape.OKField != "" && top != nil && string(top[shape.OKField]) != "true" {
		return "other"
	}
	return code
}

// errorMember reads an "error" that is a code, or an object with a code inside,
// as some APIs nest it.
func errorMember(raw json.RawMessage) string {
	if s, ok := jsonString(raw); ok {
		if s == "" {
			return ""
		}
		return cleanErrorCode(s)
	}
	var nested map[string]json.RawMessage
	if json.Unmarshal(raw, &nested) != nil || nested == nil {
		return ""
	}
	for _, name := range []string{"code", "type", "status", "error"} {
		if s, ok := jsonString(nested[name]); ok && s != "" {
			return cleanErrorCode(s)
		}
	}
	return "other"
}

// descend returns the object at a dotted path, or the top when there is none.
func descend(top map[string]json.RawMessage, path string) map[string]json.RawMessage {
	if path == "" {
		return top
	}
	at := top
	for name := range strings.SplitSeq(path, ".") {
		var next map[string]json.RawMessage
		if json.Unmarshal(at[name], &next) != nil || next == nil {
			return top
		}
		at = next
	}
	return at
}

// jsonString reads a JSON string; ok is false for anything else.
func jsonString(raw json.RawMessage) (s string, ok bool) {
	if len(raw) == 0 || raw[0] != '"' || json.Unmarshal(raw, &s) != nil {
		return "", false
	}
	return s, true
}

func absent(raw json.RawMessage) bool { return len(raw) == 0 || string(raw) == "null" }

// tokenField reads a token: visible ASCII (RFC 6749 appendix A.12 and A.17),
// without the blank, which no header would carry (RFC 6750 section 2.1).
// Absent, null and "" are the zero Secret; anything else is not ok.
func tokenField(fields map[string]json.RawMessage, name string) (Secret, bool) {
	if absent(fields[name]) {
		return Secret{}, true
	}
	s, ok := jsonString(fields[name])
	if !ok || len(s) > maxToken || !isVSCHAR(s) || strings.Contains(s, " ") {
		return Secret{}, false
	}
	return NewSecret(s), true
}

// readTokenType reports whether the token may be used as Bearer (RFC 6749 section 7.1).
func readTokenType(fields map[string]json.RawMessage, shape TokenResponseShape, c Client) (kind string, ok bool) {
	const bearer = "Bearer"
	if absent(fields["token_type"]) {
		return bearer, shape.NoTokenType
	}
	kind, ok = jsonString(fields["token_type"])
	switch kind = strings.ToLower(kind); {
	case !ok:
		return "", false
	case kind == "bearer":
		return bearer, true
	case kind == "dpop" && !c.Key.IsZero(): // RFC 9449 section 5
		return typeDPoP, true
	}
	return bearer, shape.NoTokenType && !slices.Contains([]string{"mac", "dpop", "pop", "n_a"}, kind)
}

// readScope reads the scopes granted: a string (RFC 6749 section 3.3) or, at
// some servers, an array. nil means that the answer does not say.
func readScope(raw json.RawMessage, separator string) (scopes []string, ok bool) {
	if absent(raw) {
		return nil, true
	}
	if len(raw) > maxScope {
		return nil, false
	}
	var found []string
	if text, isString := jsonString(raw); isString {
		if separator != "" {
			text = strings.ReplaceAll(text, separator, " ")
		}
		found = strings.Split(text, " ")
	} else if json.Unmarshal(raw, &found) != nil {
		return nil, false
	}
	scopes = []string{}
	for _, scope := range found {
		if scope != "" && isScopeToken(scope) && !slices.Contains(scopes, scope) {
			scopes = append(scopes, scope)
		}
	}
	return scopes, true
}

// isScopeToken: scope-token = 1*( %x21 / %x23-5B / %x5D-7E ) (RFC 6749 section 3.3).
func isScopeToken(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < 0x21 || c > 0x7e || c == '"' || c == '\\' {
			return false
		}
	}
	return true
}

// readLifetime reads seconds: an integer, or digits in a string. What is not
// above zero has ended; what is above limit is limit. strange says that there
// is something which is neither.
func readLifetime(raw json.RawMessage, limit time.Duration) (d time.Duration, known, strange bool) {
	if absent(raw) {
		return 0, false, false
	}
	digits := string(raw)
	if s, ok := jsonString(raw); ok {
		digits = s
	}
	negative := strings.HasPrefix(digits, "-")
	digits = strings.TrimPrefix(digits, "-")
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return 0, false, true
	}
	if negative {
		return 0, true, false
	}
	seconds, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || seconds > int64(limit/time.Second) {
		return limit, true, false // more digits than fit are more than the limit, too
	}
	return time.Duration(seconds) * time.Second, true, false
}
