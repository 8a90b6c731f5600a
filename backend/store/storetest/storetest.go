// Package storetest says what an orchestrator.Store must do, and has one that
// does it in memory.
package storetest

import (
	"context"
	"fmt"
	"math"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"keyturn/backend/fault"
	"keyturn/backend/oauth"
	"keyturn/backend/orchestrator"
	"keyturn/backend/provider"
)

// Opener returns an empty store and a way to end it and open what it kept
// again, as a restart of the program does.
type Opener func(t *testing.T) (s orchestrator.Store, reopen func() orchestrator.Store)

// Run is the conformance test: each claim runs on a store of its own.
func Run(t *testing.T, open Opener) {
	for _, claim := range []struct {
		name string
		hold func(t *testing.T, s orchestrator.Store, reopen func() orchestrator.Store)
	}{
		{"a new store is empty and can be written", newStoreIsEmpty},
		{"what was saved is there after a restart", savedIsThereAfterRestart},
		{"the last save wins", lastSaveWins},
		{"what was deleted is gone", deletedIsGone},
		{"empty and absent stay apart", emptyAndAbsentStayApart},
		{"long and odd values come back as they were", oddValuesComeBack},
		{"an ended context changes nothing", endedContextChangesNothing},
		{"callers at the same time do not disturb each other", concurrentCallers},
		{"a caller may change its slices after a save", slicesAreNotShared},
	} {
		t.Run(claim.name, func(t *testing.T) {
			s, reopen := open(t)
			claim.hold(t, s, reopen)
		})
	}
}

// Connection returns a record with every field set, told apart by n.
func Connection(n int) orchestrator.Record {
	at := time.Date(2026, 5, 4, 3, 2, 1, 987654321, time.UTC).Add(time.Duration(n) * time.Second)
	return orchestrator.Record{
		ID:        fmt.Sprintf("con_%016x", n),
		Provider:  "example",
		ClientID:  "client-of-the-user",
		Origin:    "https://auth.example.com",
		Issuer:    "https://example.com",
		Account:   oauth.Account{ID: fmt.Sprintf("id-%d", n), Label: fmt.Sprintf("ada%d@example.com", n)},
		Requested: []string{"read", "write"},
		Granted:   []string{"read"},
		Token: oauth.Token{
			Access:        oauth.NewSecret(fmt.Sprintf("access-token-%d", n)),
			Refresh:       oauth.NewSecret(fmt.Sprintf("refresh-token-%d", n)),
			ID:            oauth.NewSecret(fmt.Sprintf("id-token-%d", n)),
			Type:          "DPoP",
			Key:           oauth.NewSecret(fmt.Sprintf("private-key-%d", n)),
			Scopes:        []string{"read"},
			Expiry:        at.Add(time.Hour),
			RefreshExpiry: at.Add(24 * time.Hour),
		},
		Generation:  uint64(n),
		Status:      orchestrator.Retrying,
		Reason:      fault.ProviderUnavailable,
		Since:       at.Add(3 * time.Minute),
		RefreshSent: at.Add(time.Minute),
		Created:     at,
		Authorized:  at.Add(time.Second),
		Refreshed:   at.Add(2 * time.Minute),
	}
}

// App returns an OAuth app with every field set, told apart by n.
func App(n int) orchestrator.App {
	at := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	return orchestrator.App{
		ID:       fmt.Sprintf("app_%016x", n),
		Provider: "example",
		Client: oauth.Client{
			ID:     fmt.Sprintf("client-%d", n),
			Secret: oauth.NewSecret(fmt.Sprintf("client-secret-%d", n)),
			Auth:   oauth.AuthBasic,
		},
		Created: at,
		Updated: at.Add(time.Hour),
		Issuer:  "https://id.example.com",
		Dynamic: true,
		Management: oauth.Management{
			URL:   fmt.Sprintf("https://id.example.com/register/%d", n),
			Token: oauth.NewSecret(fmt.Sprintf("registration-access-token-%d", n)),
		},
		Ends: at.AddDate(1, 0, 0),
	}
}

// Provider returns a provider of the user's own, told apart by n.
func Provider(n int) provider.Provider {
	return provider.Provider{
		ID:        fmt.Sprintf("custom%d", n),
		Name:      "Custom",
		Custom:    true,
		Issuer:    "https://custom.example.com",
		Authorize: provider.Authorize{URL: "https://custom.example.com/authorize", Params: map[string]string{"prompt": "consent"}},
		Scope:     provider.Scope{Separator: ",", Default: []string{"read"}},
		Token: provider.Token{
			URL:      "https://custom.example.com/token",
			Response: provider.Response{Root: "authed_user", ExpiresDefault: 90 * time.Minute},
		},
	}
}

