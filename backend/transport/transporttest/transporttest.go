// Package transporttest says what every callback transport has to keep,
// whatever way a response comes: it is run by the tests of each of them.
package transporttest

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"keyturn/backend/fault"
	"keyturn/backend/oauth"
)

// Transport is what the orchestrator asks of one.
type Transport interface {
	Authorize(ctx context.Context, req oauth.AuthorizationRequest, show func(oauth.Prompt)) (oauth.Reply, error)
}

// Subject is a transport and the world at its other end.
type Subject struct {
	Transport Transport
	// Respond brings an authorization response to where the prompt asks for it,
	// as a browser would, and returns when it was answered. An error means that
	// nobody was there to take it.
	Respond func(p oauth.Prompt, response url.Values) error
	// Close ends the transport.
	Close func()
}

// atOnce is how long something may take that needs nobody else.
const atOnce = 2 * time.Second

// Request is an authorization request that any transport can carry.
func Request() oauth.AuthorizationRequest {
	return oauth.AuthorizationRequest{
		Server: oauth.Server{
			Authorize: oauth.AuthorizationEndpoint{URL: "https://provider.example/authorize"},
			Token:     oauth.TokenEndpoint{URL: "https://provider.example/token"},
		},
		Client:     oauth.Client{ID: "client", Auth: oauth.AuthNone},
		Scopes:     []string{"read"},
		State:      oauth.NewState(),
		Verifier:   oauth.NewVerifier(),
		Nonce:      oauth.NewNonce(),
		ProviderID: "acme",
	}
}

// Run checks a transport. make returns a fresh one each time.
func Run(t *testing.T, make func(t *testing.T) Subject) {
	for _, c := range []struct {
		name string
		test func(t *testing.T, s Subject)
	}{
		{"shows exactly one prompt, with the state and S256 in it", showsOnePrompt},
		{"delivers a code", deliversACode},
		{"delivers an error response", deliversAnError},
		{"delivers once, however often a response comes", deliversOnce},
		{"ignores strangers", ignoresStrangers},
		{"keeps attempts apart", keepsAttemptsApart},
		{"obeys cancel at once", obeysCancel},
		{"tells a deadline from a cancel", tellsExpiry},
		{"starts nothing when ctx has ended", startsNothingLate},
		{"takes Tell from anybody, once, without blocking", takesTell},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := runtime.NumGoroutine()
			s := make(t)
			c.test(t, s)
			s.Close()
			nothingRunning(t, before)
		})
	}
}

// Attempt is an Authorize under way.
type Attempt struct {
	Prompt  oauth.Prompt
	Prompts *atomic.Int32
	State   string
	Cancel  context.CancelFunc
	Ended   <-chan End
}

// End is what Authorize returned.
type End struct {
	Reply oauth.Reply
	Err   error
}

// Start calls Authorize and waits for the prompt.
func Start(t testing.TB, tr Transport, req oauth.AuthorizationRequest) Attempt {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	a, err := start(ctx, tr, req)
	if err != nil {
		t.Fatalf("Authorize ended before the prompt: %v", err)
	}
	a.Cancel = cancel
	return a
}

func start(ctx context.Context, tr Transport, req oauth.AuthorizationRequest) (Attempt, error) {
	prompts, shown, ended := new(atomic.Int32), make(chan oauth.Prompt, 16), make(chan End, 1)
	go func() {
		r, err := tr.Authorize(ctx, req, func(p oauth.Prompt) {
			prompts.Add(1)
			shown <- p
		})
		ended <- End{r, err}
	}()
	a := Attempt{Prompts: prompts, Ended: ended}
	select {
	case a.Prompt = <-shown:
		// The state may say which way it goes, before what nobody can guess.
		u, err := url.Parse(a.Prompt.URL)
		if err == nil {
			a.State = u.Query().Get("state")
		}
		if !strings.HasSuffix(a.State, req.State.Reveal()) {
			return a, fmt.Errorf("the state is not in the prompt: %v", err)
		}
		return a, nil
	case e := <-ended:
		return a, e.Err
	case <-time.After(atOnce):
		return a, errors.New("no prompt and no error")
	}
}

// Wait returns how the attempt ended.
func (a Attempt) Wait(t testing.TB) End {
	t.Helper()
	select {
	case e := <-a.Ended:
		return e
	case <-time.After(atOnce):
		t.Fatal("Authorize does not return")
		return End{}
	}
}

// StillPending fails when the attempt has ended.
func (a Attempt) StillPending(t testing.TB) {
	t.Helper()
	select {
	case e := <-a.Ended:
		t.Fatalf("the attempt ended: code %t, error %q, %v", !e.Reply.Response.Code.IsZero(), e.Reply.Response.Error, e.Err)
	default:
	}
}

func genuine(a Attempt) url.Values { return url.Values{"code": {"the-code"}, "state": {a.State}} }

func showsOnePrompt(t *testing.T, s Subject) {
	req := Request()
	a := Start(t, s.Transport, req)
	u, err := url.Parse(a.Prompt.URL)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	if q.Get("state") != a.State || q.Get("code_challenge_method") != "S256" || q.Get("redirect_uri") != a.Prompt.RedirectURI {
		t.Errorf("the prompt is %s", a.Prompt.URL)
	}
	if strings.Contains(a.Prompt.URL, req.Verifier.Reveal()) {
		t.Error("the verifier is in the prompt")
	}
	if err := s.Respond(a.Prompt, genuine(a)); err != nil {
		t.Fatal(err)
	}
	tell(a.Wait(t))
	if n := a.Prompts.Load(); n != 1 {
		t.Errorf("%d prompts, want 1", n)
	}
}

