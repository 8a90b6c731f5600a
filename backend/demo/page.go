package demo

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"keyturn/backend/text"
)

// The pages have no script and load nothing. Their one style sheet is allowed
// by its hash; the form may lead back to this server and on to the address
// that this very request returns to, because browsers hold the redirect that
// follows a form to form-action as well.

var (
	//go:embed page.html
	pageHTML string
	//go:embed page.css
	pageCSS string

	pages = template.Must(template.New("page").Parse(pageHTML))
	style = func() string {
		sum := sha256.Sum256([]byte(pageCSS))
		return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
	}()
)

// page is what the template shows.
type page struct {
	Title string
	Style template.CSS

	// A consent page.
	Consent  bool
	Action   string
	Client   string
	Ticket   string
	Accounts []choice
	Scopes   []choice
	Failures []string
	Return   string

	// The page where a code is entered.
	Enter bool
	Code  string

	// Any other page, and what was wrong with a code.
	Sentence string
}

type choice struct {
	Value, Label, Detail string
	Checked              bool
}

func (s *Server) pageConsent(w http.ResponseWriter, a authorizationRequest, secret string) {
	p := page{
		Title:    "Allow access?",
		Consent:  true,
		Action:   s.issuer.Path + "/consent",
		Client:   text.Clean(a.client.Name, 40),
		Ticket:   secret,
		Failures: failures,
	}
	if p.Client == "" {
		p.Client = text.Clean(a.client.ID, 40)
	}
	preset, known := account(a.hint)
	for i, who := range accounts {
		p.Accounts = append(p.Accounts, choice{
			Value: who.Username, Label: who.Name, Detail: who.Email,
			Checked: known && who.Subject == preset.Subject || !known && i == 0,
		})
	}
	for _, sc := range scopes {
		if slices.Contains(a.scopes, sc.name) {
			p.Scopes = append(p.Scopes, choice{Value: sc.name, Label: sc.says, Detail: sc.name, Checked: true})
		}
	}
	if a.device != "" {
		write(w, http.StatusOK, p, "'self'")
		return
	}
	back, err := url.Parse(a.redirectURI)
	if err != nil {
		s.pageError(w, http.StatusBadRequest, "The address to return to cannot be read.")
		return
	}
	p.Return = back.Host
	write(w, http.StatusOK, p, back.Scheme+"://"+back.Host)
}

// pageEnter asks for the code that a program shows.
func (s *Server) pageEnter(w http.ResponseWriter, code, sentence string) {
	write(w, http.StatusOK, page{
		Title: "Enter the code", Enter: true, Action: s.issuer.Path + "/device", Code: text.Clean(code, 20), Sentence: sentence,
	}, "'self'")
}

func (s *Server) pageDone(w http.ResponseWriter, title, sentence string) {
	write(w, http.StatusOK, page{Title: title, Sentence: sentence}, "")
}

func (s *Server) pageError(w http.ResponseWriter, status int, sentence string) {
	write(w, status, page{Title: "This did not work", Sentence: sentence}, "")
}

// home greets whoever looks what listens here.
func (s *Server) home(w http.ResponseWriter, r *http.Request) {
	write(w, http.StatusOK, page{Title: "Demo provider", Sentence: "This server belongs to Keyturn on this computer. Connect Demo in Keyturn to see what it is for."}, "")
}

func write(w http.ResponseWriter, status int, p page, formTo string) {
	p.Style = template.CSS(pageCSS)
	var b bytes.Buffer
	if err := pages.Execute(&b, p); err != nil {
		http.Error(w, "The page could not be drawn.", http.StatusInternalServerError)
		return
	}
	form := "'none'"
	if formTo == "'self'" {
		form = formTo
	} else if formTo != "" {
		form = "'self' " + formTo
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", strings.Join([]string{
		"default-src 'none'", "img-src data:", "style-src " + style, "form-action " + form, "base-uri 'none'", "frame-ancestors 'none'",
	}, "; "))
	h.Set("X-Frame-Options", "DENY")
	w.WriteHeader(status)
	w.Write(b.Bytes())
}
