package transport_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"keyturn/backend/oauth"
	"keyturn/backend/transport"
)

var okOutcome = oauth.Outcome{OK: true, Provider: "Acme", Account: "ada"}

func TestTheCapOnConnectionsNeverHitsTheGenuineOne(t *testing.T) {
	t.Run("two hundred silent connections", func(t *testing.T) {
		r := start(t)
		for range 200 {
			r.dial(t)
		}
		eventually(t, "all are accepted", func() bool { return r.Stats().Evicted >= 200-transport.MaxConns })
		if n := r.OpenConns(); n > transport.MaxConns {
			t.Errorf("%d connections are open", n)
		}
		r.completes(t)
	})
	t.Run("half a request each", func(t *testing.T) {
		r := start(t)
		for range 100 {
			_, _ = io.WriteString(r.dial(t), "GET / HTTP/1.1\r\nHost: ")
		}
		eventually(t, "all are accepted", func() bool { return r.Stats().Evicted >= 100-transport.MaxConns })
		r.completes(t)
	})
	t.Run("the waiting page survives", func(t *testing.T) {
		r := start(t)
		at := r.get(t, r.target()).header.Get("Location")
		reply := r.gotTheCode(t)
		eventually(t, "the first connection is gone", func() bool { return r.OpenConns() == 0 })
		page := r.dial(t)
		if _, err := io.WriteString(page, request("GET "+at+" HTTP/1.1", "Host: "+r.host)); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the connection of the page is spared", func() bool { return r.GenuineConns() >= 1 })
		for range 200 {
			r.dial(t)
		}
		eventually(t, "some were evicted", func() bool { return r.Stats().Evicted >= 100 })
		reply.Tell(okOutcome)
		if a := readAnswer(t, bufio.NewReader(page)); !strings.Contains(a.body, "Acme is connected") {
			t.Errorf("%s", a.body)
		}
	})
}

