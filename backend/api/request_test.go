package api_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"keyturn/backend/api"
	"keyturn/backend/api/wire"
	"keyturn/backend/client"
	"keyturn/backend/fault"
	"keyturn/backend/orchestrator"
	"keyturn/backend/provider"
	"keyturn/backend/socket"
)

// acme is a provider on this computer: a token endpoint that rotates, and an
// API that takes the newest token.
type acme struct {
	*httptest.Server
	refreshes atomic.Int32
	mu        sync.Mutex
	valid     string // the token that the API takes
	calls     []string
	api       http.HandlerFunc
}

func newAcme(t *testing.T, answer http.HandlerFunc) *acme {
	a := &acme{valid: "AT-ada-canary", api: answer}
	a.Server = httptest.NewServer(a)
	t.Cleanup(a.Close)
	return a
}

func (a *acme) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	time.Sleep(time.Millisecond)
	if r.URL.Path == "/token" {
		time.Sleep(20 * time.Millisecond)
		n := a.refreshes.Add(1)
		a.mu.Lock()
		a.valid = fmt.Sprintf("AT-renewed-canary-%d", n)
		valid := a.valid
		a.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"access_token":%q,"token_type":"Bearer","expires_in":3600,"refresh_token":"RT-%d-canary"}`, valid, n)
		return
	}
	a.mu.Lock()
	a.calls = append(a.calls, r.Method+" "+r.URL.RequestURI()+" "+r.Header.Get("Authorization"))
	refused := r.Header.Get("Authorization") != "Bearer "+a.valid
	a.mu.Unlock()
	if refused {
		if r.URL.Path == "/reads-first" {
			io.Copy(io.Discard, r.Body)
		}
		http.Error(w, "stale", http.StatusUnauthorized)
		return
	}
	a.api(w, r)
}

// revoke has the API take no token but the next.
func (a *acme) revoke() { a.mu.Lock(); a.valid = "the next one"; a.mu.Unlock() }

func (a *acme) seen() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]string(nil), a.calls...)
}

// connected is a world with a connection to a.
func (a *acme) connected(t *testing.T) *world {
	t.Helper()
	r := granted(adaID, "ada")
	r.Provider, r.ClientID, r.Origin = "acme", "mine", a.URL
	r.Refreshed, r.Created = r.Refreshed.Add(-10*time.Minute), r.Created.Add(-10*time.Minute)
	return newWorld(t, setup{
		connections: []orchestrator.Record{r},
		own: []provider.Provider{{
			ID: "acme", Name: "Acme", AllowLoopbackHTTP: true,
			Authorize: provider.Authorize{URL: a.URL + "/authorize"}, Token: provider.Token{URL: a.URL + "/token"},
			Client: provider.Client{ID: "mine"},
			API:    provider.API{Hosts: []string{a.Listener.Addr().String()}},
		}},
	})
}

func echo(w http.ResponseWriter, r *http.Request) {
	w.Header()["Content-Type"] = r.Header["Content-Type"]
	w.Header().Set("X-Method", r.Method)
	http.NewResponseController(w).EnableFullDuplex()
	io.Copy(w, r.Body)
}

func ptr(s string) *string { return &s }

func TestASimpleProgramSendsAndGetsJSON(t *testing.T) {
	a := newAcme(t, echo)
	w := a.connected(t)
	ask := func(in wire.Request) (out wire.RequestAnswer, status int, p wire.Problem) {
		in.Provider, in.URL = "acme", a.URL+"/echo?secret-query"
		status, p = w.call(t, api.Local, "POST", "/v1/request", in, &out)
		return out, status, p
	}
	out, status, _ := ask(wire.Request{RequestHead: wire.RequestHead{Method: "PUT", Headers: map[string]string{"Content-Type": "text/x"}}, Body: ptr("grüße")})
	if status != 200 || out.Status != 200 || *out.Body != "grüße" || out.BodyBase64 != nil || out.Truncated ||
		out.Headers["content-type"][0] != "text/x" || out.Headers["x-method"][0] != "PUT" {
		t.Errorf("text: %d %s", status, textOf(t, out))
	}
	out, _, _ = ask(wire.Request{BodyBase64: ptr(base64.StdEncoding.EncodeToString([]byte("\xff\x00")))})
	if out.Body != nil || *out.BodyBase64 != "/wA=" || out.Headers["x-method"][0] != "POST" {
		t.Errorf("bytes: %s", textOf(t, out))
	}
	if out, _, _ = ask(wire.Request{}); out.Body == nil || *out.Body != "" || out.Headers["x-method"][0] != "GET" {
		t.Errorf("nothing: %s", textOf(t, out))
	}
	if _, status, p := ask(wire.Request{Body: ptr(""), BodyBase64: ptr("")}); status != 400 || p.Code != "bad_request" {
		t.Errorf("both: %d %+v", status, p)
	}
	if _, status, p := ask(wire.Request{BodyBase64: ptr("%")}); status != 400 || p.Code != "bad_request" {
		t.Errorf("no base64: %d %+v", status, p)
	}
	if _, status, p := ask(wire.Request{Body: ptr(strings.Repeat("x", 1<<20))}); status != 413 || !strings.Contains(p.Detail, "1024 KiB") {
		t.Errorf("more than 1 MiB: %d %+v", status, p)
	}
	if out, _, _ = ask(wire.Request{Body: ptr(strings.Repeat("x", 1<<19))}); len(*out.Body) != 1<<19 {
		t.Errorf("512 KiB: %d bytes came back", len(*out.Body))
	}
	r := httptest.NewRequest("POST", "/v1/request", nil)
	if status, _ := refused(t, w, api.Local, r); status != 400 {
		t.Errorf("no body at all: %d", status)
	}
	mustNotHold(t, "the log", w.log.String(), "canary", "secret-query")
}

func TestAStatusOfTheProviderIsAnAnswerAndAFailureOfOursAProblem(t *testing.T) {
	a := newAcme(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/cut" {
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, "half")
			return
		}
		http.Error(w, "teapot", http.StatusTeapot)
	})
	w := a.connected(t)
	var out wire.RequestAnswer
	if status, _ := w.call(t, api.Local, "POST", "/v1/request", wire.Request{RequestHead: wire.RequestHead{ConnectionID: adaID, URL: a.URL}}, &out); status != 200 || out.Status != 418 || *out.Body != "teapot\n" {
		t.Errorf("%d %s", status, textOf(t, out))
	}
	for _, c := range []struct {
		in     wire.RequestHead
		status int
		code   string
	}{
		{wire.RequestHead{URL: a.URL}, 400, "bad_request"},
		{wire.RequestHead{Provider: "acme", URL: "https://evil.example/canary-path"}, 403, "host_not_allowed"},
		{wire.RequestHead{Provider: "acme", URL: "http://evil.example/canary-path"}, 400, "bad_request"},
		{wire.RequestHead{Provider: "github", URL: a.URL}, 400, "bad_request"},
		{wire.RequestHead{Provider: "github", URL: "https://api.github.com/user"}, 404, "not_connected"},
		{wire.RequestHead{Provider: "nosuch", URL: a.URL}, 404, "unknown_provider"},
		{wire.RequestHead{Provider: "github", ConnectionID: adaID, URL: a.URL}, 400, "bad_request"},
		{wire.RequestHead{Provider: "acme", Account: "eve", URL: a.URL}, 404, "not_connected"},
		{wire.RequestHead{Provider: "acme", URL: a.URL + "/cut"}, 502, "provider_unavailable"},
		{wire.RequestHead{Provider: "acme", URL: a.URL, Headers: map[string]string{"Authorization": "canary"}}, 400, "bad_request"},
	} {
		before := len(a.seen())
		status, p := w.call(t, api.Local, "POST", "/v1/request", wire.Request{RequestHead: c.in}, nil)
		if status != c.status || p.Code != c.code {
			t.Errorf("%+v: %d %+v", c.in, status, p)
		}
		if sent := len(a.seen()) - before; sent > 0 && c.status != 502 {
			t.Errorf("%+v: %d requests", c.in, sent)
		}
		mustNotHold(t, "the problem", textOf(t, p), "canary")
	}
}

func TestALongAnswerIsCutForASimpleProgram(t *testing.T) {
	a := newAcme(t, func(w http.ResponseWriter, r *http.Request) {
		w.Write(bytes.Repeat([]byte("xü"), 3<<20)) // 9 MiB, and the cut falls into an ü
	})
	w := a.connected(t)
	var out wire.RequestAnswer
	w.call(t, api.Local, "POST", "/v1/request", wire.Request{RequestHead: wire.RequestHead{Provider: "acme", URL: a.URL}}, &out)
	if !out.Truncated || out.Body == nil || len(*out.Body) < 8<<20-3 || len(*out.Body) > 8<<20 {
		t.Errorf("truncated %v, text %v", out.Truncated, out.Body != nil)
	}
}

// over is a client of w, and the path of its socket.
func over(t *testing.T, w *world) (*client.Client, string) {
	_, path := w.serve(t)
	return client.New(path), path
}

func memory(body string) *client.Content {
	return &client.Content{Size: int64(len(body)), Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(body)), nil }}
}

// endless is n bytes that are nowhere in memory.
type endless struct {
	n   int64
	sum uint32
}

func (e *endless) Read(p []byte) (int, error) {
	if e.n == 0 {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), e.n)]
	for i := range p {
		p[i] = byte(int(e.n) + i)
	}
	e.sum = crc32.Update(e.sum, crc32.IEEETable, p)
	e.n -= int64(len(p))
	return len(p), nil
}

func TestTwoHundredMegabytesFlowOverTheSocketWithFlatMemory(t *testing.T) {
	a := newAcme(t, echo)
	c, _ := over(t, a.connected(t))
	var most atomic.Uint64
	stop := make(chan struct{})
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	before := m.HeapInuse
	var watcher sync.WaitGroup
	watcher.Go(func() {
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			most.Store(max(most.Load(), m.HeapInuse))
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	})
	for _, length := range []int64{-1, 32 << 20} {
		size := length
		if length < 0 {
			size = 200 << 20
		}
		out := &endless{n: size}
		answer, err := c.Request(t.Context(), wire.RequestHead{Provider: "acme", Method: "PUT", URL: a.URL + "/echo"},
			&client.Content{Size: length, Once: true, Open: func() (io.ReadCloser, error) { return io.NopCloser(out), nil }})
		must(t, err)
		sum := crc32.NewIEEE()
		n, err := io.Copy(sum, answer.Body)
		answer.Body.Close()
		if n != size || err != nil || sum.Sum32() != out.sum || answer.Headers["x-method"][0] != "PUT" {
			t.Errorf("length %d: %d bytes came back, %v", length, n, err)
		}
	}
	close(stop)
	watcher.Wait()
	grew := int64(most.Load() - before)
	t.Logf("the heap of all four parts grew by %d KiB", grew>>10)
	if grew > 16<<20 {
		t.Errorf("the heap grew by %d MiB", grew>>20)
	}
}

func TestA401IsHealedOverTheSocket(t *testing.T) {
	big := strings.Repeat("0123456789abcdef", 16<<10) // 256 KiB: not kept by Keyturn
	for name, c := range map[string]struct {
		path     string
		content  *client.Content
		status   int
		requests int
	}{
		"no body":                   {"/x", nil, 200, 2},
		"a short body":              {"/reads-first", memory("short"), 200, 2},
		"a long one from a file":    {"/reads-first", memory(big), 200, 2},
		"a stream that is not long": {"/reads-first", &client.Content{Size: 5, Once: true, Open: memory("short").Open}, 200, 2},
		"a stream without a length": {"/reads-first", &client.Content{Size: -1, Once: true, Open: memory(big).Open}, 401, 1},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAcme(t, echo)
			client, _ := over(t, a.connected(t))
			a.revoke()
			answer, err := client.Request(t.Context(), wire.RequestHead{Provider: "acme", Method: "PUT", URL: a.URL + c.path}, c.content)
			must(t, err)
			defer answer.Body.Close()
			body, err := io.ReadAll(answer.Body)
			must(t, err)
			if answer.Status != c.status || len(a.seen()) != c.requests || a.refreshes.Load() != 1 || (answer.Note != "") != (c.status == 401) {
				t.Errorf("%d, note %q, %d refreshes, seen %q", answer.Status, answer.Note, a.refreshes.Load(), a.seen())
			}
			if c.status == 200 && c.content != nil && int64(len(body)) != max(c.content.Size, 0) {
				t.Errorf("%d bytes came back", len(body))
			}
			mustNotHold(t, "the answer", textOf(t, answer.AnswerHead)+string(body), "canary")
		})
	}
}

func TestParallel401sShareOneRefresh(t *testing.T) {
	a := newAcme(t, echo)
	w := a.connected(t)
	c, _ := over(t, w)
	a.revoke()
	var all sync.WaitGroup
	for range 30 {
		all.Go(func() {
			answer, err := c.Request(t.Context(), wire.RequestHead{Provider: "acme", URL: a.URL}, nil)
			if err != nil || answer.Status != 200 {
				t.Errorf("%+v %v", answer, err)
				return
			}
			answer.Body.Close()
		})
	}
	all.Wait()
	if n := a.refreshes.Load(); n != 1 {
		t.Errorf("%d refreshes", n)
	}
	// A page that is always 401 does not refresh each time it is asked for.
	a.revoke()
	for range 10 {
		answer, err := c.Request(t.Context(), wire.RequestHead{Provider: "acme", URL: a.URL}, nil)
		must(t, err)
		if answer.Status != 401 || answer.Note == "" {
			t.Errorf("%+v", answer.AnswerHead)
		}
		answer.Body.Close()
	}
	if n := a.refreshes.Load(); n != 1 {
		t.Errorf("%d refreshes after 10 more", n)
	}
}

func TestAnAnswerThatIsCutOffDoesNotLookWholeOverTheSocket(t *testing.T) {
	a := newAcme(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/length" {
			w.Header().Set("Content-Length", "100")
		}
		io.WriteString(w, "half")
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	c, _ := over(t, a.connected(t))
	for _, path := range []string{"/length", "/chunks"} {
		answer, err := c.Request(t.Context(), wire.RequestHead{Provider: "acme", URL: a.URL + path}, nil)
		must(t, err)
		data, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if string(data) != "half" || fault.CodeOf(err) != fault.ProviderUnavailable {
			t.Errorf("%s: %q %v", path, data, err)
		}
	}
}

func TestACallerThatGoesTakesItsRequestAlong(t *testing.T) {
	gone := make(chan string, 3)
	begun := make(chan string, 3)
	a := newAcme(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/hang":
			begun <- "hang"
			<-r.Context().Done()
		case "/drip":
			begun <- "drip"
			for r.Context().Err() == nil {
				io.WriteString(w, "x")
				http.NewResponseController(w).Flush()
				time.Sleep(time.Millisecond)
			}
		case "/upload":
			begun <- "upload"
			io.Copy(io.Discard, r.Body)
		}
		gone <- r.URL.Path
	})
	c, _ := over(t, a.connected(t))
	for _, path := range []string{"/hang", "/drip", "/upload"} {
		ctx, cancel := context.WithCancel(t.Context())
		var content *client.Content
		if path == "/upload" {
			r, w := io.Pipe() // never ends
			defer w.Close()
			content = &client.Content{Size: -1, Once: true, Open: func() (io.ReadCloser, error) { return r, nil }}
		}
		go func() {
			<-begun
			cancel()
		}()
		answer, err := c.Request(ctx, wire.RequestHead{Provider: "acme", URL: a.URL + path, Method: "POST"}, content)
		if err == nil {
			_, err = io.Copy(io.Discard, answer.Body)
			answer.Body.Close()
		}
		start := time.Now()
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", path, err)
		}
		select {
		case <-gone:
		case <-time.After(5 * time.Second):
			t.Fatalf("%s goes on at the provider", path)
		}
		if d := time.Since(start); d > time.Second {
			t.Errorf("%s ended after %v", path, d)
		}
	}
}

func TestABodyThatBreaksOffIsNotSentAsWhole(t *testing.T) {
	whole := make(chan bool, 2)
	a := newAcme(t, func(w http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, r.Body)
		whole <- err == nil
	})
	c, _ := over(t, a.connected(t))
	for _, size := range []int64{-1, 1 << 20} {
		_, err := c.Request(t.Context(), wire.RequestHead{Provider: "acme", URL: a.URL, Method: "POST"}, &client.Content{Size: size, Once: true, Open: func() (io.ReadCloser, error) {
			return io.NopCloser(io.MultiReader(strings.NewReader(strings.Repeat("x", 100<<10)), broken{})), nil
		}})
		if fault.CodeOf(err) != fault.Internal || !strings.Contains(err.Error(), "could not be read") {
			t.Errorf("size %d: %v", size, err)
		}
		select {
		case w := <-whole:
			if w {
				t.Errorf("size %d: the provider took it for whole", size)
			}
		case <-time.After(5 * time.Second):
			t.Fatal("the provider still waits")
		}
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("disk on fire") }

func TestTheHeaderOfAStreamIsReadAsStrictlyAsABody(t *testing.T) {
	a := newAcme(t, echo)
	w := a.connected(t)
	for _, c := range []struct{ head, says string }{
		{`{`, "not valid JSON"},
		{`{} {}`, "not valid JSON"},
		{`[]`, "object"},
		{`{"provider":"acme"}`, "url"},
		{`{"provider":"acme","url":"` + a.URL + `","URL":"x"}`, "not a known member"},
		{`{"provider":"acme","url":"` + a.URL + `","url":"x"}`, "duplicate"},
		{`{"provider":"acme","url":"` + a.URL + `","token":"x"}`, "not a known member"},
		{`{"provider":"acme","url":"` + a.URL + `","body":"x"}`, "not a known member"},
		{`{"provider":7,"url":"` + a.URL + `"}`, "provider"},
		{`{"provider":"acme","url":"` + a.URL + `","max_time_seconds":-1}`, "max_time_seconds"},
		{`{"provider":"` + strings.Repeat("x", 65) + `","url":"` + a.URL + `"}`, "provider"},
	} {
		r := httptest.NewRequest("POST", "/v1/request", strings.NewReader("body"))
		r.Header.Set("Keyturn-Request", c.head)
		if status, p := refused(t, w, api.Local, r); status != 400 || !strings.Contains(p.Detail, c.says) {
			t.Errorf("%s: %d %+v", c.head, status, p)
		}
	}
	r := httptest.NewRequest("POST", "/v1/request", nil)
	r.Header["Keyturn-Request"] = []string{"{}", "{}"}
	if status, _ := refused(t, w, api.Local, r); status != 400 {
		t.Errorf("two headers: %d", status)
	}
	// The header makes no other route take a body unread, and no other
	// principal welcome.
	for _, p := range []api.Principal{api.Window, api.WebUI, api.Gateway} {
		r := httptest.NewRequest("POST", "/v1/request", nil)
		r.Header.Set("Keyturn-Request", `{"provider":"acme","url":"`+a.URL+`"}`)
		if status, _ := refused(t, w, p, r); status != 403 {
			t.Errorf("%v: %d", p, status)
		}
	}
	r = httptest.NewRequest("POST", "/v1/token", strings.NewReader(`{"provider":"acme","colour":1}`))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Keyturn-Request", "{}")
	if status, _ := refused(t, w, api.Local, r); status != 400 {
		t.Errorf("another route: %d", status)
	}
	if len(a.seen()) > 0 {
		t.Errorf("seen %q", a.seen())
	}
}

func TestRequestsAreCounted(t *testing.T) {
	release := make(chan struct{})
	a := newAcme(t, func(http.ResponseWriter, *http.Request) { <-release })
	w := a.connected(t)
	head := wire.Request{RequestHead: wire.RequestHead{Provider: "acme", URL: a.URL}}
	var all sync.WaitGroup
	for range api.MaxRequests {
		all.Go(func() { w.call(t, api.Local, "POST", "/v1/request", head, nil) })
	}
	for len(a.seen()) < api.MaxRequests {
		time.Sleep(time.Millisecond)
	}
	if status, p := w.call(t, api.Local, "POST", "/v1/request", head, nil); status != 429 || p.Code != "rate_limited" {
		t.Errorf("one more: %d %+v", status, p)
	}
	close(release)
	all.Wait()
	if status, _ := w.call(t, api.Local, "POST", "/v1/request", head, nil); status != 200 {
		t.Errorf("when the others are done: %d", status)
	}
}

func TestTheFirstBytesDoNotWaitForTheRest(t *testing.T) {
	next := make(chan struct{})
	a := newAcme(t, func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "first")
		http.NewResponseController(w).Flush()
		<-next
		io.WriteString(w, "rest")
	})
	c, _ := over(t, a.connected(t))
	answer, err := c.Request(t.Context(), wire.RequestHead{Provider: "acme", URL: a.URL}, nil)
	must(t, err)
	defer answer.Body.Close()
	first := make([]byte, 5)
	if _, err := io.ReadFull(answer.Body, first); err != nil || string(first) != "first" {
		t.Errorf("%q %v", first, err)
	}
	close(next)
	if rest, err := io.ReadAll(answer.Body); err != nil || string(rest) != "rest" {
		t.Errorf("%q %v", rest, err)
	}
}

// A program without our client does it with a few lines of HTTP.
func TestAnyHTTPClientCanStream(t *testing.T) {
	a := newAcme(t, echo)
	_, path := over(t, a.connected(t))
	c := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return socket.Dial(ctx, path) }}}
	t.Cleanup(c.CloseIdleConnections)
	for range 2 { // the connection can be used again
		r, _ := http.NewRequest("POST", "http://keyturn/v1/request", strings.NewReader("body"))
		r.Header.Set("Keyturn-Request", `{"provider":"acme","method":"PATCH","url":"`+a.URL+`/x"}`)
		answer, err := c.Do(r)
		must(t, err)
		body, _ := io.ReadAll(answer.Body)
		answer.Body.Close()
		var head wire.StreamAnswer
		must(t, json.Unmarshal([]byte(answer.Header.Get("Keyturn-Response")), &head))
		if answer.StatusCode != 200 || head.Status != 200 || string(body) != "body" || head.Headers["x-method"][0] != "PATCH" {
			t.Errorf("%d %+v %q", answer.StatusCode, head, body)
		}
	}
}

func TestARequestIsRecordedWithoutWhereItWent(t *testing.T) {
	a := newAcme(t, echo)
	w := a.connected(t)
	c, _ := over(t, w)
	for _, url := range []string{a.URL + "/secret-path?q=secret-query", "https://evil.example/secret-path"} {
		if answer, err := c.Request(t.Context(), wire.RequestHead{Provider: "acme", URL: url}, nil); err == nil {
			answer.Body.Close()
		}
	}
	var list wire.Activity
	w.call(t, api.Window, "GET", "/v1/activity", nil, &list)
	var said []string
	for _, e := range list.Activity {
		if e.Kind == "request" {
			said = append(said, fmt.Sprintf("%s %s %s %v", e.ConnectionID, e.Principal, e.Code, e.PID > 0 && e.Program != ""))
		}
	}
	want := []string{adaID + " local host_not_allowed true", adaID + " local  true"} // newest first
	if !slices.Equal(said, want) {
		t.Errorf("%q, want %q", said, want)
	}
	mustNotHold(t, "the activity and the log", textOf(t, list)+w.log.String(), "secret-", "canary")
}
