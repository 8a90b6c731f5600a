package orchestrator_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"keyturn/backend/bundle"
	"keyturn/backend/demo"
	"keyturn/backend/fault"
	"keyturn/backend/oauth"
	"keyturn/backend/orchestrator"
	"keyturn/backend/store/storetest"
)

// exported is what an export gives to keep.
func (w *world) exported(move bool) (c orchestrator.Contents, out orchestrator.Exported) {
	w.t.Helper()
	out, err := w.Export(w.t.Context(), move, func(all orchestrator.Contents) error {
		c = all
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return c, out
}

// imported takes contents that nothing is wrong with.
func (w *world) imported(c orchestrator.Contents, replace bool) orchestrator.Imported {
	w.t.Helper()
	out, err := w.Import(w.t.Context(), c, replace)
	if err != nil {
		w.t.Fatal(err)
	}
	return out
}

func TestAnExportHoldsTheTokenThatARefreshInFlightBrings(t *testing.T) {
	run(t, demo.Options{Latency: 10 * time.Second, AccessTTL: time.Hour}, func(t *testing.T, w *world) {
		w.connected("ada")
		time.Sleep(2 * time.Hour)
		go func() { _, _ = w.Token(context.Background(), orchestrator.TokenQuery{Provider: "demo"}) }()
		time.Sleep(time.Second)
		c, out := w.exported(false)
		token := w.token()
		if n := w.as.Counts().Refreshes; n != 1 {
			t.Fatalf("%d refreshes", n)
		}
		r := c.Connections[0]
		if r.Token.Access.Reveal() != token || !r.RefreshSent.IsZero() {
			t.Errorf("generation %d was exported, its refresh sent %v", r.Generation, r.RefreshSent)
		}
		if len(out.Connections) != 1 || len(out.Rotating) != 1 {
			t.Errorf("%+v", out)
		}
	})
}

func TestAnExportGivesUpOnARefreshThatDoesNotEnd(t *testing.T) {
	run(t, demo.Options{AccessTTL: time.Hour}, func(t *testing.T, w *world) {
		w.connected("ada")
		time.Sleep(2 * time.Hour)
		w.as.Script(demo.Fault{On: demo.OpRefresh, Delay: 20 * time.Second, Times: 4, Drop: demo.Lost})
		go func() { _, _ = w.Token(context.Background(), orchestrator.TokenQuery{Provider: "demo"}) }()
		time.Sleep(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		_, err := w.Export(ctx, true, func(orchestrator.Contents) error {
			t.Error("exported what is about to change")
			return nil
		})
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		time.Sleep(10 * time.Minute)
		w.token() // every lane was left
	})
}

func TestAnExportHoldsTheTokenThatTheDiskRefused(t *testing.T) {
	run(t, demo.Options{AccessTTL: time.Hour, Latency: time.Second}, func(t *testing.T, w *world) {
		w.connected("ada")
		time.Sleep(2 * time.Hour)
		got := make(chan string, 1)
		go func() { got <- w.token() }()
		time.Sleep(500 * time.Millisecond) // noted, and sent
		w.store.FailSaves(diskFull)
		rotated := <-got
		c, _ := w.exported(false)
		if stored := w.kept(); stored.Token.Access.Reveal() == rotated {
			t.Fatal("the disk has taken it")
		}
		if c.Connections[0].Token.Access.Reveal() != rotated {
			t.Error("the newest token is in no file")
		}
	})
}

func TestAMoveForgetsAndRevokesNothing(t *testing.T) {
	run(t, demo.Options{AccessTTL: time.Hour}, func(t *testing.T, w *world) {
		ada, grace := w.connected("ada"), w.connected("grace")
		held := w.Held(ada.ID)
		if held().Refresh.IsZero() {
			t.Fatal("nothing is held")
		}
		c, out := w.exported(true)
		if len(c.Connections) != 2 || len(out.Connections) != 2 || len(out.Kept) != 0 {
			t.Fatalf("%+v", out)
		}
		if tok := held(); !tok.Access.IsZero() || !tok.Refresh.IsZero() {
			t.Error("the tokens are still in memory")
		}
		_, err := w.Token(t.Context(), orchestrator.TokenQuery{ConnectionID: grace.ID})
		w.wantCode(err, fault.NotConnected)
		if n := len(w.Snapshot().Connections) + len(w.store.Contents().Connections); n != 0 {
			t.Errorf("%d are left", n)
		}
		before := w.tokenRequests()
		time.Sleep(48 * time.Hour)
		if n := w.as.Counts(); n.Revocations != 0 || n.LiveGrants != 2 || w.tokenRequests() != before {
			t.Errorf("the provider heard of it: %+v", n)
		}
	})
}

func TestNothingIsForgottenThatIsInNoFile(t *testing.T) {
	run(t, demo.Options{}, func(t *testing.T, w *world) {
		w.connected("ada")
		_, err := w.Export(t.Context(), true, func(orchestrator.Contents) error { return diskFull })
		w.wantCode(err, fault.DiskFull)
		w.token()
		w.kept()
	})
}

func TestAMoveSaysWhatTheDiskKept(t *testing.T) {
	run(t, demo.Options{AccessTTL: time.Hour}, func(t *testing.T, w *world) {
		c := w.connected("ada")
		w.store.FailDeletes(diskFull)
		if _, out := w.exported(true); len(out.Kept) != 1 || out.Kept[0].ID != c.ID {
			t.Fatalf("%+v", out)
		}
		time.Sleep(2 * time.Hour)
		w.token() // refreshed: it is as alive as before
	})
}

func TestADisconnectDuringAMoveIsARevocation(t *testing.T) {
	run(t, demo.Options{}, func(t *testing.T, w *world) {
		c := w.connected("ada")
		ended := make(chan error, 1)
		out, err := w.Export(t.Context(), true, func(orchestrator.Contents) error {
			go func() {
				_, err := w.Disconnect(context.Background(), c.ID)
				ended <- err
			}()
			time.Sleep(time.Second)
			return nil
		})
		if err != nil || len(out.Kept) != 0 {
			t.Errorf("%+v %v", out, err)
		}
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if n := w.as.Counts(); n.Revocations != 1 || len(w.store.Contents().Connections) != 0 {
			t.Errorf("%+v", n)
		}
	})
}

// The whole way: two computers with keys of their own, one file, and a
// provider that ends a grant whose refresh token comes twice.
func TestAGrantLivesOnOnAnotherComputer(t *testing.T) {
	here, there := t.TempDir(), t.TempDir()
	file := filepath.Join(t.TempDir(), "moved.age")
	words := []byte("correct horse battery")
	synctest.Test(t, func(t *testing.T) {
		as := demo.New(demo.Options{AccessTTL: time.Hour, Latency: time.Second})
		old := startOnDisk(t, as, here)
		c := old.connected("ada")
		time.Sleep(2 * time.Hour)
		old.token() // the refresh token has been another one before
		out, err := old.Export(t.Context(), true, func(all orchestrator.Contents) error {
			sealed, err := bundle.Seal(words, all)
			if err != nil {
				return err
			}
			return bundle.Write(file, sealed)
		})
		if err != nil || len(out.Connections) != 1 {
			t.Fatalf("%+v %v", out, err)
		}
		old.stop()

		w := startOnDisk(t, as, there)
		sealed, err := bundle.Read(file)
		if err != nil {
			t.Fatal(err)
		}
		contents, err := bundle.Open(words, sealed)
		if err != nil {
			t.Fatal(err)
		}
		if got := w.imported(contents, false); len(got.Connections) != 1 || got.Connections[0].ID != c.ID || len(got.Skipped) != 0 {
			t.Fatalf("%+v", got)
		}
		time.Sleep(2 * time.Hour)
		w.token()
		w.stop()

		again := startOnDisk(t, as, here) // nothing is left where it came from
		if s := again.Snapshot(); len(s.Connections) != 0 || s.Store != nil {
			t.Errorf("%+v", s)
		}
		again.stop()
		w = startOnDisk(t, as, there)
		defer w.stop()
		time.Sleep(2 * time.Hour)
		w.token()
		if n := as.Counts(); n.Refreshes != 3 || n.Replays != 0 || n.Revocations != 0 || n.LiveGrants != 1 || n.Exchanges != 1 {
			t.Errorf("%+v", n)
		}
	})
}

// The note that a refresh token was sent moves too: without it, the refusal of
// one that the server has already taken would look like a revocation.
func TestTheNoteOfALostAnswerMovesToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		as := demo.New(demo.Options{AccessTTL: time.Hour})
		old := start(t, as, storetest.NewMemory(time.Millisecond))
		old.connected("ada")
		time.Sleep(2 * time.Hour)
		as.Script(
			demo.Fault{On: demo.OpRefresh, Drop: demo.Unanswered},
			demo.Fault{On: demo.OpRefresh, Status: 503, Body: `{}`})
		if _, err := old.Token(t.Context(), orchestrator.TokenQuery{Provider: "demo"}); err == nil {
			t.Fatal("a token came")
		}
		c, _ := old.exported(true)
		old.stop()
		if c.Connections[0].RefreshSent.IsZero() {
			t.Fatal("no note")
		}
		w := start(t, as, storetest.NewMemory(time.Millisecond))
		defer w.stop()
		w.imported(c, false)
		if !w.kept().RefreshSent.Equal(c.Connections[0].RefreshSent) {
			t.Error("the note is lost")
		}
		time.Sleep(5 * time.Minute)
		if got := w.Snapshot().Connections[0]; got.Reason != fault.PossibleLostRotation {
			t.Errorf("%s", got.Reason)
		}
	})
}

