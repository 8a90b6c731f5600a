//go:build e2e && linux

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"keyturn/app/e2e/rig"
	"keyturn/backend/api/wire"
	"keyturn/backend/client"
	"keyturn/backend/demo"
	"keyturn/backend/fault"
)

// How much goes on at once.
const (
	soakApps    = 50 // two accounts each: a hundred connections
	soakCallers = 50
)

// TestSoak has a program renew a hundred connections at a provider that fails
// in every way it can, with callers that ask, give up and disconnect all the
// time. No grant may be lost, nothing may race, and it must be no larger at the
// end than at the beginning. Twenty seconds; ten minutes in the long form.
//
// It is done twice, side by side: with the race detector, which needs more and
// more memory of its own, and as the program is built.
func TestSoak(t *testing.T) {
	t.Run("with the race detector", func(t *testing.T) { soaked(t, true) })
	t.Run("as it is built", func(t *testing.T) { soaked(t, false) })
}

func soaked(t *testing.T, race bool) {
	t.Parallel()
	span := 20 * time.Second
	if long() {
		span = 10 * time.Minute
	}
	s := newSoak(t, race)
	ctx, stop := context.WithTimeout(t.Context(), span)
	defer stop()
	var all sync.WaitGroup
	for range soakCallers {
		all.Go(func() { s.calls(ctx) })
	}
	for range 2 {
		all.Go(func() { s.leavesAndComesBack(ctx) })
	}
	time.Sleep(span / 6) // to its working size
	samples := []sample{s.weigh()}
	for len(samples) < 5 && ctx.Err() == nil {
		time.Sleep(span / 6)
		samples = append(samples, s.weigh())
	}
	<-ctx.Done()
	all.Wait()
	s.as.Behave = nil
	samples = append(samples, s.weigh())

	s.mustAllWork()
	s.program.stop(t)
	var table strings.Builder
	fmt.Fprintf(&table, "%8s %11s %12s %8s %10s %8s %14s\n", "after", "goroutines", "descriptors", "threads", "live heap", "memory", "pages in reach")
	for _, m := range samples {
		fmt.Fprintf(&table, "%8v %11d %12d %8d %7d MB %5d MB %14d\n", m.after.Round(time.Second), m.goroutines, m.descriptors, m.threads, m.heap, m.resident, m.pages)
	}
	t.Logf("%d connections, %d callers, %v:\n%s%s", len(s.slots), soakCallers, span, &table, s.account())
	first, last := samples[0], samples[len(samples)-1]
	pages := 2 * max(0, last.pages-first.pages)
	memory := 4 + first.resident/4
	if race {
		memory = 1 << 20
	}
	for _, grown := range []struct {
		what        string
		first, last int
		allowed     int
	}{
		{"goroutines", first.goroutines, last.goroutines, 8 + pages},
		{"descriptors", first.descriptors, last.descriptors, 8 + pages},
		{"threads", first.threads, last.threads, 16},
		{"MB of live heap", first.heap, last.heap, 4},
		{"MB of memory", first.resident, last.resident, memory},
	} {
		if grown.last > grown.first+grown.allowed {
			t.Errorf("%d %s at the beginning, %d at the end", grown.first, grown.what, grown.last)
		}
	}
}

// soak is a program under load.
type soak struct {
	t       *testing.T
	program *observed
	app     *client.Client
	as      *rig.Issuer
	begun   time.Time
	slots   []*slot
	gate    sync.RWMutex // held for writing while the program is weighed
	quiet   atomic.Bool  // the provider behaves, too

	mu        sync.Mutex     // guards what follows
	counts    map[string]int // of what happened
	streak    map[string]int // refresh token → failures in a row
	connected []time.Time    // when accounts were
}

// slot is an account that is connected nearly all the time. epoch counts its
// comings and goings: it is odd while the account may be disconnected.
type slot struct {
	app, account string
	epoch        atomic.Int64
	// busy is held by who connects an account of this app: two who ask for
	// the same at the same moment share one attempt, and so one account.
	busy *sync.Mutex
}

