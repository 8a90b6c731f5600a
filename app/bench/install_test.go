//go:build bench && linux

package bench

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"keyturn/app/e2e/rig"
	"keyturn/backend/demo"
	"keyturn/backend/oauth"
	"keyturn/backend/orchestrator"
	"keyturn/backend/provider"
	"keyturn/backend/store"
)

// fill puts things into the store of an install that does not run yet.
func fill(t *testing.T, k *rig.Install, put func(context.Context, *store.Store) error) {
	t.Helper()
	s, err := store.Open(t.Context(), store.Options{Dir: k.Data(), KeyFile: k.KeyFile()})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := put(t.Context(), s); err != nil {
		t.Fatal(err)
	}
}

// crowd is how many connections an install has for which the budgets are
// promised; crowds are how many the ones have that are measured besides, to see
// what grows.
const crowd = 100

var crowds = []int{1, crowd, 1000}

// crowded prepares an install with a hundred connections of the demo provider,
// whose tokens last a day.
func crowded(t *testing.T, extra ...string) *rig.Install {
	t.Helper()
	return crowdedBy(t, crowd, extra...)
}

// crowdedBy is crowded with another number of connections.
func crowdedBy(t *testing.T, n int, extra ...string) *rig.Install {
	t.Helper()
	k := rig.Prepare(t, extra...)
	addCrowd(t, k, n)
	return k
}

// addCrowd puts n connections of the demo provider into an install.
func addCrowd(t *testing.T, k *rig.Install, n int) {
	t.Helper()
	fill(t, k, func(ctx context.Context, s *store.Store) error {
		for i := range n {
			if err := s.SaveConnection(ctx, granted(i)); err != nil {
				return err
			}
		}
		return nil
	})
}

// granted is a connection with a fresh token.
func granted(i int) orchestrator.Record {
	now := time.Now()
	return orchestrator.Record{
		ID: fmt.Sprintf("con_%016x", i), Provider: "demo", ClientID: demo.ClientID,
		Origin: demo.DefaultIssuer, Issuer: demo.DefaultIssuer,
		Account:   oauth.Account{ID: fmt.Sprint(i), Label: account(i)},
		Requested: []string{"profile"}, Granted: []string{"profile"},
		Status: orchestrator.Connected, Generation: 1, Created: now.Add(-time.Hour), Refreshed: now.Add(-time.Hour),
		Token: oauth.Token{
			Access: oauth.NewSecret(accessToken(i)), Refresh: oauth.NewSecret(fmt.Sprintf("refresh-token-%043d", i)),
			Type: "Bearer", Expiry: now.Add(24 * time.Hour),
		},
	}
}

func account(i int) string     { return fmt.Sprintf("user%d@example.test", i) }
func accessToken(i int) string { return fmt.Sprintf("access-token-%043d", i) }

// over returns a client of whatever listens on a socket.
func over(socket string) *http.Client {
	return &http.Client{
		Timeout: time.Minute,
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, "unix", socket)
			},
			MaxIdleConnsPerHost: crowd,
		},
	}
}

// post asks for a token and returns the answer and how long it took.
func post(ctx context.Context, c *http.Client, path, body string) (answer []byte, took time.Duration, err error) {
	r, err := http.NewRequestWithContext(ctx, "POST", "http://keyturn"+path, strings.NewReader(body))
	if err != nil {
		return nil, 0, err
	}
	r.Header.Set("Content-Type", "application/json")
	begun := time.Now()
	res, err := c.Do(r)
	if err != nil {
		return nil, 0, err
	}
	answer, err = io.ReadAll(res.Body)
	res.Body.Close()
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", res.Status, answer)
	}
	return answer, time.Since(begun), err
}

// reads asks for the same cached token over and over.
func reads(t *testing.T, c *http.Client, n int) []time.Duration {
	t.Helper()
	return asks(t, c, n, fmt.Sprintf(`{"provider":"demo","account":%q}`, account(42)), accessToken(42))
}

// asks posts the same body n times and expects words in every answer.
func asks(t *testing.T, c *http.Client, n int, body, words string) []time.Duration {
	t.Helper()
	all := make([]time.Duration, n)
	for i := range all {
		answer, took, err := post(t.Context(), c, "/v1/token", body)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(answer, []byte(words)) {
			t.Fatalf("no %s in %s", words, answer)
		}
		all[i] = took
	}
	return all
}

// hello starts the yardstick of everything that answers on a socket.
func hello(t *testing.T) (cmd *exec.Cmd, socket string, begun time.Time) {
	t.Helper()
	dir, err := os.MkdirTemp("", "hello") // t.TempDir can be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	socket = filepath.Join(dir, "hello.sock")
	cmd = exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), greeting+"="+socket)
	cmd.Stderr = os.Stderr
	begun = time.Now()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		end(cmd)
		_ = os.RemoveAll(dir)
	})
	return cmd, socket, begun
}

// answered waits until a socket answers, and says when.
func answered(t *testing.T, socket, path string) time.Time {
	t.Helper()
	c := over(socket)
	defer c.CloseIdleConnections()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(200 * time.Microsecond) {
		res, err := c.Get("http://keyturn" + path)
		if err == nil {
			res.Body.Close()
			return time.Now()
		}
	}
	t.Fatal(socket, " did not answer")
	return time.Time{}
}

// as is an authorization server beside the programs, and a watch on how long
// it has been at work.
type as struct {
	*demo.Server

	mu    sync.Mutex
	atOn  int
	since time.Time
	spent time.Duration
}

// serve starts an authorization server for the provider "bench".
func serve(t *testing.T, life, latency time.Duration) *as {
	t.Helper()
	l := httptest.NewUnstartedServer(nil)
	a := &as{Server: demo.New(demo.Options{
		Issuer:    "http://" + l.Listener.Addr().String(),
		AccessTTL: life,
		Latency:   latency,
		Clients:   []demo.Client{{ID: "bench", Name: "Bench", RedirectURIs: []string{"http://127.0.0.1/oauth/callback/bench"}}},
	})}
	l.Config.Handler = a
	l.Start()
	t.Cleanup(l.Close)
	return a
}

func (a *as) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	if a.atOn == 0 {
		a.since = time.Now()
	}
	a.atOn++
	a.mu.Unlock()
	defer func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.atOn--; a.atOn == 0 {
			a.spent += time.Since(a.since)
		}
	}()
	a.Server.ServeHTTP(w, r)
}

// worked returns how long the server has been at work.
func (a *as) worked() time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.spent
}

// known makes the server a provider of an install, with an OAuth app.
func (a *as) known(t *testing.T, k *rig.Install) {
	t.Helper()
	m, err := oauth.NewHTTP(oauth.HTTPOptions{}).Discover(t.Context(), a.Issuer(), true)
	if err != nil {
		t.Fatal(err)
	}
	p, err := provider.FromRegistration(provider.Registration{
		ProviderKey: "bench", DisplayName: "Bench", Issuer: a.Issuer(),
		Scopes: []string{"profile", "email"}, TokenAuthMethod: "none", AllowLoopbackHTTP: true,
	}, &m)
	if err != nil {
		t.Fatal(err)
	}
	fill(t, k, func(ctx context.Context, s *store.Store) error {
		if err := s.SaveProvider(ctx, p); err != nil {
			return err
		}
		return s.SaveApp(ctx, orchestrator.App{
			ID: "app_0000000000000001", Provider: "bench",
			Client: oauth.Client{ID: "bench", Auth: oauth.AuthNone}, Created: time.Now(), Updated: time.Now(),
		})
	})
}
