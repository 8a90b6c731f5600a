//go:build e2e && linux

package e2e

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"keyturn/app/e2e/rig"
	"keyturn/backend/api/wire"
	"keyturn/backend/client"
	"keyturn/backend/demo"
	"keyturn/backend/fault"
	"keyturn/backend/orchestrator"
	"keyturn/backend/store"
)

// A victim is an install with one connection to a server that rotates refresh
// tokens and ends the grant of one that comes twice. Its program is killed in
// the middle of a refresh, again and again, and the grant must be there after
// every restart.
//
// What has to come of a round is known beforehand, from the server's
// transcript and from what is on the disk: a grant may be lost in one case
// only. The server, without a period of grace, has rotated, and the program
// was killed before the new token was on the disk. Then it has to say so, and
// in no other case.
type victim struct {
	t       *testing.T
	k       *rig.Install
	as      *rig.Issuer
	grace   time.Duration
	life    time.Duration // of an access token
	app     *client.Client
	restart func() // starts the program again

	connection string // its id
	due        time.Time
	usual      time.Duration // how long a refresh takes that nobody disturbs
	tally      *tally
}

const (
	// shortLife is the shortest life of a token that Keyturn renews on demand
	// as often as it is asked.
	shortLife = 3 * time.Second
	forAYear  = 365 * 24 * 60 * 60
)

// newVictim has restart start the program for the first time, too.
func newVictim(t *testing.T, life, grace time.Duration, sum *tally, restart func(*rig.Install)) *victim {
	t.Helper()
	k := rig.Prepare(t)
	v := &victim{
		t: t, k: k, grace: grace, life: life, tally: sum, app: client.New(k.Socket()), restart: func() { restart(k) },
		as: rig.NewIssuer(t, demo.Options{AccessTTL: life, Grace: grace}, "victim"),
	}
	v.restart()
	v.as.Introduce(k, "victim")
	v.connect()
	return v
}

// untilDue is when a caller who asks for as much validity as there can be gets
// a new token: when a tenth of the life of the old one is over.
func (v *victim) untilDue() time.Duration { return v.life/10 + 60*time.Millisecond }

// connect has the account connected, again when it was before.
func (v *victim) connect() {
	v.t.Helper()
	id, err := connect(v.t.Context(), v.app, v.as, "victim", "ada")
	if err != nil {
		v.t.Fatal(err)
	}
	if v.connection != "" && id != v.connection {
		v.t.Fatalf("connected again, %s became %s", v.connection, id)
	}
	v.connection, v.due = id, time.Now().Add(v.untilDue())
}