func newSoak(t *testing.T, race bool) *soak {
	t.Helper()
	s := &soak{t: t, begun: time.Now(), counts: map[string]int{}, streak: map[string]int{}}
	var apps []string
	for n := range soakApps {
		apps = append(apps, fmt.Sprintf("app-%02d", n))
	}
	k := rig.Prepare(t)
	s.program = observe(t, k, race)
	s.app = client.New(k.Socket())
	s.as = rig.NewIssuer(t, demo.Options{AccessTTL: 6 * time.Second, Grace: time.Minute}, apps...)
	s.as.Introduce(k)
	for _, id := range apps {
		if _, err := s.app.UpsertApp(t.Context(), wire.AppUpsert{Provider: "rotating", ClientID: id, NoClientSecret: true}); err != nil {
			t.Fatal(err)
		}
		busy := new(sync.Mutex)
		for _, account := range []string{"ada", "grace"} {
			if err := s.connect(id, account); err != nil {
				t.Fatal(err)
			}
			s.slots = append(s.slots, &slot{app: id, account: account + "@example.com", busy: busy})
		}
	}
	s.as.Behave = s.misbehave
	return s
}

func (s *soak) connect(app, account string) error {
	_, err := connect(s.t.Context(), s.app, s.as, app, account)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.connected = append(s.connected, time.Now())
	return err
}

// pageLife is how long the last page of a connect can be reloaded. Until then
// it costs a listener.
const pageLife = 61 * time.Second

// pagesInReach counts them.
func (s *soak) pagesInReach() (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, when := range s.connected {
		if time.Since(when) < pageLife {
			n++
		}
	}
	return n
}

func (s *soak) count(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts[what]++
}

func (s *soak) account() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	for _, what := range slices.Sorted(maps.Keys(s.counts)) {
		fmt.Fprintf(&b, "%8d  %s\n", s.counts[what], what)
	}
	return b.String()
}

// misbehave answers a quarter of the refreshes as providers do on bad days,
// but never three times in a row.
func (s *soak) misbehave(r *rig.Refresh) rig.Behaviour {
	if s.quiet.Load() {
		return rig.Behaviour{}
	}
	b := rig.Behaviour{Before: rand.N(40 * time.Millisecond), After: rand.N(40 * time.Millisecond)}
	page := func(status int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(status)
			_, _ = w.Write([]byte("<!DOCTYPE html><title>Sign in to the network</title>"))
		}
	}
	bad := []struct {
		name string
		do   func()
	}{
		{"slow", func() { b.After += 1500 * time.Millisecond }},
		{"lost on its way there", func() { b.Lost = true }},
		{"unanswered", func() { b.Unanswered = true }},
		{"503", func() { b.Instead = page(http.StatusServiceUnavailable) }},
		{"500", func() { b.Instead = page(http.StatusInternalServerError) }},
		{"captive portal", func() { b.Instead = page(http.StatusOK) }},
		{"429 with Retry-After", func() {
			b.Instead = func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Retry-After", "1")
				w.WriteHeader(http.StatusTooManyRequests)
			}
		}},
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counts["refreshes at the server"]++
	if rand.N(4) != 0 || s.streak[r.With] >= 2 {
		delete(s.streak, r.With)
		return b
	}
	s.streak[r.With]++
	kind := bad[rand.N(len(bad))]
	kind.do()
	s.counts["refreshes: "+kind.name]++
	return b
}

// calls asks for tokens, as programs do.
func (s *soak) calls(ctx context.Context) {
	for ctx.Err() == nil {
		s.gate.RLock()
		s.call(ctx, s.slots[rand.N(len(s.slots))])
		s.gate.RUnlock()
		time.Sleep(rand.N(100 * time.Millisecond))
	}
}

