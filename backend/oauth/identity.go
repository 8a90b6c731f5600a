package oauth

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"regexp"
	"strconv"
	"strings"

	"keyturn/backend/strictjson"
	"keyturn/backend/text"
)

const (
	maxLabel = 80
	maxID    = 255
)

// labelPaths are tried when an Identity names none.
var labelPaths = []string{"email", "preferred_username", "login", "name", "sub"}

// Identify learns whose account a token is for: from the server's own answer
// when there is an identity URL, else from the claims of the ID token. A zero
// Account without an error means that the server offers neither. The label is
// cleaned: it goes to people as it is.
func (h *HTTP) Identify(ctx context.Context, s Server, t Token, idClaims map[string]any) (Account, error) {
	if s.Identity.URL == "" {
		if idClaims == nil {
			return Account{}, nil
		}
		return accountIn(s.Identity, idClaims, 0)
	}
	status, doc, failed := h.askIdentity(ctx, opIdentity, s, t)
	if failed != nil {
		return Account{}, failed
	}
	// The userinfo answer must be about the subject of the ID token (OpenID
	// Connect Core 5.3.2).
	if answered, claimed := leaf(doc, "sub"), leaf(idClaims, "sub"); answered != "" && claimed != "" && answered != claimed {
		return Account{}, &Error{Op: opIdentity, Status: status, Kind: Malformed, reason: "the answer is about another subject than the ID token"}
	}
	return accountIn(s.Identity, doc, status)
}

// Probe asks the identity endpoint whether a token works. It returns the HTTP
// status; the error says why there is none, or why a 200 still means no.
func (h *HTTP) Probe(ctx context.Context, s Server, t Token) (status int, err error) {
	if s.Identity.URL == "" {
		return 0, &Error{Op: opPing, Kind: Malformed, Unsent: true, reason: "the server has no identity endpoint"}
	}
	status, _, failed := h.askIdentity(ctx, opPing, s, t)
	if failed != nil && (status == 0 || status == http.StatusOK) {
		return status, failed
	}
	return status, nil
}

func (h *HTTP) askIdentity(ctx context.Context, op string, s Server, t Token) (status int, doc any, failed *Error) {
	endpoint := s.Identity
	method := endpoint.Method
	if method == "" {
		method = http.MethodGet
	}
	header := customHeader(endpoint.Headers)
	if endpoint.Body != "" && header.Get("Content-Type") == "" {
		header.Set("Content-Type", "application/json")
	}
	var a answer
	for again := false; ; again = true {
		if err := h.present(header, method, endpoint.URL, t.Access, t.Key); err != nil {
			return 0, nil, &Error{Op: op, Kind: Malformed, Unsent: true, reason: err.Error()}
		}
		a, failed = h.do(ctx, call{op: op, server: s, method: method, url: endpoint.URL, header: header.Clone(), body: []byte(endpoint.Body), limit: maxBody})
		h.nonces.note(endpoint.URL, a.header)
		if failed != nil || again || t.Key.IsZero() || !wantsNonceAt(a.status, a.header) {
			break
		}
	}
	if failed != nil {
		if failed.Kind == OutcomeUnknown {
			failed.Kind = Outage // asking twice does no harm
		}
		return failed.Status, nil, failed
	}
	if a.status != http.StatusOK {
		top, _ := object(a.body)
		failed = judge(op, a, errorMember(top["error"]))
		if a.status >= 400 && a.status < 500 && a.status != http.StatusTooManyRequests && !isHTML(a) {
			failed.Kind = Refused
		}
		return a.status, nil, failed
	}
	malformed := func(reason string) (int, any, *Error) {
		return a.status, nil, &Error{Op: op, Status: a.status, Kind: Malformed, reason: reason}
	}
	if isHTML(a) {
		return a.status, nil, &Error{Op: op, Status: a.status, Kind: Outage, reason: "answered with a page"}
	}
	if bytes.Count(a.body, []byte{':'}) > maxColons || strictjson.Check(a.body) != nil {
		return malformed("answer is not JSON")
	}
	dec := json.NewDecoder(bytes.NewReader(a.body))
	dec.UseNumber() // an identifier may have more digits than a float64
	if dec.Decode(&doc) != nil {
		return malformed("answer is not JSON")
	}
	if endpoint.OKField != "" {
		object, _ := doc.(map[string]any)
		if object[endpoint.OKField] != true {
			code, _ := object["error"].(string)
			if code != "" {
				code = cleanErrorCode(code)
			}
			return a.status, nil, &Error{Op: op, Status: a.status, Kind: Refused, Code: code}
		}
	}
	return a.status, doc, nil
}

// accountIn reads the account out of an answer or of the claims.
func accountIn(identity Identity, doc any, status int) (Account, error) {
	paths := identity.Paths
	if paths == nil {
		paths = labelPaths
	}
	label := format(identity.Format, doc)
	for _, path := range paths {
		if label != "" {
			break
		}
		label = text.Clean(leaf(doc, path), maxLabel)
	}
	var id string
	for _, path := range []string{identity.IDPath, "sub", "id"} {
		if id = leaf(doc, path); id != "" {
			break
		}
	}
	if label == "" {
		label = text.Clean(id, maxLabel)
	}
	if label == "" {
		return Account{}, &Error{Op: opIdentity, Status: status, Kind: Malformed, reason: "no account in the answer"}
	}
	if id == "" {
		id = label
	}
	return Account{ID: fitID(id), Label: label}, nil
}

// fitID keeps an identifier as it is unless it is long or not printable; then
// its hash stands for it, so that two never become one.
func fitID(id string) string {
	if len(id) <= maxID && text.Clean(id, maxID) == id {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return "sha256:" + hex.EncodeToString(sum[:])
}

var (
	reference = regexp.MustCompile(`\{([^{}]*)\}`)
	hollow    = regexp.MustCompile(`\(\s*\)|\[\s*\]|<\s*>`)
)

// format fills {path} references. A reference to nothing disappears with the
// brackets around it; when all do, the label is empty.
func format(layout string, doc any) string {
	if layout == "" {
		return ""
	}
	filled := false
	label := reference.ReplaceAllStringFunc(layout, func(ref string) string {
		value := text.Clean(leaf(doc, ref[1:len(ref)-1]), maxLabel)
		filled = filled || value != ""
		return value
	})
	if !filled {
		return ""
	}
	return text.Clean(hollow.ReplaceAllString(label, ""), maxLabel)
}

// leaf returns the string or number at a dotted path, "" when there is none.
// A number in the path is an index into an array.
func leaf(doc any, path string) string {
	if path == "" {
		return ""
	}
	for name := range strings.SplitSeq(path, ".") {
		switch at := doc.(type) {
		case map[string]any:
			doc = at[name]
		case []any:
			i, err := strconv.Atoi(name)
			if err != nil || i < 0 || i >= len(at) {
				return ""
			}
			doc = at[i]
		default:
			return ""
		}
	}
	switch value := doc.(type) {
	case string:
		return value
	case json.Number:
		return value.String()
	}
	return ""
}
