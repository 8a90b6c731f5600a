//go:build linux

package rig

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"keyturn/backend/demo"
)

// Issuer is an authorization server on a socket of its own. It rotates refresh
// tokens, ends the grant of one that is used twice, and keeps a transcript of
// every refresh: what came, when it took effect, when the answer was sent.
type Issuer struct {
	*demo.Server

	// Behave says how the next refresh is answered; nil: at once. It is called
	// before anything happens, so it may also do something to the world.
	Behave func(*Refresh) Behaviour
	// Rotated and Answered, when set, are called at these moments of a refresh.
	Rotated, Answered func()

	mu         sync.Mutex // guards what follows
	open       int        // connections
	closed     *sync.Cond // one less
	transcript []*Refresh
}

// Behaviour is how one refresh is answered.
type Behaviour struct {
	// Before comes between the request and its effect, After between the
	// effect and the answer.
	Before, After time.Duration
	// Attentive servers let a request go that nobody waits for any more;
	// others carry it out.
	Attentive bool
	// Instead, when set, is the answer of something in between: a proxy, a
	// captive portal, a limit. The server itself sees nothing.
	Instead http.HandlerFunc
	// Lost cuts the connection before anything happens, Unanswered after the
	// request took effect.
	Lost, Unanswered bool
}

// Refresh is one line of the transcript. Tokens appear as the first digits of
// their SHA-256. Times are zero for what did not happen.
type Refresh struct {
	Client   string
	With     string // the refresh token that came
	Issued   string // the one that came of it
	Access   string // the access token that came of it, in full
	Code     string // OAuth error code, when it was refused
	Arrived  time.Time
	Rotated  time.Time // took effect
	Refused  time.Time
	Answered time.Time // the answer was handed to the system, whole
	Replaced bool      // something in between answered
	Lost     bool      // dropped before anything happened
}

func (r Refresh) String() string {
	at := func(what string, t time.Time) string {
		if t.IsZero() {
			return ""
		}
		return fmt.Sprintf(", %s +%v", what, t.Sub(r.Arrived).Round(10*time.Microsecond))
	}
	s := fmt.Sprintf("%s refresh with %s", r.Arrived.Format("15:04:05.000000"), r.With) +
		at("rotated to "+r.Issued, r.Rotated) + at("refused: "+r.Code, r.Refused) + at("answered", r.Answered)
	if r.Replaced {
		s += ", answered by something in between"
	}
	if r.Lost {
		s += ", dropped before it took effect"
	}
	return s
}

// Fingerprint is how a secret appears in the transcript.
func Fingerprint(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return hex.EncodeToString(sum[:])[:10]
}

// NewIssuer starts an authorization server for the public clients named.
func NewIssuer(t testing.TB, opts demo.Options, clients ...string) *Issuer {
	t.Helper()
	l := httptest.NewUnstartedServer(nil)
	opts.Issuer = "http://" + l.Listener.Addr().String()
	for _, id := range clients {
		opts.Clients = append(opts.Clients, demo.Client{ID: id, Name: id, RedirectURIs: []string{"http://127.0.0.1/oauth/callback/rotating"}})
	}
	i := &Issuer{Server: demo.New(opts)}
	i.closed = sync.NewCond(&i.mu)
	l.Config.Handler = i
	l.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		i.mu.Lock()
		defer i.mu.Unlock()
		switch state {
		case http.StateNew:
			i.open++
		case http.StateClosed:
			i.open--
			i.closed.Broadcast()
		}
	}
	l.Start()
	t.Cleanup(l.Close)
	return i
}

// Introduce makes the server the provider "rotating" of a running install, by
// its endpoints, with the OAuth apps named.
func (i *Issuer) Introduce(k *Install, clients ...string) {
	k.t.Helper()
	i.IntroduceAs(k, "rotating", "Rotating", clients...)
}

// IntroduceAs is Introduce for a provider with that id and name.
func (i *Issuer) IntroduceAs(k *Install, id, name string, clients ...string) {
	k.t.Helper()
	k.JSON(0, "providers", "register", "--provider-key", id, "--display-name", name,
		"--auth-url", i.Issuer()+"/authorize", "--token-url", i.Issuer()+"/token", "--userinfo-url", i.Issuer()+"/userinfo",
		"--revoke-url", i.Issuer()+"/revoke", "--scopes", "profile,email", "--token-auth-method", "none", "--allow-http-loopback")
	for _, client := range clients {
		k.JSON(0, "apps", "upsert", "--provider", id, "--client-id", client, "--no-client-secret")
	}
}