// flood sends bogus callbacks as fast as it can until ctx ends: half of the
// senders keep their connection, half take a new one each time.
func flood(ctx context.Context, r *rig, senders int) (sent *atomic.Int64, wait func()) {
	sent = new(atomic.Int64)
	var all sync.WaitGroup
	raw := request("GET "+r.path+"?code=x&state="+oauth.NewState().Reveal()+" HTTP/1.1", "Host: "+r.host)
	for i := range senders {
		all.Go(func() {
			var c net.Conn
			var in *bufio.Reader
			for ctx.Err() == nil {
				if c == nil {
					var err error
					if c, err = net.Dial("tcp", r.host); err != nil {
						continue
					}
					in = bufio.NewReader(c)
				}
				_, err := io.WriteString(c, raw)
				if err == nil {
					var resp *http.Response
					if resp, err = http.ReadResponse(in, nil); err == nil {
						_, err = io.Copy(io.Discard, resp.Body)
						sent.Add(1)
					}
				}
				if err != nil || i%2 == 1 {
					_ = c.(*net.TCPConn).SetLinger(0)
					c.Close()
					c = nil
				}
			}
			if c != nil {
				c.Close()
			}
		})
	}
	return sent, all.Wait
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestTheGenuineOneComesThroughAFlood(t *testing.T) {
	t.Run("FL-02 bogus callbacks as fast as they go", func(t *testing.T) {
		r := start(t)
		before := heap()
		ctx, stop := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer stop()
		sent, wait := flood(ctx, r, 16)
		time.Sleep(700 * time.Millisecond)
		r.untouched(t)
		began := time.Now()
		r.completes(t)
		if took := time.Since(began); took > time.Second {
			t.Errorf("the genuine one took %v", took)
		}
		wait()
		if grown := int64(heap()) - int64(before); grown > 4<<20 {
			t.Errorf("memory grew by %d bytes", grown)
		}
		if n := strings.Count(r.log.String(), "\n"); n > 5 {
			t.Errorf("%d log lines in 1.5 s", n)
		}
		t.Logf("%d bogus callbacks, %v", sent.Load(), r.Stats())
	})
	t.Run("after ten a second answers are terse", func(t *testing.T) {
		r := start(t)
		long := 0
		for range 100 {
			if a := r.get(t, r.path+"?code=x&state=x"); a.status != 400 {
				t.Fatal(a.status)
			} else if len(a.body) > 500 {
				long++
			}
		}
		if long > 20 { // the clock may strike once
			t.Errorf("%d of 100 answers were long", long)
		}
	})
}

func TestABodyIsNotWaitedFor(t *testing.T) {
	for name, head := range map[string]string{
		"FL-08 Expect: 100-continue": "Expect: 100-continue\r\nContent-Length: 100000\r\n",
		"FL-08 silence":              "Content-Length: 100000\r\n",
		"FL-08 chunked":              "Transfer-Encoding: chunked\r\n",
	} {
		for _, method := range []string{"GET", "POST"} {
			t.Run(name+" "+method, func(t *testing.T) {
				r := start(t)
				c := r.dial(t)
				began := time.Now()
				if _, err := io.WriteString(c, method+" "+r.path+"?code=x&state=x HTTP/1.1\r\nHost: "+r.host+"\r\n"+head+"\r\n"); err != nil {
					t.Fatal(err)
				}
				rest, err := io.ReadAll(c)
				if took := time.Since(began); err != nil || took > time.Second {
					t.Errorf("reaped after %v, %v", took, err)
				}
				if !strings.HasPrefix(string(rest), "HTTP/1.1 4") {
					t.Errorf("%.40q", rest)
				}
				r.untouched(t)
			})
		}
	}
}

func BenchmarkBogusCallback(b *testing.B) {
	r := start(b)
	c := r.dial(b)
	_ = c.SetDeadline(time.Time{})
	in := bufio.NewReader(c)
	raw := request("GET "+r.path+"?code=x&state="+oauth.NewState().Reveal()+" HTTP/1.1", "Host: "+r.host)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := io.WriteString(c, raw); err != nil {
			b.Fatal(err)
		}
		readAnswer(b, in)
	}
}

// BenchmarkGenuineBesideAFlood guards budget B9: it reports how long a genuine
// callback takes, and how many bogus ones a second there are meanwhile.
func BenchmarkGenuineBesideAFlood(b *testing.B) {
	l, log := newLoopback(b)
	port := freePort(b)
	target := startOn(b, l, log, onPort(port))
	ctx, stop := context.WithCancel(b.Context())
	sent, wait := flood(ctx, target, 16)
	began := time.Now()
	var worst time.Duration
	for b.Loop() {
		r := startOn(b, l, log, onPort(port))
		t := time.Now()
		r.completes(b).Tell(okOutcome)
		worst = max(worst, time.Since(t))
	}
	b.ReportMetric(float64(worst.Microseconds())/1000, "worst-ms")
	b.ReportMetric(float64(sent.Load())/time.Since(began).Seconds(), "bogus/s")
	stop()
	wait()
}

// BenchmarkCallbackToOutcome guards budget B8: from the callback to the page
// that shows the outcome, when the provider takes no time at all.
func BenchmarkCallbackToOutcome(b *testing.B) {
	l, log := newLoopback(b)
	l.SetLimits(time.Second, time.Second)
	for b.Loop() {
		b.StopTimer()
		r := startOn(b, l, log)
		c := r.dial(b)
		in := bufio.NewReader(c)
		b.StartTimer()
		_, _ = io.WriteString(c, request("GET "+r.target()+" HTTP/1.1", "Host: "+r.host))
		at := readAnswer(b, in).header.Get("Location")
		r.gotTheCode(b).Tell(okOutcome)
		_, _ = io.WriteString(c, request("GET "+at+" HTTP/1.1", "Host: "+r.host))
		if a := readAnswer(b, in); !strings.Contains(a.body, "Acme is connected") {
			b.Fatal(a.body)
		}
	}
}
