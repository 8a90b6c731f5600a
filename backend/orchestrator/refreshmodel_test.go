package orchestrator_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"keyturn/backend/demo"
	"keyturn/backend/fault"
	"keyturn/backend/orchestrator"
	"keyturn/backend/store/storetest"
)

// The reference of a refresh: what a grant at a server that rotates refresh
// tokens, and ends the grant when one is used twice, may come to. Whatever
// happens in whatever order,
//
//   - a token that is handed out is honoured, or as old as it may be;
//   - no refresh token is used twice, unless an answer was lost after the
//     server had acted: then the grant may end, and the reason says so;
//   - a refusal of the app ends nothing: once the app is accepted and the user
//     connects, all is well;
//   - when everything works again, so does the grant, by itself.
type grantModel struct {
	lost bool // an answer was lost after the server had acted
}

type grantMove struct {
	Name string
	Wait time.Duration
	Min  time.Duration
}

// grantFaults are answers to the next refresh. None but the last costs a
// careful client anything.
var grantFaults = map[string]demo.Fault{
	"broken":           {Status: 500},
	"busy":             {Status: 503, Header: http.Header{"Retry-After": {"90"}}},
	"too fast":         {Status: 429, Header: http.Header{"Retry-After": {"Sat, 01 Jan 2000 00:00:10 GMT"}}},
	"captive portal":   {Status: 200, Header: http.Header{"Content-Type": {"text/html"}}, Body: "<html>Sign in to the network"},
	"no token":         {Status: 200, Body: "{}"},
	"unreachable":      {Drop: demo.Unreachable},
	"lost on the way":  {Drop: demo.Lost},
	"app refused":      {Status: 401, Body: `{"error":"invalid_client"}`},
	"answer got lost!": {Drop: demo.Unanswered},
}

func TestAGrantComesThroughWhateverHappens(t *testing.T) {
	names := []string{"read", "read", "read", "wait", "wait", "crowd", "restart", "disk full", "disk well"}
	for name := range grantFaults {
		names = append(names, name)
	}
	slices.Sort(names)
	one := rapid.Custom(func(t *rapid.T) grantMove {
		return grantMove{
			Name: rapid.SampledFrom(names).Draw(t, "name"),
			Wait: rapid.SampledFrom([]time.Duration{0, time.Second, 40 * time.Second, 11 * time.Minute, time.Hour, 26 * time.Hour}).Draw(t, "wait"),
			Min:  rapid.SampledFrom([]time.Duration{0, time.Minute, 50 * time.Minute, 5 * time.Hour}).Draw(t, "min"),
		}
	})
	rapid.Check(t, func(rt *rapid.T) {
		played := rapid.SliceOfN(one, 1, 30).Draw(rt, "moves")
		var failed error
		synctest.Test(t, func(t *testing.T) { failed = playGrant(t, played) })
		if failed != nil {
			rt.Fatal(failed)
		}
	})
}

func playGrant(t *testing.T, played []grantMove) error {
	w := newWorld(t, demo.Options{AccessTTL: time.Hour, Record: true}, storetest.NewMemory(2*time.Millisecond))
	defer func() { w.stop() }()
	c := w.connected("ada")
	var m grantModel
	for i, mv := range played {
		if err := m.make(t, &w, mv, c.ID); err != nil {
			return fmt.Errorf("move %d, %+v: %w", i, mv, err)
		}
		time.Sleep(mv.Wait)
	}
	return m.heals(t, w, c.ID)
}

func (m *grantModel) make(t *testing.T, w **world, mv grantMove, id string) error {
	switch mv.Name {
	case "wait":
	case "read":
		return m.read(t, *w, id, mv.Min)
	case "crowd":
		came := make(chan error, 20)
		for range cap(came) {
			go func() { came <- m.read(t, *w, id, mv.Min) }()
		}
		var all error
		for range cap(came) {
			all = errors.Join(all, <-came)
		}
		return all
	case "restart":
		old := *w
		old.stop()
		*w = start(t, old.as, old.store)
	case "disk full":
		(*w).store.FailSaves(fault.New(fault.DiskFull, "The disk is full."))
	case "disk well":
		(*w).store.FailSaves(nil)
	default:
		f := grantFaults[mv.Name]
		f.On = demo.OpRefresh
		(*w).as.Script(f)
		m.lost = m.lost || f.Drop == demo.Unanswered
	}
	return nil
}

// read asks for a token, and holds what comes to what is promised.
func (m *grantModel) read(t *testing.T, w *world, id string, minValid time.Duration) error {
	got, err := w.Token(t.Context(), orchestrator.TokenQuery{ConnectionID: id, MinValid: minValid})
	if err != nil {
		switch code := fault.CodeOf(err); code {
		case fault.ProviderUnavailable, fault.RateLimited, fault.ProviderError, fault.DiskFull, fault.ClientRefused, fault.Cancelled:
			return nil // it may pass
		case fault.NeedsReconnect:
			return m.mayNeedReconnect(w, id)
		default:
			return fmt.Errorf("a reason that nobody gave: %s: %w", code, err)
		}
	}
	if !got.Expiry.After(time.Now()) {
		return fmt.Errorf("a token that ended at %v was handed out", got.Expiry)
	}
	return nil
}

// mayNeedReconnect: only the user can help, and the reason is one that happened.
func (m *grantModel) mayNeedReconnect(w *world, id string) error {
	c, err := w.Connection(id)
	if err != nil {
		return err
	}
	switch {
	case c.Reason == fault.ClientRefused, c.Reason == fault.ProviderError:
		return nil
	case m.lost && (c.Reason == fault.PossibleLostRotation || c.Reason == fault.GrantGone):
		return nil
	}
	return fmt.Errorf("reconnecting is asked for because of %s, and nothing of that kind happened", c.Reason)
}

// heals: when everything works again, the grant does.
func (m *grantModel) heals(t *testing.T, w *world, id string) error {
	w.store.FailSaves(nil)
	for range 20 { // what is still to go wrong goes wrong
		time.Sleep(3 * time.Hour)
		_, _ = w.Token(t.Context(), orchestrator.TokenQuery{ConnectionID: id})
	}
	synctest.Wait()
	n := w.as.Counts()
	if n.Replays > 0 && !m.lost {
		return fmt.Errorf("a refresh token was used twice: %+v", n)
	}
	c, err := w.Connection(id)
	if err != nil {
		return err
	}
	if c.Status == orchestrator.NeedsReconnect {
		if err := m.mayNeedReconnect(w, id); err != nil {
			return err
		}
		if c.Reason == fault.ClientRefused {
			if n.LiveGrants != 1 && !m.lost {
				return fmt.Errorf("the app was refused, and the grant is gone: %+v", n)
			}
		}
		return nil
	}
	if _, err := w.Token(t.Context(), orchestrator.TokenQuery{ConnectionID: id}); err != nil {
		return fmt.Errorf("all is well, and there is no token: %w (%+v)", err, c)
	}
	if kept := w.store.Contents().Connections; len(kept) != 1 || n.LiveGrants != 1 {
		return fmt.Errorf("%d rows, %+v", len(kept), n)
	}
	return nil
}
