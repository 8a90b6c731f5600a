package activity_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"keyturn/backend/activity"
)

var quiet = slog.New(slog.DiscardHandler)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// run runs l until the returned function is called.
func run(t testing.TB, l *activity.Log) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- l.Run(ctx) }()
	return sync.OnceFunc(func() {
		cancel()
		must(t, <-done)
	})
}

// read is a program that read a token.
func read(connection, program string) activity.Event {
	return activity.Event{Kind: activity.TokenRead, ConnectionID: connection, Provider: "github", Account: "ada", Principal: "local", Program: program, PID: 7}
}

// told writes events as lines: what, whose, which program, how many.
func told(events []activity.Event) string {
	var b strings.Builder
	for _, e := range events {
		fmt.Fprintf(&b, "%s %s %s %d\n", e.Kind, e.ConnectionID, e.Program, e.Count)
	}
	return b.String()
}

func TestAlikeReadsWithinAMinuteAreOneEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := activity.Open("", quiet)
		began := time.Now()
		for n := range 590 { // 59 seconds
			e := read("con_a", "git")
			e.PID = 100 + n
			l.Add(e)
			time.Sleep(100 * time.Millisecond)
		}
		failed := read("con_a", "git")
		failed.Code = "needs_reconnect"
		l.Add(failed)
		l.Add(read("con_b", "git"))
		l.Add(read("con_a", "curl"))
		l.Add(read("con_a", "git"))
		l.Add(activity.Event{Kind: activity.Refreshed, ConnectionID: "con_a"})
		l.Add(activity.Event{Kind: activity.Refreshed, ConnectionID: "con_a"})
		time.Sleep(time.Second)
		l.Add(read("con_a", "git"))
		all := l.Recent(activity.Query{})
		want := "token_read con_a git 1\nrefreshed con_a  1\nrefreshed con_a  1\ntoken_read con_a curl 1\ntoken_read con_b git 1\ntoken_read con_a git 1\ntoken_read con_a git 591\n"
		if got := told(all); got != want {
			t.Fatalf("got\n%swant\n%s", got, want)
		}
		first := all[len(all)-1]
		if !first.At.Equal(began) || first.Until.Sub(began) != 59*time.Second || first.PID != 7 || first.Account != "ada" {
			t.Errorf("%+v", first)
		}
	})
}

func TestOneProgramCannotPushTheOthersOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := activity.Open("", quiet)
		l.Add(activity.Event{Kind: activity.Connected, ConnectionID: "con_a", Provider: "github"})
		for n := range 300 { // somebody else, once an hour
			l.Add(read("con_b", "backup"))
			l.Add(activity.Event{Kind: activity.Refreshed, ConnectionID: "con_b", Code: fmt.Sprint(n)})
			time.Sleep(time.Hour)
		}
		for range 3 * 24 * 60 { // three days without a pause
			l.Add(read("con_a", "mad"))
			time.Sleep(time.Minute)
		}
		for n := range 10_000 { // and then something different each time
			e := read("", "mad")
			e.Provider, e.Code = fmt.Sprint("nobody", n), "unknown_provider"
			l.Add(e)
		}
		all := l.Recent(activity.Query{})
		if len(all) != 2000 {
			t.Errorf("%d events, want 2000", len(all))
		}
		if last := all[len(all)-1]; last.Kind != activity.Connected {
			t.Errorf("the oldest is %+v, want the connect", last)
		}
		if n := len(l.Recent(activity.Query{ConnectionID: "con_b"})); n != 600 {
			t.Errorf("%d events of con_b, want all 600", n)
		}
		if n := len(l.Recent(activity.Query{ConnectionID: "con_a"})); n < 600 {
			t.Errorf("%d events of con_a: one flood pushed out the other", n)
		}
	})
}

func TestMemoryStaysFlatHoweverManyTokensAreRead(t *testing.T) {
	l := activity.Open(filepath.Join(t.TempDir(), "activity.log"), quiet)
	stop := run(t, l)
	defer stop()
	long := strings.Repeat("x", 1<<12)
	flood := func(from, n int) {
		for i := range n {
			e := read("con_a", "mad")
			if i%2 == 0 {
				e = read("", long)
				e.Provider, e.Account = fmt.Sprint(long, from+i), long
			}
			l.Add(e)
		}
	}
	flood(0, 5_000)
	before := heap()
	flood(5_000, 20_000)
	if grown := int64(heap()) - int64(before); grown > 2<<20 {
		t.Errorf("the heap grew by %d bytes", grown)
	}
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestQueriesPickNewestFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := activity.Open("", quiet)
		for n := range 10 {
			e := read(fmt.Sprint("con_", n%2), fmt.Sprint("p", n))
			e.Provider = []string{"github", "google"}[n%2]
			l.Add(e)
			time.Sleep(time.Minute)
		}
		for name, c := range map[string]struct {
			q    activity.Query
			want string
		}{
			"limit":      {activity.Query{Limit: 2}, "p9 p8"},
			"connection": {activity.Query{ConnectionID: "con_0"}, "p8 p6 p4 p2 p0"},
			"provider":   {activity.Query{Provider: "google", Limit: 3}, "p9 p7 p5"},
			"since":      {activity.Query{Since: time.Now().Add(-150 * time.Second)}, "p9 p8"},
			"nothing":    {activity.Query{ConnectionID: "con_9"}, ""},
		} {
			var got []string
			for _, e := range l.Recent(c.q) {
				got = append(got, e.Program)
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("%s: %q, want %q", name, got, c.want)
			}
		}
		l.Add(read("con_0", "later"))
		time.Sleep(50 * time.Second)
		l.Add(read("con_0", "later"))
		if got := l.Recent(activity.Query{Since: time.Now().Add(-time.Second)}); len(got) != 1 || got[0].Count != 2 {
			t.Errorf("an event that went on is not found by when it was last: %+v", got)
		}
	})
}

