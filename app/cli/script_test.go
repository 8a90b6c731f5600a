package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"keyturn/backend/api/wire"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"keyturn": func() { os.Exit(keyturn()) },
	})
}

// unhurried keeps a process built with -race from waiting a second before it
// ends.
const unhurried = "atexit_sleep_ms=0"

// The transcripts in testdata are what people and programs see. Beside the
// commands of testscript they have:
//
//	app start | stop | restart     the Keyturn at the other end of the socket
//	app person WORD                what the person at the browser does
//	app drop N                     the next N looks at a status get no answer
//	app event JSON                 this happened, now when it does not say when
//	app set token|pinged|store|recording|check|host|ways|all VALUE
//	app connected ACCOUNT          there is a connection
//	app asked REGEXP               it was asked this; waits a moment for it
//	says MEMBER=VALUE …            stdout is exactly one JSON value with these
//	exits CODE COMMAND …           the exact exit code
func TestTranscripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			run, err := os.MkdirTemp("", "kt") // a socket's path is short
			if err != nil {
				return err
			}
			app := newFakeApp(filepath.Join(run, "run", "s"))
			env.Defer(func() {
				app.stop()
				os.RemoveAll(run)
			})
			env.Values["app"] = app
			bin := filepath.Join(env.WorkDir, "bin")
			if err := os.Mkdir(bin, 0o755); err != nil {
				return err
			}
			opener := fmt.Sprintf("#!/bin/sh\necho \"$@\" >>%[1]s/opened\nenv >%[1]s/environment\necho chatter\necho chatter >&2\n", env.WorkDir)
			if err := os.WriteFile(filepath.Join(bin, "xdg-open"), []byte(opener), 0o755); err != nil {
				return err
			}
			env.Setenv("PATH", bin+string(os.PathListSeparator)+env.Getenv("PATH"))
			env.Setenv("HOME", filepath.Join(env.WorkDir, "home"))
			env.Setenv("KEYTURN_SOCKET", app.socket)
			env.Setenv("RUN", filepath.Dir(app.socket))
			env.Setenv("DISPLAY", ":99")
			env.Setenv("TZ", "UTC")
			env.Setenv("GORACE", unhurried)
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"app":   scriptApp,
			"says":  scriptSays,
			"exits": scriptExits,
		},
	})
}

func scriptApp(ts *testscript.TestScript, neg bool, args []string) {
	app := ts.Value("app").(*fakeApp)
	if len(args) == 0 {
		ts.Fatalf("usage: app WORD …")
	}
	rest := args[1:]
	switch args[0] {
	case "start":
		ts.Check(app.start())
	case "stop":
		app.stop()
	case "restart": // attempts live in memory only
		app.stop()
		app.changed(func() { app.attempts = nil })
		ts.Check(app.start())
	case "person":
		app.changed(func() { app.person = rest[0] })
	case "drop":
		n, err := strconv.Atoi(rest[0])
		ts.Check(err)
		app.changed(func() { app.drop = n })
	case "connected":
		app.changed(func() { app.connections = append(app.connections, connectionAs(unquote(ts, rest[0]))) })
	case "event":
		var e wire.Event
		ts.Check(json.Unmarshal([]byte(rest[0]), &e))
		app.changed(func() {
			if e.At.IsZero() {
				e.At = time.Now().UTC()
			}
			e.ID = uint64(len(app.happened) + 1)
			e.Count = max(1, e.Count)
			app.happened = append(app.happened, e)
		})
	case "set":
		value := unquote(ts, rest[1])
		app.changed(func() {
			switch rest[0] {
			case "token":
				app.token = value
			case "pinged":
				app.pinged, _ = strconv.Atoi(value)
			case "store":
				app.store = value
			case "recording":
				app.notRecorded = value != "on"
			case "host":
				app.host = value
			case "ways":
				app.ways = strings.Split(value, ",")
			case "check":
				app.checks[0].Status = value
			case "all":
				app.all = value
			default:
				ts.Fatalf("app set %s", rest[0])
			}
		})
	case "asked":
		pattern := regexp.MustCompile(rest[0])
		deadline := time.Now().Add(5 * time.Second)
		for !neg && !app.wasAsked(pattern) && time.Now().Before(deadline) {
			time.Sleep(10 * time.Millisecond)
		}
		if app.wasAsked(pattern) == neg {
			ts.Fatalf("asked: %q", app.asked)
		}
	default:
		ts.Fatalf("app %s", args[0])
	}
}

// unquote reads escapes, so that a transcript can name a hostile account.
func unquote(ts *testscript.TestScript, s string) string {
	out, err := strconv.Unquote(`"` + s + `"`)
	ts.Check(err)
	return out
}

func scriptSays(ts *testscript.TestScript, _ bool, args []string) {
	v, err := oneValue([]byte(ts.ReadFile("stdout")))
	if err != nil {
		ts.Fatalf("%v", err)
	}
	for _, arg := range args {
		name, want, _ := strings.Cut(arg, "=")
		got, there := v[name]
		data, _ := json.Marshal(got)
		if !there && want != "" || there && strings.Trim(string(data), `"`) != want && string(data) != want {
			ts.Fatalf("%s is %s, want %s", name, data, want)
		}
	}
}

// oneValue is the one JSON object that data is, on one line.
func oneValue(data []byte) (map[string]any, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var v map[string]any
	if err := d.Decode(&v); err != nil {
		return nil, fmt.Errorf("not a JSON object: %q", data)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, fmt.Errorf("more than one JSON value: %q", data)
	}
	if bytes.Count(data, []byte("\n")) != 1 || !bytes.HasSuffix(data, []byte("\n")) {
		return nil, fmt.Errorf("not one line: %q", data)
	}
	if ok, isBool := v["ok"].(bool); !isBool {
		return nil, fmt.Errorf("no ok: %q", data)
	} else if code, _ := v["code"].(string); !ok && (code == "" || v["error"] == nil || v["error"] == "") {
		return nil, fmt.Errorf("a failure without code and error: %q", data)
	}
	return v, nil
}

func scriptExits(ts *testscript.TestScript, _ bool, args []string) {
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	if err != nil {
		exit, ok := err.(interface{ ExitCode() int })
		if !ok {
			ts.Fatalf("%v", err)
		}
		code = exit.ExitCode()
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("exit code %d, want %s", code, args[0])
	}
}
