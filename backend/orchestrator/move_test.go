package orchestrator_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"keyturn/backend/bundle"
	"keyturn/backend/demo"
	"keyturn/backend/fault"
	"keyturn/backend/oauth"
	"keyturn/backend/orchestrator"
	"keyturn/backend/store/storetest"
)

// export returns what an export holds.
func (w *world) export(move bool) (orchestrator.Contents, orchestrator.Exported) {
	w.t.Helper()
	var held orchestrator.Contents
	out, err := w.Export(w.t.Context(), move, func(c orchestrator.Contents) error {
		held = c
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return held, out
}

func TestAMovedGrantLivesOnAtTheOtherComputer(t *testing.T) {
	file := filepath.Join(t.TempDir(), "keyturn.age")
	words := func() []byte { return []byte("correct horse battery") }
	onDisk(t, demo.Options{Latency: time.Second, AccessTTL: time.Hour}, func(t *testing.T, w *world) {
		c := w.connected("ada")
		old := w.token()
		out, err := w.Export(t.Context(), true, func(c orchestrator.Contents) error {
			sealed, err := bundle.Seal(words(), c)
			if err != nil {
				return err
			}
			return bundle.Write(file, sealed)
		})
		if err != nil || len(out.Connections) != 1 || len(out.Kept) != 0 {
			t.Fatalf("%+v %v", out, err)
		}
		if n := len(w.Snapshot().Connections); n != 0 {
			t.Errorf("%d connections are still here", n)
		}
		_, err = w.Token(t.Context(), orchestrator.TokenQuery{ConnectionID: c.ID})
		w.wantCode(err, fault.NotConnected)
		if n := w.as.Counts(); n.Revocations != 0 || n.LiveGrants != 1 {
			t.Fatalf("a move revokes nothing: %+v", n)
		}
		w.stop()
		w.stop = func() {}

		elsewhere := start(t, w.as, storetest.NewMemory(2*time.Millisecond))
		defer elsewhere.stop()
		sealed, err := bundle.Read(file)
		if err != nil {
			t.Fatal(err)
		}
		contents, err := bundle.Open(words(), sealed)
		if err != nil {
			t.Fatal(err)
		}
		came, err := elsewhere.Import(t.Context(), contents, false)
		if err != nil || len(came.Connections) != 1 || len(came.Skipped) != 0 {
			t.Fatalf("%+v %v", came, err)
		}
		if got := elsewhere.token(); got != old {
			t.Error("a token that lives was not taken along")
		}
		time.Sleep(2 * time.Hour)
		if got := elsewhere.token(); got == old {
			t.Error("the token was not renewed")
		}
		if n := w.as.Counts(); n.LiveGrants != 1 || n.Refused != 0 {
			t.Errorf("%+v", n)
		}
	})
}

func TestAnExportHoldsWhatTheRefreshInFlightBrings(t *testing.T) {
	run(t, demo.Options{Latency: 5 * time.Second, AccessTTL: time.Hour}, func(t *testing.T, w *world) {
		c := w.connected("ada")
		before := w.kept().Token.Refresh.Reveal()
		time.Sleep(2 * time.Hour)
		go func() { _, _ = w.Token(t.Context(), orchestrator.TokenQuery{ConnectionID: c.ID}) }()
		time.Sleep(time.Second)
		held, _ := w.export(false)
		if got := held.Connections[0].Token.Refresh.Reveal(); got == before || got != w.kept().Token.Refresh.Reveal() {
			t.Error("the file holds a refresh token that is used up")
		}
	})
}

func TestAnExportHoldsTheTokenThatTheDiskDidNotTake(t *testing.T) {
	run(t, demo.Options{AccessTTL: time.Hour}, func(t *testing.T, w *world) {
		w.connected("ada")
		time.Sleep(2 * time.Hour)
		w.store.FailSavesAfter(1, fault.New(fault.DiskFull, "full")) // the journal is written, the answer is not
		fresh := w.token()
		held, _ := w.export(false)
		if held.Connections[0].Token.Access.Reveal() != fresh {
			t.Error("the file holds what is on the disk, which is used up")
		}
	})
}

func TestAnExportThatCannotBeKeptForgetsNothing(t *testing.T) {
	run(t, demo.Options{}, func(t *testing.T, w *world) {
		w.connected("ada")
		full := fault.New(fault.DiskFull, "full")
		if _, err := w.Export(t.Context(), true, func(orchestrator.Contents) error { return full }); !errors.Is(err, full) {
			t.Fatal(err)
		}
		w.token()
	})
}

func TestAnImportLeavesWhatIsThere(t *testing.T) {
	run(t, demo.Options{AccessTTL: time.Hour}, func(t *testing.T, w *world) {
		c := w.connected("ada")
		held, out := w.export(false)
		if len(out.Rotating) > 1 {
			t.Errorf("%+v", out)
		}
		sent := w.kept().Created.Add(time.Minute)
		held.Connections[0].RefreshSent = sent // as of a computer that crashed in a refresh
		came, err := w.Import(t.Context(), held, false)
		if err != nil || len(came.Connections) != 0 || len(came.Skipped) != 1 || !strings.Contains(came.Skipped[0].Says, "already") {
			t.Fatalf("%+v %v", came, err)
		}
		came, err = w.Import(t.Context(), held, true)
		if err != nil || len(came.Connections) != 1 || came.Connections[0].ID != c.ID {
			t.Fatalf("%+v %v", came, err)
		}
		if got := w.kept(); !got.RefreshSent.Equal(sent) && got.Generation <= held.Connections[0].Generation {
			t.Errorf("%+v", got)
		}
	})
}

func TestAnImportThatMakesNoSenseChangesNothing(t *testing.T) {
	run(t, demo.Options{}, func(t *testing.T, w *world) {
		w.connected("ada")
		good, _ := w.export(false)
		for name, spoil := range map[string]func(*orchestrator.Contents){
			"a connection without a token": func(c *orchestrator.Contents) { c.Connections[0].Token = oauth.Token{} },
			"a state of nobody":            func(c *orchestrator.Contents) { c.Connections[0].Status = "happy" },
			"one that is being revoked":    func(c *orchestrator.Contents) { c.Connections[0].Status = orchestrator.Revoking },
			"an app without an id":         func(c *orchestrator.Contents) { c.Apps = []orchestrator.App{{Provider: "github"}} },
		} {
			bad := orchestrator.Contents{Connections: append([]orchestrator.Record(nil), good.Connections...)}
			spoil(&bad)
			_, err := w.Import(t.Context(), bad, true)
			if fault.CodeOf(err) != fault.FileDamaged {
				t.Errorf("%s: %v", name, err)
			}
		}
		w.token()
	})
}

func TestAnImportThatStopsSaysHowFarItCame(t *testing.T) {
	run(t, demo.Options{}, func(t *testing.T, w *world) {
		w.connected("ada")
		one, _ := w.export(true)
		second := one.Connections[0]
		second.ID, second.Account = "con_00000000000000b0", oauth.Account{ID: "b", Label: "b"}
		one.Connections = append(one.Connections, second)
		w.store.FailSavesAfter(1, fault.New(fault.DiskFull, "The disk is full."))
		came, err := w.Import(t.Context(), one, false)
		if fault.CodeOf(err) != fault.DiskFull || !strings.Contains(fault.MessageOf(err), "connections 1") || len(came.Connections) != 1 {
			t.Fatalf("%+v %v", came, err)
		}
		w.store.FailSaves(nil)
		came, err = w.Import(t.Context(), one, false)
		if err != nil || len(came.Connections) != 1 || len(came.Skipped) != 1 {
			t.Errorf("%+v %v", came, err)
		}
	})
}

func TestAnImportedSecretGivesRefusedConnectionsAnotherChance(t *testing.T) {
	run(t, demo.Options{AccessTTL: time.Hour}, func(t *testing.T, w *world) {
		w.connected("ada")
		time.Sleep(2 * time.Hour)
		w.as.Script(demo.Fault{On: demo.OpRefresh, Times: 3, Status: 401, Body: `{"error":"invalid_client"}`})
		_, _ = w.Token(t.Context(), orchestrator.TokenQuery{Provider: "demo"})
		time.Sleep(time.Hour)
		c := w.Snapshot().Connections[0]
		if c.Reason != fault.ClientRefused {
			t.Fatalf("%+v", c)
		}
		app := orchestrator.App{ID: "app_00000000000000aa", Provider: "demo", Client: oauth.Client{ID: c.ClientID, Auth: oauth.AuthNone}}
		if _, err := w.Import(t.Context(), orchestrator.Contents{Apps: []orchestrator.App{app}}, true); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		w.token()
	})
}