func (s *soak) call(ctx context.Context, at *slot) {
	request := wire.TokenRequest{Provider: "rotating", Account: at.account, ClientID: at.app}
	impatient := rand.N(20) == 0
	switch {
	case impatient:
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, rand.N(10*time.Millisecond))
		defer cancel()
	case rand.N(20) == 0:
		request.MinValidSeconds = forAYear
	case rand.N(50) == 0:
		if _, err := s.app.Connections(ctx); err != nil && ctx.Err() == nil {
			s.t.Errorf("list: %v", err)
		}
	}
	epoch := at.epoch.Load()
	token, err := s.app.Token(ctx, request)
	undisturbed := func() bool { return epoch%2 == 0 && at.epoch.Load() == epoch && ctx.Err() == nil }
	switch code := fault.CodeOf(err); {
	case err == nil && undisturbed() && !s.as.Honours(s.t, token.Token):
		if undisturbed() && (token.ExpiresAt == nil || time.Until(*token.ExpiresAt) > 0) {
			s.t.Errorf("%s of %s was served a token that the server does not know", at.account, at.app)
		}
	case err == nil:
		s.count("calls: served")
	case impatient || over(ctx):
		s.count("calls: given up by the caller")
	case !undisturbed():
		s.count("calls: while the account was being disconnected")
	case code == fault.ProviderUnavailable || code == fault.RateLimited:
		s.count("calls: " + string(code))
	default:
		s.t.Errorf("%s of %s, which is connected: %s: %v", at.account, at.app, code, err)
	}
}

// over reports whether the time of ctx is up, which a connection may notice a
// moment before ctx does.
func over(ctx context.Context) bool {
	end, ok := ctx.Deadline()
	return ctx.Err() != nil || ok && !time.Now().Before(end)
}

// leavesAndComesBack disconnects accounts and connects them again.
func (s *soak) leavesAndComesBack(ctx context.Context) {
	for ctx.Err() == nil {
		time.Sleep(rand.N(time.Second))
		s.gate.RLock()
		s.leaveAndComeBack(s.slots[rand.N(len(s.slots))])
		s.gate.RUnlock()
	}
}

func (s *soak) leaveAndComeBack(at *slot) {
	if !at.busy.TryLock() {
		return
	}
	defer at.busy.Unlock()
	at.epoch.Add(1)
	defer at.epoch.Add(1)
	ctx := s.t.Context() // not to be interrupted half way
	done, err := s.app.Disconnect(ctx, wire.DisconnectRequest{Provider: "rotating", Account: at.account, ClientID: at.app})
	if err != nil || !done.Revoked {
		s.t.Errorf("disconnect %s of %s: revoked %v, %v", at.account, at.app, done.Revoked, err)
	}
	time.Sleep(rand.N(100 * time.Millisecond))
	if err := s.connect(at.app, strings.TrimSuffix(at.account, "@example.com")); err != nil {
		s.t.Errorf("%s of %s again: %v", at.account, at.app, err)
	}
	s.count("disconnected and connected again")
}

// mustAllWork asks for every token once more, as fresh as can be, now that the
// provider behaves.
func (s *soak) mustAllWork() {
	s.t.Helper()
	time.Sleep(2 * time.Second) // Retry-After, back-off
	for _, at := range s.slots {
		request := wire.TokenRequest{Provider: "rotating", Account: at.account, ClientID: at.app, MinValidSeconds: forAYear}
		var token wire.Token
		var err error
		for range 40 { // a provider that failed three times in a row is left alone for some seconds
			if token, err = s.app.Token(s.t.Context(), request); fault.CodeOf(err) != fault.ProviderUnavailable && fault.CodeOf(err) != fault.RateLimited {
				break
			}
			time.Sleep(500 * time.Millisecond)
		}
		if err != nil || !s.as.Honours(s.t, token.Token) {
			s.t.Errorf("LOST GRANT: %s of %s: %v", at.account, at.app, err)
		}
	}
	all, err := s.app.Connections(s.t.Context())
	if err != nil || len(all.Connections) != len(s.slots) || len(all.Damaged) > 0 {
		s.t.Errorf("%d connections, %d damaged: %v", len(all.Connections), len(all.Damaged), err)
	}
	for _, c := range all.Connections {
		if c.Status != "connected" {
			s.t.Errorf("LOST GRANT: %s of %s is %s (%s)", c.Account, c.ClientID, c.Status, c.Reason)
		}
	}
	if n := s.as.Counts(); n.Replays > 0 || n.LiveGrants != len(s.slots) {
		s.t.Errorf("the server ended %d grants because a token was used twice, and has %d for %d accounts", n.Replays, n.LiveGrants, len(s.slots))
	}
}

// observed is a headless program that tells what its scheduler and its
// collector do.
type observed struct {
	cmd    *exec.Cmd
	said   string // file
	report string // files of the race detector begin so
}

