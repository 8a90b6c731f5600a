package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"go.uber.org/goleak"

	"keyturn/backend/api"
	"keyturn/backend/api/wire"
	"keyturn/backend/client"
	"keyturn/backend/fault"
	"keyturn/backend/place"
	"keyturn/backend/socket"
	"keyturn/backend/store"
)

// home points the environment to an empty home of the test's own, without a
// desktop around it.
func home(t *testing.T) place.Places {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("KEYTURN_HOME", dir)
	t.Setenv("KEYTURN_SOCKET", "")
	t.Setenv("KEYTURN_KEY_FILE", filepath.Join(dir, "key"))
	t.Setenv("KEYTURN_PASSPHRASE_FILE", "")
	t.Setenv("XDG_RUNTIME_DIR", dir)
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent/bus")
	for _, name := range []string{"DISPLAY", "WAYLAND_DISPLAY", "BROWSER"} {
		t.Setenv(name, "")
	}
	p, err := place.Find()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// process is the program as a process of its own.
type process struct {
	*exec.Cmd
	said  bytes.Buffer
	ended chan struct{} // closed when it has ended
}

func begin(t *testing.T, args ...string) *process {
	t.Helper()
	p := &process{Cmd: exec.Command(os.Args[0], args...), ended: make(chan struct{})}
	p.Env = append(os.Environ(), "KEYTURN_TEST_PROGRAM=1")
	p.Stdout, p.Stderr = &p.said, &p.said
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { _ = p.Wait(); close(p.ended) }()
	t.Cleanup(func() { _ = p.Process.Kill(); <-p.ended })
	return p
}

// answers waits until Keyturn answers.
func answers(t *testing.T, p place.Places) (*client.Client, wire.Health) {
	t.Helper()
	c := client.New(p.Socket)
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if health, err := c.Health(t.Context()); err == nil {
			return c, health
		}
		if time.Now().After(end) {
			t.Fatal("Keyturn does not answer")
		}
	}
}

func TestOfTwentyStartsOneLives(t *testing.T) {
	t.Run("PR-02", func(t *testing.T) {
		p := home(t)
		var all []*process
		for range 20 {
			all = append(all, begin(t))
		}
		ended := make(chan *process)
		for _, one := range all {
			go func() { <-one.ended; ended <- one }()
		}
		for range 19 {
			one := receive(t, "the end of all but one", ended)
			if code := one.ProcessState.ExitCode(); code != 1 || !strings.Contains(one.said.String(), "running already") {
				t.Errorf("exit %d: %s", code, one.said.String())
			}
		}
		c, health := answers(t, p)
		if err := c.Quit(t.Context()); err != nil {
			t.Fatal(err)
		}
		if last := receive(t, "the end of the last", ended); last.Process.Pid != health.PID || last.ProcessState.ExitCode() != 0 {
			t.Errorf("process %d answered, %d lived and ended with %d", health.PID, last.Process.Pid, last.ProcessState.ExitCode())
		}
	})
}

func TestAProgramThatWasKilledIsNoObstacle(t *testing.T) {
	p := home(t)
	first := begin(t)
	answers(t, p)
	_ = first.Process.Kill()
	<-first.ended
	begin(t)
	if _, health := answers(t, p); health.PID == first.Process.Pid {
		t.Error("a dead process answers")
	}
}

func TestTakingOverEndsTheOther(t *testing.T) {
	p := home(t)
	first := begin(t)
	answers(t, p)
	second := begin(t, "--take-over")
	<-first.ended
	if _, health := answers(t, p); health.PID != second.Process.Pid || first.ProcessState.ExitCode() != 0 {
		t.Errorf("process %d answers, want %d; the first ended with %d", health.PID, second.Process.Pid, first.ProcessState.ExitCode())
	}
}

