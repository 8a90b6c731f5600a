package request_test

import (
	"crypto/x509"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"keyturn/backend/fault"
	"keyturn/backend/oauth"
	"keyturn/backend/request"
)

// on is acme with its API on a server of this computer.
func on(server *httptest.Server) *grants {
	g := acme()
	g.provider.API.Hosts = []string{server.Listener.Addr().String()}
	g.provider.AllowLoopbackHTTP = true
	return g
}

func serve(t *testing.T, h http.HandlerFunc) *httptest.Server {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

func sender(g *grants) *request.Sender { return request.New(g, oauth.NewHTTP(oauth.HTTPOptions{})) }

// endless is n bytes that are nowhere in memory.
type endless struct{ n int64 }

func (e *endless) Read(p []byte) (int, error) {
	if e.n == 0 {
		return 0, io.EOF
	}
	if int64(len(p)) > e.n {
		p = p[:e.n]
	}
	for i := range p {
		p[i] = byte(int(e.n) + i)
	}
	e.n -= int64(len(p))
	return len(p), nil
}

// heapWhile returns how much more heap was in use at worst while f ran.
func heapWhile(f func()) uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	before, worst := m.HeapInuse, uint64(0)
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			runtime.ReadMemStats(&m)
			if m.HeapInuse > before {
				worst = max(worst, m.HeapInuse-before)
			}
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	f()
	close(stop)
	<-done
	return worst
}

func TestLargeBodiesFlowBothWaysAtOnceWithoutBeingHeld(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).EnableFullDuplex()
		io.Copy(w, r.Body)
	})
	for _, length := range []int64{200 << 20, -1} {
		size := max(length, 32<<20)
		var sum [2]uint32
		grew := heapWhile(func() {
			c := call(server.URL + "/echo")
			out := crc32.NewIEEE()
			c.Body = request.Stream(io.TeeReader(&endless{size}, out), length)
			a, err := sender(on(server)).Do(t.Context(), c)
			if err != nil {
				t.Error(err)
				return
			}
			defer a.Body.Close()
			in := crc32.NewIEEE()
			if n, err := io.Copy(in, a.Body); n != size || err != nil {
				t.Errorf("%d bytes back, %v", n, err)
			}
			sum = [2]uint32{out.Sum32(), in.Sum32()}
		})
		if sum[0] != sum[1] {
			t.Error("what came back is not what was sent")
		}
		t.Logf("length %d: the heap grew by %d KiB", length, grew>>10)
		if grew > 16<<20 {
			t.Errorf("the heap grew by %d MiB for %d MiB each way", grew>>20, size>>20)
		}
	}
}

func TestAServerThatIsAskedFirstCanHaveTheStreamAfterA401(t *testing.T) {
	var bodies atomic.Int32
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer "+token(2) {
			w.WriteHeader(401)
			return
		}
		data, _ := io.ReadAll(r.Body)
		bodies.Add(1)
		w.Write(data)
	})
	g := on(server)
	c := call(server.URL)
	c.Header = map[string]string{"Expect": "100-continue"}
	c.Body = request.Stream(strings.NewReader("stream"), 6)
	a, err := sender(g).Do(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	data, _ := io.ReadAll(a.Body)
	if _, renewals := g.counts(); a.Status != 200 || string(data) != "stream" || bodies.Load() != 1 || renewals != 1 {
		t.Errorf("%d %q, %d bodies, %d renewals, note %q", a.Status, data, bodies.Load(), renewals, a.Note)
	}
}

func TestAnAnswerThatIsCutOffIsAnError(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/length" {
			w.Header().Set("Content-Length", "100")
		}
		io.WriteString(w, "half")
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	for _, path := range []string{"/length", "/chunks"} {
		a, err := sender(on(server)).Do(t.Context(), call(server.URL+path))
		if err != nil {
			t.Fatal(err)
		}
		data, err := io.ReadAll(a.Body)
		a.Body.Close()
		if string(data) != "half" || fault.CodeOf(err) != fault.ProviderUnavailable {
			t.Errorf("%s: %q %v", path, data, err)
		}
	}
}

func TestAnAnswerMayComeBeforeTheBodyIsThrough(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(413)
		io.WriteString(w, "too much")
	})
	r, w := io.Pipe()
	defer w.Close()
	go w.Write([]byte("the first of many"))
	c := call(server.URL)
	c.Body = request.Stream(r, -1)
	start := time.Now()
	a, err := sender(on(server)).Do(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	data, _ := io.ReadAll(a.Body)
	a.Body.Close()
	if a.Status != 413 || string(data) != "too much" || time.Since(start) > 5*time.Second {
		t.Errorf("%d %q after %v", a.Status, data, time.Since(start))
	}
}

