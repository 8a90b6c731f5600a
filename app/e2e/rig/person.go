//go:build linux

package rig

import (
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
)

// Person plays the user's browser without one: it reads the consent page,
// fills in the form and follows redirects to the last page.
type Person struct {
	t      testing.TB
	client *http.Client
}

// NewPerson returns somebody who has been nowhere yet.
func NewPerson(t testing.TB) *Person {
	jar, _ := cookiejar.New(nil)
	return &Person{t, &http.Client{Jar: jar, Timeout: 10 * time.Second}}
}

var (
	formAction = regexp.MustCompile(`(?s)<form[^>]*action="([^"]*)"`)
	inputs     = regexp.MustCompile(`(?s)<input[^>]*>`)
	attribute  = regexp.MustCompile(`([a-z]+)="([^"]*)"`)
)

// Answer opens the authorization URL and submits its form with the values
// chosen on top of what the page has preselected. It returns the last page.
func (p *Person) Answer(authURL string, chosen map[string]string) (page string, final *url.URL) {
	p.t.Helper()
	return p.Follow(p.Consent(authURL, chosen))
}

// Consent answers the consent page and stops there: it returns the callback
// that the browser would follow next.
func (p *Person) Consent(authURL string, chosen map[string]string) (callback string) {
	p.t.Helper()
	res, err := p.client.Get(authURL)
	if err != nil {
		p.t.Fatal(err)
	}
	body, _ := io.ReadAll(res.Body)
	res.Body.Close()
	action := formAction.FindStringSubmatch(string(body))
	if action == nil {
		p.t.Fatalf("no form on the consent page (status %d):\n%s", res.StatusCode, body)
	}
	target, err := res.Request.URL.Parse(html.UnescapeString(action[1]))
	if err != nil {
		p.t.Fatal(err)
	}
	values := url.Values{}
	for _, tag := range inputs.FindAllString(string(body), -1) {
		attr := map[string]string{}
		for _, m := range attribute.FindAllStringSubmatch(tag, -1) {
			attr[m[1]] = html.UnescapeString(m[2])
		}
		chosenByPage := attr["type"] == "hidden" || strings.Contains(tag, " checked")
		if attr["name"] != "" && chosenByPage {
			values.Add(attr["name"], attr["value"])
		}
	}
	for name, value := range chosen {
		values.Set(name, value)
	}
	stay := *p.client
	stay.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	res, err = stay.PostForm(target.String(), values)
	if err != nil {
		p.t.Fatal(err)
	}
	body, _ = io.ReadAll(res.Body)
	res.Body.Close()
	next, err := res.Location()
	if err != nil {
		p.t.Fatalf("the consent page led nowhere (status %d):\n%s", res.StatusCode, body)
	}
	return next.String()
}

// Follow opens a callback and returns the last page; one that says that it is
// not done yet is reloaded, as its refresh header tells a browser to.
func (p *Person) Follow(callback string) (page string, final *url.URL) {
	p.t.Helper()
	next := callback
	for range 20 {
		res, err := p.client.Get(next)
		if err != nil {
			p.t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if !strings.Contains(string(body), `http-equiv="refresh"`) && res.Header.Get("Refresh") == "" {
			return string(body), res.Request.URL
		}
		next = res.Request.URL.String()
		time.Sleep(300 * time.Millisecond)
	}
	p.t.Fatal("the page never came to an end")
	return "", nil
}
