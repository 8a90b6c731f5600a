//go:build bench && linux

package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"keyturn/app/e2e/rig"
	"keyturn/backend/oauth"
	"keyturn/backend/orchestrator"
	"keyturn/backend/provider"
	"keyturn/backend/store"
	"keyturn/backend/store/storetest"
)

// overTheSocket asks the program and the yardstick in turns, with the same
// client over the same kind of socket.
func overTheSocket(t *testing.T) []line {
	k := crowded(t)
	k.Run("keyturn-headless")
	_, socket, _ := hello(t)
	answered(t, socket, "/")
	ours, theirs := over(k.Socket()), over(socket)
	greet := func(n int) []time.Duration { return asks(t, theirs, n, `{"provider":"demo"}`, "hello") }
	reads(t, ours, 200)
	greet(200)

	var token50, token99, hello50, hello99 []time.Duration
	for range runs {
		var token, hello []time.Duration
		for range 20 {
			token = append(token, reads(t, ours, 100)...)
			hello = append(hello, greet(100)...)
		}
		token50, token99 = append(token50, percentile(token, 50)), append(token99, percentile(token, 99))
		hello50, hello99 = append(hello50, percentile(hello, 50)), append(hello99, percentile(hello, 99))
	}
	return []line{
		compare("B1", "cached token over the socket, p50", median(token50), median(hello50), "net/http hello", 1.5),
		compare("", "                              p99", median(token99), median(hello99), "net/http hello", 5),
	}
}

// inProcess reads a cached token of one of n connections without any socket.
func inProcess(t *testing.T) (all []line) {
	for _, n := range crowds {
		all = append(all, inProcessAmong(t, n)...)
	}
	return all
}

func inProcessAmong(t *testing.T, crowd int) []line {
	memory := storetest.NewMemory(0)
	for i := range crowd {
		if err := memory.SaveConnection(t.Context(), granted(i)); err != nil {
			t.Fatal(err)
		}
	}
	catalogue, err := provider.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	o := orchestrator.New(orchestrator.Options{Store: memory, Catalogue: catalogue, HTTP: oauth.NewHTTP(oauth.HTTPOptions{})})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- o.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	<-o.Ready()

	query := orchestrator.TokenQuery{Provider: "demo", Account: account(crowd / 2)}
	var mu sync.Mutex
	stored := map[string]orchestrator.Record{}
	for i := range crowd {
		stored[account(i)] = granted(i)
	}
	var read, floor []time.Duration
	var allocations int64
	for range runs {
		r := testing.Benchmark(func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := o.Token(ctx, query); err != nil {
					b.Fatal(err)
				}
			}
		})
		read = append(read, time.Duration(r.NsPerOp()))
		allocations = max(allocations, r.AllocsPerOp())
		floor = append(floor, time.Duration(testing.Benchmark(func(b *testing.B) {
			for b.Loop() {
				now := time.Now()
				mu.Lock()
				if r := stored[query.Account]; !r.Token.Expiry.After(now) {
					b.Fatal("expired")
				}
				mu.Unlock()
			}
		}).NsPerOp()))
	}
	return []line{
		within("B3", fmt.Sprintf("cached token in process, among %d", crowd), median(read), median(floor), "clock, mutex, map", 200*time.Nanosecond),
		{what: "                       allocations", measured: fmt.Sprint(allocations), yardstick: "–", allowed: "0", broken: allocations > 0},
	}
}

// besideAHang reads a cached token while twenty callers wait for a refresh of
// another account, whose provider has taken the request and says nothing.
func besideAHang(t *testing.T) (all []line) {
	for _, n := range crowds {
		all = append(all, besideAHangAmong(t, n))
	}
	return all
}

func besideAHangAmong(t *testing.T, crowd int) line {
	hang := hanging(t)
	k := crowdedBy(t, crowd)
	p, err := provider.FromRegistration(provider.Registration{
		ProviderKey: "hanging", AuthURL: hang.url + "/authorize", TokenURL: hang.url + "/token",
		TokenAuthMethod: "none", AllowLoopbackHTTP: true,
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	fill(t, k, func(ctx context.Context, s *store.Store) error {
		if err := s.SaveProvider(ctx, p); err != nil {
			return err
		}
		app := orchestrator.App{ID: "app_0000000000000002", Provider: p.ID, Client: oauth.Client{ID: "bench", Auth: oauth.AuthNone}}
		if err := s.SaveApp(ctx, app); err != nil {
			return err
		}
		for i := range runs {
			r := granted(crowd + i)
			r.Provider, r.ClientID, r.Origin, r.Issuer = p.ID, "bench", hang.url, ""
			r.Refreshed = time.Now().Add(-2 * time.Hour)
			r.Token.Expiry = r.Refreshed.Add(time.Hour)
			if err := s.SaveConnection(ctx, r); err != nil {
				return err
			}
		}
		return nil
	})
	k.Run("keyturn-headless")
	c := over(k.Socket())
	reads := func(t *testing.T, c *http.Client, n int) []time.Duration {
		i := crowd / 2
		return asks(t, c, n, fmt.Sprintf(`{"provider":"demo","account":%q}`, account(i)), accessToken(i))
	}
	reads(t, c, 200)

	var with, without []time.Duration
	for i := range runs {
		calm := reads(t, c, 500)
		release := hang.begin(t, k, crowd+i)
		with = append(with, percentile(reads(t, c, 1000), 99))
		release()
		without = append(without, percentile(append(calm, reads(t, c, 500)...), 99))
	}
	return compare("B5", fmt.Sprintf("cached reads while another's provider hangs, p99, %d", crowd), median(with), median(without), "without the hang", 2)
}

// hang is a provider that takes requests and does not answer.
type hang struct {
	url   string
	taken chan net.Conn
}

func hanging(t *testing.T) *hang {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	h := &hang{"http://" + l.Addr().String(), make(chan net.Conn, 100)}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			h.taken <- c
		}
	}()
	return h
}

// begin has twenty callers ask for the expired token of connection i, and
// returns once the provider was asked. release has the provider answer at last,
// and fails the test if any of the callers got an answer before.
func (h *hang) begin(t *testing.T, k *rig.Install, i int) (release func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	c := over(k.Socket())
	early := make(chan string, 20)
	var callers sync.WaitGroup
	for range cap(early) {
		callers.Go(func() {
			answer, _, err := post(ctx, c, "/v1/token", fmt.Sprintf(`{"provider":"hanging","account":%q}`, account(i)))
			if !errors.Is(err, context.Canceled) {
				early <- fmt.Sprintf("%s %v", answer, err)
			}
		})
	}
	var asked net.Conn
	select {
	case asked = <-h.taken:
	case said := <-early:
		t.Fatal("the provider was not asked: ", said)
	case <-time.After(10 * time.Second):
		t.Fatal("the provider was not asked")
	}
	if _, err := io.ReadAtLeast(asked, make([]byte, 4096), 100); err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		cancel()
		callers.Wait()
		c.CloseIdleConnections()
		select {
		case said := <-early:
			t.Fatal("the hang had ended: ", said)
		default:
		}
		const gone = `{"error":"invalid_grant"}`
		fmt.Fprintf(asked, "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", len(gone), gone)
		asked.Close()
	}
}