func TestAnImportLeavesWhatIsThere(t *testing.T) {
	run(t, demo.Options{}, func(t *testing.T, w *world) {
		if _, err := w.UpsertApp(t.Context(), "demo", "mine", oauth.NewSecret("old"), false); err != nil {
			t.Fatal(err)
		}
		c := w.connect(orchestrator.ConnectRequest{ClientID: "keyturn-demo", Account: "ada"})
		w.approve(c, "ada")
		was := w.kept()
		all, _ := w.exported(false)
		all.Connections[0].ID = "con_00000000000000aa" // as another computer calls the same grant
		all.Connections[0].Token.Access = oauth.NewSecret("of the file")
		all.Apps[0].Client.Secret = oauth.NewSecret("of the file")

		out := w.imported(all, false)
		if out.Any() || len(out.Skipped) != 2 {
			t.Errorf("%+v", out)
		}
		if got := w.kept(); got.Token.Access != was.Token.Access || w.Apps()[0].Client.Secret.Reveal() != "old" {
			t.Errorf("%+v", got)
		}

		out = w.imported(all, true)
		if len(out.Connections) != 1 || out.Connections[0].ID != was.ID || out.Apps != 1 || len(out.Skipped) != 0 {
			t.Errorf("%+v", out)
		}
		if got := w.kept(); got.Token.Access.Reveal() != "of the file" || got.Generation <= was.Generation || w.Apps()[0].Client.Secret.Reveal() != "of the file" {
			t.Errorf("%+v", got)
		}
		if w.token() != "of the file" {
			t.Error("the other token is handed out")
		}
	})
}

