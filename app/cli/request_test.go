package main

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"keyturn/backend/api/wire"
)

// request is POST /v1/request of the fake app. What the provider answers is in
// the path that is asked for:
//
//	/echo           what was sent
//	/status/N       that status, and a body
//	/bytes          no text
//	/cut            half an answer
//	/hang           nothing, ever
//	/drip           something for as long as somebody reads
//	/long           200 MiB
//	/again          401 until the request comes again
//	/note           401 and a note
//	/hostile        headers that would move a cursor
func (a *fakeApp) request(w http.ResponseWriter, r *http.Request, sent []byte) {
	var in wire.StreamRequest
	json.Unmarshal([]byte(r.Header.Get(wire.RequestHeader)), &in)
	u, _ := url.Parse(in.URL)
	if u == nil || u.Host != "api.example" {
		problem(w, 403, "host_not_allowed", "Tokens of Demo are not sent to that host, so nothing was sent.")
		return
	}
	say := func(out wire.StreamAnswer, body string) {
		if out.Headers == nil {
			out.Headers = map[string][]string{"content-type": {"text/plain"}, "x-two": {"1", "2"}}
		}
		head, _ := wire.InHeader(out)
		w.Header().Set("Content-Type", "application/octet-stream")
		w.Header().Set(wire.ResponseHeader, head)
		io.WriteString(w, body)
	}
	status := wire.StreamAnswer{AnswerHead: wire.AnswerHead{Status: 200}}
	switch {
	case u.Path == "/echo":
		say(status, string(sent))
	case strings.HasPrefix(u.Path, "/status/"):
		status.Status, _ = strconv.Atoi(strings.TrimPrefix(u.Path, "/status/"))
		say(status, "says "+strconv.Itoa(status.Status)+"\n")
	case u.Path == "/bytes":
		say(status, "\x00\xff\x1b[31m\r\n")
	case u.Path == "/cut":
		w.Header().Set("Content-Length", "100")
		say(status, "half")
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	case u.Path == "/hang":
		<-r.Context().Done()
	case u.Path == "/drip", u.Path == "/long":
		say(status, "")
		for n := 0; r.Context().Err() == nil && (u.Path == "/drip" || n < 200<<20); n += 64 << 10 {
			if _, err := w.Write(make([]byte, 64<<10)); err != nil {
				return
			}
		}
	case u.Path == "/again" && !in.Again:
		status.Status, status.Again = 401, true
		say(status, "stale")
	case u.Path == "/note":
		status.Status, status.Note, status.Code = 401, "Demo has ended the grant. Connect again with: keyturn connect demo", "needs_reconnect"
		say(status, "stale")
	case u.Path == "/hostile":
		status.Headers = map[string][]string{"x-evil": {"\x1b]0;pwn\x07\u009b31m\nforged: yes"}}
		say(status, "")
	default:
		say(status, "hello\n")
	}
}

func TestCtrlCStopsARequestAtOnce(t *testing.T) {
	app := beside(t)
	if err := app.start(); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GORACE", unhurried)
	for name, prepare := range map[string]func(*testing.T, *exec.Cmd){
		"/hang": nil,
		"/drip": func(t *testing.T, cmd *exec.Cmd) { // to a reader that does not read
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { r.Close(); w.Close() })
			cmd.Stdout = w
		},
		"/echo": func(t *testing.T, cmd *exec.Cmd) { // from a writer that does not write
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { r.Close(); w.Close() })
			cmd.Stdin, cmd.Args = r, append(cmd.Args, "--data-binary", "@-")
		},
		"/drip?o": func(t *testing.T, cmd *exec.Cmd) { cmd.Args = append(cmd.Args, "-o", "out") },
	} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command("keyturn", "request", "https://api.example"+name, "--provider", "demo")
			cmd.Dir = t.TempDir()
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			if prepare != nil {
				prepare(t, cmd)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(300 * time.Millisecond)
			cmd.Process.Signal(os.Interrupt)
			start := time.Now()
			cmd.Wait()
			if d := time.Since(start); d > 2*time.Second || cmd.ProcessState.ExitCode() != exitFailed || !strings.Contains(stderr.String(), "Stopped") {
				t.Errorf("exit %d after %v: %s", cmd.ProcessState.ExitCode(), d, stderr.String())
			}
			if left, _ := os.ReadDir(cmd.Dir); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func TestAFileIsThereWholeOrNotAtAll(t *testing.T) {
	app := beside(t)
	if err := app.start(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	old := filepath.Join(dir, "old")
	link := filepath.Join(dir, "link")
	if err := os.WriteFile(old, []byte("as it was"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(old, link); err != nil {
		t.Fatal(err)
	}
	holds := func(name, want string) {
		t.Helper()
		if data, err := os.ReadFile(name); err != nil || string(data) != want {
			t.Errorf("%s: %q %v", name, data, err)
		}
	}
	if r := here(t, nil, "request", "https://api.example/cut", "--provider", "demo", "-o", old); r.code != 1 || !strings.Contains(r.stderr, "broke off") {
		t.Errorf("%+v", r)
	}
	holds(old, "as it was")
	if r := here(t, nil, "request", "https://api.example/x", "--provider", "demo", "-o", link); r.code != 0 || r.stdout != "" {
		t.Errorf("%+v", r)
	}
	holds(old, "hello\n")
	if info, _ := os.Lstat(link); info.Mode()&os.ModeSymlink == 0 {
		t.Error("the link is gone")
	}
	if info, _ := os.Stat(old); info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v", info.Mode())
	}
	// A file that cannot be written is found out before anything is sent.
	asked := len(app.asked)
	for _, path := range []string{dir, filepath.Join(dir, "no", "such", "folder")} {
		if r := here(t, nil, "request", "https://api.example/x", "--provider", "demo", "-d", "x", "-o", path); r.code != 1 || len(app.asked) != asked {
			t.Errorf("%s: %+v, asked %q", path, r, app.asked[asked:])
		}
	}
	if left, _ := os.ReadDir(dir); len(left) != 2 {
		t.Errorf("left behind: %v", left)
	}
}

func TestWhatIsLongSaysHowFarItIs(t *testing.T) {
	var b bytes.Buffer
	k := &command{out: io.Discard, err: &b, terminal: true}
	m := k.newMeter(output{file: "x"})
	m.expect(4 << 20)
	body := m.received(bytes.NewReader(make([]byte, 1<<20)))
	body.Read(make([]byte, 10))
	if b.Len() > 0 {
		t.Errorf("too early: %q", &b)
	}
	m.began = m.began.Add(-meterAfter)
	io.ReadAll(body)
	m.end()
	if !strings.HasPrefix(b.String(), "\rReceived ") || !strings.Contains(b.String(), " of 4.0 MiB") || !strings.HasSuffix(b.String(), "\n") {
		t.Errorf("%q", &b)
	}
	for name, quiet := range map[string]*meter{
		"silent":         k.newMeter(output{file: "x", silent: true}),
		"nobody watches": (&command{out: io.Discard, err: &b}).newMeter(output{file: "x"}),
		"JSON was asked": (&command{out: io.Discard, err: &b, terminal: true, json: true}).newMeter(output{file: "x"}),
	} {
		if quiet.err != nil {
			t.Errorf("%s: shows progress", name)
		}
	}
}