// TestADesktopMeetsWhoeverRuns: the holder of the data folder is played by a
// real API that says which program it is.
func TestADesktopMeetsWhoeverRuns(t *testing.T) {
	for _, tt := range []struct {
		name, holder, starter string
		window, silent        bool
		wantErr               error
		says                  string
	}{
		{name: "PR-01 a desktop shows its window", holder: "desktop", starter: "desktop", window: true, wantErr: errShown},
		{name: "a desktop without a display cannot", holder: "desktop", starter: "desktop", says: "--take-over"},
		{name: "headless has none", holder: "headless", starter: "desktop", says: "--take-over"},
		{name: "headless shows nothing", holder: "desktop", starter: "headless", window: true, says: "running already"},
		{name: "PR-01 the holder does not answer", starter: "desktop", silent: true, says: "does not answer"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := home(t)
			release, err := store.Lock(p.Data)
			if err != nil {
				t.Fatal(err)
			}
			defer release()
			shown := make(chan string, 1)
			if !tt.silent {
				opts := api.Options{Program: tt.holder, Log: discard}
				if tt.window {
					opts.Show = func(view string) error { shown <- view; return nil }
				}
				l, err := socket.Listen(p.Socket)
				if err != nil {
					t.Fatal(err)
				}
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan error, 1)
				go func() { done <- api.New(opts).Serve(ctx, l) }()
				defer func() { cancel(); <-done }()
			}
			ctx := t.Context()
			if tt.silent {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, 200*time.Millisecond)
				defer cancel()
			}
			_, err = alone(ctx, p, tt.starter, false, io.Discard)
			if tt.wantErr != nil {
				if err != tt.wantErr {
					t.Fatal(err)
				}
				if view := receive(t, "the window", shown); view != ViewConnections {
					t.Errorf("showed %q", view)
				}
				return
			}
			if fault.CodeOf(err) != fault.Conflict || !strings.Contains(fault.MessageOf(err), tt.says) {
				t.Errorf("%v, want %q", err, tt.says)
			}
			if len(shown) > 0 {
				t.Error("the window was shown all the same")
			}
		})
	}
}

// TestATerminatedProgramEndsInTimeAndLeavesNothingBehind: five attempts are
// pending and one authorization code is on its way to a token endpoint that
// does not answer.
func TestATerminatedProgramEndsInTimeAndLeavesNothingBehind(t *testing.T) {
	t.Run("PR-05", func(t *testing.T) {
		asked := make(chan struct{}, 1)
		held := make(chan struct{})
		as := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked <- struct{}{}
			<-held
		}))
		defer as.Close()
		defer close(held)

		p := home(t)
		program := begin(t)
		c, _ := answers(t, p)
		var urls []string
		for _, id := range []string{"one", "two", "three"} {
			_, err := c.RegisterProvider(t.Context(), wire.ProviderRegister{
				ProviderKey: id, AuthURL: as.URL + "/authorize", TokenURL: as.URL + "/token", AllowLoopbackHTTP: true,
			})
			if err == nil {
				_, err = c.UpsertApp(t.Context(), wire.AppUpsert{Provider: id, ClientID: "me", NoClientSecret: true})
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, hint := range []string{"ada", "grace"} {
				started, err := c.Connect(t.Context(), wire.ConnectStart{Service: id, AccountHint: hint})
				if err != nil {
					t.Fatal(err)
				}
				urls = append(urls, started.AuthURL)
			}
		}
		u, _ := url.Parse(urls[0])
		callback := u.Query().Get("redirect_uri") + "?code=x&state=" + u.Query().Get("state")
		go func() {
			if res, err := http.Get(callback); err == nil {
				res.Body.Close()
			}
		}()
		receive(t, "the code at the token endpoint", asked)

		start := time.Now()
		_ = program.Process.Signal(syscall.SIGTERM)
		receive(t, "the end", program.ended)
		if took := time.Since(start); took > stopLimit || program.ProcessState.ExitCode() != 0 {
			t.Errorf("ended with %d after %v: %s", program.ProcessState.ExitCode(), took, program.said.String())
		}
		if exists(p.Socket) {
			t.Error("the socket was left behind")
		}
		for _, raw := range urls {
			u, _ := url.Parse(raw)
			r, _ := url.Parse(u.Query().Get("redirect_uri"))
			if conn, err := net.Dial("tcp", r.Host); err == nil {
				conn.Close()
				t.Errorf("%s is still listened on", r.Host)
			}
		}
		log, err := os.ReadFile(p.Log)
		if err != nil || !strings.Contains(string(log), "msg=stop") {
			t.Errorf("the log does not say that it stopped: %v", err)
		}
		for _, raw := range urls {
			u, _ := url.Parse(raw)
			for _, secret := range []string{u.Query().Get("state"), u.Query().Get("code_challenge")} {
				if strings.Contains(string(log)+program.said.String(), secret) {
					t.Error("LG-01 a state or a challenge is in the log")
				}
			}
		}
	})
}

