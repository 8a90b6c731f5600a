package transport

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"

	"keyturn/backend/fault"
	"keyturn/backend/oauth"
)

// maxPasted is more than any address bar holds of a response.
const maxPasted = 16 << 10

// Paste is the way for a browser on another computer, which cannot reach this
// one: the provider sends it to an address where nobody is, and the user copies
// what the address bar says. Nothing listens here.
type Paste struct{ port int }

// NewPaste returns the way by paste; port is the install's callback port.
func NewPaste(port int) *Paste { return &Paste{port} }

// Authorize calls show once with the URL and returns with the one response that
// was pasted, or when ctx ends.
func (p *Paste) Authorize(ctx context.Context, req oauth.AuthorizationRequest, show func(oauth.Prompt)) (oauth.Reply, error) {
	if ctx.Err() != nil {
		return oauth.Reply{}, endOf(ctx)
	}
	redirectURI := p.redirectURI(req)
	authURL, err := req.PromptURL(ctx, redirectURI)
	if err != nil {
		return oauth.Reply{}, oauth.Fault(err, req.ProviderName)
	}
	state := sha256.Sum256([]byte(req.State.Reveal()))
	came := make(chan oauth.AuthorizationResponse, 1)
	var progress atomic.Int32
	show(oauth.Prompt{URL: authURL, RedirectURI: redirectURI, Paste: func(text string) error {
		r, err := pasted(text, state, redirectURI)
		if err != nil {
			return err
		}
		if !progress.CompareAndSwap(waiting, answered) {
			return pastedLate()
		}
		came <- r
		return nil
	}})
	reply := func(r oauth.AuthorizationResponse) (oauth.Reply, error) {
		return oauth.Reply{Response: r, Tell: func(oauth.Outcome) {}}, nil
	}
	select {
	case r := <-came:
		return reply(r)
	case <-ctx.Done():
		if progress.CompareAndSwap(waiting, ended) {
			return oauth.Reply{}, endOf(ctx)
		}
		return reply(<-came)
	}
}

func (p *Paste) redirectURI(req oauth.AuthorizationRequest) string {
	rule, host, scheme := req.Redirect, "127.0.0.1", "http"
	if rule.Localhost {
		host = "localhost"
	}
	if rule.HTTPS {
		scheme = "https"
	}
	if rule.Port == 0 {
		rule.Port = p.port
	}
	return scheme + "://" + host + ":" + strconv.Itoa(rule.Port) + callbackPath + req.ProviderID
}

// pasted reads what a person copied: the whole address of the page that did not
// load, its query alone, or code#state as some pages show it. It has to hold
// what a callback has to hold, and to be of this attempt.
func pasted(text string, state digest, places ...string) (oauth.AuthorizationResponse, error) {
	text = strings.Trim(strings.TrimSpace(text), `"'<>`)
	if text == "" || len(text) > maxPasted || strings.ContainsAny(text, " \t\r\n") {
		return oauth.AuthorizationResponse{}, notPasted("That is not an address. Copy the whole address of the page that did not load.")
	}
	query, fragment, hasFragment := strings.Cut(text, "#")
	switch place, rest, found := strings.Cut(query, "?"); {
	case found:
		if place != "" && !isOneOf(place, places) {
			return oauth.AuthorizationResponse{}, notPasted("That is the address of another page. Copy the one that begins with %s", places[0])
		}
		query = rest
	case strings.Contains(query, "code=") || strings.Contains(query, "state="):
	case hasFragment: // code#state: a code may end in =, as base64 does
		query = url.Values{"code": {query}, "state": {fragment}}.Encode()
	default:
		return oauth.AuthorizationResponse{}, notPasted("There is no code in that. Copy the whole address of the page that did not load, from its beginning to its end.")
	}
	given, response, err := oauth.ParseAuthorizationResponse(query)
	if err != nil || given == "" {
		return oauth.AuthorizationResponse{}, notPasted("The address is not complete. Copy all of it: it holds a code and a state.")
	}
	sum := sha256.Sum256([]byte(given))
	if subtle.ConstantTimeCompare(sum[:], state[:]) != 1 {
		return oauth.AuthorizationResponse{}, fault.New(fault.StateUnknown, "That belongs to another attempt. Copy the address of the page that this attempt's link led to.")
	}
	return response, nil
}

// isOneOf compares to the letter, as for a callback; but some browsers leave
// out the scheme of what they show.
func isOneOf(place string, places []string) bool {
	for _, p := range places {
		if place == p || "http://"+place == p || "https://"+place == p {
			return true
		}
	}
	return false
}

func notPasted(format string, args ...any) error { return fault.New(fault.BadRequest, format, args...) }

func pastedLate() error {
	return fault.New(fault.Conflict, "The answer has come already. See how it goes on: keyturn status")
}
