package orchestrator_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"keyturn/backend/demo"
	"keyturn/backend/fault"
	"keyturn/backend/oauth"
	"keyturn/backend/orchestrator"
	"keyturn/backend/provider"
	"keyturn/backend/store/storetest"
)

// The model knows of an attempt only what is promised about it, and of an
// account only whether it is connected and how many grants the provider has
// for it. Whatever happens in whatever order:
//
//   - a token is stored exactly when one response was accepted in time;
//   - every attempt ends, once, and is forgotten a minute later;
//   - what may be seen of an attempt holds no secret of it;
//   - a disconnect leaves nothing here, and there none of what was stored.
type model struct {
	w         *world
	catalogue *provider.Catalogue
	attempts  []*modelAttempt
	accounts  map[string]*modelAccount
}

type modelAttempt struct {
	handle, url string
	account     string
	scopes      []string
	expires     time.Time
	status      orchestrator.AttemptStatus
	code        fault.Code
	ended       time.Time
	callback    string // what was delivered before, to be delivered again
	lost        bool   // the program was restarted since
}

type modelAccount struct {
	id     string // of the connection; "" when there is none
	live   bool   // the provider still honours what is stored
	spared int    // other grants: replaced, left alone, or cut off by a stop
}

// A move is one thing that happens. What its numbers mean is up to it.
type move struct {
	Name    string
	Attempt int
	Account string
	Scopes  int
	Wait    time.Duration
}

var (
	modelScopes = [][]string{{"profile"}, {"profile", "notes.read"}}
	modelWaits  = []time.Duration{time.Second, 59 * time.Second, 61 * time.Second, 4 * time.Minute, 6 * time.Minute, 20 * time.Minute}
)

// moves are what can happen, and how.
var moves = map[string]func(*model, move) error{
	"start":      (*model).start,
	"approve":    (*model).approve,
	"deny":       (*model).deny,
	"stranger":   (*model).stranger,
	"again":      (*model).again,
	"cancel":     (*model).cancel,
	"restart":    (*model).restart,
	"token":      (*model).token,
	"end":        (*model).end,
	"disconnect": (*model).disconnect,
	"wait":       (*model).wait,
	"reboot":     (*model).reboot,
	"cancel late, at any moment of the exchange": (*model).cancelLate,
	"disconnect while connecting":                (*model).disconnectWhile,
	"reboot while connecting":                    (*model).rebootWhile,
}

func TestWhateverHappens(t *testing.T) {
	catalogue, err := provider.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	names := make([]string, 0, len(moves)+4)
	for name := range moves {
		names = append(names, name)
	}
	names = append(names, "start", "start", "approve", "approve") // more often
	slices.Sort(names)
	one := rapid.Custom(func(t *rapid.T) move {
		return move{
			Name:    rapid.SampledFrom(names).Draw(t, "name"),
			Attempt: rapid.IntRange(0, 5).Draw(t, "attempt"),
			Account: rapid.SampledFrom([]string{"ada", "grace"}).Draw(t, "account"),
			Scopes:  rapid.IntRange(0, 1).Draw(t, "scopes"),
			Wait:    rapid.SampledFrom(modelWaits).Draw(t, "wait") + time.Duration(rapid.IntRange(0, 90).Draw(t, "ms"))*time.Millisecond,
		}
	})
	rapid.Check(t, func(rt *rapid.T) {
		played := rapid.SliceOfN(one, 1, 40).Draw(rt, "moves")
		var failed error
		synctest.Test(t, func(t *testing.T) { failed = play(t, catalogue, played) })
		if failed != nil {
			rt.Fatal(failed)
		}
	})
}

// play makes the moves in a world of its own, and compares after each.
func play(t *testing.T, catalogue *provider.Catalogue, played []move) error {
	as := demo.New(demo.Options{AccessTTL: 10 * time.Minute, Latency: 20 * time.Millisecond, Record: true})
	m := &model{
		w:         startWith(t, as, storetest.NewMemory(2*time.Millisecond), catalogue),
		catalogue: catalogue,
		accounts:  map[string]*modelAccount{"ada": {}, "grace": {}},
	}
	defer func() { m.w.stop() }()
	for i, mv := range played {
		if err := moves[mv.Name](m, mv); err != nil {
			return fmt.Errorf("move %d, %s: %w", i, mv.Name, err)
		}
		if err := m.compare(); err != nil {
			return fmt.Errorf("after move %d, %s: %w", i, mv.Name, err)
		}
	}
	return m.finish()
}