func TestTheLastReadIsTheNewestThatGotAToken(t *testing.T) {
	l := activity.Open(filepath.Join(t.TempDir(), "activity.log"), quiet)
	at := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	for i, e := range []activity.Event{
		{Kind: activity.TokenRead, ConnectionID: "a", Program: "git"},
		{Kind: activity.Request, ConnectionID: "a", Program: "curl"},
		{Kind: activity.TokenRead, ConnectionID: "a", Program: "late", Code: "needs_reconnect"},
		{Kind: activity.Refreshed, ConnectionID: "b"},
	} {
		e.At = at.Add(time.Duration(i) * time.Hour)
		l.Add(e)
	}
	last := l.LastReads()
	if len(last) != 1 || last["a"].Program != "curl" || !last["a"].At.Equal(at.Add(time.Hour)) {
		t.Errorf("%+v", last)
	}
}

func TestTheBellRingsAtMostOnceASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := activity.Open("", quiet)
		bell, hush := l.Changes()
		stop := run(t, l)
		defer stop()
		rings := 0
		over := time.After(10 * time.Second)
		ring := func() {
			for {
				select {
				case <-bell:
					rings++
				case <-over:
					return
				default:
					return
				}
			}
		}
		for range 20_000 {
			l.Add(read("con_a", "mad"))
			time.Sleep(500 * time.Microsecond)
			ring()
		}
		if rings < 10 || rings > 11 { // at the first moment, and perhaps at the last
			t.Errorf("%d rings in ten seconds", rings)
		}
		time.Sleep(5 * time.Second)
		ring() // of what came last
		rings = 0
		time.Sleep(time.Hour)
		if ring(); rings != 0 {
			t.Errorf("it rang for nothing")
		}
		l.Add(read("con_a", "mad"))
		synctest.Wait()
		if ring(); rings != 1 {
			t.Errorf("the first change rang %d times, want once and at once", rings)
		}
		hush()
		time.Sleep(2 * time.Second)
		l.Add(read("con_a", "mad"))
		synctest.Wait()
		if ring(); rings != 1 {
			t.Error("it rang for somebody who has gone")
		}
	})
}

func TestWordsFromStrangersAreCleanAndCut(t *testing.T) {
	l := activity.Open("", quiet)
	l.Add(activity.Event{Kind: activity.TokenRead, ConnectionID: strings.Repeat("c", 1000), Provider: "\x1b[2Jp", Account: "a\nb\u202e" + strings.Repeat("é", 500),
		Principal: "local\x00", Program: "evil\r\n\x9b", Code: "bad\tcode", PID: -4, Count: -1})
	e := l.Recent(activity.Query{})[0]
	for _, s := range []string{e.ConnectionID, e.Provider, e.Account, e.Principal, e.Program, e.Code} {
		if strings.ContainsAny(s, "\x1b\n\r\t\x00\u009b\u202e") || len([]rune(s)) > 120 || s == "" {
			t.Errorf("%q", s)
		}
	}
	if e.PID != 0 || e.Count != 1 || e.Program != "evil" {
		t.Errorf("%+v", e)
	}
}

func TestSwitchedOffRecordsNothingAndKeepsWhatThereIs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "activity.log")
	l := activity.Open(path, quiet)
	stop := run(t, l)
	l.Add(read("con_a", "before"))
	l.Switch(false)
	l.Add(read("con_a", "before"))
	l.Add(read("con_a", "meanwhile"))
	l.Switch(true)
	l.Add(read("con_b", "after"))
	stop()
	want := "token_read con_b after 1\ntoken_read con_a before 1\n"
	if got := told(l.Recent(activity.Query{})); got != want {
		t.Errorf("%s", got)
	}
	data, err := os.ReadFile(path)
	if err != nil || bytes.Contains(data, []byte("meanwhile")) {
		t.Errorf("%s %v", data, err)
	}
}

func TestNoLogAtAllIsHarmless(t *testing.T) {
	var l *activity.Log
	l.Add(read("con_a", "git"))
	l.Switch(true)
	bell, hush := l.Changes()
	run(t, l)()
	select {
	case <-bell:
		t.Error("it rang")
	default:
	}
	hush()
	if got := l.Recent(activity.Query{}); got == nil || len(got) > 0 {
		t.Errorf("%v", got)
	}
}

func TestEverybodyMayCallAtOnce(t *testing.T) {
	l := activity.Open(filepath.Join(t.TempDir(), "activity.log"), quiet)
	stop := run(t, l)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			bell, hush := l.Changes()
			defer hush()
			for n := range 500 {
				l.Add(read(fmt.Sprint("con_", g), fmt.Sprint(n%3)))
				l.Add(activity.Event{Kind: activity.Refreshed})
				l.Recent(activity.Query{Limit: 3})
				select {
				case <-bell:
				default:
				}
			}
		})
	}
	wg.Wait()
	stop()
	sum := 0
	for _, e := range l.Recent(activity.Query{}) {
		if e.Kind == activity.TokenRead {
			sum += e.Count
		}
	}
	if sum != 8*500 {
		t.Errorf("%d reads, want %d", sum, 8*500)
	}
}

func BenchmarkAddOneMore(b *testing.B) {
	l := activity.Open("", quiet)
	b.ReportAllocs()
	for b.Loop() {
		l.Add(read("con_00000000000000aa", "git"))
	}
}

func BenchmarkAddToAFullLog(b *testing.B) {
	l := activity.Open("", quiet)
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		n++
		e := read("", "mad")
		e.Provider = fmt.Sprint(n)
		l.Add(e)
	}
}
