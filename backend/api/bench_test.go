package api_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"keyturn/backend/api"
	"keyturn/backend/orchestrator"
	"keyturn/backend/socket"
)

// BenchmarkToken guards the promise that asking Keyturn for a cached token
// costs a program little more than asking anybody anything over such a socket
// (B1). It asks both in turn, so that both see the same machine, and reports
// the percentiles of each in nanoseconds.
func BenchmarkToken(b *testing.B) {
	w := newWorld(b, setup{connections: []orchestrator.Record{granted("con_00000000000000aa", "ada@example.test")}})
	ours, _ := w.serve(b)
	hello := helloOverASocket(b)
	ask := func() *http.Request {
		r, _ := http.NewRequest("POST", "http://keyturn/v1/token", strings.NewReader(`{"provider":"demo"}`))
		r.Header.Set("Content-Type", "application/json")
		return r
	}
	greet := func() *http.Request {
		r, _ := http.NewRequest("POST", "http://hello/", strings.NewReader(`{"provider":"demo"}`))
		r.Header.Set("Content-Type", "application/json")
		return r
	}
	var token, yardstick []time.Duration
	for range 200 {
		timed(b, ours, ask())
		timed(b, hello, greet())
	}
	b.ReportAllocs()
	for b.Loop() {
		token = append(token, timed(b, ours, ask()))
		yardstick = append(yardstick, timed(b, hello, greet()))
	}
	for _, q := range []int{50, 99} {
		ours, theirs := percentile(token, q), percentile(yardstick, q)
		b.ReportMetric(float64(ours), fmt.Sprintf("token-p%d-ns", q))
		b.ReportMetric(float64(theirs), fmt.Sprintf("hello-p%d-ns", q))
		b.ReportMetric(float64(ours)/float64(theirs), fmt.Sprintf("ratio-p%d", q))
	}
}

// BenchmarkDoor is the part of it that is ours: no socket, no client.
func BenchmarkDoor(b *testing.B) {
	w := newWorld(b, setup{connections: []orchestrator.Record{granted("con_00000000000000aa", "ada@example.test")}})
	door := w.Door(api.Local)
	b.ReportAllocs()
	for b.Loop() {
		r, _ := http.NewRequest("POST", "http://keyturn/v1/token", strings.NewReader(`{"provider":"demo"}`))
		r.Header.Set("Content-Type", "application/json")
		out := &discard{header: http.Header{}}
		door.ServeHTTP(out, r)
		if out.status != 200 {
			b.Fatal(out.status)
		}
	}
}

type discard struct {
	header http.Header
	status int
}

func (d *discard) Header() http.Header { return d.header }
func (d *discard) WriteHeader(s int)   { d.status = s }
func (d *discard) Write(p []byte) (int, error) {
	if d.status == 0 {
		d.status = 200
	}
	return len(p), nil
}

// helloOverASocket serves net/http's least over the same kind of socket.
func helloOverASocket(b *testing.B) *http.Client {
	dir, err := os.MkdirTemp("", "kt")
	must(b, err)
	b.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "run", "api.sock")
	l, err := socket.Listen(path)
	must(b, err)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "hello")
	})}
	go server.Serve(l)
	b.Cleanup(func() { server.Close() })
	return clientOf(b, path)
}

func timed(b *testing.B, c *http.Client, r *http.Request) time.Duration {
	start := time.Now()
	answer, err := c.Do(r)
	if err != nil {
		b.Fatal(err)
	}
	io.Copy(io.Discard, answer.Body)
	answer.Body.Close()
	if answer.StatusCode != 200 {
		b.Fatal(answer.Status)
	}
	return time.Since(start)
}

func percentile(d []time.Duration, q int) time.Duration {
	d = slices.Clone(d)
	slices.Sort(d)
	return d[min(len(d)-1, len(d)*q/100)]
}