// finish lets everything end by itself and disconnects what is there.
func (m *model) finish() error {
	time.Sleep(orchestrator.PendingLife + orchestrator.ResultLife + time.Second)
	for name := range m.accounts {
		if err := m.disconnect(move{Account: name}); err != nil {
			return fmt.Errorf("at the end: %w", err)
		}
	}
	if err := m.compare(); err != nil {
		return fmt.Errorf("at the end: %w", err)
	}
	if left := m.w.Snapshot(); len(left.Attempts) != 0 || len(left.Connections) != 0 || len(m.w.store.Contents().Connections) != 0 {
		return fmt.Errorf("at the end something is left: %+v", left)
	}
	return nil
}

// compare checks everything that can be seen against the model.
func (m *model) compare() error {
	synctest.Wait()
	for _, a := range m.attempts {
		if err := m.compareAttempt(a); err != nil {
			return err
		}
	}
	return errors.Join(m.compareStored(), m.compareGrants(), m.noSecrets())
}

func (m *model) compareAttempt(a *modelAttempt) error {
	now := time.Now()
	if a.status == orchestrator.Pending && now.After(a.expires) {
		a.status, a.code, a.ended = orchestrator.Error, fault.Expired, a.expires
	}
	forgotten := a.lost || a.status != orchestrator.Pending && now.After(a.ended.Add(orchestrator.ResultLife))
	v, err := m.w.Attempt(a.handle)
	switch {
	case forgotten && fault.CodeOf(err) != fault.StateUnknown:
		return fmt.Errorf("%s is remembered: %+v %v", a.handle, v, err)
	case forgotten:
		return nil
	case err != nil || v.Status != a.status || v.Code != a.code:
		return fmt.Errorf("attempt is %s %q (%v), want %s %q", v.Status, v.Code, err, a.status, a.code)
	}
	return nil
}

func (m *model) compareStored() error {
	want := map[string]bool{}
	for _, c := range m.accounts {
		if c.id != "" {
			want[c.id] = true
		}
	}
	stored, shown := m.w.store.Contents().Connections, m.w.Snapshot().Connections
	if len(stored) != len(want) || len(shown) != len(want) {
		return fmt.Errorf("%d stored and %d shown, want %d", len(stored), len(shown), len(want))
	}
	for _, r := range stored {
		if !want[r.ID] {
			return fmt.Errorf("%s is stored", r.ID)
		}
	}
	return nil
}

func (m *model) compareGrants() error {
	want := 0
	for _, c := range m.accounts {
		want += c.spared
		if c.id != "" && c.live {
			want++
		}
	}
	if n := m.w.as.Counts().LiveGrants; n != want {
		return fmt.Errorf("%d grants alive at the provider, want %d", n, want)
	}
	return nil
}

// noSecrets looks for what may not be seen in what may be seen.
func (m *model) noSecrets() error {
	seen := m.w.Snapshot()
	for i := range seen.Attempts {
		seen.Attempts[i].URL = "" // for whoever started it, and the user's own tray
	}
	text := fmt.Sprintf("%+v", seen)
	var secrets []string
	for _, a := range m.attempts {
		u, err := url.Parse(a.url)
		if err != nil {
			return err
		}
		secrets = append(secrets, u.Query().Get("state"), u.Query().Get("nonce"), u.Query().Get("code_challenge"))
	}
	for _, q := range m.w.as.Requests("") {
		secrets = append(secrets, q.Form.Get("code"), q.Form.Get("code_verifier"), q.Form.Get("refresh_token"))
	}
	for _, r := range m.w.store.Contents().Connections {
		secrets = append(secrets, r.Token.Access.Reveal(), r.Token.Refresh.Reveal())
	}
	for _, s := range secrets {
		if s != "" && strings.Contains(text, s) {
			return fmt.Errorf("a secret shows: %s", text)
		}
	}
	return nil
}

// pick chooses among the attempts so far; nil when there is none.
func (m *model) pick(mv move) *modelAttempt {
	if len(m.attempts) == 0 {
		return nil
	}
	return m.attempts[len(m.attempts)-1-mv.Attempt%len(m.attempts)]
}

// waits reports whether a response to a would be accepted now.
func (a *modelAttempt) waits() bool {
	return a.status == orchestrator.Pending && !a.lost && time.Now().Before(a.expires)
}

// finished notes the end of an attempt, which was within the move being made.
func (m *model) finished(a *modelAttempt, s orchestrator.AttemptStatus, code fault.Code) {
	a.status, a.code, a.ended = s, code, time.Now()
	if v, err := m.w.Attempt(a.handle); err == nil && v.Status != orchestrator.Pending {
		if at := v.Expires.Add(-orchestrator.ResultLife); a.ended.Sub(at) < 3*time.Second {
			a.ended = at
		}
	}
}

func (m *model) start(mv move) error {
	return m.started(mv.Account, modelScopes[mv.Scopes], func(ctx context.Context) (orchestrator.Started, error) {
		return m.w.Connect(ctx, request(orchestrator.ConnectRequest{Account: mv.Account, Scopes: modelScopes[mv.Scopes]}))
	})
}

