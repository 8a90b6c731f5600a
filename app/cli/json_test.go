package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// rightUsage has, for every command, arguments that it can do something with.
// A command that is missing here fails the test.
var rightUsage = map[string][]string{
	"connect":             {"demo"},
	"status":              {},
	"watch":               {},
	"activity":            {},
	"token":               {"demo"},
	"request":             {"https://api.example/x", "--provider", "demo"},
	"ping":                {"demo"},
	"disconnect":          {"demo"},
	"cancel":              {"handle1"},
	"paste":               {"handle1"},
	"confirm":             {"handle1"},
	"providers list":      {},
	"providers mcp":       {},
	"providers get":       {"demo"},
	"providers register":  {"own", "--issuer", "https://id.example"},
	"providers import":    {"testdata/forge.yaml", "--yes"},
	"providers update":    {"demo", "--scopes", "a"},
	"providers delete":    {"demo"},
	"apps list":           {},
	"apps get":            {"--provider", "github"},
	"apps upsert":         {"--provider", "github", "--client-id", "Iv1"},
	"apps import":         {"testdata/client.json"},
	"apps delete":         {"app_1"},
	"gateway add":         {"https://gateway.example"},
	"gateway check":       {},
	"gateway remove":      {},
	"gateway":             nil,
	"open":                {},
	"ui":                  {},
	"quit":                {},
	"pause":               {},
	"resume":              {},
	"lock":                {},
	"unlock":              {},
	"protector":           {},
	"export":              {"x.age", "--passphrase-file", "testdata/passphrase"},
	"import":              {"x.age", "--passphrase-file", "testdata/passphrase"},
	"doctor":              {},
	"version":             {},
	"completion":          {"bash"},
	"help":                {"token"},
	"providers":           nil, // groups: naming nothing is wrong usage
	"apps":                nil,
	"keyturn (by itself)": nil,
}

// needsNobody are the commands that work while Keyturn does not run.
var needsNobody = map[string]bool{"version": true, "completion": true, "help": true, "providers": true, "apps": true, "gateway": true, "keyturn (by itself)": true}

// paths lists every command of the tree.
func paths(cmd *cobra.Command) []string {
	var all []string
	for _, c := range cmd.Commands() {
		all = append(all, strings.TrimPrefix(c.CommandPath(), "keyturn "))
		all = append(all, paths(c)...)
	}
	return all
}

// ran is what a run of the command line left behind.
type ran struct {
	stdout, stderr string
	code           int
}

