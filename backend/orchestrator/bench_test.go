package orchestrator_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"keyturn/backend/demo"
	"keyturn/backend/oauth"
	"keyturn/backend/orchestrator"
	"keyturn/backend/provider"
	"keyturn/backend/store/storetest"
)

// BenchmarkToken guards the promise that a cached token costs next to nothing
// (at most 200 ns and no allocation), also among a hundred connections.
func BenchmarkToken(b *testing.B) {
	o := stored(b, 100)
	q := orchestrator.TokenQuery{Provider: "demo", Account: "user42@example.test"}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := o.Token(b.Context(), q); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkTokenByID(b *testing.B) {
	o := stored(b, 100)
	q := orchestrator.TokenQuery{ConnectionID: "con_42"}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := o.Token(b.Context(), q); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSnapshot(b *testing.B) {
	o := stored(b, 100)
	b.ReportAllocs()
	for b.Loop() {
		if len(o.Snapshot().Connections) != 100 {
			b.Fatal("connections are missing")
		}
	}
}

func TestACachedTokenAllocatesNothing(t *testing.T) {
	o := stored(t, 100)
	for _, q := range []orchestrator.TokenQuery{
		{ConnectionID: "con_42"},
		{Provider: "demo", Account: "user42@example.test", MinValid: time.Minute},
	} {
		if n := testing.AllocsPerRun(100, func() { _, _ = o.Token(t.Context(), q) }); n != 0 {
			t.Errorf("%v allocations for %+v", n, q)
		}
	}
}

// stored returns an orchestrator with n connections of the demo provider.
func stored(t testing.TB, n int) *orchestrator.Orchestrator {
	store := storetest.NewMemory(0)
	now := time.Now().Round(0)
	for i := range n {
		err := store.SaveConnection(t.Context(), orchestrator.Record{
			ID: fmt.Sprintf("con_%d", i), Provider: "demo", ClientID: demo.ClientID, Origin: demo.DefaultIssuer,
			Account: oauth.Account{ID: fmt.Sprint(i), Label: fmt.Sprintf("user%d@example.test", i)},
			Granted: []string{"profile"}, Status: orchestrator.Connected, Created: now, Refreshed: now, Generation: 1,
			Token: oauth.Token{Access: oauth.NewSecret("access"), Type: "Bearer", Expiry: now.Add(24 * time.Hour)},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	catalogue, err := provider.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	o := orchestrator.New(orchestrator.Options{Store: store, Catalogue: catalogue, HTTP: oauth.NewHTTP(oauth.HTTPOptions{})})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- o.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	<-o.Ready()
	return o
}
