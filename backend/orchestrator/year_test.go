package orchestrator_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"keyturn/backend/demo"
	"keyturn/backend/fault"
	"keyturn/backend/oauth"
	"keyturn/backend/orchestrator"
	"keyturn/backend/provider"
	"keyturn/backend/store/storetest"
)

// A year is a simulated time with day-long rotating tokens: programs read them,
// the provider fails in every way that is not the end of a grant, the clock is
// put forth and back, and the program ends, stays away and comes back.
type year struct {
	*world
	random *rand.Rand
	offset atomic.Int64 // of the client's wall clock, in nanoseconds
	ids    []string
}

const yearSeed = 20261124

func TestNoGrantIsLostInAYear(t *testing.T) {
	days, connections := 20, 50
	if os.Getenv("KEYTURN_SOAK") != "" {
		days, connections = 365, 200
	}
	clients := make([]demo.Client, connections)
	for i := range clients {
		clients[i] = demo.Client{ID: fmt.Sprintf("client-%03d", i), RedirectURIs: []string{"http://127.0.0.1/oauth/callback/demo"}}
	}
	synctest.Test(t, func(t *testing.T) {
		y := &year{random: rand.New(rand.NewPCG(yearSeed, 0))}
		y.world = &world{t: t, store: storetest.NewMemory(2 * time.Millisecond),
			as: demo.New(demo.Options{AccessTTL: 24 * time.Hour, Grace: 2 * time.Minute, Latency: 50 * time.Millisecond, Clients: clients})}
		y.start()
		defer func() { y.stop() }()
		for _, c := range clients {
			y.join(c.ID)
		}
		reads, outages := 0, 0
		for day := range days {
			outages += y.trouble(day)
			for range 6 { // every four hours somebody reads a fifth of them
				time.Sleep(4 * time.Hour)
				for _, id := range y.ids {
					if y.random.IntN(5) == 0 {
						reads += y.read(id)
					}
				}
			}
		}
		y.offset.Store(0)
		time.Sleep(24 * time.Hour) // the last trouble passes
		for _, id := range y.ids {
			if _, err := y.Token(t.Context(), orchestrator.TokenQuery{ConnectionID: id}); err != nil {
				t.Errorf("%s has no token in the end: %v", id, err)
			}
		}
		synctest.Wait()
		n := y.as.Counts()
		if n.LiveGrants != connections || n.Replays != 0 {
			t.Errorf("%d of %d grants live, %d ended as replays", n.LiveGrants, connections, n.Replays)
		}
		var generations uint64
		for _, r := range y.store.Contents().Connections {
			generations += r.Generation - 1
			if r.Status != orchestrator.Connected {
				t.Errorf("%s is %s: %s", r.ID, r.Status, r.Reason)
			}
		}
		// What the server issued and what was kept differ by the answers that
		// were lost on the way, each of which was asked for once more.
		lost := uint64(n.Refreshes) - generations
		if lost > uint64(outages) {
			t.Errorf("%d refreshes for %d generations, and only %d outages", n.Refreshes, generations, outages)
		}
		if most := connections * (days + 1) * 3 / 2; n.Refreshes > most {
			t.Errorf("%d refreshes are more than %d", n.Refreshes, most)
		}
		t.Logf("%d days, %d connections: %d reads, %d outages, %d refreshes, %d generations, %d answers lost, 0 grants",
			days, connections, reads, outages, n.Refreshes, generations, lost)
	})
}

func (y *year) now() time.Time { return time.Now().Add(time.Duration(y.offset.Load())) }

// start runs an orchestrator over what the last one left.
func (y *year) start() {
	catalogue, err := provider.Builtin()
	if err != nil {
		y.t.Fatal(err)
	}
	y.browser = &browser{waiting: map[string]*tab{}}
	y.Orchestrator = orchestrator.New(orchestrator.Options{
		Store:      y.store,
		Catalogue:  catalogue,
		Transports: map[string]orchestrator.Transport{"loopback": y.browser},
		HTTP:       oauth.NewHTTP(oauth.HTTPOptions{Transport: y.as, Now: y.now}),
		Now:        y.now,
	})
	ctx, cancel := context.WithCancel(y.t.Context())
	ended := make(chan struct{})
	run := y.Orchestrator
	go func() {
		defer close(ended)
		_ = run.Run(ctx)
	}()
	y.stop = func() {
		cancel()
		<-ended
	}
	<-y.Ready()
}

func (y *year) join(clientID string) {
	if _, err := y.UpsertApp(y.t.Context(), "demo", clientID, oauth.Secret{}, true); err != nil {
		y.t.Fatal(err)
	}
	a := y.connect(orchestrator.ConnectRequest{ClientID: clientID, Account: "ada"})
	if out := y.approve(a, "ada"); !out.OK {
		y.t.Fatalf("%+v", out)
	}
	v, err := y.Attempt(a.Handle)
	if err != nil {
		y.t.Fatal(err)
	}
	y.ids = append(y.ids, v.ConnectionID)
}

// read reads a token; only an outage may keep it from coming.
func (y *year) read(id string) int {
	_, err := y.Token(y.t.Context(), orchestrator.TokenQuery{ConnectionID: id})
	switch fault.CodeOf(err) {
	case "", fault.ProviderUnavailable, fault.RateLimited, fault.ProviderError:
		return 1
	}
	y.t.Errorf("%s: %v", id, err)
	return 1
}

// trouble has something go wrong on most days, and returns how many answers
// fail.
func (y *year) trouble(day int) int {
	n := 1 + y.random.IntN(10)
	on := func(f demo.Fault) int {
		f.On, f.Times = demo.OpRefresh, n
		y.as.Script(f)
		return n
	}
	header := func(name, value string) http.Header { return http.Header{name: {value}} }
	switch y.random.IntN(10) {
	case 0:
		return on(demo.Fault{Drop: demo.Unreachable})
	case 1:
		return on(demo.Fault{Drop: demo.Lost})
	case 2:
		n = 1 // the server forgives the next use for two minutes
		return on(demo.Fault{Drop: demo.Unanswered})
	case 3:
		return on(demo.Fault{Status: http.StatusBadGateway, Body: "{}"})
	case 4:
		return on(demo.Fault{Status: http.StatusTooManyRequests, Header: header("Retry-After", "600"), Body: "{}"})
	case 5:
		return on(demo.Fault{Status: http.StatusServiceUnavailable, Header: header("Retry-After", time.Now().Add(20*time.Minute).UTC().Format(http.TimeFormat)), Body: "{}"})
	case 6:
		return on(demo.Fault{Status: http.StatusOK, Header: header("Content-Type", "text/html"), Body: "<html>Sign in to this network</html>"})
	case 7:
		y.offset.Store(int64(time.Duration(y.random.IntN(7)-3) * time.Hour))
	case 8:
		y.stop()
		time.Sleep(time.Duration(y.random.IntN(30)) * time.Hour)
		y.start()
	}
	return 0
}
