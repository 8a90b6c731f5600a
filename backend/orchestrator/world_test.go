package orchestrator_test

import (
	"context"
	"net/url"
	"sync"
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
	"keyturn/backend/transport"
)

// world is an orchestrator with everything around it, inside a synctest
// bubble: a real authorization server in memory, a store with latency, and a
// transport whose browser is the test.
type world struct {
	*orchestrator.Orchestrator
	t       *testing.T
	as      *demo.Server
	store   *storetest.Memory
	browser *browser
	gateway atomic.Bool // whether one is set up
	stop    func()      // ends Run and waits for it
}

// run calls test in a bubble, in a world that has started.
func run(t *testing.T, opts demo.Options, test func(*testing.T, *world)) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, opts, storetest.NewMemory(2*time.Millisecond))
		defer w.stop()
		test(t, w)
	})
}

func newWorld(t *testing.T, opts demo.Options, store *storetest.Memory) *world {
	if opts.Latency == 0 {
		opts.Latency = 20 * time.Millisecond
	}
	return start(t, demo.New(opts), store)
}

// start runs an orchestrator on what is there already, as after a restart.
func start(t *testing.T, as *demo.Server, store *storetest.Memory) *world {
	catalogue, err := provider.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	return startWith(t, as, store, catalogue)
}

func startWith(t *testing.T, as *demo.Server, store *storetest.Memory, catalogue *provider.Catalogue) *world {
	w := &world{t: t, as: as, store: store, browser: &browser{waiting: map[string]*tab{}}}
	network := oauth.NewHTTP(oauth.HTTPOptions{Transport: as})
	w.Orchestrator = orchestrator.New(orchestrator.Options{
		Store:     store,
		Catalogue: catalogue,
		Transports: map[string]orchestrator.Transport{
			"loopback": w.browser,
			"gateway":  byGateway{w.browser, &w.gateway},
			"device":   transport.NewDevice(network, nil, nil),
			"paste":    transport.NewPaste(27419),
		},
		HTTP: network,
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := w.Run(ctx); err != nil {
			t.Error(err)
		}
	}()
	w.stop = func() {
		cancel()
		<-ended
	}
	<-w.Ready()
	return w
}

// byGateway is the browser behind a gateway, once one is set up.
type byGateway struct {
	*browser
	set *atomic.Bool
}

func (g byGateway) Ready() error {
	if !g.set.Load() {
		return fault.New(fault.BadRequest, "No gateway is set up.")
	}
	return nil
}

// browser is a Transport whose callbacks are delivered by the test.
type browser struct {
	mu      sync.Mutex
	waiting map[string]*tab // by state
	fail    error           // what Authorize returns before any prompt
}

// tab is a page that waits for its outcome.
type tab struct {
	response chan oauth.AuthorizationResponse
	outcome  chan oauth.Outcome
}

const redirectURI = "http://127.0.0.1:50000/oauth/callback/demo"

func (b *browser) Authorize(ctx context.Context, req oauth.AuthorizationRequest, show func(oauth.Prompt)) (oauth.Reply, error) {
	time.Sleep(time.Millisecond)
	b.mu.Lock()
	fail := b.fail
	b.mu.Unlock()
	if fail != nil {
		return oauth.Reply{}, fail
	}
	u, err := req.PromptURL(ctx, redirectURI)
	if err != nil {
		return oauth.Reply{}, err
	}
	tb := &tab{make(chan oauth.AuthorizationResponse, 1), make(chan oauth.Outcome, 1)}
	b.mu.Lock()
	b.waiting[req.State.Reveal()] = tb
	b.mu.Unlock()
	show(oauth.Prompt{URL: u, RedirectURI: redirectURI})
	reply := func(r oauth.AuthorizationResponse) oauth.Reply {
		return oauth.Reply{Response: r, Tell: func(o oauth.Outcome) { tb.outcome <- o }}
	}
	select {
	case r := <-tb.response:
		return reply(r), nil
	case <-ctx.Done():
		b.mu.Lock()
		_, waits := b.waiting[req.State.Reveal()]
		delete(b.waiting, req.State.Reveal())
		b.mu.Unlock()
		if !waits { // handed over at the last moment: its page still waits
			return reply(<-tb.response), nil
		}
		return oauth.Reply{}, ctx.Err()
	}
}

// deliver hands a callback URL to the attempt it belongs to and returns its
// page; nil when nobody waits for it.
func (b *browser) deliver(t *testing.T, callback string) *tab {
	t.Helper()
	u, err := url.Parse(callback)
	if err != nil {
		t.Fatal(err)
	}
	state, r, err := oauth.ParseAuthorizationResponse(u.RawQuery)
	if err != nil {
		t.Fatal(err)
	}
	b.mu.Lock()
	tb := b.waiting[state]
	delete(b.waiting, state)
	b.mu.Unlock()
	if tb != nil {
		tb.response <- r
	}
	return tb
}

// connect starts an attempt as the command line does.
func (w *world) connect(r orchestrator.ConnectRequest) orchestrator.Attempt {
	w.t.Helper()
	s, err := w.Connect(w.t.Context(), request(r))
	if err != nil {
		w.t.Fatal(err)
	}
	return s.Attempt
}

func request(r orchestrator.ConnectRequest) orchestrator.ConnectRequest {
	if r.Provider == "" {
		r.Provider = "demo"
	}
	if r.Starter == "" {
		r.Starter = "local"
	}
	return r
}

// approve plays a user who says yes, and returns what the last page says.
func (w *world) approve(a orchestrator.Attempt, account string) oauth.Outcome {
	w.t.Helper()
	callback := w.as.Approve(a.URL, account)
	return w.page(callback)
}

// page delivers a callback and waits for its page.
func (w *world) page(callback string) oauth.Outcome {
	w.t.Helper()
	tb := w.browser.deliver(w.t, callback)
	if tb == nil {
		w.t.Fatal("nobody waits for this callback")
	}
	return <-tb.outcome
}

// connected connects an account and returns the connection.
func (w *world) connected(account string) orchestrator.Connection {
	w.t.Helper()
	a := w.connect(orchestrator.ConnectRequest{Account: account})
	if out := w.approve(a, account); !out.OK {
		w.t.Fatalf("not connected: %+v", out)
	}
	v, err := w.Attempt(a.Handle)
	if err != nil {
		w.t.Fatal(err)
	}
	c, err := w.Connection(v.ConnectionID)
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// token reads a token of the only connection.
func (w *world) token() string {
	w.t.Helper()
	tok, err := w.Token(w.t.Context(), orchestrator.TokenQuery{Provider: "demo"})
	if err != nil {
		w.t.Fatal(err)
	}
	return tok.Token.Reveal()
}

// wantCode fails unless err has a code.
func (w *world) wantCode(err error, code fault.Code) {
	w.t.Helper()
	if fault.CodeOf(err) != code {
		w.t.Fatalf("%q (%v), want %q", fault.CodeOf(err), err, code)
	}
}

// tokenRequests counts what the token endpoint was asked, of either kind.
func (w *world) tokenRequests() int {
	n := w.as.Counts()
	return n.Exchanges + n.Refreshes + n.Refused
}

// kept returns the only connection in the store. Unlike a read of its token
// this is no use of it, which would have it renewed early.
func (w *world) kept() orchestrator.Record {
	w.t.Helper()
	all := w.store.Contents().Connections
	if len(all) != 1 {
		w.t.Fatalf("%d connections are stored", len(all))
	}
	return all[0]
}