// here runs the command line in this process. Standard output and standard
// error are files behind os.Stdout and os.Stderr: whatever is written there by
// whatever code counts.
func here(t *testing.T, prepare func(*command), args ...string) ran {
	t.Helper()
	files := [2]*os.File{}
	for i := range files {
		f, err := os.Create(filepath.Join(t.TempDir(), "out"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		files[i] = f
	}
	stdout, stderr := os.Stdout, os.Stderr
	os.Stdout, os.Stderr = files[0], files[1]
	k := &command{in: strings.NewReader("http://127.0.0.1/?code=a&state=b\n"), out: os.Stdout, err: os.Stderr}
	if prepare != nil {
		prepare(k)
	}
	code := k.run(args)
	os.Stdout, os.Stderr = stdout, stderr
	says := [2]string{}
	for i, f := range files {
		data, err := os.ReadFile(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		says[i] = string(data)
	}
	return ran{says[0], says[1], code}
}

// beside puts a fake app at the socket that the environment names, without a
// display: nothing is opened.
func beside(t *testing.T) *fakeApp {
	t.Helper()
	run, err := os.MkdirTemp("", "kt")
	if err != nil {
		t.Fatal(err)
	}
	app := newFakeApp(filepath.Join(run, "run", "s"))
	t.Cleanup(func() {
		app.stop()
		os.RemoveAll(run)
	})
	t.Setenv("KEYTURN_SOCKET", app.socket)
	for _, name := range []string{"DISPLAY", "WAYLAND_DISPLAY", "BROWSER", "SSH_CONNECTION"} {
		t.Setenv(name, "")
	}
	return app
}

func TestEveryCommandAnswersWithOneJSONValue(t *testing.T) {
	app := beside(t)
	all := append(paths((&command{}).root("")), "keyturn (by itself)")
	for _, path := range all {
		usage, listed := rightUsage[path]
		if !listed {
			t.Errorf("keyturn %s is not in the table", path)
			continue
		}
		var words []string
		if path != "keyturn (by itself)" {
			words = strings.Fields(path)
		}
		right := append(append([]string{}, words...), usage...)
		isGroup := usage == nil

		check := func(state string, codes string, args ...string) {
			t.Helper()
			for _, args := range [][]string{append([]string{"--json"}, args...), append(append([]string{}, args...), "--json")} {
				r := here(t, nil, args...)
				v, err := oneValue([]byte(r.stdout))
				if err != nil {
					t.Errorf("%s: keyturn %q: %v\n%s", state, args, err, r.stderr)
					continue
				}
				if v["ok"] != (r.code == 0) || !strings.Contains(codes, string(rune('0'+r.code))) {
					t.Errorf("%s: keyturn %q: exit code %d with %s", state, args, r.code, r.stdout)
				}
				if strings.ContainsAny(r.stdout+r.stderr, "\x1b") || strings.Contains(r.stdout+r.stderr, "raw body") || strings.Contains(strings.ToLower(r.stdout+r.stderr), "daemon") {
					t.Errorf("%s: keyturn %q says what it must not: %s %s", state, args, r.stdout, r.stderr)
				}
			}
		}

		fails := "1"
		if needsNobody[path] {
			fails = "0"
		}
		if isGroup {
			fails = "2"
		}
		app.stop()
		check("not running", fails, right...)
		check("unknown flag", "2", append(append([]string{}, words...), "--no-such-flag")...)
		check("help", "0", append(append([]string{}, words...), "--help")...)
		if isGroup {
			check("unknown command", "2", append(append([]string{}, words...), "no-such-command")...)
			continue
		}
		check("too many arguments", "2", append(append([]string{}, right...), "x", "y")...)
		if len(usage) > 0 && path != "help" {
			check("missing arguments", "2", words...)
		}
		if err := app.start(); err != nil {
			t.Fatal(err)
		}
		for _, state := range []string{"problem", "html", "half"} {
			app.changed(func() { app.all = state })
			check("app answers "+state, fails, right...)
		}
		app.changed(func() {
			app.all, app.attempts, app.apps = "", nil, nil
			app.connections = append(app.connections[:0], connectionAs("ada"), connectionAs("bob"))
		})
		if path != "watch" && path != "token" { // a stream; and ambiguous on purpose
			app.changed(func() { app.apps = append(app.apps, fakeOAuthApp) })
			check("fine", "0", right...)
		}
	}
}

func TestNothingEverColours(t *testing.T) {
	app := beside(t)
	if err := app.start(); err != nil {
		t.Fatal(err)
	}
	hostile := "\x1b]0;pwn\x07\u009b31mada\r\nforged"
	app.changed(func() {
		app.connections = append(app.connections, connectionAs(hostile))
		app.apps = append(app.apps, fakeOAuthApp)
		app.apps[0].ClientID = hostile
		app.checks[0].Says = hostile
	})
	for _, colour := range []string{"", "1"} {
		t.Setenv("NO_COLOR", colour)
		t.Setenv("CLICOLOR_FORCE", "1")
		for _, terminal := range []bool{false, true} {
			for path, usage := range rightUsage {
				if path == "watch" || path == "quit" {
					continue
				}
				r := here(t, func(k *command) { k.terminal = terminal }, append(strings.Fields(strings.TrimSuffix(path, " (by itself)")), usage...)...)
				if i := strings.IndexAny(r.stdout+r.stderr, "\x1b\x07\u009b\r"); i >= 0 {
					t.Errorf("CLI-10 keyturn %s: %q %q", path, r.stdout, r.stderr)
				}
			}
		}
	}
}

func TestProgressIsForSomebodyWhoWatches(t *testing.T) {
	app := beside(t)
	if err := app.start(); err != nil {
		t.Fatal(err)
	}
	r := here(t, func(k *command) { k.terminal = true }, "connect", "demo")
	if r.code != 0 || strings.Count(r.stderr, "Waiting for you to approve") != 1 {
		t.Errorf("%+v", r)
	}
	for _, args := range [][]string{{"connect", "demo", "--json"}, {"connect", "demo"}} {
		app.changed(func() { app.attempts = nil })
		terminal := len(args) == 3
		r := here(t, func(k *command) { k.terminal = terminal }, args...)
		if r.code != 0 || strings.Contains(r.stderr, "Waiting") {
			t.Errorf("%q: %+v", args, r)
		}
	}
}

func TestJSONIsTakenWhereverItStands(t *testing.T) {
	for _, tt := range []struct {
		args, rest string
		json       bool
	}{
		{"token demo", "token demo", false},
		{"--json token demo", "token demo", true},
		{"token --json demo", "token demo", true},
		{"token demo --json=true", "token demo", true},
		{"token demo --json --json=false", "token demo", false},
		{"token -- --json", "token -- --json", false},
		{"__complete token --json", "__complete token --json", false},
	} {
		k := &command{}
		rest, err := k.takeJSON(strings.Fields(tt.args))
		if err != nil || strings.Join(rest, " ") != tt.rest || k.json != tt.json {
			t.Errorf("%s: %q, %v, %v", tt.args, rest, k.json, err)
		}
	}
}
