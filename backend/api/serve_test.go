package api_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"keyturn/backend/api"
	"keyturn/backend/api/wire"
	"keyturn/backend/orchestrator"
)

// pipes is a listener in memory, so that time can be fake.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
}

func newPipes() *pipes {
	return &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	select {
	case <-p.closed:
	default:
		close(p.closed)
	}
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }

func (p *pipes) dial(t *testing.T) net.Conn {
	t.Helper()
	ours, theirs := net.Pipe()
	p.conns <- theirs
	t.Cleanup(func() { ours.Close() })
	return ours
}

// servePipes serves w in memory until the test ends.
func servePipes(t *testing.T, w *world) (p *pipes, stop func() error) {
	p = newPipes()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Serve(ctx, p) }()
	return p, func() error {
		cancel()
		err := <-done
		done <- err
		return err
	}
}

// send writes without waiting: a pipe holds nothing, and the other end may
// hang up before it has read everything.
func send(c net.Conn, lines ...string) {
	go io.WriteString(c, strings.Join(lines, "\r\n"))
}

func TestASenderThatStopsIsHungUpOn(t *testing.T) {
	cases := map[string][]string{
		"half a header":                   {"GET /v1/health HTTP/1.1", "Host: k", "X-Slow: "},
		"nothing at all":                  {""},
		"FL-08 no body after its promise": {"POST /v1/settings HTTP/1.1", "Host: k", "Content-Type: application/json", "Content-Length: 60", "", `{"call`},
		"FL-08 no body for a refusal":     {"POST /v1/internal/oauth/connect/x/restart HTTP/1.1", "Host: k", "Content-Length: 60", "", ""},
		"FL-08 expect":                    {"POST /v1/settings HTTP/1.1", "Host: k", "Expect: 100-continue", "Content-Length: 60", "", ""},
	}
	for name, lines := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, setup{})
				p, stop := servePipes(t, w)
				c := p.dial(t)
				start := time.Now()
				send(c, lines...)
				io.Copy(io.Discard, c) // until it is closed
				if took := time.Since(start); took < time.Second || took > 6*time.Second {
					t.Errorf("hung up after %v", took)
				}
				must(t, stop())
			})
		})
	}
}

// slowProvider takes its time to answer a refresh.
type slowProvider time.Duration

func (s slowProvider) RoundTrip(r *http.Request) (*http.Response, error) {
	select {
	case <-time.After(time.Duration(s)):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	rec := httptest.NewRecorder()
	rec.Header().Set("Content-Type", "application/json")
	io.WriteString(rec, `{"access_token":"AT-renewed","token_type":"Bearer","expires_in":3600,"refresh_token":"RT-renewed"}`)
	return rec.Result(), nil
}

func expired() orchestrator.Record {
	r := granted(adaID, "ada@example.test")
	r.Refreshed = r.Refreshed.Add(-2 * time.Hour)
	r.Token.Expiry = r.Token.Expiry.Add(-2 * time.Hour)
	return r
}

// A deadline that is still there when the handler works would end it: net/http
// goes on reading, to notice a caller that hangs up.
func TestSlowWorkOutlastsTheDeadlineOfTheBody(t *testing.T) {
	for path, body := range map[string]string{
		"/v1/token":                           `{"provider":"demo"}`,
		"/v1/connections/" + adaID + "/token": `{"scopes":[]}`,
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, setup{connections: []orchestrator.Record{expired()}, providers: slowProvider(14 * time.Second)})
			p, stop := servePipes(t, w)
			c := p.dial(t)
			send(c, "POST "+path+" HTTP/1.1", "Host: k", "Content-Type: application/json", fmt.Sprint("Content-Length: ", len(body)), "", body)
			answer, err := http.ReadResponse(bufio.NewReader(c), nil)
			must(t, err)
			said, _ := io.ReadAll(answer.Body)
			if answer.StatusCode != 200 || !strings.Contains(string(said), "AT-renewed") {
				t.Errorf("%s: %s %s", path, answer.Status, said)
			}
			c.Close()
			must(t, stop())
		})
	}
}

