package transport_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"
)

// TestARealBrowserReachesUsByNavigationOnly is GW-20: Chromium keeps a page of
// the internet from asking this computer for anything (Local Network Access),
// but follows a link to it. So a gateway sends the browser on, and asks nothing.
func TestARealBrowserReachesUsByNavigationOnly(t *testing.T) {
	chromium := browser(t)
	r := start(t)
	told := make(chan string, 1)
	internet := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/tell" {
			told <- req.URL.RawQuery
			return
		}
		fmt.Fprintf(w, `<script>
			const home = "http://%s%s"
			fetch(home, {mode: "no-cors"}).then(() => "came through", () => "blocked")
				.then(how => fetch("/tell?" + how)).then(() => location = home)
			</script>`, r.host, r.target())
	}))
	defer internet.Close()
	ctx, cancel := context.WithCancel(t.Context())
	var work sync.WaitGroup
	work.Go(func() {
		_, _ = chromium(ctx, internet.URL, "--ip-address-space-overrides="+internet.Listener.Addr().String()+"=public")
	})
	defer work.Wait()
	defer cancel()
	select {
	case how := <-told:
		if how != "blocked" {
			t.Errorf("a request in the background %s", how)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("the page says nothing")
	}
	select {
	case e := <-r.Ended:
		if e.Err != nil || e.Reply.Response.Code.Reveal() != theCode {
			t.Errorf("%v", e.Err)
		}
		e.Reply.Tell(okOutcome)
	case <-time.After(30 * time.Second):
		t.Error("the browser did not come")
	}
	if s := r.Stats(); s.Delivered != 1 || s.Refused > 1 { // one that came through was refused at least
		t.Error(s)
	}
}
