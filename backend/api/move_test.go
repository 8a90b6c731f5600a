package api_test

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"

	"keyturn/backend/activity"
	"keyturn/backend/api"
	"keyturn/backend/api/wire"
	"keyturn/backend/fault"
	"keyturn/backend/orchestrator"
)

const movingWords = "correct horse battery"

func TestEverythingMovesInOneSealedFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "k.age")
	old := newWorld(t, setup{connections: []orchestrator.Record{granted(adaID, "ada"), granted("con_00000000000000bb", "grace")}})
	var out wire.Exported
	if status, problem := old.call(t, api.Local, "POST", "/v1/export", wire.Export{Path: file, Passphrase: movingWords}, &out); status != 200 {
		t.Fatalf("%d %+v", status, problem)
	}
	if len(out.Connections) != 2 || len(out.Rotating) != 2 || out.Moved || out.Path != file {
		t.Errorf("%+v", out)
	}
	mustNotHold(t, "the answer", textOf(t, out), "canary", movingWords)
	sealed, err := os.ReadFile(file)
	must(t, err)
	mustNotHold(t, "the file", string(sealed), "canary", "ada", movingWords)
	mustNotHold(t, "the log", old.log.String(), "canary", movingWords)
	cheap := encrypted(t, decrypted(t, sealed)) // the same, at less cost for each of the tries below
	cheapFile := filepath.Join(t.TempDir(), "cheap.age")
	must(t, os.WriteFile(cheapFile, cheap, 0o600))

	t.Run("what cannot be written is refused", func(t *testing.T) {
		for _, tt := range []struct {
			path, words string
			code        fault.Code
		}{
			{"k.age", movingWords, fault.BadRequest},
			{file + "2", "short", fault.BadRequest},
			{filepath.Join(filepath.Dir(file), "none", "k.age"), movingWords, fault.NotFound},
		} {
			_, problem := old.call(t, api.Local, "POST", "/v1/export", wire.Export{Path: tt.path, Passphrase: tt.words, Move: true}, nil)
			if problem.Code != string(tt.code) || len(old.store.Contents().Connections) != 2 {
				t.Errorf("%s: %+v", tt.path, problem)
			}
		}
	})
	t.Run("what is there is not overwritten", func(t *testing.T) {
		status, problem := old.call(t, api.Local, "POST", "/v1/export", wire.Export{Path: file, Passphrase: movingWords, Move: true}, nil)
		if status != 409 || problem.Code != string(fault.Conflict) || len(old.store.Contents().Connections) != 2 {
			t.Errorf("%d %+v", status, problem)
		}
	})
	t.Run("a file that does not open changes nothing", func(t *testing.T) { refusals(t, cheap) })
	t.Run("an error in the middle says what came before", func(t *testing.T) {
		w := newWorld(t, setup{})
		w.store.FailSavesAfter(1, fault.New(fault.DiskFull, "The disk is full."))
		status, problem := w.call(t, api.Local, "POST", "/v1/import", wire.Import{Path: cheapFile, Passphrase: movingWords}, nil)
		if status < 400 || problem.Code != string(fault.DiskFull) || !strings.Contains(problem.Detail, "1 connection, ") {
			t.Errorf("%d %+v", status, problem)
		}
		if n := len(w.activity.Recent(activity.Query{})); n != 1 {
			t.Errorf("%d events", n)
		}
	})
	t.Run("the way out and in is recorded", func(t *testing.T) {
		w := newWorld(t, setup{})
		client, _ := w.serve(t)
		second := filepath.Join(t.TempDir(), "second.age")
		for _, ask := range []struct {
			path string
			body any
		}{
			{"/v1/import", wire.Import{Path: cheapFile, Passphrase: movingWords}},
			{"/v1/import", wire.Import{Path: cheapFile, Passphrase: movingWords}}, // there already: nothing to record
			{"/v1/export", wire.Export{Path: second, Passphrase: movingWords, Move: true}},
		} {
			answer, err := client.Post("http://keyturn"+ask.path, "application/json", strings.NewReader(textOf(t, ask.body)))
			must(t, err)
			if answer.StatusCode != http.StatusOK {
				text, _ := io.ReadAll(answer.Body)
				t.Errorf("%s: %d %s", ask.path, answer.StatusCode, text)
			}
			answer.Body.Close()
		}
		if n := len(w.store.Contents().Connections); n != 0 {
			t.Errorf("%d connections are left after the move", n)
		}
		var kinds []string
		for _, e := range w.activityOf(t, api.Window, "").Activity {
			kinds = append(kinds, e.Kind)
			if e.Principal != "local" || e.Program != filepath.Base(os.Args[0]) || e.PID != os.Getpid() {
				t.Errorf("%+v", e)
			}
		}
		if got := strings.Join(kinds, " "); got != "exported imported" {
			t.Errorf("recorded %q", got)
		}
	})
}

