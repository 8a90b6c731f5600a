package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"keyturn/backend/activity"
	"keyturn/backend/api"
	"keyturn/backend/api/wire"
	"keyturn/backend/fault"
	"keyturn/backend/oauth"
	"keyturn/backend/orchestrator"
	"keyturn/backend/provider"
	"keyturn/backend/request"
	"keyturn/backend/socket"
	"keyturn/backend/store/storetest"
	"keyturn/backend/transport"
)

// A world is a real orchestrator with a store in memory behind a real Server.
type world struct {
	*api.Server
	store    *storetest.Memory
	activity *activity.Log
	log      *logBuffer

	mu       sync.Mutex
	opened   []string // URLs for the browser
	noOpener error
	shown    []string
	quits    int
	settings wire.Settings
}

// setup is how a world differs from the usual one.
type setup struct {
	connections []orchestrator.Record
	own         []provider.Provider // registered by the user
	// providers answers in place of the network; nil uses the network.
	providers http.RoundTripper
	noWindow  bool
	locked    bool // the key of the store cannot be had
	diagnose  func(context.Context) []wire.Check
	// saveSettings stands in for the settings file.
	saveSettings func(wire.Settings) error
}

func newWorld(t testing.TB, with setup) *world {
	t.Helper()
	catalogue, err := provider.Builtin()
	must(t, err)
	w := &world{
		store:    storetest.NewMemory(time.Millisecond),
		activity: activity.Open("", slog.New(slog.DiscardHandler)),
		log:      &logBuffer{},
		settings: wire.Settings{CallbackPort: 27419, Notifications: true},
	}
	for _, p := range with.own {
		must(t, w.store.SaveProvider(context.Background(), p))
	}
	for _, r := range with.connections {
		must(t, w.store.SaveConnection(context.Background(), r))
	}
	if with.locked {
		w.store.FailLoads(fault.New(fault.StoreLocked, "The keyring is locked."))
	}
	log := slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	loopback := transport.NewLoopback(transport.LoopbackOptions{Log: log})
	network := oauth.NewHTTP(oauth.HTTPOptions{Transport: with.providers})
	o := orchestrator.New(orchestrator.Options{
		Store:        w.store,
		Catalogue:    catalogue,
		Transports:   map[string]orchestrator.Transport{"loopback": loopback},
		HTTP:         network,
		CallbackPort: 27419,
		Activity:     w.activity,
		Log:          log,
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		o.Run(ctx)
	}()
	go w.activity.Run(ctx)
	t.Cleanup(func() {
		cancel()
		<-done
		loopback.Close(context.Background())
	})
	<-o.Ready()
	opts := api.Options{
		Orchestrator: o,
		Requests:     request.New(o, network),
		Version:      "1.2.3",
		Program:      "headless",
		CallbackPort: 27419,
		Activity:     w.activity,
		Log:          log,
		Open: func(url string) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.opened = append(w.opened, url)
			return w.noOpener
		},
		Show: func(view string) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.shown = append(w.shown, view)
			return nil
		},
		Quit:     func() { w.mu.Lock(); w.quits++; w.mu.Unlock() },
		Browsers: func() []wire.Browser { return []wire.Browser{{ID: "firefox/work", Name: "Firefox – work"}} },
		Diagnose: func(context.Context) []wire.Check {
			return []wire.Check{{Name: "store", Status: "ok", Says: "The store is open."}}
		},
		Settings: func() wire.Settings { w.mu.Lock(); defer w.mu.Unlock(); return w.settings },
		Gateways: gateways{w},
		SaveSettings: func(s wire.Settings) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.settings = s
			return nil
		},
	}
	if with.noWindow {
		opts.Show = nil
	}
	if with.diagnose != nil {
		opts.Diagnose = with.diagnose
	}
	if with.saveSettings != nil {
		opts.SaveSettings = with.saveSettings
	}
	w.Server = api.New(opts)
	return w
}

// serve puts w on a socket and returns a client that keeps its connections.
func (w *world) serve(t testing.TB) (client *http.Client, path string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "kt")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	path = filepath.Join(dir, "run", "api.sock")
	l, err := socket.Listen(path)
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Serve(ctx, l) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return clientOf(t, path), path
}