// started checks what a start answers: the equal attempt that waits, a new
// one, or that there are too many.
func (m *model) started(account string, scopes []string, start func(context.Context) (orchestrator.Started, error)) error {
	var equal *modelAttempt
	pending := 0
	for _, a := range m.attempts {
		if a.waits() {
			pending++
			if a.account == account && slices.Equal(a.scopes, scopes) {
				equal = a
			}
		}
	}
	s, err := start(m.w.t.Context())
	switch {
	case equal != nil:
		if err != nil || !s.Joined || s.Attempt.Handle != equal.handle {
			return fmt.Errorf("an equal attempt waits, got %+v %w", s, err)
		}
	case pending >= orchestrator.MaxPendingPerName:
		if fault.CodeOf(err) != fault.RateLimited {
			return fmt.Errorf("%d wait, got %+v %w", pending, s, err)
		}
	case err != nil || s.Joined:
		return fmt.Errorf("%+v %w", s, err)
	default:
		m.attempts = append(m.attempts, &modelAttempt{
			handle: s.Attempt.Handle, url: s.Attempt.URL, account: account, scopes: scopes,
			expires: s.Attempt.Expires, status: orchestrator.Pending,
		})
	}
	return nil
}

// deliver brings the user's answer to the attempt and returns the page that
// waits; nil is right when the attempt does not wait.
func (m *model) deliver(a *modelAttempt, callback string) (*tab, error) {
	a.callback = callback
	tb := m.w.browser.deliver(m.w.t, callback)
	if (tb != nil) != a.waits() {
		return nil, fmt.Errorf("somebody waits: %t, want %t", tb != nil, a.waits())
	}
	return tb, nil
}

func (m *model) approve(mv move) error {
	a := m.pick(mv)
	if a == nil {
		return nil
	}
	tb, err := m.deliver(a, m.w.as.Approve(a.url, mv.Account))
	if tb == nil || err != nil {
		return err
	}
	if out := <-tb.outcome; !out.OK {
		return fmt.Errorf("refused: %+v", out)
	}
	m.finished(a, orchestrator.Complete, "")
	v, err := m.w.Attempt(a.handle)
	if err != nil {
		return err
	}
	return m.connected(mv.Account, v.ConnectionID)
}

// connected notes a new grant of an account, which is the next one of the
// connection that is there.
func (m *model) connected(account, id string) error {
	c := m.accounts[account]
	if c.id != "" && c.id != id {
		return fmt.Errorf("a second connection for %s", account)
	}
	if c.id != "" && c.live {
		c.spared++
	}
	c.id, c.live = id, true
	return nil
}

func (m *model) deny(mv move) error {
	a := m.pick(mv)
	if a == nil {
		return nil
	}
	tb, err := m.deliver(a, m.w.as.Deny(a.url))
	if tb == nil || err != nil {
		return err
	}
	if out := <-tb.outcome; out.OK || out.Code != string(fault.Denied) {
		return fmt.Errorf("%+v", out)
	}
	m.finished(a, orchestrator.Error, fault.Denied)
	return nil
}

func (m *model) stranger(move) error {
	if m.w.browser.deliver(m.w.t, redirectURI+"?code=stolen&state="+oauth.NewState().Reveal()) != nil {
		return errors.New("a stranger is heard")
	}
	return nil
}

func (m *model) again(mv move) error {
	a := m.pick(mv)
	if a == nil || a.callback == "" || a.waits() {
		return nil
	}
	_, err := m.deliver(a, a.callback)
	return err
}

func (m *model) cancel(mv move) error {
	a := m.pick(mv)
	if a == nil {
		return nil
	}
	waited := a.waits()
	err := m.w.Cancel(a.handle)
	if err != nil && fault.CodeOf(err) != fault.StateUnknown {
		return err
	}
	if waited {
		m.finished(a, orchestrator.Error, fault.Cancelled)
	}
	return nil
}

func (m *model) restart(mv move) error {
	a := m.pick(mv)
	if a == nil {
		return nil
	}
	if _, err := m.w.Attempt(a.handle); err != nil {
		_, again := m.w.Restart(m.w.t.Context(), a.handle, "window")
		if fault.CodeOf(again) != fault.StateUnknown {
			return again
		}
		return nil
	}
	if a.waits() {
		m.finished(a, orchestrator.Error, fault.Superseded)
	}
	return m.started(a.account, a.scopes, func(ctx context.Context) (orchestrator.Started, error) {
		return m.w.Restart(ctx, a.handle, "window")
	})
}

