package transport_test

import (
	"context"
	"net/url"
	"strings"
	"testing"

	"keyturn/backend/fault"
	"keyturn/backend/oauth"
	"keyturn/backend/transport"
	"keyturn/backend/transport/transporttest"
)

func TestPasteKeepsWhatTransportsHaveToKeep(t *testing.T) {
	transporttest.Run(t, func(t *testing.T) transporttest.Subject {
		return transporttest.Subject{
			Transport: transport.NewPaste(27419),
			Respond: func(p oauth.Prompt, response url.Values) error {
				return p.Paste(p.RedirectURI + "?" + response.Encode())
			},
			Close: func() {},
		}
	})
}

func TestWhatPeoplePaste(t *testing.T) {
	loopback := func(t *testing.T) transporttest.Transport { l, _ := newLoopback(t); return l }
	paste := func(*testing.T) transporttest.Transport { return transport.NewPaste(27419) }
	for name, make := range map[string]func(*testing.T) transporttest.Transport{"paste": paste, "loopback": loopback} {
		t.Run(name, func(t *testing.T) {
			for _, tt := range []struct {
				name string
				text func(uri, state string) string
				code fault.Code // "": it is taken
			}{
				{"the address", func(uri, state string) string { return uri + "?code=the-code&state=" + state }, ""},
				{"with blanks around it", func(uri, state string) string { return "  " + uri + "?code=the-code&state=" + state + "\n" }, ""},
				{"in quotes", func(uri, state string) string { return `"` + uri + "?code=the-code&state=" + state + `"` }, ""},
				{"without http://", func(uri, state string) string {
					return strings.TrimPrefix(uri, "http://") + "?state=" + state + "&code=the-code"
				}, ""},
				{"with a fragment of the browser's", func(uri, state string) string { return uri + "?code=the-code&state=" + state + "#_=_" }, ""},
				{"the query alone", func(_, state string) string { return "code=the-code&state=" + state }, ""},
				{"the query with its mark", func(_, state string) string { return "?code=the-code&state=" + state }, ""},
				{"code#state", func(_, state string) string { return "the-code#" + state }, ""},
				{"the query with a fragment", func(_, state string) string { return "code=the-code&state=" + state + "#_=_" }, ""},
				{"a path in other letters", func(uri, state string) string {
					return strings.Replace(uri, "/oauth/", "/OAuth/", 1) + "?code=the-code&state=" + state
				}, fault.BadRequest},
				{"a path with more", func(uri, state string) string { return uri + "/x?code=the-code&state=" + state }, fault.BadRequest},
				{"another port", func(uri, state string) string {
					return strings.Replace(uri, "/oauth/", "0/oauth/", 1) + "?code=the-code&state=" + state
				}, fault.BadRequest},
				{"an error of somebody else", func(uri, _ string) string { return uri + "?error=access_denied&state=" + strings.Repeat("A", 43) }, fault.StateUnknown},
				{"nothing", func(_, _ string) string { return "  " }, fault.BadRequest},
				{"the code alone", func(_, _ string) string { return "the-code" }, fault.BadRequest},
				{"half of it", func(uri, _ string) string { return uri + "?code=the-code" }, fault.BadRequest},
				{"another state", func(uri, _ string) string { return uri + "?code=the-code&state=" + strings.Repeat("A", 43) }, fault.StateUnknown},
				{"another page", func(_, state string) string { return "https://example.com/?code=the-code&state=" + state }, fault.BadRequest},
				{"another provider's path", func(uri, state string) string {
					return strings.Replace(uri, "/acme", "/other", 1) + "?code=the-code&state=" + state
				}, fault.BadRequest},
				{"code twice", func(uri, state string) string { return uri + "?code=a&code=the-code&state=" + state }, fault.BadRequest},
				{"code and error", func(uri, state string) string { return uri + "?code=the-code&error=e&state=" + state }, fault.BadRequest},
				{"two lines", func(uri, state string) string { return uri + "?code=the-code\n&state=" + state }, fault.BadRequest},
				{"a book", func(uri, state string) string {
					return uri + "?code=the-code&state=" + state + "&x=" + strings.Repeat("y", 20<<10)
				}, fault.BadRequest},
			} {
				t.Run(tt.name, func(t *testing.T) {
					a := transporttest.Start(t, make(t), transporttest.Request())
					err := a.Prompt.Paste(tt.text(a.Prompt.RedirectURI, a.State))
					if fault.CodeOf(err) != tt.code {
						t.Fatalf("%v, want %q", err, tt.code)
					}
					if tt.code != "" {
						a.StillPending(t)
						if err := a.Prompt.Paste(a.Prompt.RedirectURI + "?code=the-code&state=" + a.State); err != nil {
							t.Fatalf("afterwards: %v", err)
						}
					}
					e := a.Wait(t)
					if e.Err != nil || e.Reply.Response.Code.Reveal() != "the-code" {
						t.Errorf("%+v", e)
					}
					if err := a.Prompt.Paste("code=the-code&state=" + a.State); fault.CodeOf(err) != fault.Conflict {
						t.Errorf("a second time: %v", err)
					}
				})
			}
		})
	}
}

func TestACodeThatEndsInEqualsSignsIsPasted(t *testing.T) {
	a := transporttest.Start(t, transport.NewPaste(27419), transporttest.Request())
	if err := a.Prompt.Paste("dGhlIGNvZGU==#" + a.State); err != nil {
		t.Fatal(err)
	}
	if e := a.Wait(t); e.Err != nil || e.Reply.Response.Code.Reveal() != "dGhlIGNvZGU==" {
		t.Errorf("%+v", e)
	}
}

func TestWherePastedAddressesBegin(t *testing.T) {
	for rule, want := range map[oauth.RedirectRule]string{
		{}:                            "http://127.0.0.1:27419/oauth/callback/acme",
		{Port: 4000, Localhost: true}: "http://localhost:4000/oauth/callback/acme",
		{Port: 27419, Localhost: true, HTTPS: true}: "https://localhost:27419/oauth/callback/acme",
	} {
		req := transporttest.Request()
		req.Redirect = rule
		if a := transporttest.Start(t, transport.NewPaste(27419), req); a.Prompt.RedirectURI != want {
			t.Errorf("%+v: %s", rule, a.Prompt.RedirectURI)
		}
	}
}

func FuzzPaste(f *testing.F) {
	p := transport.NewPaste(27419)
	req := transporttest.Request()
	for _, text := range []string{"http://127.0.0.1:27419/oauth/callback/acme?code=a&state=b", "a#b", "?code=a&state=b", "code=a&state=b", "#", "?", "a=b#c?d"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		shown, ended := make(chan oauth.Prompt, 1), make(chan error, 1)
		go func() {
			_, err := p.Authorize(ctx, req, func(p oauth.Prompt) { shown <- p })
			ended <- err
		}()
		err := (<-shown).Paste(text)
		if err == nil && !strings.Contains(text, req.State.Reveal()) {
			t.Fatalf("%q was taken without the state", text)
		}
		if c := fault.CodeOf(err); err != nil && c != fault.BadRequest && c != fault.StateUnknown {
			t.Fatalf("%q: %v", text, err)
		}
		cancel()
		<-ended
	})
}
