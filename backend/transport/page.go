package transport

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

// The pages are HTML and CSS of one piece: no script, no image, no font, no
// address of anybody else. They are what a person sees last, so they say what
// happened and what to do now, in words first and in shape and colour second.

var (
	//go:embed page.html
	pageHTML string
	//go:embed page.css
	pageCSS string

	pageTemplate = template.Must(template.New("page").Parse(pageHTML))
	pagePolicy   = policy(pageCSS)
)

// page is what one page says.
type page struct {
	Tone              tone
	State             string // one or two words beside the shape
	Heading           string
	Account           string
	Text              string
	Granted           []string
	Missing           []string
	Hint              string
	More, MoreMissing int // scopes beyond those listed
	Reload            bool
}

// tone picks shape and colour.
type tone string

const (
	working tone = "working"
	good    tone = "good"
	partly  tone = "partly"
	bad     tone = "bad"
	idle    tone = "idle"
)

const closeTab = "You can close this tab."

// The fixed pages.
var (
	finishingPage = page{
		Tone:    working,
		State:   "Finishing",
		Heading: "One moment",
		Text:    "Your answer has arrived. Keyturn is finishing with the provider.",
		Hint:    "This page changes by itself. Please leave it open.",
		Reload:  true,
	}
	closedPage = page{
		Tone:    idle,
		State:   "Interrupted",
		Heading: "Keyturn was closed",
		Text:    "It was closed before the connection was finished, so this page does not know how it went.",
		Hint:    "Open Keyturn again to see whether the account is connected.",
	}
	strangeLink = page{
		Tone:    idle,
		State:   "Not in progress",
		Heading: "There is nothing to finish here",
		Text:    "This link does not belong to anything in progress. Start again from Keyturn.",
		Hint:    "Nothing was changed. " + closeTab,
	}
	usedLink = page{
		Tone:    idle,
		State:   "Already used",
		Heading: "This link was used already",
		Text:    "It works once, and Keyturn has taken it. The first tab shows how it went, and so does Keyturn.",
		Hint:    "Nothing was changed. " + closeTab,
	}
	brokenLink = page{
		Tone:    idle,
		State:   "Not usable",
		Heading: "This link is not complete",
		Text:    "It does not look like an answer of a provider. If one sent you here, start again from Keyturn.",
		Hint:    "Nothing was changed. " + closeTab,
	}
	anothersBrowser = page{
		Tone:    idle,
		State:   "Refused",
		Heading: "This browser runs as another user",
		Text:    "Keyturn accepts an answer only from a browser of the person who uses Keyturn. Open the link in your own browser, or start again from Keyturn.",
		Hint:    "Nothing was changed. " + closeTab,
	}
	goneResult = page{
		Tone:    idle,
		State:   "Expired",
		Heading: "This page has had its day",
		Text:    "Keyturn shows results here for a minute. What is connected is listed in Keyturn itself.",
		Hint:    closeTab,
	}
	nothingHere = page{} // answered in one line
)

var finishing = render(finishingPage)

// Limits for words that come from elsewhere.
const (
	maxName    = 60
	maxAccount = 120
	maxScope   = 100
	maxScopes  = 24
	maxMessage = 400
)

// outcomePage tells how an attempt ended. Everything in an outcome is cleaned
// once more: this is the last place before somebody reads it.
func outcomePage(o oauth.Outcome, providerID string) page {
	name := text.Clean(o.Provider, maxName)
	if name == "" {
		name = providerID
	}
	if !o.OK {
		return failurePage(o, name)
	}
	p := page{
		Tone:    good,
		State:   "Connected",
		Heading: name + " is connected",
		Account: text.Clean(o.Account, maxAccount),
		Hint:    closeTab,
	}
	p.Granted, p.More = scopes(o.Scopes)
	p.Missing, p.MoreMissing = scopes(o.Missing)
	if len(p.Missing) > 0 {
		p.Tone, p.State = partly, "Connected in part"
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

func failurePage(o oauth.Outcome, name string) page {
	p := page{
		Tone:    bad,
		State:   "Not connected",
		Heading: name + " was not connected",
		Text:    text.Clean(o.Message, maxMessage),
		Hint:    "To try again, go back to Keyturn. " + closeTab,
	}
	if word, ok := declined[fault.Code(o.Code)]; ok {
		p.Tone, p.State = idle, word
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
		if len(shown) == maxScopes {
			more++
			continue
		}
		shown = append(shown, s)
	}
	return shown, more
}

// render never fails: the template and all kinds of values are our own.
func render(p page) []byte {
	var b bytes.Buffer
	err := pageTemplate.Execute(&b, struct {
		page
		Style template.CSS
	}{p, template.CSS(pageCSS)})
	if err != nil {
		panic("transport: page.html: " + err.Error())
	}
	return b.Bytes()
}

// policy allows a page its own style and nothing else.
func policy(css string) string {
	sum := sha256.Sum256([]byte(css))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) +
		"'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
}

// header is on every answer: nothing is kept, framed, guessed at, or told to
// the next page (RFC 9700 sections 4.2 and 4.16).
func header(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", pagePolicy)
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
}

func write(w http.ResponseWriter, status int, body []byte) {
	header(w)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body)
}