func newStoreIsEmpty(t *testing.T, s orchestrator.Store, reopen func() orchestrator.Store) {
	ctx := t.Context()
	same(t, load(t, s), orchestrator.Contents{})
	must(t, s.Check(ctx))
	must(t, s.Check(ctx))
	same(t, load(t, s), orchestrator.Contents{})
	same(t, load(t, reopen()), orchestrator.Contents{})
	switch p := s.Protector(); p {
	case "keyring", "passphrase", "key_file":
	default:
		t.Errorf("protector %q", p)
	}
}

func savedIsThereAfterRestart(t *testing.T, s orchestrator.Store, reopen func() orchestrator.Store) {
	ctx := t.Context()
	load(t, s)
	want := orchestrator.Contents{
		Connections: []orchestrator.Record{Connection(1), Connection(2)},
		Apps:        []orchestrator.App{App(1), App(2)},
		Providers:   []provider.Provider{Provider(1), Provider(2)},
	}
	for _, r := range want.Connections {
		must(t, s.SaveConnection(ctx, r))
	}
	for _, a := range want.Apps {
		must(t, s.SaveApp(ctx, a))
	}
	for _, p := range want.Providers {
		must(t, s.SaveProvider(ctx, p))
	}
	same(t, load(t, s), want)
	protector := s.Protector()
	s = reopen()
	same(t, load(t, s), want)
	if got := s.Protector(); got != protector {
		t.Errorf("protector %q became %q", protector, got)
	}
	same(t, load(t, reopen()), want)
}

func lastSaveWins(t *testing.T, s orchestrator.Store, reopen func() orchestrator.Store) {
	ctx := t.Context()
	first, second := Connection(1), Connection(7)
	second.ID = first.ID
	second.Origin, second.Issuer = "https://elsewhere.example.com", ""
	must(t, s.SaveConnection(ctx, first))
	must(t, s.SaveConnection(ctx, second))
	app := App(1)
	must(t, s.SaveApp(ctx, app))
	app.Client.Secret, app.Client.Auth = oauth.Secret{}, oauth.AuthNone
	must(t, s.SaveApp(ctx, app))
	p := Provider(1)
	must(t, s.SaveProvider(ctx, p))
	p.Name = "Renamed"
	must(t, s.SaveProvider(ctx, p))
	same(t, load(t, reopen()), orchestrator.Contents{
		Connections: []orchestrator.Record{second},
		Apps:        []orchestrator.App{app},
		Providers:   []provider.Provider{p},
	})
}

func deletedIsGone(t *testing.T, s orchestrator.Store, reopen func() orchestrator.Store) {
	ctx := t.Context()
	for n := 1; n <= 2; n++ {
		must(t, s.SaveConnection(ctx, Connection(n)))
		must(t, s.SaveApp(ctx, App(n)))
		must(t, s.SaveProvider(ctx, Provider(n)))
	}
	for range 2 { // deleting what is gone is no error
		must(t, s.DeleteConnection(ctx, Connection(1).ID))
		must(t, s.DeleteApp(ctx, App(1).ID))
		must(t, s.DeleteProvider(ctx, Provider(1).ID))
	}
	want := orchestrator.Contents{
		Connections: []orchestrator.Record{Connection(2)},
		Apps:        []orchestrator.App{App(2)},
		Providers:   []provider.Provider{Provider(2)},
	}
	same(t, load(t, s), want)
	same(t, load(t, reopen()), want)
}

// A token response without scopes says something else than one with none
// (RFC 6749 section 5.1), and an unknown expiry is not one in the year 1.
func emptyAndAbsentStayApart(t *testing.T, s orchestrator.Store, reopen func() orchestrator.Store) {
	bare := orchestrator.Record{
		ID: "con_0000000000000001", Provider: "example", ClientID: "c",
		Token:  oauth.Token{Access: oauth.NewSecret("a"), Type: "Bearer"},
		Status: orchestrator.Connected,
	}
	empty := bare
	empty.ID = "con_0000000000000002"
	empty.Requested, empty.Granted, empty.Token.Scopes = []string{}, []string{}, []string{}
	must(t, s.SaveConnection(t.Context(), bare))
	must(t, s.SaveConnection(t.Context(), empty))
	got := load(t, reopen()).Connections
	if len(got) != 2 {
		t.Fatalf("%d connections", len(got))
	}
	slices.SortFunc(got, func(a, b orchestrator.Record) int { return compare(a.ID, b.ID) })
	if got[0].Token.Scopes != nil || got[0].Granted != nil || got[0].Requested != nil {
		t.Errorf("absent scopes became %v %v %v", got[0].Token.Scopes, got[0].Granted, got[0].Requested)
	}
	if got[1].Token.Scopes == nil || got[1].Granted == nil || got[1].Requested == nil {
		t.Error("empty scopes became absent")
	}
	if !got[0].Token.Expiry.IsZero() || !got[0].RefreshSent.IsZero() || !got[0].Token.Refresh.IsZero() {
		t.Errorf("something came of nothing: %+v", got[0])
	}
}

