package transport_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"keyturn/backend/oauth"
	"keyturn/backend/transport"
	"keyturn/backend/transport/transporttest"
)

func TestMain(m *testing.M) {
	if asked := os.Getenv(asAnotherUser); asked != "" {
		os.Exit(getAndPrint(asked))
	}
	goleak.VerifyTestMain(m)
}

// asAnotherUser makes the test binary fetch the URL it holds, and nothing else;
// asHost is the Host header.
const (
	asAnotherUser = "TRANSPORT_TEST_GET"
	asHost        = "TRANSPORT_TEST_HOST"
)

func getAndPrint(url string) int {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	req.Host = os.Getenv(asHost)
	resp, err := noFollow.Do(req)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer resp.Body.Close()
	fmt.Println(os.Getuid(), resp.StatusCode)
	_, _ = io.Copy(os.Stdout, resp.Body)
	return 0
}

// journal is a log that can be read while it is written.
type journal struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Write(b)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.String()
}

// rig is a Loopback with one attempt in progress and a log.
type rig struct {
	transporttest.Attempt
	*transport.Loopback
	log  *journal
	host string // of the redirect URI
	path string
}

const theCode = "c0de-canary-4f1e"

func newLoopback(t testing.TB) (*transport.Loopback, *journal) {
	log := &journal{}
	l := transport.NewLoopback(transport.LoopbackOptions{Log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	t.Cleanup(func() {
		began := time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := l.Close(ctx); err != nil {
			t.Errorf("close: %v", err)
		}
		if took := time.Since(began); took > 1500*time.Millisecond {
			t.Errorf("close took %v", took)
		}
	})
	return l, log
}

func start(t testing.TB, change ...func(*oauth.AuthorizationRequest)) *rig {
	t.Helper()
	l, log := newLoopback(t)
	return startOn(t, l, log, change...)
}

func startOn(t testing.TB, l *transport.Loopback, log *journal, change ...func(*oauth.AuthorizationRequest)) *rig {
	t.Helper()
	req := transporttest.Request()
	for _, c := range change {
		c(&req)
	}
	a := transporttest.Start(t, l, req)
	u, err := url.Parse(a.Prompt.RedirectURI)
	if err != nil {
		t.Fatal(err)
	}
	return &rig{a, l, log, u.Host, u.Path}
}

func onPort(port int) func(*oauth.AuthorizationRequest) {
	return func(r *oauth.AuthorizationRequest) { r.Redirect.Port = port }
}

func localhost(r *oauth.AuthorizationRequest) { r.Redirect.Localhost = true }

// target is the genuine request target.
func (r *rig) target() string {
	return r.path + "?code=" + theCode + "&state=" + r.State
}

// dial connects to the listener of the attempt.
func (r *rig) dial(t testing.TB) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", strings.Replace(r.host, "localhost", "127.0.0.1", 1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	return c
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

// exchange writes raw bytes and reads one answer.
func exchange(t testing.TB, c net.Conn, raw string) answer {
	t.Helper()
	_, _ = io.WriteString(c, raw) // what is too long is not read to its end
	return readAnswer(t, bufio.NewReader(c))
}

func readAnswer(t testing.TB, from *bufio.Reader) answer {
	t.Helper()
	resp, err := http.ReadResponse(from, nil)
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, resp.Header, string(body)}
}

// get asks for a target, on a connection of its own, as plainly as possible;
// headers are lines such as "Sec-Fetch-Dest: image".
func (r *rig) get(t testing.TB, target string, headers ...string) answer {
	t.Helper()
	return r.send(t, "GET "+target+" HTTP/1.1", append([]string{"Host: " + r.host}, headers...)...)
}

// send writes a request line and headers, nothing added.
func (r *rig) send(t testing.TB, line string, headers ...string) answer {
	t.Helper()
	c := r.dial(t)
	defer c.Close()
	return exchange(t, c, request(line, headers...))
}

func request(line string, headers ...string) string {
	return line + "\r\n" + strings.Join(append(headers, "", ""), "\r\n")
}

// completes brings the genuine response and expects it at Authorize.
func (r *rig) completes(t testing.TB) oauth.Reply {
	t.Helper()
	if a := r.get(t, r.target()); a.status != http.StatusSeeOther {
		t.Fatalf("the genuine response got %d\n%s", a.status, a.body)
	}
	return r.gotTheCode(t)
}

func (r *rig) gotTheCode(t testing.TB) oauth.Reply {
	t.Helper()
	e := r.Wait(t)
	if e.Err != nil || e.Reply.Response.Code.Reveal() != theCode {
		t.Fatalf("Authorize returned %q, %v", e.Reply.Response.Code.Reveal(), e.Err)
	}
	return e.Reply
}

// refused expects a status, and the attempt untouched: pending now, and the
// genuine response works afterwards.
func (r *rig) refused(t testing.TB, got answer, status int) {
	t.Helper()
	if got.status != status {
		t.Errorf("status %d, want %d", got.status, status)
	}
	r.untouched(t)
}

func (r *rig) untouched(t testing.TB) {
	t.Helper()
	r.StillPending(t)
	if s := r.Stats(); s.Delivered != 0 {
		t.Fatal("a stranger was let through")
	}
}