func deliversACode(t *testing.T, s Subject) {
	a := Start(t, s.Transport, Request())
	q := genuine(a)
	q.Set("iss", "https://provider.example")
	if err := s.Respond(a.Prompt, q); err != nil {
		t.Fatal(err)
	}
	e := a.Wait(t)
	defer tell(e)
	r := e.Reply.Response
	if e.Err != nil || r.Code.Reveal() != "the-code" || r.Error != "" {
		t.Errorf("got %v, error %q, %v", r.Code.Reveal(), r.Error, e.Err)
	}
	if r.Iss == nil || *r.Iss != "https://provider.example" {
		t.Error("iss was lost on the way")
	}
}

func deliversAnError(t *testing.T, s Subject) {
	a := Start(t, s.Transport, Request())
	if err := s.Respond(a.Prompt, url.Values{"error": {"access_denied"}, "error_description": {"no"}, "state": {a.State}}); err != nil {
		t.Fatal(err)
	}
	e := a.Wait(t)
	defer tell(e)
	if e.Err != nil || e.Reply.Response.Error != "access_denied" || !e.Reply.Response.Code.IsZero() {
		t.Errorf("got %+v, %v", e.Reply.Response, e.Err)
	}
}

func deliversOnce(t *testing.T, s Subject) {
	a := Start(t, s.Transport, Request())
	first := genuine(a)
	if err := s.Respond(a.Prompt, first); err != nil {
		t.Fatal(err)
	}
	second := url.Values{"code": {"another-code"}, "state": {a.State}}
	_ = s.Respond(a.Prompt, second)
	e := a.Wait(t)
	defer tell(e)
	if e.Err != nil || e.Reply.Response.Code.Reveal() != "the-code" {
		t.Errorf("got %q, %v", e.Reply.Response.Code.Reveal(), e.Err)
	}
}

func ignoresStrangers(t *testing.T, s Subject) {
	a := Start(t, s.Transport, Request())
	for _, q := range []url.Values{
		{},
		{"code": {"x"}},
		{"error": {"access_denied"}},
		{"code": {"x"}, "state": {oauth.NewState().Reveal()}},
		{"error": {"access_denied"}, "state": {oauth.NewState().Reveal()}},
		{"code": {"x"}, "state": {a.State + " "}},
		{"code": {"x"}, "state": {a.State[:len(a.State)-1]}},
		{"code": {"x"}, "error": {"e"}, "state": {a.State}},
		{"code": {"x", "y"}, "state": {a.State}},
		{"code": {"x"}, "state": {a.State, a.State}},
		{"state": {a.State}},
		{"code": {""}, "state": {a.State}},
		{"code": {"a\r\nX: y"}, "state": {a.State}},
	} {
		_ = s.Respond(a.Prompt, q)
		a.StillPending(t)
	}
	if err := s.Respond(a.Prompt, genuine(a)); err != nil {
		t.Fatal(err)
	}
	e := a.Wait(t)
	defer tell(e)
	if e.Err != nil || e.Reply.Response.Code.Reveal() != "the-code" {
		t.Errorf("after the strangers: %q, %v", e.Reply.Response.Code.Reveal(), e.Err)
	}
}

func keepsAttemptsApart(t *testing.T, s Subject) {
	one, two := Start(t, s.Transport, Request()), Start(t, s.Transport, Request())
	if one.Prompt.URL == two.Prompt.URL {
		t.Fatal("two attempts with one URL")
	}
	if err := s.Respond(two.Prompt, genuine(two)); err != nil {
		t.Fatal(err)
	}
	tell(two.Wait(t))
	one.StillPending(t)
	if err := s.Respond(one.Prompt, genuine(one)); err != nil {
		t.Fatal(err)
	}
	e := one.Wait(t)
	defer tell(e)
	if e.Err != nil {
		t.Error(e.Err)
	}
}

func obeysCancel(t *testing.T, s Subject) {
	a := Start(t, s.Transport, Request())
	a.Cancel()
	if code := fault.CodeOf(a.Wait(t).Err); code != fault.Cancelled {
		t.Errorf("code %q, want cancelled", code)
	}
	_ = s.Respond(a.Prompt, genuine(a)) // too late: answered or not, it must change nothing
}

func tellsExpiry(t *testing.T, s Subject) {
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	a, err := start(ctx, s.Transport, Request())
	if err == nil {
		err = a.Wait(t).Err
	}
	if code := fault.CodeOf(err); code != fault.Expired {
		t.Errorf("code %q, want expired", code)
	}
}

func startsNothingLate(t *testing.T, s Subject) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := s.Transport.Authorize(ctx, Request(), func(oauth.Prompt) { t.Error("a prompt was shown") })
	if _, ok := errors.AsType[*fault.Error](err); !ok {
		t.Errorf("got %v, want a *fault.Error", err)
	}
}

func takesTell(t *testing.T, s Subject) {
	a := Start(t, s.Transport, Request())
	if err := s.Respond(a.Prompt, genuine(a)); err != nil {
		t.Fatal(err)
	}
	e := a.Wait(t)
	done := make(chan struct{})
	go func() {
		tell(e)
		tell(e)
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(atOnce):
		t.Error("Tell blocks")
	}
}

func tell(e End) {
	if e.Reply.Tell != nil {
		e.Reply.Tell(oauth.Outcome{OK: true, Provider: "Acme", Account: "ada"})
	}
}

// nothingRunning waits for the goroutines of a test to end.
func nothingRunning(t *testing.T, before int) {
	t.Helper()
	for deadline := time.Now().Add(atOnce); runtime.NumGoroutine() > before; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			stacks := make([]byte, 1<<16)
			t.Fatalf("something was left running:\n%s", stacks[:runtime.Stack(stacks, true)])
		}
	}
}
