package client_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"keyturn/backend/api/wire"
	"keyturn/backend/client"
	"keyturn/backend/fault"
)

// listen returns a socket as Keyturn makes it, and its path.
func listen(t *testing.T) (net.Listener, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "run")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return l, path
}

// answering serves h over a socket with net/http, as Keyturn does.
func answering(t *testing.T, h http.HandlerFunc) *client.Client {
	t.Helper()
	l, path := listen(t)
	s := &http.Server{Handler: h}
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
	return client.New(path)
}

// saying answers every connection with these bytes, whatever was asked, and
// closes it.
func saying(t *testing.T, answer string) *client.Client {
	t.Helper()
	l, path := listen(t)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				http.ReadRequest(bufio.NewReader(conn))
				time.Sleep(time.Millisecond)
				io.WriteString(conn, answer)
				conn.Close()
			}()
		}
	}()
	return client.New(path)
}

func TestRequestsAreWhatTheRouteWants(t *testing.T) {
	type asked struct{ method, uri, contentType, body string }
	var got asked
	c := answering(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got = asked{r.Method, r.RequestURI, r.Header.Get("Content-Type"), string(body)}
		w.Header().Set("Content-Type", "application/json")
		if r.RequestURI == "/v1/ping" {
			io.WriteString(w, `{"ok":true,"status":200}`)
			return
		}
		io.WriteString(w, `{"ok":true,"id":"x","token":"t","status":"pending","state":"s","auth_url":"https://x/","expires_at":"2030-01-01T00:00:00Z"}`)
	})
	ctx := t.Context()
	for _, tt := range []struct {
		call func() error
		want asked
	}{
		{func() error {
			_, err := c.Connect(ctx, wire.ConnectStart{Service: "demo", CallbackTransport: "loopback"})
			return err
		}, asked{"POST", "/v1/internal/oauth/connect/start", "application/json", `{"service":"demo","callback_transport":"loopback"}`}},
		{func() error { _, err := c.ConnectStatus(ctx, "ab12"); return err }, asked{"GET", "/v1/internal/oauth/connect/status/ab12", "", ""}},
		{func() error { return c.Cancel(ctx, "ab12") }, asked{"POST", "/v1/internal/oauth/connect/ab12/cancel", "", ""}},
		{func() error { _, err := c.Attempts(ctx); return err }, asked{"GET", "/v1/attempts", "", ""}},
		{func() error { _, err := c.Connections(ctx); return err }, asked{"GET", "/v1/connections", "", ""}},
		{func() error {
			_, err := c.Disconnect(ctx, wire.DisconnectRequest{Provider: "demo", ConnectionID: "con_1"})
			return err
		}, asked{"POST", "/v1/disconnect", "application/json", `{"provider":"demo","connection_id":"con_1"}`}},
		{func() error { _, err := c.Ping(ctx, wire.PingRequest{Provider: "demo"}); return err }, asked{"POST", "/v1/ping", "application/json", `{"provider":"demo"}`}},
		{func() error {
			_, err := c.Token(ctx, wire.TokenRequest{Provider: "demo", MinValidSeconds: 60})
			return err
		}, asked{"POST", "/v1/token", "application/json", `{"provider":"demo","min_valid_seconds":60}`}},
		{func() error { _, err := c.Providers(ctx); return err }, asked{"GET", "/v1/providers", "", ""}},
		{func() error { _, err := c.MCPServers(ctx); return err }, asked{"GET", "/v1/mcp-servers", "", ""}},
		{func() error { _, err := c.Provider(ctx, "demo"); return err }, asked{"GET", "/v1/providers/demo", "", ""}},
		{func() error {
			_, err := c.RegisterProvider(ctx, wire.ProviderRegister{ProviderKey: "own"})
			return err
		}, asked{"POST", "/v1/providers", "application/json", `{"provider_key":"own"}`}},
		{func() error {
			_, err := c.UpdateProvider(ctx, "own", wire.ProviderRegister{DisplayName: "Own"})
			return err
		}, asked{"POST", "/v1/providers/own", "application/json", `{"provider_key":"own","display_name":"Own"}`}},
		{func() error { _, err := c.DeleteProvider(ctx, "own", true); return err }, asked{"POST", "/v1/providers/own/delete", "application/json", `{"force":true}`}},
		{func() error { _, err := c.Apps(ctx); return err }, asked{"GET", "/v1/apps", "", ""}},
		{func() error {
			_, err := c.UpsertApp(ctx, wire.AppUpsert{Provider: "own", ClientID: "me"})
			return err
		}, asked{"POST", "/v1/apps", "application/json", `{"provider":"own","client_id":"me"}`}},
		{func() error { _, err := c.DeleteApp(ctx, "app_1"); return err }, asked{"POST", "/v1/apps/app_1/delete", "", ""}},
		{func() error { _, err := c.Settings(ctx); return err }, asked{"GET", "/v1/settings", "", ""}},
		{func() error { _, err := c.SaveSettings(ctx, wire.Settings{CallbackPort: 27419}); return err }, asked{"POST", "/v1/settings", "application/json", `{"callback_port":27419,"notifications":false}`}},
		{func() error { _, err := c.Health(ctx); return err }, asked{"GET", "/v1/health", "", ""}},
		{func() error { _, err := c.Diagnosis(ctx); return err }, asked{"GET", "/v1/diagnosis", "", ""}},
		{func() error { return c.Open(ctx, "connect/demo") }, asked{"POST", "/v1/internal/open", "application/json", `{"view":"connect/demo"}`}},
		{func() error { return c.Quit(ctx) }, asked{"POST", "/v1/internal/quit", "", ""}},
	} {
		got = asked{}
		if err := tt.call(); err != nil || got != tt.want {
			t.Errorf("asked %+v, %v\n want %+v", got, err, tt.want)
		}
	}
}