func TestACallerThatHangsUpDoesNotStopTheRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{connections: []orchestrator.Record{expired()}, providers: slowProvider(10 * time.Second)})
		p, stop := servePipes(t, w)
		c := p.dial(t)
		send(c, "POST /v1/token HTTP/1.1", "Host: k", "Content-Type: application/json", "Content-Length: 19", "", `{"provider":"demo"}`)
		time.Sleep(time.Second)
		c.Close()
		time.Sleep(20 * time.Second)
		saved := w.store.Contents().Connections
		if len(saved) != 1 || saved[0].Token.Access.Reveal() != "AT-renewed" {
			t.Errorf("TK-08 saved %d, %q", len(saved), saved[0].Token.Access.Reveal())
		}
		if strings.Contains(w.log.String(), "request failed") {
			t.Errorf("a caller that hangs up is not a failure:\n%s", w.log)
		}
		must(t, stop())
	})
}

func TestEventsRingAtOnceAfterAChangeAndWhileNothingHappens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		p, stop := servePipes(t, w)
		c := p.dial(t)
		send(c, "GET /v1/events HTTP/1.1", "Host: k", "", "")
		answer, err := http.ReadResponse(bufio.NewReader(c), nil)
		must(t, err)
		if got := answer.Header.Get("Content-Type"); got != "text/event-stream" || answer.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("headers %v", answer.Header)
		}
		lines := make(chan string, 64)
		go func() {
			defer close(lines)
			for s := bufio.NewScanner(answer.Body); s.Scan(); {
				if s.Text() != "" {
					lines <- s.Text()
				}
			}
		}()
		heard := func() (all []string) {
			synctest.Wait()
			for {
				select {
				case line, ok := <-lines:
					if !ok {
						return append(all, "end")
					}
					all = append(all, line)
				default:
					return all
				}
			}
		}
		if first := heard(); len(first) < 2 || first[0] != "event: changed" || first[1] != "data: {}" {
			t.Errorf("at once: %q", first)
		}
		w.call(t, api.Local, "POST", "/v1/apps", wire.AppUpsert{Provider: "demo", ClientID: "mine", NoClientSecret: true}, nil)
		if after := heard(); len(after) != 2 || after[0] != "event: changed" {
			t.Errorf("after a change: %q", after)
		}
		time.Sleep(16 * time.Second)
		if idle := heard(); len(idle) != 1 || !strings.HasPrefix(idle[0], ":") {
			t.Errorf("after 16 s: %q", idle)
		}
		start := time.Now()
		must(t, stop())
		if end := heard(); len(end) != 1 || end[0] != "end" || time.Since(start) > time.Second {
			t.Errorf("after the end, which took %v: %q", time.Since(start), end)
		}
	})
}

func TestEventStreamsAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		ctx, cancel := context.WithCancel(t.Context())
		for range api.MaxStreams {
			go w.Door(api.WebUI).ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, "GET", "/v1/events", nil))
		}
		synctest.Wait()
		if code, problem := w.call(t, api.WebUI, "GET", "/v1/events", nil, nil); code != 429 || problem.Code != "rate_limited" {
			t.Errorf("one more: %d %+v", code, problem)
		}
		cancel()
		synctest.Wait()
		rec := httptest.NewRecorder()
		w.Door(api.WebUI).ServeHTTP(rec, httptest.NewRequestWithContext(ctx, "GET", "/v1/events", nil))
		if rec.Code != 200 {
			t.Errorf("when the others have gone: %d", rec.Code)
		}
	})
}

func TestServeEndsWithinASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{connections: []orchestrator.Record{expired()}, providers: slowProvider(14 * time.Second)})
		p, stop := servePipes(t, w)
		busy, half, idle := p.dial(t), p.dial(t), p.dial(t)
		send(busy, "POST /v1/token HTTP/1.1", "Host: k", "Content-Type: application/json", "Content-Length: 19", "", `{"provider":"demo"}`)
		send(half, "GET /v1/health HTTP/1.1", "Host: ")
		send(idle, "GET /v1/health HTTP/1.1", "Host: k", "", "")
		answer, err := http.ReadResponse(bufio.NewReader(idle), nil)
		must(t, err)
		io.Copy(io.Discard, answer.Body)
		synctest.Wait()
		start := time.Now()
		if err := stop(); err != nil || time.Since(start) > 1100*time.Millisecond {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

func TestServeReportsAListenerThatBreaks(t *testing.T) {
	w := newWorld(t, setup{})
	p := newPipes()
	p.Close()
	if err := w.Serve(t.Context(), p); !errors.Is(err, net.ErrClosed) {
		t.Errorf("%v", err)
	}
}

func TestIdleConnectionsMakeRoom(t *testing.T) {
	w := newWorld(t, setup{})
	_, path := w.serve(t)
	var idle []*http.Client
	for range api.MaxConns {
		c := clientOf(t, path)
		if body := get(c, "/v1/health"); !strings.Contains(body, `"ok":true`) {
			t.Fatal(body)
		}
		idle = append(idle, c)
	}
	for range 10 {
		start := time.Now()
		if body := get(clientOf(t, path), "/v1/health"); !strings.Contains(body, `"ok":true`) || time.Since(start) > 2*time.Second {
			t.Fatalf("one more, after %v: %s", time.Since(start), body)
		}
	}
	if body := get(idle[0], "/v1/health"); !strings.Contains(body, `"ok":true`) {
		t.Errorf("the one that made room asks again: %s", body)
	}
}

func TestABusyCrowdAdmitsTheNextWhenOneIsDone(t *testing.T) {
	w := newWorld(t, setup{})
	client, path := w.serve(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	// Streams are busy for good, and half-sent headers for five seconds.
	for range api.MaxStreams {
		r, _ := http.NewRequestWithContext(ctx, "GET", "http://keyturn/v1/events", nil)
		answer, err := clientOf(t, path).Do(r)
		must(t, err)
		defer answer.Body.Close()
	}
	var halves []net.Conn
	for range api.MaxConns - api.MaxStreams {
		c, err := net.Dial("unix", path)
		must(t, err)
		fmt.Fprint(c, "GET /v1/health HTTP/1.1\r\n")
		halves = append(halves, c)
	}
	asked := make(chan string, 1)
	go func() { asked <- get(client, "/v1/health") }()
	select {
	case body := <-asked:
		t.Errorf("there was room for one more: %s", body)
	case <-time.After(50 * time.Millisecond):
	}
	fmt.Fprint(halves[0], "Host: k\r\n\r\n") // answered, then idle
	if body := <-asked; !strings.Contains(body, `"ok":true`) {
		t.Error(body)
	}
	for _, c := range halves {
		c.Close()
	}
}

func TestHeadersHaveALimit(t *testing.T) {
	w := newWorld(t, setup{})
	client, _ := w.serve(t)
	r, _ := http.NewRequest("GET", "http://keyturn/v1/health", nil)
	r.Header.Set("X-Long", strings.Repeat("x", 100_000))
	if answer, err := client.Do(r); err == nil && answer.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("FL-07 %s", answer.Status)
	}
	many := "/v1/health?" + strings.Repeat("a=1&", 1000)
	if body := get(client, many); !strings.Contains(body, "bad_request") {
		t.Errorf("FL-07 %s", body)
	}
	if body := get(client, "/v1/health"); !strings.Contains(body, `"ok":true`) {
		t.Errorf("afterwards: %s", body)
	}
}

func TestOptionsStarIsNoExceptionToTheTable(t *testing.T) {
	w := newWorld(t, setup{})
	_, path := w.serve(t)
	c, err := net.Dial("unix", path)
	must(t, err)
	defer c.Close()
	fmt.Fprint(c, "OPTIONS * HTTP/1.1\r\nHost: k\r\n\r\n")
	answer, err := http.ReadResponse(bufio.NewReader(c), nil)
	must(t, err)
	if answer.StatusCode != http.StatusNotFound {
		t.Errorf("RP-08 %s", answer.Status)
	}
}

func TestAPanicIsAnAnswerAndNotTheEnd(t *testing.T) {
	w := newWorld(t, setup{diagnose: func(context.Context) []wire.Check { panic("canary-secret") }})
	client, _ := w.serve(t)
	body := get(client, "/v1/diagnosis")
	if !strings.Contains(body, `"code":"internal"`) || !strings.Contains(body, `"status":500`) {
		t.Errorf("PR-07 %s", body)
	}
	if body := get(client, "/v1/health"); !strings.Contains(body, `"ok":true`) {
		t.Errorf("PR-07 afterwards: %s", body)
	}
	mustNotHold(t, "LG-04 the answer and the log", body+w.log.String(), "canary-secret")
	if !strings.Contains(w.log.String(), "diagnose") {
		t.Errorf("the log does not say where:\n%s", w.log)
	}
}
