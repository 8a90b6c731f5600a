package orchestrator_test

import (
	"context"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"keyturn/backend/demo"
	"keyturn/backend/fault"
	"keyturn/backend/oauth"
	"keyturn/backend/orchestrator"
	"keyturn/backend/provider"
	"keyturn/backend/store"
)

// onDisk is a world whose store is the real one, with a key file.
func onDisk(t *testing.T, opts demo.Options, test func(*testing.T, *world)) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := startOnDisk(t, demo.New(opts), dir)
		defer w.stop()
		test(t, w)
	})
}

// startOnDisk runs an orchestrator whose data and key file are in dir.
func startOnDisk(t *testing.T, as *demo.Server, dir string) *world {
	s, err := store.Open(t.Context(), store.Options{Dir: filepath.Join(dir, "data"), KeyFile: filepath.Join(dir, "key")})
	if err != nil {
		t.Fatal(err)
	}
	catalogue, err := provider.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, as: as, browser: &browser{waiting: map[string]*tab{}}}
	w.Orchestrator = orchestrator.New(orchestrator.Options{
		Store:      s,
		Catalogue:  catalogue,
		Transports: map[string]orchestrator.Transport{"loopback": w.browser},
		HTTP:       oauth.NewHTTP(oauth.HTTPOptions{Transport: w.as}),
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = w.Run(ctx)
	}()
	w.stop = func() {
		cancel()
		<-ended
		s.Close()
	}
	<-w.Ready()
	return w
}

func TestLockedNothingIsHandedOut(t *testing.T) {
	onDisk(t, demo.Options{Latency: time.Second}, func(t *testing.T, w *world) {
		c := w.connected("ada")
		token := w.token()
		pending := w.connect(orchestrator.ConnectRequest{Account: "grace"})
		if err := w.Lock(t.Context()); err != nil {
			t.Fatal(err)
		}
		for range 3 { // not before it is unlocked, whatever time passes
			_, err := w.Token(t.Context(), orchestrator.TokenQuery{ConnectionID: c.ID})
			w.wantCode(err, fault.StoreLocked)
			time.Sleep(time.Hour)
		}
		if s := w.Snapshot(); len(s.Connections) != 0 || fault.CodeOf(s.Store) != fault.StoreLocked {
			t.Errorf("%+v", s)
		}
		if a, err := w.Attempt(pending.Handle); err == nil && a.Status == orchestrator.Pending {
			t.Errorf("%+v", a)
		}
		_, err := w.Connect(t.Context(), request(orchestrator.ConnectRequest{}))
		w.wantCode(err, fault.StoreLocked)
		if err := w.Lock(t.Context()); err != nil {
			t.Error(err)
		}
		if err := w.Unlock(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		got, err := w.Token(t.Context(), orchestrator.TokenQuery{ConnectionID: c.ID})
		if err != nil || got.Token.Reveal() == token {
			t.Errorf("%v after three hours: %v", got, err)
		}
	})
}

func TestALockWaitsForTheRefreshInFlight(t *testing.T) {
	onDisk(t, demo.Options{Latency: 10 * time.Second, AccessTTL: time.Hour}, func(t *testing.T, w *world) {
		c := w.connected("ada")
		time.Sleep(2 * time.Hour)
		go func() { _, _ = w.Token(context.Background(), orchestrator.TokenQuery{ConnectionID: c.ID}) }()
		time.Sleep(time.Second)
		if err := w.Lock(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := w.Unlock(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		before := w.as.Counts().Refreshes
		if w.token(); w.as.Counts().Refreshes != before {
			t.Error("what came while it was being locked was lost")
		}
		if before != 1 {
			t.Errorf("%d refreshes", before)
		}
	})
}

func TestTheProtectorChangesUnderALivingProgram(t *testing.T) {
	onDisk(t, demo.Options{AccessTTL: time.Hour}, func(t *testing.T, w *world) {
		w.connected("ada")
		to := orchestrator.Protection{Kind: orchestrator.ByKeyFile, KeyFile: filepath.Join(t.TempDir(), "second")}
		if came, err := w.ChangeProtector(t.Context(), to); err != nil || len(came.Damaged) > 0 {
			t.Fatal(came, err)
		}
		time.Sleep(2 * time.Hour)
		w.token() // refreshed, and saved with the new key
		if err := w.Lock(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := w.Unlock(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		requests := w.tokenRequests()
		if w.token(); w.tokenRequests() != requests {
			t.Error("the newest token was not saved with the new key")
		}
	})
}

func TestALockLetsADisconnectFinish(t *testing.T) {
	for _, tt := range []struct {
		name    string
		latency time.Duration
		begun   time.Duration // how long the disconnect has been going on
	}{
		{"that is asking the provider", 4 * time.Second, time.Second},
		{"that is about to begin", time.Second, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			onDisk(t, demo.Options{Latency: tt.latency}, func(t *testing.T, w *world) {
				c, other := w.connected("ada"), w.connected("grace")
				ended := make(chan error, 1)
				go func() {
					_, err := w.Disconnect(context.Background(), c.ID)
					ended <- err
				}()
				time.Sleep(tt.begun)
				if err := w.Lock(t.Context()); err != nil {
					t.Fatal(err)
				}
				err := <-ended
				if n := len(w.Snapshot().Connections); n != 0 {
					t.Errorf("locked, and %d connections are shown", n)
				}
				if err := w.Unlock(t.Context(), nil); err != nil {
					t.Fatal(err)
				}
				shown, want := w.Snapshot().Connections, 1
				if err != nil { // it came too late, and says so
					w.wantCode(err, fault.StoreLocked)
					want = 2
				}
				if len(shown) != want || shown[len(shown)-1].ID != other.ID {
					t.Errorf("after %v: %+v", err, shown)
				}
				if alive := w.as.Counts().LiveGrants; alive != want {
					t.Errorf("%d grants are alive at the provider, %d are here", alive, want)
				}
			})
		})
	}
}