func TestWhatMakesNoSenseIsRefusedWhole(t *testing.T) {
	run(t, demo.Options{}, func(t *testing.T, w *world) {
		w.connected("ada")
		good, _ := w.exported(false)
		saves := w.store.Saves()
		for name, spoil := range map[string]func(*orchestrator.Contents){
			"a connection without a token": func(c *orchestrator.Contents) { c.Connections[1].Token = oauth.Token{} },
			"a status of nobody":           func(c *orchestrator.Contents) { c.Connections[1].Status = "fine" },
			"one that waits to be revoked": func(c *orchestrator.Contents) { c.Connections[1].Status = orchestrator.Revoking },
			"a connection of no provider":  func(c *orchestrator.Contents) { c.Connections[1].Provider = "" },
			"an app without a client id":   func(c *orchestrator.Contents) { c.Apps[0].Client.ID = "" },
			"a provider without endpoints": func(c *orchestrator.Contents) { c.Providers[0].Token.URL = ""; c.Providers[0].Issuer = "" },
		} {
			other := storetest.Connection(1)
			c := orchestrator.Contents{
				Connections: []orchestrator.Record{good.Connections[0], other},
				Apps:        []orchestrator.App{storetest.App(1)},
			}
			c.Providers = append(c.Providers, storetest.Provider(1))
			spoil(&c)
			out, err := w.Import(t.Context(), c, true)
			if fault.CodeOf(err) != fault.FileDamaged || out.Any() {
				t.Errorf("%s: %+v %v", name, out, err)
			}
		}
		if n := w.store.Saves(); n != saves {
			t.Errorf("%d were saved", n-saves)
		}
	})
}