func (m *model) token(mv move) error {
	c := m.accounts[mv.Account]
	tok, err := m.w.Token(m.w.t.Context(), orchestrator.TokenQuery{Provider: "demo", Account: mv.Account})
	switch code := fault.CodeOf(err); {
	case c.id == "" && code != fault.NotConnected:
		return fmt.Errorf("not connected, got %q", code)
	case c.id != "" && c.live && (err != nil || !tok.Expiry.After(time.Now()) || tok.ConnectionID != c.id):
		return fmt.Errorf("connected, got a token until %s of %s: %w", tok.Expiry, tok.ConnectionID, err)
	case c.id != "" && !c.live && err != nil && code != fault.NeedsReconnect:
		return fmt.Errorf("ended, got %q", code)
	}
	return nil
}

// end is the user's doing at the provider.
func (m *model) end(mv move) error {
	m.w.as.End(mv.Account)
	c := m.accounts[mv.Account]
	c.live, c.spared = false, 0
	return nil
}

func (m *model) disconnect(mv move) error {
	c := m.accounts[mv.Account]
	if c.id == "" {
		return nil
	}
	id := c.id
	c.id, c.live = "", false
	_, err := m.w.Disconnect(m.w.t.Context(), id)
	return err
}

func (m *model) wait(mv move) error {
	time.Sleep(mv.Wait)
	return nil
}

func (m *model) reboot(move) error {
	m.w.stop()
	m.w = startWith(m.w.t, m.w.as, m.w.store, m.catalogue)
	for _, a := range m.attempts {
		a.lost = true
	}
	return nil
}

// during has an attempt approved and does something at some moment of what
// follows. It returns what the page says in the end.
func (m *model) during(mv move, do func(*modelAttempt) error) (a *modelAttempt, out oauth.Outcome, err error) {
	a = m.pick(mv)
	if a == nil || !a.waits() {
		return nil, out, nil
	}
	tb, err := m.deliver(a, m.w.as.Approve(a.url, mv.Account))
	if err != nil {
		return nil, out, err
	}
	time.Sleep(mv.Wait % time.Second)
	if err := do(a); err != nil {
		return nil, out, err
	}
	out = <-tb.outcome
	time.Sleep(time.Second) // what was discarded is revoked
	return a, out, nil
}

func (m *model) cancelLate(mv move) error {
	c := m.accounts[mv.Account]
	if c.id != "" && !c.live {
		return nil // whether the late token replaced the ended one cannot be seen
	}
	exchanges := m.w.as.Counts().Exchanges
	a, out, err := m.during(mv, func(a *modelAttempt) error { return m.w.Cancel(a.handle) })
	if a == nil || err != nil {
		return err
	}
	v, err := m.w.Attempt(a.handle)
	if err != nil || out.OK != (v.Status == orchestrator.Complete) {
		return fmt.Errorf("the page says %+v, the attempt %+v %w", out, v, err)
	}
	if out.OK {
		m.finished(a, orchestrator.Complete, "")
		return m.connected(mv.Account, v.ConnectionID)
	}
	m.finished(a, orchestrator.Error, fault.Cancelled)
	if c.id != "" {
		c.spared += m.w.as.Counts().Exchanges - exchanges // revoking it could end the connection
	}
	return nil
}

func (m *model) disconnectWhile(mv move) error {
	c := m.accounts[mv.Account]
	if c.id == "" || !c.live {
		return nil
	}
	old := c.id
	a, out, err := m.during(mv, func(*modelAttempt) error {
		_, err := m.w.Disconnect(m.w.t.Context(), old)
		return err
	})
	if a == nil || err != nil {
		return err
	}
	if !out.OK {
		return fmt.Errorf("%+v", out)
	}
	m.finished(a, orchestrator.Complete, "")
	v, err := m.w.Attempt(a.handle)
	if err != nil {
		return err
	}
	if v.ConnectionID == old { // connected, then disconnected: the older grant was replaced
		c.spared++
		c.id, c.live = "", false
		return nil
	}
	c.id, c.live = v.ConnectionID, true
	return nil
}

func (m *model) rebootWhile(mv move) error {
	c := m.accounts[mv.Account]
	if c.id != "" && !c.live {
		return nil
	}
	a, out, err := m.during(mv, func(*modelAttempt) error { m.w.stop(); return nil })
	if a == nil || err != nil {
		return err
	}
	before := m.w.as.Counts().LiveGrants
	if out.OK {
		v, err := m.w.Attempt(a.handle)
		if err != nil {
			return err
		}
		if err := m.connected(mv.Account, v.ConnectionID); err != nil {
			return err
		}
	}
	if err := m.reboot(mv); err != nil {
		return err
	}
	if out.OK {
		return nil
	}
	// The answer to the exchange may have been cut off, or the token left
	// alone because of the connection there is: nobody knows it any more.
	if m.compareGrants() != nil {
		c.spared++
	}
	if n := m.w.as.Counts().LiveGrants; n != before {
		return fmt.Errorf("%d grants alive, %d before the restart", n, before)
	}
	return nil
}
