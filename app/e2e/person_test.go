//go:build e2e && linux

package e2e

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

// person plays the user's browser without one: it reads the consent page,
// fills in the form and follows redirects to the last page.
type person struct {
	t      *testing.T
	client *http.Client
}

func newPerson(t *testing.T) *person {
	jar, _ := cookiejar.New(nil)
	return &person{t, &http.Client{Jar: jar, Timeout: 10 * time.Second}}
}

var (
	formAction = regexp.MustCompile(`(?s)<form[^>]*action="([^"]*)"`)
	inputs     = regexp.MustCompile(`(?s)<input[^>]*>`)
	attribute  = regexp.MustCompile(`([a-z]+)="([^"]*)"`)
)

// answer opens the authorization URL and submits its form with the values
// chosen on top of what the page has preselected. It returns the last page.
func (p *person) answer(authURL string, chosen map[string]string) (page string, final *url.URL) {
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
	res, err = p.client.PostForm(target.String(), values)
	if err != nil {
		p.t.Fatal(err)
	}
	return p.read(res)
}

// read returns the last page; one that says that it is not done yet is
// reloaded, as its refresh header tells a browser to.
func (p *person) read(res *http.Response) (string, *url.URL) {
	p.t.Helper()
	for range 20 {
		body, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if !strings.Contains(string(body), `http-equiv="refresh"`) && res.Header.Get("Refresh") == "" {
			return string(body), res.Request.URL
		}
		time.Sleep(300 * time.Millisecond)
		var err error
		if res, err = p.client.Get(res.Request.URL.String()); err != nil {
			p.t.Fatal(err)
		}
	}
	p.t.Fatal("the page never came to an end")
	return "", nil
}