func TestTimeIsLimited(t *testing.T) {
	t.Run("as the caller says", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			hangs := roundTripper(func(r *http.Request) (*http.Response, error) {
				<-r.Context().Done()
				return nil, r.Context().Err()
			})
			c := call(api + "/")
			c.MaxTime = 7 * time.Second
			start := time.Now()
			_, _, err := do(t, acme(), hangs, c)
			if fault.CodeOf(err) != fault.ProviderUnavailable || !strings.Contains(err.Error(), "7s") || time.Since(start).Round(time.Second) != 7*time.Second {
				t.Errorf("%v after %v", err, time.Since(start))
			}
		})
	})
	t.Run("when nothing moves", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			drips := roundTripper(func(r *http.Request) (*http.Response, error) {
				out, in := io.Pipe()
				go func() {
					for range 3 {
						time.Sleep(9 * time.Minute) // slow, and yet it moves
						in.Write([]byte("."))
					}
					<-r.Context().Done()
					in.CloseWithError(r.Context().Err())
				}()
				return &http.Response{StatusCode: 200, Header: http.Header{}, Body: out, ContentLength: -1}, nil
			})
			start := time.Now()
			_, body, err := do(t, acme(), drips, call(api+"/"))
			if body != "..." || fault.CodeOf(err) != fault.ProviderUnavailable || time.Since(start).Round(time.Minute) != 37*time.Minute {
				t.Errorf("%q %v after %v", body, err, time.Since(start))
			}
		})
	})
}

// A name with an honest certificate that leads inward: only the address gives
// it away.
func TestANameThatLeadsInwardIsNotConnectedTo(t *testing.T) { // DI-14
	var asked atomic.Int32
	server := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	t.Cleanup(server.Close)
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	g := acme()
	g.provider.API.Hosts = []string{"localhost:" + port}
	_, err := request.New(g, oauth.NewHTTP(oauth.HTTPOptions{RootCAs: roots})).Do(t.Context(), call("https://localhost:"+port+"/"))
	if fault.CodeOf(err) != fault.ProviderUnavailable || !strings.Contains(err.Error(), "private network") || asked.Load() != 0 {
		t.Errorf("%v, asked %d times", err, asked.Load())
	}
}

// net/http reads the environment once, so the call is made in a process of its own.
func TestAProxySeesConnectAndNoMore(t *testing.T) { // TE-34, DI-16
	if target := os.Getenv("KEYTURN_TEST_TARGET"); target != "" {
		g := acme()
		g.provider.API.Hosts, g.provider.AllowLoopbackHTTP = []string{os.Getenv("KEYTURN_TEST_HOST")}, true
		sender(g).Do(t.Context(), call(target))
		return
	}
	var proxied, direct atomic.Value
	proxy := serve(t, func(w http.ResponseWriter, r *http.Request) {
		proxied.Store(fmt.Sprint(r.Method, " ", r.Host, " ", r.Header))
		w.WriteHeader(502)
	})
	server := serve(t, func(w http.ResponseWriter, r *http.Request) { direct.Store(r.Header.Get("Authorization")) })
	run := func(target, host string) {
		t.Helper()
		cmd := exec.Command(os.Args[0], "-test.run=^TestAProxySeesConnectAndNoMore$")
		cmd.Env = append(os.Environ(), "KEYTURN_TEST_TARGET="+target, "KEYTURN_TEST_HOST="+host, "HTTPS_PROXY="+proxy.URL, "HTTP_PROXY="+proxy.URL, "https_proxy="+proxy.URL, "http_proxy="+proxy.URL, "NO_PROXY=", "no_proxy=")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	run("https://api.invalid/secret", "api.invalid")
	saw, _ := proxied.Load().(string)
	if !strings.HasPrefix(saw, "CONNECT api.invalid:443 ") || strings.Contains(saw, "secret") {
		t.Errorf("the proxy saw %q", saw)
	}
	mustNotHold(t, "what the proxy saw", saw)
	proxied.Store("")
	run(server.URL, server.Listener.Addr().String()) // plain http goes straight to it
	if direct.Load() != "Bearer "+token(1) || proxied.Load() != "" {
		t.Errorf("the server saw %v, the proxy %v", direct.Load(), proxied.Load())
	}
}