func clientOf(t testing.TB, path string) *http.Client {
	tr := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return socket.Dial(ctx, path)
	}}
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr, Timeout: 10 * time.Second}
}

// logBuffer keeps what was logged.
type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// granted is a stored connection of the demo provider, fresh for an hour.
func granted(id, account string) orchestrator.Record {
	now := time.Now().Round(0).UTC()
	return orchestrator.Record{
		ID:        id,
		Provider:  "demo",
		ClientID:  "keyturn-demo",
		Origin:    "http://127.0.0.1:27420",
		Account:   oauth.Account{ID: account, Label: account},
		Requested: []string{"profile"},
		Granted:   []string{"profile"},
		Token: oauth.Token{
			Access:  oauth.NewSecret("AT-" + account + "-canary"),
			Refresh: oauth.NewSecret("RT-" + account + "-canary"),
			Type:    "Bearer",
			Expiry:  now.Add(time.Hour),
		},
		Generation: 1,
		Status:     orchestrator.Connected,
		Created:    now,
		Refreshed:  now,
	}
}

// call asks one door and decodes the answer into out when it is a success.
func (w *world) call(t testing.TB, p api.Principal, method, path string, body, out any) (int, wire.Problem) {
	t.Helper()
	var r *http.Request
	if body == nil {
		r, _ = http.NewRequest(method, "http://keyturn"+path, nil)
	} else {
		data, err := json.Marshal(body)
		must(t, err)
		r, _ = http.NewRequest(method, "http://keyturn"+path, bytes.NewReader(data))
		r.Header.Set("Content-Type", "application/json")
	}
	answer := checked(t, w.Server, p, r)
	data, _ := io.ReadAll(answer.Body)
	if answer.StatusCode >= 400 {
		var problem wire.Problem
		must(t, json.Unmarshal(data, &problem))
		return answer.StatusCode, problem
	}
	if out != nil {
		must(t, json.Unmarshal(data, out))
	}
	return answer.StatusCode, wire.Problem{}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func textOf(t testing.TB, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	must(t, err)
	return string(data)
}

func mustNotHold(t testing.TB, what, text string, canaries ...string) {
	t.Helper()
	for _, c := range canaries {
		if c != "" && strings.Contains(text, c) {
			t.Errorf("%s holds %q:\n%s", what, c, text)
		}
	}
}

// gateways stands in for the program's: one of them answers.
type gateways struct{ w *world }

func (g gateways) Add(_ context.Context, in wire.GatewayAdd) (wire.Gateway, error) {
	if in.URL != "https://gateway.example" && in.Enrolment == "" {
		return wire.Gateway{}, fault.New(fault.GatewayUnreachable, "The gateway does not answer.")
	}
	g.w.mu.Lock()
	defer g.w.mu.Unlock()
	g.w.settings.Gateway = &in.URL
	return g.answer(), nil
}

func (g gateways) answer() wire.Gateway {
	url := *g.w.settings.Gateway
	return wire.Gateway{URL: url, RedirectURI: url + "/oauth/callback/{provider}", CameHomeMS: 41}
}

func (g gateways) Check(context.Context) (wire.Gateway, error) {
	g.w.mu.Lock()
	defer g.w.mu.Unlock()
	if g.w.settings.Gateway == nil || *g.w.settings.Gateway == "" {
		return wire.Gateway{}, fault.New(fault.NotFound, "No gateway is set up.")
	}
	return g.answer(), nil
}

func (g gateways) Forwarded(_ context.Context, provider, state string, r oauth.AuthorizationResponse) (oauth.Outcome, error) {
	if state != "known" || provider != "" && provider != "demo" {
		return oauth.Outcome{}, fault.New(fault.StateUnknown, "No attempt waits for this response.")
	}
	return oauth.Outcome{OK: r.Error == "", Provider: "Demo", Account: "ada"}, nil
}

func (g gateways) Remove(context.Context) error {
	g.w.mu.Lock()
	defer g.w.mu.Unlock()
	g.w.settings.Gateway = nil
	return nil
}