func oddValuesComeBack(t *testing.T, s orchestrator.Store, reopen func() orchestrator.Store) {
	ctx := t.Context()
	var want orchestrator.Contents
	for n, size := range []int{1, 1000, 1001, 1023, 1024, 1025, 4096, 70_000} {
		r := Connection(n)
		long := make([]byte, size)
		for i := range long {
			long[i] = byte(' ' + i%95)
		}
		r.Token.Access = oauth.NewSecret(string(long))
		r.Account.Label = "Zoë '\"; DROP TABLE connections;-- 東京"
		r.Generation = math.MaxUint64 - uint64(size)
		must(t, s.SaveConnection(ctx, r))
		want.Connections = append(want.Connections, r)
	}
	same(t, load(t, reopen()), want)
}

func endedContextChangesNothing(t *testing.T, s orchestrator.Store, reopen func() orchestrator.Store) {
	must(t, s.SaveConnection(t.Context(), Connection(1)))
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for what, err := range map[string]error{
		"check":  s.Check(ended),
		"save":   s.SaveConnection(ended, Connection(2)),
		"delete": s.DeleteConnection(ended, Connection(1).ID),
		"app":    s.SaveApp(ended, App(1)),
	} {
		if err == nil {
			t.Errorf("%s succeeded after its context ended", what)
		}
	}
	if _, err := s.Load(ended); err == nil {
		t.Error("load succeeded after its context ended")
	}
	want := orchestrator.Contents{Connections: []orchestrator.Record{Connection(1)}}
	same(t, load(t, s), want)
	same(t, load(t, reopen()), want)
}

func concurrentCallers(t *testing.T, s orchestrator.Store, reopen func() orchestrator.Store) {
	ctx := t.Context()
	var wg sync.WaitGroup
	for n := range 8 {
		wg.Go(func() {
			for generation := range 5 {
				r := Connection(n)
				r.Generation = uint64(generation)
				if err := s.SaveConnection(ctx, r); err != nil {
					t.Error(err)
				}
				if err := s.Check(ctx); err != nil {
					t.Error(err)
				}
				if _, err := s.Load(ctx); err != nil {
					t.Error(err)
				}
			}
			if n%2 == 1 {
				if err := s.DeleteConnection(ctx, Connection(n).ID); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	var want orchestrator.Contents
	for n := 0; n < 8; n += 2 {
		r := Connection(n)
		r.Generation = 4
		want.Connections = append(want.Connections, r)
	}
	same(t, load(t, reopen()), want)
}

func slicesAreNotShared(t *testing.T, s orchestrator.Store, _ func() orchestrator.Store) {
	r := Connection(1)
	must(t, s.SaveConnection(t.Context(), r))
	r.Granted[0], r.Token.Scopes[0] = "changed", "changed"
	got := load(t, s)
	same(t, got, orchestrator.Contents{Connections: []orchestrator.Record{Connection(1)}})
	got.Connections[0].Granted[0] = "changed"
	same(t, load(t, s), orchestrator.Contents{Connections: []orchestrator.Record{Connection(1)}})
}

func load(t *testing.T, s orchestrator.Store) orchestrator.Contents {
	t.Helper()
	c, err := s.Load(t.Context())
	must(t, err)
	return c
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func compare(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// same compares contents without regard to order. Secrets are pointers to
// their text, which reflect.DeepEqual follows.
func same(t *testing.T, got, want orchestrator.Contents) {
	t.Helper()
	sort(got)
	sort(want)
	if len(got.Damaged) != 0 {
		t.Errorf("damaged: %+v", got.Damaged)
	}
	sameList(t, "connections", got.Connections, want.Connections)
	sameList(t, "apps", got.Apps, want.Apps)
	sameList(t, "providers", got.Providers, want.Providers)
}

func sort(c orchestrator.Contents) {
	slices.SortFunc(c.Connections, func(a, b orchestrator.Record) int { return compare(a.ID, b.ID) })
	slices.SortFunc(c.Apps, func(a, b orchestrator.App) int { return compare(a.ID, b.ID) })
	slices.SortFunc(c.Providers, func(a, b provider.Provider) int { return compare(a.ID, b.ID) })
}

func sameList[T any](t *testing.T, what string, got, want []T) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%d %s, want %d", len(got), what, len(want))
		return
	}
	for i := range got {
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Errorf("%s %d came back changed:\n got %+v\nwant %+v", what, i, got[i], want[i])
		}
	}
}