func TestNamesThatCannotBeInAPathAreNotSent(t *testing.T) {
	var asked atomic.Int32
	c := answering(t, func(http.ResponseWriter, *http.Request) { asked.Add(1) })
	for _, id := range []string{"", "..", "a/b", "GitHub", "a b", "a?b", "a\r\nHost: x", strings.Repeat("a", 65)} {
		_, err := c.Provider(t.Context(), id)
		if fault.CodeOf(err) != fault.UnknownProvider {
			t.Errorf("%q: %v", id, err)
		}
		if err := c.Cancel(t.Context(), id); fault.CodeOf(err) != fault.StateUnknown {
			t.Errorf("%q: %v", id, err)
		}
		if _, err := c.DeleteApp(t.Context(), id); fault.CodeOf(err) != fault.UnknownApp {
			t.Errorf("%q: %v", id, err)
		}
	}
	if asked.Load() != 0 {
		t.Errorf("%d requests sent", asked.Load())
	}
}

func TestProblemsBecomeFaults(t *testing.T) {
	c := answering(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusNotFound)
		json.NewEncoder(w).Encode(wire.Problem{Title: "Not Found", Status: 404, Detail: "There is no provider of this name. 100% sure.", Code: "unknown_provider"})
	})
	_, err := c.Provider(t.Context(), "demo")
	if fault.CodeOf(err) != fault.UnknownProvider || fault.MessageOf(err) != "There is no provider of this name. 100% sure." {
		t.Errorf("%s: %v", fault.CodeOf(err), err)
	}
}