// connect has an account approved and returns the id of the connection.
func connect(ctx context.Context, app *client.Client, as *rig.Issuer, clientID, account string) (id string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	started, err := app.Connect(ctx, wire.ConnectStart{Service: "rotating", ClientID: clientID})
	if err != nil {
		return "", fmt.Errorf("connect: %w", err)
	}
	res, err := http.Get(as.Approve(started.AuthURL, account))
	if err != nil {
		return "", fmt.Errorf("callback: %w", err)
	}
	_, _ = io.Copy(io.Discard, res.Body)
	res.Body.Close()
	for {
		s, err := app.ConnectStatus(ctx, started.State)
		switch {
		case err != nil:
			return "", fmt.Errorf("connect: %w", err)
		case s.Status == "error":
			return "", fmt.Errorf("connect: %s: %s", s.Code, s.Error)
		case s.Status == "complete":
			return s.ConnectionID, nil
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// ask asks for a token that is as fresh as can be.
func (v *victim) ask() (wire.Token, error) {
	ctx, cancel := context.WithTimeout(v.t.Context(), 30*time.Second)
	defer cancel()
	return v.app.Token(ctx, wire.TokenRequest{Provider: "rotating", MinValidSeconds: forAYear})
}

// refreshed makes one undisturbed refresh.
func (v *victim) refreshed() {
	v.t.Helper()
	time.Sleep(time.Until(v.due))
	begun := time.Now()
	if _, err := v.ask(); err != nil {
		v.t.Fatal("a refresh that nobody disturbed: ", err)
	}
	took := time.Since(begun)
	if v.usual == 0 {
		v.usual = took
	}
	v.usual += (took - v.usual) / 4
	v.due = time.Now().Add(v.untilDue())
}

// onDisk is what the data folder holds of the connection, looked at in a copy:
// opening a database changes it.
func (v *victim) onDisk() orchestrator.Record {
	v.t.Helper()
	dir := filepath.Join(v.k.Home, "copy")
	defer os.RemoveAll(dir)
	if err := os.CopyFS(dir, os.DirFS(v.k.Data())); err != nil {
		v.t.Fatal(err)
	}
	for _, path := range []string{dir, filepath.Join(dir, "*")} {
		found, _ := filepath.Glob(path)
		for _, p := range found {
			mode := os.FileMode(0o600)
			if p == dir {
				mode = 0o700
			}
			if err := os.Chmod(p, mode); err != nil {
				v.t.Fatal(err)
			}
		}
	}
	s, err := store.Open(v.t.Context(), store.Options{Dir: dir, KeyFile: v.k.KeyFile()})
	if err != nil {
		v.t.Fatal("what a kill left cannot be opened: ", err)
	}
	defer s.Close()
	c, err := s.Load(v.t.Context())
	if err != nil {
		v.t.Fatal("what a kill left cannot be read: ", err)
	}
	if len(c.Damaged) > 0 || len(c.Connections) != 1 || c.Connections[0].ID != v.connection {
		v.t.Fatalf("what a kill left: %d connections, damaged: %+v", len(c.Connections), c.Damaged)
	}
	return c.Connections[0]
}

// phase is how far a refresh had come when it was killed.
type phase string

const (
	beforeNote phase = "before it was written down"
	noted      phase = "written down, not sent"
	sent       phase = "sent, the server has not acted"
	rotated    phase = "the server rotated, answer not sent"
	answered   phase = "answer sent, not saved"
	saved      phase = "saved, caller not told"
	told       phase = "caller told"
)

var phases = []phase{beforeNote, noted, sent, rotated, answered, saved, told}

// tally counts what came of the rounds of several victims.
type tally struct {
	mu     sync.Mutex
	rounds map[phase]int
	served map[phase]int
	lost   map[phase]int // each explained by the transcript
}

func newTally() *tally {
	return &tally{rounds: map[phase]int{}, served: map[phase]int{}, lost: map[phase]int{}}
}

func (s *tally) count(p phase, lost bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rounds[p]++
	if lost {
		s.lost[p]++
	} else {
		s.served[p]++
	}
}

// String is the table. A loss that is not explained ends the test, so that
// column is always 0 here.
func (s *tally) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	line := func(a any, n, served, lost any, unexplained any) {
		fmt.Fprintf(&b, "%-38v %7v %7v %23v %12v\n", a, n, served, lost, unexplained)
	}
	line("killed", "rounds", "served", "possible_lost_rotation", "unexplained")
	var n, served, lost int
	for _, p := range phases {
		line(p, s.rounds[p], s.served[p], s.lost[p], 0)
		n, served, lost = n+s.rounds[p], served+s.served[p], lost+s.lost[p]
	}
	line("all", n, served, lost, 0)
	return b.String()
}

// round has one refresh begin, lets kill end the program during it, restarts
// and judges. kill returns when the program has ended, and says when that was;
// it is given a channel that is closed when the caller has its answer. It
// returns a zero time when it decided not to kill after all.
func (v *victim) round(kill func(over <-chan struct{}) (when time.Time)) (killed bool) {
	v.t.Helper()
	time.Sleep(time.Until(v.due))
	was := v.onDisk()
	if !was.RefreshSent.IsZero() || was.Status != orchestrator.Connected {
		v.t.Fatalf("before the round: %s %s, journal %v", was.Status, was.Reason, was.RefreshSent)
	}
	v.as.Forget()
	var err error
	over := make(chan struct{})
	go func() { defer close(over); _, err = v.ask() }()
	when := kill(over)
	<-over
	v.as.Quiet()
	if when.IsZero() {
		if err != nil {
			v.t.Fatalf("nobody killed it, and yet: %v\n%s", err, rig.Lines(v.as.Transcript()))
		}
		v.due = time.Now().Add(v.untilDue())
		return false
	}
	now := v.onDisk()
	calls := v.as.Transcript()
	story := func() string {
		return fmt.Sprintf("before: generation %d with %s\nkilled at %s\non the disk: generation %d with %s, %s %s, journal %v\n%s",
			was.Generation, fingerprint(was), when.Format("15:04:05.000000"), now.Generation, fingerprint(now), now.Status, now.Reason, now.RefreshSent, rig.Lines(v.as.Transcript()))
	}
	at := v.phase(was, now, calls, when, err == nil, story)

	v.as.Forget()
	v.restart()
	if at == saved || at == told {
		v.due = now.Refreshed.Add(v.untilDue())
		time.Sleep(time.Until(v.due))
	}
	rotatedAway := len(calls) > 0 && !calls[0].Rotated.IsZero()
	mustBeLost := v.grace == 0 && rotatedAway && now.Generation == was.Generation
	token, err := v.ask()
	v.judge(at, now, mustBeLost, token, err, story)
	v.tally.count(at, mustBeLost)
	if mustBeLost {
		v.connect()
	}
	v.due = time.Now().Add(v.untilDue())
	return true
}

func fingerprint(r orchestrator.Record) string { return rig.Fingerprint(r.Token.Refresh.Reveal()) }

// phase says how far the refresh had come, and fails when the program had done
// things in the wrong order.
func (v *victim) phase(was, now orchestrator.Record, calls []rig.Refresh, when time.Time, callerHasIt bool, story func() string) phase {
	v.t.Helper()
	open, same := !now.RefreshSent.IsZero(), now.Generation == was.Generation
	switch {
	case now.Status != orchestrator.Connected:
		v.t.Fatalf("a kill made it %s (%s)\n%s", now.Status, now.Reason, story())
	case len(calls) > 1:
		v.t.Fatalf("one refresh, %d requests\n%s", len(calls), story())
	case len(calls) == 1 && calls[0].With != fingerprint(was):
		v.t.Fatalf("sent something else than the refresh token it had\n%s", story())
	case same && fingerprint(now) != fingerprint(was):
		v.t.Fatalf("another refresh token under the same generation\n%s", story())
	case same && !open && len(calls) > 0:
		v.t.Fatalf("R-42: sent before it was written down\n%s", story())
	case same && callerHasIt:
		v.t.Fatalf("R-41: the caller has a token whose refresh token is not saved\n%s", story())
	case !same && (now.Generation != was.Generation+1 || open || fingerprint(now) != calls[0].Issued):
		v.t.Fatalf("saved something else than what the server issued\n%s", story())
	}
	switch {
	case callerHasIt:
		return told
	case !same:
		return saved
	case !open:
		return beforeNote
	case len(calls) == 0:
		return noted
	case !calls[0].Answered.IsZero() && calls[0].Answered.Before(when):
		return answered
	case !calls[0].Rotated.IsZero() && calls[0].Rotated.Before(when):
		return rotated
	}
	return sent
}

// judge holds what the program says after the restart against what must be.
func (v *victim) judge(at phase, now orchestrator.Record, mustBeLost bool, token wire.Token, err error, story func() string) {
	v.t.Helper()
	v.as.Quiet()
	calls := v.as.Transcript()
	ctx, cancel := context.WithTimeout(v.t.Context(), 30*time.Second)
	defer cancel()
	all, listErr := v.app.Connections(ctx)
	switch {
	case listErr != nil || all.Store != "" || len(all.Damaged) > 0 || len(all.Connections) != 1 || all.Connections[0].ID != v.connection:
		v.t.Fatalf("after a kill (%s) the connection is not there: %+v %v\n%s", at, all, listErr, story())
	case len(calls) != 1 || calls[0].With != fingerprint(now):
		v.t.Fatalf("after a kill (%s) there must be one request, with the refresh token on the disk: %v\n%s", at, err, story())
	}
	c := all.Connections[0]
	if mustBeLost {
		if fault.CodeOf(err) != fault.NeedsReconnect || c.Status != "needs_reconnect" || c.Reason != string(fault.PossibleLostRotation) {
			v.t.Fatalf("after a kill (%s) the grant is lost at the server, and it says %s (%s): %v\n%s", at, c.Status, c.Reason, err, story())
		}
		return
	}
	if err != nil || c.Status != "connected" || c.Reason != "" || token.Token != calls[0].Access || !v.as.Honours(v.t, token.Token) {
		v.t.Fatalf("LOST GRANT: after a kill (%s) it says %s (%s): %v\n%s", at, c.Status, c.Reason, err, story())
	}
}

// hesitant makes a server take its time before and after it acts, and look up
// now and then whether anybody still waits.
func hesitant(longest time.Duration) func(*rig.Refresh) rig.Behaviour {
	return func(*rig.Refresh) rig.Behaviour {
		return rig.Behaviour{Before: rand.N(longest), After: rand.N(longest), Attentive: rand.N(2) == 0}
	}
}

// long reports whether the long forms are to run.
func long() bool { return os.Getenv("KEYTURN_SOAK") != "" }

// spread returns n moments in random order, one in each nth part of a whole.
func spread(n int) []float64 {
	all := make([]float64, n)
	for i := range all {
		all[i] = (float64(i) + rand.Float64()) / float64(n)
	}
	rand.Shuffle(n, func(a, b int) { all[a], all[b] = all[b], all[a] })
	return slices.Clip(all)
}