// refusals imports everything that is not the file, and looks that nothing came of it.
func refusals(t *testing.T, sealed []byte) {
	w := newWorld(t, setup{})
	dir := t.TempDir()
	put := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		must(t, os.WriteFile(path, data, 0o600))
		return path
	}
	spoilt := bytes.Clone(sealed)
	spoilt[len(spoilt)-1] ^= 1
	for _, tt := range []struct {
		name, path, words string
		status            int
		code              fault.Code
	}{
		{"another passphrase", put("good", sealed), "wrong horse battery", 409, fault.WrongPassphrase},
		{"a damaged file", put("spoilt", spoilt), movingWords, 409, fault.FileDamaged},
		{"half a file", put("half", sealed[:len(sealed)/2]), movingWords, 409, fault.FileDamaged},
		{"a newer version", put("newer", encrypted(t, `{"format":"keyturn export","version":2}`)), movingWords, 409, fault.NewerVersion},
		{"a file that makes no sense", put("odd", encrypted(t, `{"format":"keyturn export","version":1,"providers":null,"apps":null,"connections":[{"provider":"demo"}]}`)), movingWords, 409, fault.FileDamaged},
		{"no file", filepath.Join(dir, "none"), movingWords, 404, fault.NotFound},
		{"a folder", dir, movingWords, 400, fault.BadRequest},
		{"a relative path", "good", movingWords, 400, fault.BadRequest},
	} {
		t.Run(tt.name, func(t *testing.T) {
			status, problem := w.call(t, api.Local, "POST", "/v1/import", wire.Import{Path: tt.path, Passphrase: tt.words, Replace: true}, nil)
			if status != tt.status || problem.Code != string(tt.code) {
				t.Errorf("%d %+v", status, problem)
			}
		})
	}
	if n := w.store.Saves(); n != 0 {
		t.Errorf("%d saves", n)
	}
	if n := len(w.activity.Recent(activity.Query{})); n != 0 {
		t.Errorf("%d events", n)
	}
	for _, p := range []api.Principal{api.Window, api.WebUI} {
		if status, _ := w.call(t, p, "POST", "/v1/import", wire.Import{Path: filepath.Join(dir, "good"), Passphrase: movingWords}, nil); status != 403 {
			t.Errorf("%v imports: %d", p, status)
		}
	}
}

func decrypted(t *testing.T, file []byte) string {
	t.Helper()
	by, err := age.NewScryptIdentity(movingWords)
	must(t, err)
	r, err := age.Decrypt(bytes.NewReader(file), by)
	must(t, err)
	plain, err := io.ReadAll(r)
	must(t, err)
	return string(plain)
}

// encrypted is a document of another hand, for the passphrase of these tests.
func encrypted(t *testing.T, document string) []byte {
	t.Helper()
	to, err := age.NewScryptRecipient(movingWords)
	must(t, err)
	to.SetWorkFactor(10)
	var out bytes.Buffer
	w, err := age.Encrypt(&out, to)
	must(t, err)
	_, err = io.WriteString(w, document)
	must(t, err)
	must(t, w.Close())
	return out.Bytes()
}