func TestStrangeAnswersAreTypedErrors(t *testing.T) {
	const secret = "tok-canary"
	head := "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
	of := func(body string) string { return fmt.Sprintf("%sContent-Length: %d\r\n\r\n%s", head, len(body), body) }
	for _, tt := range []struct {
		name, answer string
		want         fault.Code
	}{
		{"CLI-07 closes without a word", "", fault.Unreachable},
		{"CLI-07 closes in the header", "HTTP/1.1 200 OK\r\nContent-Ty", fault.Unreachable},
		{"CLI-07 closes in the body", head + "Content-Length: 100\r\n\r\n{\"token\":\"" + secret, fault.Unreachable},
		{"CLI-07 closes in a chunk", head + "Transfer-Encoding: chunked\r\n\r\nff\r\n{\"token\":\"" + secret, fault.Unreachable},
		{"CLI-07 closes before the last chunk", head + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n", fault.Unreachable},
		{"CLI-07 half JSON", of(`{"token":"` + secret), fault.Internal},
		{"CLI-07 HTML", "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<h1>" + secret, fault.Internal},
		{"CLI-07 HTML with an error status", "HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\n\r\n<h1>" + secret, fault.Internal},
		{"CLI-07 problem without a code", "HTTP/1.1 500 X\r\nContent-Type: application/problem+json\r\n\r\n{\"detail\":\"" + secret + "\"}", fault.Internal},
		{"CLI-07 only unknown members", of(`{"secret":"` + secret + `"}`), fault.Internal},
		{"CLI-07 members of another type", of(`{"token":["` + secret + `"]}`), fault.Internal},
		{"CLI-07 array", of(`["` + secret + `"]`), fault.Internal},
		{"CLI-07 empty body", of(""), fault.Internal},
		{"not HTTP", secret + "\n", fault.Internal},
		{"another version", "HTTP/2 200\r\n\r\n{}", fault.Internal},
		{"redirect", "HTTP/1.1 302 Found\r\nLocation: http://x/\r\nContent-Length: 0\r\n\r\n", fault.Internal},
		{"status of words", "HTTP/1.1 abc\r\n\r\n", fault.Internal},
		{"status 0", "HTTP/1.1 000 X\r\n\r\n", fault.Internal},
		{"two lengths", head + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", fault.Internal},
		{"length and chunks", head + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}", fault.Internal},
		{"negative length", head + "Content-Length: -1\r\n\r\n{}", fault.Internal},
		{"unknown coding", head + "Transfer-Encoding: gzip\r\n\r\n{}", fault.Internal},
		{"field without a colon", "HTTP/1.1 200 OK\r\nxyz\r\n\r\n{}", fault.Internal},
		{"size of a chunk in words", head + "Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n", fault.Internal},
		{"size of a chunk too large", head + "Transfer-Encoding: chunked\r\n\r\nffffffffffff\r\n{}", fault.Internal},
		{"no line end after a chunk", head + "Transfer-Encoding: chunked\r\n\r\n2\r\n{}xx\r\n0\r\n\r\n", fault.Internal},
		{"endless line", "HTTP/1.1 200 " + strings.Repeat("x", 1<<16), fault.Internal},
		{"endless header", "HTTP/1.1 200 OK\r\n" + strings.Repeat("X: y\r\n", 1<<14), fault.Internal},
		{"body beyond 4 MiB", of(`{"token":"` + strings.Repeat("x", 4<<20) + `"}`), fault.Internal},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := saying(t, tt.answer).Token(t.Context(), wire.TokenRequest{Provider: "demo"})
			if err == nil || fault.CodeOf(err) != tt.want {
				t.Fatalf("%v (%s), want %s", err, fault.CodeOf(err), tt.want)
			}
			if _, ok := errors.AsType[*fault.Error](err); !ok {
				t.Errorf("%T has no sentence", err)
			}
			for e := err; e != nil; e = errors.Unwrap(e) {
				if strings.Contains(e.Error(), secret) {
					t.Errorf("the answer is in the error: %v", e)
				}
			}
		})
	}
}

