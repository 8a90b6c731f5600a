package transport_test

import (
	"context"
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"keyturn/backend/oauth"
)

func formPost(r *oauth.AuthorizationRequest) { r.Server.Authorize.ResponseMode = "form_post" }

// post brings a form as a browser does that comes from the provider's page.
func (r *rig) post(t testing.TB, target, body string, headers ...string) answer {
	t.Helper()
	return r.send(t, "POST "+target+" HTTP/1.1", append([]string{"Host: " + r.host, "Origin: null", "Sec-Fetch-Site: cross-site",
		"Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document", fmt.Sprintf("Content-Length: %d", len(body))}, append(headers, "", body)...)...)
}

const asForm = "Content-Type: application/x-www-form-urlencoded"

func TestAResponseThatIsPosted(t *testing.T) {
	t.Run("CB-41 a form completes", func(t *testing.T) {
		r := start(t, formPost)
		if u, _ := url.Parse(r.Prompt.URL); u.Query().Get("response_mode") != "form_post" {
			t.Errorf("asked for with %s", r.Prompt.URL)
		}
		a := r.post(t, r.path, "code="+theCode+"&state="+r.State, asForm+"; charset=UTF-8")
		if a.status != http.StatusSeeOther || !done.MatchString(a.header.Get("Location")) {
			t.Fatalf("%d to %q", a.status, a.header.Get("Location"))
		}
		r.gotTheCode(t)
	})
	t.Run("CB-41 what the query says is not read", func(t *testing.T) {
		r := start(t, formPost)
		if a := r.post(t, r.path+"?code=other&state="+r.State, "code="+theCode+"&state="+r.State, asForm); a.status != http.StatusSeeOther {
			t.Fatal(a.status)
		}
		r.gotTheCode(t)
	})
	for _, c := range []struct {
		name   string
		status int
		send   func(*testing.T, *rig) answer
	}{
		{"64 KiB and a byte", 413, func(t *testing.T, r *rig) answer {
			return r.post(t, r.path, "state="+r.State+"&code="+strings.Repeat("c", 64<<10), asForm)
		}},
		{"chunks without end", 413, func(t *testing.T, r *rig) answer {
			body := strings.Repeat("1000\r\n"+strings.Repeat("c", 4<<10)+"\r\n", 3)
			return r.send(t, "POST "+r.path+" HTTP/1.1", "Host: "+r.host, asForm, "Transfer-Encoding: chunked", "", body)
		}},
		{"another type", 400, func(t *testing.T, r *rig) answer {
			return r.post(t, r.path, "code=x&state="+r.State, "Content-Type: text/plain")
		}},
		{"only in the query", 400, func(t *testing.T, r *rig) answer { return r.post(t, r.target(), "", asForm) }},
		{"by GET", 400, func(t *testing.T, r *rig) answer { return r.get(t, r.target()) }},
		{"a frame", 403, func(t *testing.T, r *rig) answer {
			return r.send(t, "POST "+r.path+" HTTP/1.1", "Host: "+r.host, "Sec-Fetch-Dest: iframe", asForm, "Content-Length: 0")
		}},
		{"another host", 403, func(t *testing.T, r *rig) answer {
			body := "code=x&state=" + r.State
			return r.send(t, "POST "+r.path+" HTTP/1.1", "Host: evil.example", asForm, fmt.Sprintf("Content-Length: %d", len(body)), "", body)
		}},
		{"a state nobody knows", 400, func(t *testing.T, r *rig) answer {
			return r.post(t, r.path, "code=x&state="+oauth.NewState().Reveal(), asForm)
		}},
		{"to a result", 405, func(t *testing.T, r *rig) answer {
			return r.post(t, "/oauth/done/AAAAAAAAAAAAAAAAAAAAAA", "code=x&state="+r.State, asForm)
		}},
	} {
		t.Run("CB-41 "+c.name, func(t *testing.T) {
			r := start(t, formPost)
			if a := c.send(t, r); a.status != c.status {
				t.Errorf("answered with %d, want %d", a.status, c.status)
			}
			r.StillPending(t)
			if a := r.post(t, r.path, "code="+theCode+"&state="+r.State, asForm); a.status != http.StatusSeeOther {
				t.Errorf("the genuine response got %d", a.status)
			}
			r.gotTheCode(t)
		})
	}
	t.Run("CB-11 a form for an attempt beside one that wants forms", func(t *testing.T) {
		port := freePort(t)
		r := start(t, onPort(port))
		forms := startOn(t, r.Loopback, r.log, onPort(port), formPost)
		if a := r.post(t, r.path, "code=x&state="+r.State, asForm); a.status != http.StatusBadRequest {
			t.Errorf("answered with %d", a.status)
		}
		r.StillPending(t)
		forms.StillPending(t)
		r.completes(t)
	})
}

func TestARealBrowserPostsAResponse(t *testing.T) {
	chromium := browser(t)
	r := start(t, formPost)
	r.SetLimits(time.Minute, 150*time.Millisecond)
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		fmt.Fprintf(w, `<body onload="document.forms[0].submit()"><form method="post" action="%s"><input name="code" value="%s"><input name="state" value="%s"></form>`,
			html.EscapeString(r.Prompt.RedirectURI), theCode, html.EscapeString(r.State))
	}))
	defer provider.Close()
	ctx, cancel := context.WithCancel(t.Context())
	var work sync.WaitGroup
	work.Go(func() { _, _ = chromium(ctx, provider.URL+"/authorize") })
	select {
	case e := <-r.Ended:
		if e.Err != nil || e.Reply.Response.Code.Reveal() != theCode {
			t.Errorf("%v", e.Err)
		}
		e.Reply.Tell(okOutcome)
	case <-time.After(30 * time.Second):
		t.Error("nothing was posted")
	}
	cancel()
	work.Wait()
}
