//go:build bench && linux

package bench

import (
	"context"
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/hpke"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"net/http/httptest"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"keyturn/backend/relay"
	"keyturn/backend/relay/hub"
)

const (
	relayApps = 16
	atOnce    = 32   // callbacks under way
	each      = 4000 // callbacks in one run
)

// aRelayedCallback is B10: callbacks through a hub, its HTTPS listener and the
// apps behind it, beside bare NATS with a question and an answer that are sealed
// and signed the same way. Both are given as the time that one takes of a
// machine that has nothing else to do.
func aRelayedCallback(t *testing.T) []line {
	deliver := relayed(t)
	ask := bareNATS(t)
	time.Sleep(200 * time.Millisecond)
	deliver(0)
	ask(0)
	var ours, theirs []time.Duration
	for range runs {
		ours = append(ours, saturated(t, deliver))
		theirs = append(theirs, saturated(t, ask))
	}
	rate := func(d time.Duration) string { return fmt.Sprintf("%.0f", float64(time.Second)/float64(d)) }
	return []line{compare("B10", "relayed callback ("+rate(median(ours))+" a second)", median(ours), median(theirs), "NATS ("+rate(median(theirs))+" a second)", 2)}
}

// saturated is the time that one call takes when atOnce are made side by side.
func saturated(t *testing.T, call func(n int) error) time.Duration {
	t.Helper()
	var next atomic.Int64
	var work sync.WaitGroup
	start := time.Now()
	for range atOnce {
		work.Go(func() {
			for n := next.Add(1); n <= each; n = next.Add(1) {
				if err := call(int(n)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	work.Wait()
	return time.Since(start) / each
}

// relayed returns what delivers one callback to one of relayApps apps.
func relayed(t *testing.T) func(int) error {
	t.Helper()
	h, err := hub.NewHub(hub.Options{Keys: hub.NewKeys()})
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewTLSServer(h.Handler())
	t.Cleanup(func() { h.Close(); s.Close() })
	roots := &tls.Config{InsecureSkipVerify: true}
	var callbacks []url.Values
	for i := range relayApps {
		e, err := h.Enrol(fmt.Sprint(i), s.URL)
		if err != nil {
			t.Fatal(err)
		}
		c := relay.NewClient(e, relay.Options{TLS: roots})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { c.Run(ctx); close(done) }()
		t.Cleanup(func() { cancel(); <-done })
		if err := c.Ready(ctx); err != nil {
			t.Fatal(err)
		}
		for range 64 {
			a, err := c.Expect("github")
			if err != nil {
				t.Fatal(err)
			}
			callbacks = append(callbacks, url.Values{"state": {a.State()}, "code": {"4/0AX4XfWh-a-code-of-usual-length"}})
		}
	}
	return func(n int) error {
		_, err := h.Deliver(context.Background(), "github", callbacks[n*67%len(callbacks)])
		return err
	}
}

// bareNATS returns what asks one of relayApps subscribers, in the same sealed
// and signed way, over plain TCP.
func bareNATS(t *testing.T) func(int) error {
	t.Helper()
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoLog: true, NoSigs: true})
	if err != nil {
		t.Fatal(err)
	}
	go s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		t.Fatal("NATS does not start")
	}
	t.Cleanup(s.Shutdown)
	public, signing, _ := ed25519.GenerateKey(rand.Reader)
	key, err := hpke.DHKEM(ecdh.X25519()).GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	connect := func() *nats.Conn {
		conn, err := nats.Connect(s.ClientURL())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(conn.Close)
		return conn
	}
	for i := range relayApps {
		conn := connect()
		if _, err := conn.Subscribe(fmt.Sprint("app.", i), func(m *nats.Msg) {
			body := m.Data[:len(m.Data)-ed25519.SignatureSize]
			if !ed25519.Verify(public, body, m.Data[len(body):]) {
				return
			}
			opened, err := hpke.Open(key, hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), nil, body)
			if err != nil {
				return
			}
			_ = m.Respond(append(opened[:16:16], ed25519.Sign(signing, opened[:16])...))
		}); err != nil {
			t.Fatal(err)
		}
		_ = conn.Flush()
	}
	conn := connect()
	message := make([]byte, 512)
	return func(n int) error {
		frame, err := hpke.Seal(key.PublicKey(), hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), nil, message)
		if err != nil {
			return err
		}
		reply, err := conn.Request(fmt.Sprint("app.", n%relayApps), append(frame, ed25519.Sign(signing, frame)...), 5*time.Second)
		if err != nil {
			return err
		}
		if !ed25519.Verify(public, reply.Data[:16], reply.Data[16:]) {
			return fmt.Errorf("the answer is not signed")
		}
		return nil
	}
}