func TestStartAndStopLeaveNothingRunning(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent(), goleak.Cleanup(func(int) { http.DefaultClient.CloseIdleConnections() }))
	p := home(t)
	for range 3 {
		ctx, cancel := context.WithCancel(t.Context())
		var out lockedBuffer
		done := make(chan error, 1)
		go func() { done <- New(Options{Dist: fstest.MapFS{}, Out: &out}, p).Run(ctx) }()
		c, health := answers(t, p)
		if health.Program != program || health.PID != os.Getpid() {
			t.Errorf("%+v", health)
		}
		storeIsOpen(t, c) // the socket answers before the store does
		checks, err := c.Diagnosis(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		status := map[string]string{}
		for _, check := range checks {
			status[check.Name] = check.Status
			if check.Says == "" || !strings.HasSuffix(check.Says, ".") {
				t.Errorf("%s says %q, which is no sentence", check.Name, check.Says)
			}
		}
		for name, want := range map[string]string{
			"store": "ok", "settings": "ok", "log": "ok", "window": "missing",
			"session bus": "missing", "tray": "missing", "notifications": "missing", "app's browser": "missing",
		} {
			if status[name] != want {
				t.Errorf("%s is %q, want %q: %+v", name, status[name], want, checks)
			}
		}
		cancel()
		if err := receive(t, "the end", done); err != nil {
			t.Error(err)
		}
		if lines := strings.Count(out.String(), "\n"); lines < 1 || lines > 3 {
			t.Errorf("%d lines at the start, want two or three calm ones:\n%s", lines, out.String())
		}
	}
	if exists(p.Socket) {
		t.Error("the socket was left behind")
	}
}

// lockedBuffer is a buffer that a test may read while the program writes.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestAnInterruptedStartGivesBackWhatItTook(t *testing.T) {
	p := home(t)
	if err := os.MkdirAll(filepath.Dir(p.Socket), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Dir(p.Socket), 0o777); err != nil {
		t.Fatal(err)
	}
	err := New(Options{Out: io.Discard}, p).Run(t.Context())
	if err == nil || !strings.Contains(sentence(err), "chmod 700") {
		t.Errorf("a socket folder for everybody: %v", err)
	}
	release, err := store.Lock(p.Data)
	if err != nil {
		t.Fatalf("the data folder was kept: %v", err)
	}
	release()
}

func TestABrokenSettingsFileIsToldAndNotWrittenOver(t *testing.T) {
	p := home(t)
	if err := os.MkdirAll(filepath.Dir(p.Config), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p.Config, []byte("callback_prot = 1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- New(Options{Out: io.Discard}, p).Run(ctx) }()
	defer func() { cancel(); <-done }()
	c, _ := answers(t, p)
	settings, err := c.Settings(t.Context())
	if err != nil || settings.CallbackPort != 27419 {
		t.Errorf("%+v %v", settings, err)
	}
	if _, err := c.SaveSettings(t.Context(), wire.Settings{CallbackPort: 5000}); fault.CodeOf(err) != fault.BadRequest {
		t.Errorf("saved over a file that was not understood: %v", err)
	}
	checks, err := c.Diagnosis(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if told, _ := json.Marshal(checks); !strings.Contains(string(told), "Line 1 of the settings file") {
		t.Errorf("%s", told)
	}
	if data, _ := os.ReadFile(p.Config); string(data) != "callback_prot = 1\n" {
		t.Errorf("the file is now %q", data)
	}
}

func TestTheCallbackPortIsTaken(t *testing.T) {
	p := home(t)
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port
	if err := os.MkdirAll(filepath.Dir(p.Config), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p.Config, fmt.Appendf(nil, "callback_port = %d\n", port), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- New(Options{Out: io.Discard}, p).Run(ctx) }()
	defer func() { cancel(); <-done }()
	c, _ := answers(t, p)
	checks, err := c.Diagnosis(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, check := range checks {
		if check.Name == "callback port" && (check.Status != "failed" || !strings.Contains(check.Says, fmt.Sprint(port))) {
			t.Errorf("%+v", check)
		}
	}
}

// storeIsOpen waits until the store has been read.
func storeIsOpen(t *testing.T, c *client.Client) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		all, err := c.Connections(t.Context())
		if err == nil && all.Store == "" {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the store is not open: %+v %v", all, err)
		}
	}
}
