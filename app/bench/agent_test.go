//go:build bench && linux

package bench

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"keyturn/app/e2e/rig"
	"keyturn/backend/oauth"
	"keyturn/backend/orchestrator"
	"keyturn/backend/provider"
	"keyturn/backend/store"
)

const (
	readers = 50
	// atWork is how long the token endpoint takes for a refresh, and hung how
	// long it keeps the neighbour waiting.
	atWork = 100 * time.Millisecond
	hung   = 3 * time.Second
	brief  = 4 * time.Second // life of the tokens that are to end
)

// besideOIDCAgent is what users of such a program feel: many scripts that find
// the token expired, and one account whose provider hangs. Both programs as
// processes, the same kind of server, in turns.
func besideOIDCAgent(t *testing.T) []line {
	return append(expiredReads(t), behindANeighbour(t)...)
}

// expiredReads has fifty processes ask for a token that has just ended.
func expiredReads(t *testing.T) []line {
	server := openID(brief)
	t.Cleanup(server.Close)
	theirs := oidcAgent(t, server, "yard")["yard"]
	server.delay.Store(int64(atWork))

	a := serve(t, brief, atWork)
	k := rig.Prepare(t)
	a.known(t, k)
	k.Run("keyturn-headless")
	started := k.JSON(0, "connect", "bench", "--no-browser")
	rig.NewPerson(t).Answer(started["auth_url"].(string), map[string]string{"answer": "allow", "account": "ada"})
	ours := func() *exec.Cmd { return k.Command("keyturn", "token", "bench") }

	var keyturn, agent []time.Duration
	var oursWorst, theirsWorst int64
	for range 3 {
		time.Sleep(brief + 500*time.Millisecond)
		before, renewed := int64(a.Counts().Refreshes), server.refreshes.Load()
		keyturn = append(keyturn, together(t, ours))
		oursWorst = max(oursWorst, int64(a.Counts().Refreshes)-before)
		agent = append(agent, together(t, theirs))
		theirsWorst = max(theirsWorst, server.refreshes.Load()-renewed)
	}
	l := compare("OA", fmt.Sprintf("%d processes on an expired token", readers), median(keyturn), median(agent), "oidc-agent", 1.5)
	return []line{l, {
		what:     "   refreshes that the server saw",
		measured: fmt.Sprint(oursWorst), yardstick: fmt.Sprintf("oidc-agent %d", theirsWorst), allowed: "1", broken: oursWorst != 1,
	}}
}

// together runs fifty of a command at once, and returns how long all took.
func together(t *testing.T, command func() *exec.Cmd) time.Duration {
	t.Helper()
	begun := time.Now()
	var all sync.WaitGroup
	for range readers {
		cmd := command()
		all.Go(func() {
			if out, err := cmd.Output(); err != nil || strings.TrimSpace(string(out)) == "" {
				t.Errorf("%s: %v: %q", cmd.Path, err, out)
			}
		})
	}
	all.Wait()
	return time.Since(begun)
}

// behindANeighbour reads a cached token while another account's provider hangs.
func behindANeighbour(t *testing.T) []line {
	server := openID(brief)
	t.Cleanup(server.Close)
	// The one that is read has to stay cached: its tokens last.
	lasting := openID(24 * time.Hour)
	t.Cleanup(lasting.Close)
	agent := oidcAgentAt(t, map[string]*providerServer{"yard": lasting, "neighbour-slow": server})
	timed(t, agent["yard"](), yardToken)

	hang := hanging(t)
	k := crowded(t)
	p, err := provider.FromRegistration(provider.Registration{
		ProviderKey: "hanging", AuthURL: hang.url + "/authorize", TokenURL: hang.url + "/token",
		TokenAuthMethod: "none", AllowLoopbackHTTP: true,
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	fill(t, k, func(ctx context.Context, s *store.Store) error {
		if err := s.SaveProvider(ctx, p); err != nil {
			return err
		}
		app := orchestrator.App{ID: "app_0000000000000002", Provider: p.ID, Client: oauth.Client{ID: "bench", Auth: oauth.AuthNone}}
		if err := s.SaveApp(ctx, app); err != nil {
			return err
		}
		for i := range runs {
			r := granted(crowd + i)
			r.Provider, r.ClientID, r.Origin, r.Issuer = p.ID, "bench", hang.url, ""
			r.Refreshed = time.Now().Add(-2 * time.Hour)
			r.Token.Expiry = r.Refreshed.Add(time.Hour)
			if err := s.SaveConnection(ctx, r); err != nil {
				return err
			}
		}
		return nil
	})
	k.Run("keyturn-headless")
	ours := func() *exec.Cmd { return k.Command("keyturn", "token", "demo", "--account", account(42)) }
	timed(t, ours(), accessToken(42))

	var keyturn, theirs []time.Duration
	for i := range 3 {
		release := hang.begin(t, k, crowd+i)
		keyturn = append(keyturn, timed(t, ours(), accessToken(42)))
		release()

		time.Sleep(brief + 500*time.Millisecond)
		server.slow.Store(int64(hung))
		neighbour := agent["neighbour-slow"]()
		if err := neighbour.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(200 * time.Millisecond) // it is being asked
		theirs = append(theirs, timed(t, agent["yard"](), yardToken))
		_ = neighbour.Wait()
		server.slow.Store(0)
	}
	return []line{compare("", "cached read behind a neighbour that hangs", median(keyturn), median(theirs), "oidc-agent", 2)}
}