// Transcript returns the refreshes so far, oldest first.
func (i *Issuer) Transcript() []Refresh {
	i.mu.Lock()
	defer i.mu.Unlock()
	all := make([]Refresh, len(i.transcript))
	for n, r := range i.transcript {
		all[n] = *r
	}
	return all
}

// Forget begins the transcript anew.
func (i *Issuer) Forget() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.transcript = nil
}

// Quiet waits until the server is through with all that was sent to it. Keyturn
// uses no connection twice, so then there are none.
func (i *Issuer) Quiet() {
	time.Sleep(30 * time.Millisecond) // what the last one sent may still wait to be accepted
	i.mu.Lock()
	defer i.mu.Unlock()
	for i.open > 0 {
		i.closed.Wait()
	}
}

// Honours reports whether an access token is good at the server.
func (i *Issuer) Honours(t testing.TB, accessToken string) bool {
	t.Helper()
	req := httptest.NewRequest("GET", i.Issuer()+"/userinfo", nil)
	req.Header.Set("Authorization", "Bearer "+accessToken)
	w := httptest.NewRecorder()
	i.Server.ServeHTTP(w, req)
	return w.Code == http.StatusOK
}

// ServeHTTP implements http.Handler.
func (i *Issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/token" {
		i.Server.ServeHTTP(w, r)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler) // it never came whole
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	form, _ := url.ParseQuery(string(body))
	if form.Get("grant_type") != "refresh_token" {
		i.Server.ServeHTTP(w, r)
		return
	}
	line := &Refresh{Client: form.Get("client_id"), With: Fingerprint(form.Get("refresh_token")), Arrived: time.Now()}
	i.mu.Lock()
	i.transcript = append(i.transcript, line)
	i.mu.Unlock()
	i.answer(w, r, line)
}

func (i *Issuer) answer(w http.ResponseWriter, r *http.Request, line *Refresh) {
	var b Behaviour
	if i.Behave != nil {
		b = i.Behave(line)
	}
	note := func(edit func(now time.Time)) {
		i.mu.Lock()
		defer i.mu.Unlock()
		edit(time.Now())
	}
	pause := time.NewTimer(b.Before)
	defer pause.Stop()
	select {
	case <-pause.C:
	case <-whenGone(r, b.Attentive):
		b.Lost = true
	}
	switch {
	case b.Lost:
		note(func(time.Time) { line.Lost = true })
		panic(http.ErrAbortHandler)
	case b.Instead != nil:
		note(func(time.Time) { line.Replaced = true })
		b.Instead(w, r)
		return
	}

	real := httptest.NewRecorder()
	i.Server.ServeHTTP(real, r)
	var said struct {
		Access  string `json:"access_token"`
		Refresh string `json:"refresh_token"`
		Error   string `json:"error"`
	}
	_ = json.Unmarshal(real.Body.Bytes(), &said) // all its answers are JSON
	note(func(now time.Time) {
		if said.Error != "" {
			line.Code, line.Refused = said.Error, now
			return
		}
		line.Issued, line.Access, line.Rotated = Fingerprint(said.Refresh), said.Access, now
	})
	if i.Rotated != nil {
		i.Rotated()
	}
	time.Sleep(b.After)
	if b.Unanswered {
		panic(http.ErrAbortHandler)
	}
	maps.Copy(w.Header(), real.Header())
	w.Header().Set("Content-Length", fmt.Sprint(real.Body.Len()))
	w.WriteHeader(real.Code)
	_, err := w.Write(real.Body.Bytes())
	if err == nil {
		err = http.NewResponseController(w).Flush()
	}
	if err == nil {
		note(func(now time.Time) { line.Answered = now })
		if i.Answered != nil {
			i.Answered()
		}
	}
}

// whenGone is closed when the client is gone, for servers that look.
func whenGone(r *http.Request, attentive bool) <-chan struct{} {
	if !attentive {
		return nil
	}
	return r.Context().Done()
}

// Lines writes a transcript down, one refresh a line.
func Lines(transcript []Refresh) string {
	var b strings.Builder
	for _, r := range transcript {
		b.WriteString(r.String() + "\n")
	}
	return b.String()
}
