package transport

import (
	"crypto/sha256"
	"encoding/base64"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"keyturn/backend/fault"
	"keyturn/backend/oauth"
	"keyturn/backend/page"
)

var update = flag.Bool("update", false, "write testdata/pages")

// pages are all that a person may see, by file name.
var pages = map[string]page.Page{
	"finishing": finishingPage,
	"connected": page.Outcome(oauth.Outcome{
		OK: true, Provider: "GitHub", Account: "octocat",
		Scopes: []string{"repo", "read:org", "user:email"},
	}, "github"),
	"connected-in-part": page.Outcome(oauth.Outcome{
		OK: true, Provider: "Google", Account: "ada.lovelace@example.com",
		Scopes:  []string{"openid", "email", "https://www.googleapis.com/auth/calendar.readonly"},
		Missing: []string{"https://www.googleapis.com/auth/drive.readonly"},
	}, "google"),
	"connected-nameless": page.Outcome(oauth.Outcome{OK: true}, "acme"),
	"denied": page.Outcome(oauth.Outcome{
		Provider: "Spotify", Code: string(fault.Denied), Message: "You said no at Spotify. Nothing was connected.",
	}, "spotify"),
	"failed": page.Outcome(oauth.Outcome{
		Provider: "Atlassian", Code: string(fault.ExchangeFailed),
		Message: "Atlassian refused the code that your browser brought. Check the client secret of the OAuth app, then connect again.",
	}, "atlassian"),
	"closed":       closedPage,
	"strange-link": strangeLink,
	"used-link":    usedLink,
	"broken-link":  brokenLink,
	"another-user": anothersBrowser,
	"gone-result":  goneResult,
}

// TestPagesLookAsReviewed: run with -update, then open the files in a browser.
func TestPagesLookAsReviewed(t *testing.T) {
	for name, p := range pages {
		file := filepath.Join("testdata", "pages", name+".html")
		got := page.Render(p)
		if *update {
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != string(want) {
			t.Errorf("%s differs: go test -run %s -update, and look at it", file, t.Name())
		}
	}
}

func TestEveryPageIsReadableWithoutColourPictureOrPointer(t *testing.T) {
	for name, p := range pages {
		html := string(page.Render(p))
		for _, want := range []string{
			`<html lang="en">`, "<main>", `role="status" aria-live="polite"`, "<title>" + p.State + " · Keyturn</title>",
			p.State + "</p>", `name="viewport"`, `content="light dark"`,
		} {
			if !strings.Contains(html, want) {
				t.Errorf("%s has no %s", name, want)
			}
		}
		if n := strings.Count(html, "<h1>"); n != 1 {
			t.Errorf("%s has %d h1, want 1", name, n)
		}
		if strings.Count(html, "<svg") != strings.Count(html, `aria-hidden="true"`) {
			t.Errorf("%s: a drawing is read aloud", name)
		}
		if strings.Contains(html, `http-equiv="refresh"`) != (name == "finishing") {
			t.Errorf("%s: only a page that is not the last reloads itself", name)
		}
	}
}

func TestOnlyASuccessSaysConnected(t *testing.T) {
	for name, p := range pages {
		said := p.State + " " + p.Heading
		if strings.Contains(said, " is connected") != strings.HasPrefix(name, "connected") {
			t.Errorf("%s says %q", name, said)
		}
	}
}

func TestStyleOfAPageIsTheOneItsPolicyAllows(t *testing.T) {
	style := regexp.MustCompile(`(?s)<style>(.*?)</style>`)
	for name, p := range pages {
		html := string(page.Render(p))
		found := style.FindAllStringSubmatch(html, -1)
		if len(found) != 1 {
			t.Fatalf("%s has %d styles", name, len(found))
		}
		sum := sha256.Sum256([]byte(found[0][1]))
		if !strings.Contains(page.Policy, "style-src 'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'") {
			t.Errorf("%s: a browser would refuse its style", name)
		}
		if strings.Contains(html, " style=") {
			t.Errorf("%s has a style attribute, which the policy forbids", name)
		}
	}
	for _, never := range []string{"<script", "javascript:", "src=", "href=", "url(", "@import"} {
		for name, p := range pages {
			if strings.Contains(string(page.Render(p)), never) {
				t.Errorf("%s holds %s", name, never)
			}
		}
	}
	for _, want := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"} {
		if !strings.Contains(page.Policy, want) {
			t.Errorf("the policy lacks %s", want)
		}
	}
}

// hostile is the payload set X of the injection cases.
var hostile = []string{
	"\x1b]0;pwn\x07", "\x1b[2J", "\x1b]52;c;ZXZpbA==\x07", "\x1b]8;;https://evil\x1b\\x", "\x9b31m", "\r",
	"\n2026-01-01 INFO forged", "\u202egnp.exe", "\u2066", strings.Repeat("\u200b", 10_000), "\u2028", "\x00", "\xff\xfe",
	"<script>alert(1)</script>", `<a href="file:///">`, "&lt;", "%s%n", "{{.}}", "${jndi}", `"; rm -rf ~`,
	strings.Repeat("A", 1<<20), "e" + strings.Repeat("\u0301", 500), "=cmd|'/c calc'!A1",
	"<meta http-equiv=refresh content=0;url=//evil>",
}

func TestNothingFromOutsideGetsThroughAPage(t *testing.T) {
	for _, x := range hostile {
		for _, ok := range []bool{true, false} {
			html := string(page.Render(page.Outcome(oauth.Outcome{
				OK: ok, Provider: x, Account: x, Scopes: []string{x, x}, Missing: []string{x}, Code: x, Message: x,
			}, "acme")))
			if !utf8.ValidString(html) {
				t.Errorf("%.20q: not UTF-8", x)
			}
			for _, r := range html {
				if r != '\n' && unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co) {
					t.Errorf("%.20q: %U on the page", x, r)
					break
				}
			}
			if strings.Contains(html, "<script") || strings.Contains(html, "<meta http-equiv=refresh") || strings.Contains(html, "<a ") {
				t.Errorf("%.20q: markup on the page", x)
			}
			if len(html) > 1<<14 {
				t.Errorf("%.20q: a page of %d bytes", x, len(html))
			}
		}
	}
}

func TestALongListOfScopesIsCut(t *testing.T) {
	many := make([]string, 1000)
	for i := range many {
		many[i] = "scope"
	}
	html := string(page.Render(page.Outcome(oauth.Outcome{OK: true, Scopes: many, Missing: many}, "acme")))
	if n := strings.Count(html, "<bdi>scope</bdi>"); n != 2*page.MaxScopes {
		t.Errorf("%d scopes listed, want %d", n, 2*page.MaxScopes)
	}
	if n := strings.Count(html, "and 976 more"); n != 2 {
		t.Errorf("the rest is mentioned %d times, want 2", n)
	}
}
