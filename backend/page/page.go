// Package page draws what a person sees last: the page in the browser tab that
// came back from a provider, here and at a gateway.
//
// A page is HTML and CSS of one piece: no script, no image, no font, no address
// of anybody else, and none of the provider's words as they came. It says what
// happened and what to do now, in words first and in shape and colour second.
package page

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"strconv"

	"keyturn/backend/fault"
	"keyturn/backend/oauth"
	"keyturn/backend/text"
)

var (
	//go:embed page.html
	pageHTML string
	//go:embed page.css
	pageCSS string

	pageTemplate = template.Must(template.New("page").Parse(pageHTML))

	// Policy is the Content-Security-Policy of every page: its own style and nothing else.
	Policy = policy(pageCSS)
)

// Page is what one page says.
type Page struct {
	Tone              Tone
	State             string // one or two words beside the shape
	Heading           string
	Account           string
	Text              string
	Code              string // to be typed elsewhere
	Granted           []string
	Missing           []string
	Hint              string
	More, MoreMissing int // scopes beyond those listed
	Reload            bool
}

// Tone picks shape and colour.
type Tone string

const (
	Working Tone = "working"
	Good    Tone = "good"
	Partly  Tone = "partly"
	Bad     Tone = "bad"
	Idle    Tone = "idle"
)

// CloseTab ends most pages.
const CloseTab = "You can close this tab."

// Limits for words that come from elsewhere.
const (
	maxName    = 60
	maxAccount = 120
	maxScope   = 100
	MaxScopes  = 24
	maxMessage = 400
)

// Outcome tells how an attempt ended. Everything in an outcome is cleaned
// once more: this is the last place before somebody reads it.
func Outcome(o oauth.Outcome, providerID string) Page {
	name := text.Clean(o.Provider, maxName)
	if name == "" {
		name = providerID
	}
	if !o.OK {
		return failurePage(o, name)
	}
	p := Page{
		Tone:    Good,
		State:   "Connected",
		Heading: name + " is connected",
		Account: text.Clean(o.Account, maxAccount),
		Hint:    CloseTab,
	}
	if asked := text.Clean(o.Asked, maxAccount); asked != "" {
		p.Tone, p.State = Partly, "Another account"
		p.Text = "Keyturn asked for " + asked + ", and another account approved. To connect that one as well, choose Use another account in Keyturn, or run: keyturn connect " + providerID + " --choose-account"
	}
	p.Granted, p.More = scopes(o.Scopes)
	p.Missing, p.MoreMissing = scopes(o.Missing)
	if len(p.Missing) > 0 {
		p.Tone, p.State = Partly, "Connected in part"
		p.Text = name + " granted less than was asked for. What needs the rest will not work."
	}
	return p
}

// declined are the ends that the user chose; they are no failure.
var declined = map[fault.Code]string{
	fault.Denied:     "Declined",
	fault.Cancelled:  "Cancelled",
	fault.Superseded: "Replaced",
	fault.Expired:    "Too late",
}

func failurePage(o oauth.Outcome, name string) Page {
	p := Page{
		Tone:    Bad,
		State:   "Not connected",
		Heading: name + " was not connected",
		Text:    text.Clean(o.Message, maxMessage),
		Hint:    "To try again, go back to Keyturn. " + CloseTab,
	}
	if word, ok := declined[fault.Code(o.Code)]; ok {
		p.Tone, p.State = Idle, word
	}
	if p.Text == "" {
		p.Text = "Keyturn has the details."
	}
	return p
}

// scopes cleans a list and cuts it to what a person reads.
func scopes(list []string) (shown []string, more int) {
	for _, s := range list {
		if s = text.Clean(s, maxScope); s == "" {
			continue
		}
		if len(shown) == MaxScopes {
			more++
			continue
		}
		shown = append(shown, s)
	}
	return shown, more
}

// Render never fails: the template and all kinds of values are our own.
func Render(p Page) []byte {
	var b bytes.Buffer
	err := pageTemplate.Execute(&b, struct {
		Page
		Style template.CSS
	}{p, template.CSS(pageCSS)})
	if err != nil {
		panic("page: page.html: " + err.Error())
	}
	return b.Bytes()
}

// policy allows a page its own style and nothing else.
func policy(css string) string {
	sum := sha256.Sum256([]byte(css))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
}

// Header is on every answer: nothing is kept, framed, guessed at, or told to
// the next page (RFC 9700 sections 4.2 and 4.16).
func Header(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", Policy)
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
}

// Write answers with a page.
func Write(w http.ResponseWriter, status int, body []byte) {
	Header(w)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body)
}
