package relay_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"keyturn/backend/fault"
	"keyturn/backend/relay"
)

// gatewayFor is a gateway that closes each connection after a while.
type gatewayFor struct {
	mu    sync.Mutex
	holds time.Duration // 0: takes no connection
	tries []time.Time
}

func (g *gatewayFor) count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.tries)
}

func (g *gatewayFor) comeBack(holds time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.holds = holds
}

type linkFor struct{ gone chan struct{} }

func (l linkFor) Gone() <-chan struct{} { return l.gone }
func (l linkFor) Close()                {}

func (g *gatewayFor) dial(ctx context.Context, _ string, _ func([]byte) []byte) (relay.Link, error) {
	g.mu.Lock()
	g.tries = append(g.tries, time.Now())
	holds := g.holds
	g.mu.Unlock()
	select { // a connection takes its time
	case <-time.After(50 * time.Millisecond):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if holds == 0 {
		return nil, errors.New("refused")
	}
	l := linkFor{gone: make(chan struct{})}
	time.AfterFunc(holds, func() { close(l.gone) })
	return l, nil
}

// play runs a client against g for d of fake time.
func play(t *testing.T, g *gatewayFor, d time.Duration, during func(*relay.Client)) {
	r := newRig(t)
	r.SetDial(g.dial)
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	if during != nil {
		go during(r.Client)
	}
	r.Run(ctx)
	synctest.Wait()
}

func TestAGatewayInTroubleIsNotStormed(t *testing.T) {
	for _, tt := range []struct {
		name  string
		holds time.Duration
	}{
		{"GW-16 that closes every second", time.Second},
		{"GW-16 that is away", 0},
		{"GW-16 that closes after a minute", time.Minute},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := &gatewayFor{holds: tt.holds}
				start := time.Now()
				play(t, g, 4*time.Hour, nil)
				steady := 0
				for i, try := range g.tries[1:] {
					pause := try.Sub(g.tries[i])
					if g.tries[i].Sub(start) < 40*time.Minute {
						continue // still learning
					}
					steady++
					if pause < 5*time.Minute {
						t.Errorf("%v between two tries after %v", pause, try.Sub(start))
					}
				}
				if steady < 20 {
					t.Errorf("only %d tries in the steady hours", steady)
				}
				if first := g.tries[1].Sub(g.tries[0]) - tt.holds; first > 2*time.Second {
					t.Errorf("the second try came %v after the first", first)
				}
			})
		})
	}
}

func TestPausesAreJittered(t *testing.T) {
	seen := map[time.Duration]bool{}
	for range 20 {
		synctest.Test(t, func(t *testing.T) {
			g := &gatewayFor{}
			play(t, g, time.Minute, nil)
			seen[g.tries[3].Sub(g.tries[0])] = true
		})
	}
	if len(seen) < 15 {
		t.Errorf("20 apps came back at %d different times", len(seen))
	}
}

func TestAConnectionThatHeldLongIsRenewedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gatewayFor{holds: time.Hour}
		play(t, g, 10*time.Hour, nil)
		for i, try := range g.tries[1:] {
			if pause := try.Sub(g.tries[i]) - g.holds; pause > 2*time.Second {
				t.Errorf("%v until the next try", pause)
			}
		}
		if len(g.tries) != 10 {
			t.Errorf("%d connections in ten hours", len(g.tries))
		}
	})
}

func TestWhoWaitsForTheConnectionDoesNotWaitForThePause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gatewayFor{}
		play(t, g, 3*time.Hour, func(c *relay.Client) {
			time.Sleep(2 * time.Hour) // the pauses are five minutes by now
			if n := g.count(); n > 40 {
				t.Errorf("%d tries in two hours", n)
			}
			g.comeBack(time.Hour)
			time.Sleep(3 * time.Second)
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			start := time.Now()
			if err := c.Ready(ctx); err != nil {
				t.Error(err)
			}
			if took := time.Since(start); took > 3*time.Second {
				t.Errorf("it took %v", took)
			}
			if !c.Status().Connected {
				t.Error("not connected")
			}
		})
	})
}

func TestThatTheGatewayIsAwayIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &gatewayFor{}
		play(t, g, time.Hour, func(c *relay.Client) {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			before := g.count()
			if err := c.Ready(ctx); fault.CodeOf(err) != fault.Unreachable {
				t.Errorf("%v", err)
			}
			if n := g.count() - before; n > 6 { // a waiting person storms nobody
				t.Errorf("%d tries in ten seconds", n)
			}
			if s := c.Status(); s.Connected || s.LastError != "refused" {
				t.Errorf("%+v", s)
			}
		})
	})
}

func TestAProxyIsAskedForATunnel(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	asked := make(chan *http.Request, 2)
	go func() {
		for status := range strings.SplitSeq("200 OK,403 Forbidden", ",") {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			r, err := http.ReadRequest(bufio.NewReader(conn))
			if err != nil {
				return
			}
			asked <- r
			io.WriteString(conn, "HTTP/1.1 "+status+"\r\n\r\nhello")
			conn.Close()
		}
	}()
	proxy := &url.URL{Scheme: "http", Host: listener.Addr().String(), User: url.UserPassword("me", "pw")}
	conn, err := relay.ThroughProxy(t.Context(), proxy, "gateway.example:443")
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	r := <-asked
	if r.Method != "CONNECT" || r.RequestURI != "gateway.example:443" || r.Header.Get("Proxy-Authorization") != "Basic bWU6cHc=" {
		t.Errorf("the proxy was asked %s %s %v", r.Method, r.RequestURI, r.Header)
	}
	if _, err := relay.ThroughProxy(t.Context(), proxy, "gateway.example:443"); err == nil || strings.Contains(err.Error(), "pw") {
		t.Errorf("a proxy that says no: %v", err)
	}
	if _, err := relay.ThroughProxy(t.Context(), &url.URL{Scheme: "socks5", Host: "x"}, "gateway.example:443"); err == nil {
		t.Error("a proxy of another kind is used")
	}
}