func TestAnImportThatBreaksOffSaysHowFarItCame(t *testing.T) {
	run(t, demo.Options{}, func(t *testing.T, w *world) {
		w.connected("ada")
		w.connected("grace")
		c, _ := w.exported(true)
		w.store.FailSavesAfter(1, diskFull)
		out, err := w.Import(t.Context(), c, false)
		w.wantCode(err, fault.DiskFull)
		if len(out.Connections) != 1 || !strings.Contains(fault.MessageOf(err), "1 connection, 0 OAuth apps") || !strings.Contains(fault.MessageOf(err), "The disk is full.") {
			t.Errorf("%+v %v", out, err)
		}
		w.store.FailSaves(nil)
		if out := w.imported(c, false); len(out.Connections) != 1 || len(out.Skipped) != 1 {
			t.Errorf("%+v", out)
		}
		if n := len(w.store.Contents().Connections); n != 2 {
			t.Errorf("%d are stored", n)
		}
	})
}

func TestADisconnectWinsOverAnImport(t *testing.T) {
	for _, when := range []time.Duration{0, 500 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, demo.Options{}, storetest.NewMemory(time.Second))
			defer w.stop()
			c := w.connected("ada")
			all, _ := w.exported(false)
			ended := make(chan error, 1)
			time.AfterFunc(when, func() {
				_, err := w.Disconnect(context.Background(), c.ID)
				ended <- err
			})
			out := w.imported(all, true)
			if err := <-ended; err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Minute)
			shown := w.Snapshot().Connections
			if len(shown) != len(out.Connections) {
				t.Errorf("%v: reported %+v, there are %d", when, out, len(shown))
			}
			if when > 0 && (len(out.Connections) != 0 || len(out.Skipped) != 1 || w.as.Counts().LiveGrants != 0) {
				t.Errorf("%+v %+v", out, w.as.Counts())
			}
		})
	}
}

func TestAnAppFromAFileMendsWhatItsSecretBroke(t *testing.T) {
	run(t, demo.Options{AccessTTL: time.Hour}, func(t *testing.T, w *world) {
		if _, err := w.UpsertApp(t.Context(), "demo", "keyturn-demo", oauth.Secret{}, true); err != nil {
			t.Fatal(err)
		}
		c := w.connected("ada")
		apps := orchestrator.Contents{Apps: w.Apps()}
		w.as.Script(demo.Fault{On: demo.OpRefresh, Times: 3, Status: 401, Body: `{"error":"invalid_client"}`})
		time.Sleep(2 * time.Hour)
		for range 10 {
			_, _ = w.Token(t.Context(), orchestrator.TokenQuery{ConnectionID: c.ID})
			time.Sleep(10 * time.Minute)
		}
		if got, _ := w.Connection(c.ID); got.Status != orchestrator.NeedsReconnect || got.Reason != fault.ClientRefused {
			t.Fatalf("%+v", got)
		}
		w.imported(apps, false)
		time.Sleep(time.Minute)
		if got, _ := w.Connection(c.ID); got.Status != orchestrator.NeedsReconnect {
			t.Errorf("mended by an app that was left out: %+v", got)
		}
		if out := w.imported(apps, true); out.Apps != 1 {
			t.Fatalf("%+v", out)
		}
		time.Sleep(time.Minute)
		w.token()
	})
}

func TestNothingMovesInOrOutOfWhatWasLockedMeanwhile(t *testing.T) {
	onDisk(t, demo.Options{}, func(t *testing.T, w *world) {
		c := w.connected("ada")
		all, _ := w.exported(false)
		all.Connections[0].Account = oauth.Account{ID: "demo-1906", Label: "grace"}
		locked, ended := make(chan error, 1), make(chan error, 3)
		slowly := func(orchestrator.Contents) error {
			go func() { locked <- w.Lock(context.Background()) }()
			time.Sleep(time.Second)
			// All find the store open, and wait behind the lock.
			for _, c := range []orchestrator.Contents{all, {}} {
				go func() {
					_, err := w.Import(context.Background(), c, false)
					ended <- err
				}()
			}
			go func() {
				_, err := w.Export(context.Background(), true, func(orchestrator.Contents) error {
					t.Error("exported")
					return nil
				})
				ended <- err
			}()
			time.Sleep(time.Second)
			return nil
		}
		if _, err := w.Export(t.Context(), false, slowly); err != nil {
			t.Fatal(err)
		}
		if err := <-locked; err != nil {
			t.Fatal(err)
		}
		for range cap(ended) {
			w.wantCode(<-ended, fault.StoreLocked)
		}
		if err := w.Unlock(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		if s := w.Snapshot(); len(s.Connections) != 1 || s.Connections[0].ID != c.ID {
			t.Errorf("%+v", s.Connections)
		}
	})
}