func TestUnknownMembersBesideKnownOnesAreNoError(t *testing.T) {
	got, err := saying(t, "HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\n\r\n"+`{"token":"t","of_the_future":{"a":1}}`).
		Token(t.Context(), wire.TokenRequest{Provider: "demo"})
	if err != nil || got.Token != "t" {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestStartedWithNothingToFollowIsAnError(t *testing.T) {
	for _, body := range []string{`{}`, `{"auth_url":"https://x/"}`, `{"state":"s","expires_at":"2030-01-01T00:00:00Z"}`, `{"state":"s","auth_url":"https://x/"}`} {
		c := saying(t, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"+body)
		if _, err := c.Connect(t.Context(), wire.ConnectStart{Service: "demo"}); fault.CodeOf(err) != fault.Internal {
			t.Errorf("%s: %v", body, err)
		}
	}
}

func TestLargeAnswersArriveInChunks(t *testing.T) {
	want := strings.Repeat("sentence ", 1<<15)
	c := answering(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		body, _ := json.Marshal(wire.Provider{ProviderSummary: wire.ProviderSummary{ID: "demo", RedirectNote: want}})
		for len(body) > 0 { // uneven pieces, each flushed as a chunk
			n := min(len(body), 7777)
			w.Write(body[:n])
			w.(http.Flusher).Flush()
			body = body[n:]
		}
	})
	got, err := c.Provider(t.Context(), "demo")
	if err != nil || got.RedirectNote != want {
		t.Errorf("%d bytes, %v", len(got.RedirectNote), err)
	}
}

func TestNobodyThere(t *testing.T) {
	const says = "Could not reach Keyturn. Is it running?"
	t.Run("no folder", func(t *testing.T) {
		_, err := client.New(filepath.Join(t.TempDir(), "none", "s")).Health(t.Context())
		if fault.CodeOf(err) != fault.Unreachable || fault.MessageOf(err) != says {
			t.Errorf("%v", err)
		}
	})
	t.Run("socket left behind", func(t *testing.T) {
		l, path := listen(t)
		l.(*net.UnixListener).SetUnlinkOnClose(false)
		l.Close()
		_, err := client.New(path).Health(t.Context())
		if fault.CodeOf(err) != fault.Unreachable || fault.MessageOf(err) != says {
			t.Errorf("%v", err)
		}
	})
	t.Run("listens and says nothing", func(t *testing.T) {
		_, path := listen(t)
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		_, err := client.New(path).Health(ctx)
		if fault.CodeOf(err) != fault.Unreachable {
			t.Errorf("%v", err)
		}
	})
	t.Run("says nothing until just before the context notices", func(t *testing.T) {
		_, path := listen(t)
		_, err := client.New(path).Health(tardy{t.Context(), time.Now().Add(50 * time.Millisecond)})
		if fault.CodeOf(err) != fault.Unreachable || !strings.Contains(fault.MessageOf(err), "did not answer in time") {
			t.Errorf("%v", err)
		}
	})
	t.Run("caller goes away", func(t *testing.T) {
		_, path := listen(t)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(50*time.Millisecond, cancel)
		start := time.Now()
		if _, err := client.New(path).Health(ctx); !errors.Is(err, context.Canceled) || time.Since(start) > 5*time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
	})
}

// tardy is a context that has a deadline and never gets round to ending.
type tardy struct {
	context.Context
	deadline time.Time
}

func (c tardy) Deadline() (time.Time, bool) { return c.deadline, true }

func TestNothingIsSentToASocketOfOthers(t *testing.T) {
	refuses := func(t *testing.T, spoil func(folder, socket string)) {
		t.Helper()
		l, path := listen(t)
		heard := make(chan []byte, 1)
		go func() {
			conn, err := l.Accept()
			if err != nil {
				heard <- nil
				return
			}
			data, _ := io.ReadAll(conn)
			heard <- data
		}()
		spoil(filepath.Dir(path), path)
		_, err := client.New(path).Token(t.Context(), wire.TokenRequest{Provider: "demo"})
		if fault.CodeOf(err) != fault.Forbidden || !strings.Contains(err.Error(), "nothing was sent") {
			t.Errorf("%v", err)
		}
		l.Close()
		if data := <-heard; len(data) > 0 {
			t.Errorf("sent %q", data)
		}
	}
	t.Run("CLI-01 folder that others may write", func(t *testing.T) {
		refuses(t, func(folder, _ string) { os.Chmod(folder, 0o770) })
	})
	t.Run("CLI-01 folder behind a link", func(t *testing.T) {
		refuses(t, func(folder, _ string) {
			os.Rename(folder, folder+".real")
			os.Symlink(folder+".real", folder)
		})
	})
	if os.Geteuid() == 0 { // only root can give things away
		t.Run("CLI-01 folder of another user", func(t *testing.T) {
			refuses(t, func(folder, _ string) { os.Chown(folder, 65534, 65534) })
		})
		t.Run("CLI-02 socket of another user", func(t *testing.T) {
			refuses(t, func(_, socket string) { os.Chown(socket, 65534, 65534) })
		})
	}
}

func TestEventsRing(t *testing.T) {
	release := make(chan struct{})
	c := answering(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for _, piece := range []string{"event: changed\ndata: {}\n\n", ": still here\n\n", "event: other\ndata: {}\n\n", "event: chan", "ged\r\ndata: {}\r\n\r\n"} {
			io.WriteString(w, piece)
			w.(http.Flusher).Flush()
			time.Sleep(2 * time.Millisecond)
		}
		<-release
	})
	rung := make(chan struct{}, 10)
	ended := make(chan error, 1)
	go func() { ended <- c.Events(t.Context(), func() { rung <- struct{}{} }) }()
	<-rung
	<-rung
	close(release)
	if err := <-ended; fault.CodeOf(err) != fault.Unreachable || len(rung) != 0 {
		t.Errorf("%v, %d more rings", err, len(rung))
	}
	t.Run("until the caller has enough", func(t *testing.T) {
		hold := make(chan struct{})
		defer close(hold)
		c := answering(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			io.WriteString(w, "event: changed\n\n")
			w.(http.Flusher).Flush()
			select {
			case <-hold:
			case <-r.Context().Done():
			}
		})
		ctx, cancel := context.WithCancel(t.Context())
		if err := c.Events(ctx, cancel); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
	t.Run("refused", func(t *testing.T) {
		c := saying(t, "HTTP/1.1 429 X\r\nContent-Type: application/problem+json\r\n\r\n"+`{"status":429,"detail":"Close one first.","code":"rate_limited"}`)
		if err := c.Events(t.Context(), func() { t.Error("rang") }); fault.CodeOf(err) != fault.RateLimited {
			t.Error(err)
		}
	})
}
