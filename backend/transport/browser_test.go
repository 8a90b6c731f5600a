package transport_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// TestARealBrowserEndsOnTheOutcome goes the whole way: the provider's redirect,
// the callback, the page that waits, its reload, the outcome.
func TestARealBrowserEndsOnTheOutcome(t *testing.T) {
	chromium := browser(t)
	r := start(t)
	r.SetLimits(time.Minute, 150*time.Millisecond)
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/authorize" {
			http.Redirect(w, req, "http://"+r.host+r.target(), http.StatusFound)
			return
		}
		http.NotFound(w, req)
	}))
	defer provider.Close()
	go func() {
		e := <-r.Ended
		time.Sleep(200 * time.Millisecond) // the exchange: the page says "finishing" first
		if e.Err == nil {
			e.Reply.Tell(okOutcome)
		}
	}()
	dom, err := chromium(t.Context(), provider.URL+"/authorize", "--virtual-time-budget=8000", "--dump-dom")
	if err != nil {
		t.Fatalf("chromium: %v", err)
	}
	for _, want := range []string{"Acme is connected", "You can close this tab."} {
		if !strings.Contains(dom, want) {
			t.Errorf("the browser does not show %q\n%s", want, dom)
		}
	}
	if s := r.Stats(); s.Delivered != 1 {
		t.Error(s)
	}
}

// browser returns what opens an address in Chromium and, with the flags for it,
// returns the page that it ends on. It ends when ctx does.
func browser(t *testing.T) func(ctx context.Context, address string, flags ...string) (dom string, err error) {
	t.Helper()
	if testing.Short() {
		t.Skip("starts a browser")
	}
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is not installed")
	}
	return func(ctx context.Context, address string, flags ...string) (string, error) {
		ctx, cancel := context.WithTimeout(ctx, 40*time.Second)
		defer cancel()
		cmd := exec.CommandContext(ctx, chromium, append(flags, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
			"--user-data-dir="+t.TempDir(), address)...)
		cmd.WaitDelay = time.Second
		dom, err := cmd.Output()
		return string(dom), err
	}
}