func observe(t *testing.T, k *rig.Install, race bool) *observed {
	t.Helper()
	r := &observed{said: filepath.Join(k.Home, "said"), report: filepath.Join(k.Home, "race")}
	r.cmd = k.Command("keyturn-headless")
	if race {
		built := filepath.Join(k.Home, "keyturn-headless-race")
		build := exec.Command("go", "build", "-race", "-o", built, ".")
		build.Dir = repo
		build.Env = append(os.Environ(), "CGO_ENABLED=1")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		r.cmd.Path, r.cmd.Args[0] = built, built
	}
	r.cmd.Env = slices.Concat(r.cmd.Env, []string{"GODEBUG=schedtrace=1000,scheddetail=1,gctrace=1", "GORACE=halt_on_error=0 log_path=" + r.report})
	out, err := os.Create(r.said)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	r.cmd.Stdout, r.cmd.Stderr = out, out
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.cmd.Process.Kill(); _ = r.cmd.Wait() })
	rig.Eventually(t, 20*time.Second, "the socket", func() bool {
		c, err := net.Dial("unix", k.Socket())
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return r
}

// stop ends the program, which then says whether anything raced.
func (r *observed) stop(t *testing.T) {
	t.Helper()
	_ = r.cmd.Process.Signal(syscall.SIGTERM)
	err := r.cmd.Wait()
	reports, _ := filepath.Glob(r.report + "*")
	for _, path := range reports {
		report, _ := os.ReadFile(path)
		t.Errorf("RACE:\n%.8000s", report)
	}
	if err != nil {
		said, _ := os.ReadFile(r.said)
		t.Errorf("it ended with %v\n%s", err, said[max(0, len(said)-4000):])
	}
}

// sample is how large the program is at rest.
type sample struct {
	after                            time.Duration
	goroutines, descriptors, threads int
	heap, resident                   int // MB
	pages                            int // that can still be reloaded
}

var (
	// "SCHED 1009ms: gomaxprocs=2 …" begins a look at the scheduler,
	// "  G7: status=4(chan receive) …" is one goroutine in it; 6 is a dead one.
	lookBegins = []byte("\nSCHED ")
	goroutine  = regexp.MustCompile(`(?m)^  G\d+: status=([0-57-9])`)
	// "gc 7 @2.104s 1%: …, 5->5->3 MB, …": the last is what is alive.
	collected = regexp.MustCompile(`(?m)^gc \d+ .*->(\d+) MB`)
	resident  = regexp.MustCompile(`VmRSS:\s+(\d+) kB`)
	threads   = regexp.MustCompile(`Threads:\s+(\d+)`)
)

// weigh stops the load for some seconds and looks at the program from outside.
func (s *soak) weigh() (m sample) {
	s.t.Helper()
	s.quiet.Store(true)
	defer s.quiet.Store(false)
	s.gate.Lock()
	defer s.gate.Unlock()
	m.after = time.Since(s.begun)
	s.as.Quiet()
	time.Sleep(3500 * time.Millisecond)
	m.pages = s.pagesInReach()

	said, err := os.ReadFile(s.program.said)
	if err != nil {
		s.t.Fatal(err)
	}
	// The last looks that are complete; the least busy of them counts.
	looks := bytes.Split(said, lookBegins)
	m.goroutines = 1 << 30
	for _, look := range looks[max(1, len(looks)-3) : len(looks)-1] {
		m.goroutines = min(m.goroutines, len(goroutine.FindAll(look, -1)))
	}
	if all := collected.FindAllSubmatch(said, -1); len(all) > 0 {
		m.heap, _ = strconv.Atoi(string(all[len(all)-1][1]))
	}
	proc := fmt.Sprintf("/proc/%d/", s.program.cmd.Process.Pid)
	open, err := os.ReadDir(proc + "fd")
	if err != nil {
		s.t.Fatal(err)
	}
	m.descriptors = len(open)
	status, err := os.ReadFile(proc + "status")
	if err != nil {
		s.t.Fatal(err)
	}
	for into, pattern := range map[*int]*regexp.Regexp{&m.resident: resident, &m.threads: threads} {
		found := pattern.FindSubmatch(status)
		if found == nil {
			s.t.Fatalf("no %v in %s", pattern, status)
		}
		*into, _ = strconv.Atoi(string(found[1]))
	}
	m.resident /= 1024
	return m
}
