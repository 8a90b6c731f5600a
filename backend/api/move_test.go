package api_test

import (
	"os"
	"path/filepath"
	"testing"

	"keyturn/backend/api"
	"keyturn/backend/api/wire"
	"keyturn/backend/orchestrator"
)

func TestEverythingMovesInOneFile(t *testing.T) {
	w := newWorld(t, setup{connections: []orchestrator.Record{granted(adaID, "ada")}})
	path := filepath.Join(t.TempDir(), "keyturn.age")
	ask := func(at string, body, out any) string {
		t.Helper()
		_, problem := w.call(t, api.Local, "POST", at, body, out)
		return problem.Code
	}
	for _, tt := range []struct {
		at   string
		body any
		want string
	}{
		{"/v1/export", wire.Export{Path: "keyturn.age", Passphrase: "correct horse"}, "bad_request"},
		{"/v1/export", wire.Export{Path: path, Passphrase: "short"}, "bad_request"},
		{"/v1/export", wire.Export{Path: filepath.Join(path, "no", "folder"), Passphrase: "correct horse"}, "not_found"},
		{"/v1/import", wire.Import{Path: path, Passphrase: "correct horse"}, "not_found"},
		{"/v1/import", wire.Import{Path: os.Args[0], Passphrase: "correct horse"}, "file_damaged"},
	} {
		if got := ask(tt.at, tt.body, nil); got != tt.want {
			t.Errorf("%s %+v: %s, want %s", tt.at, tt.body, got, tt.want)
		}
	}
	var out wire.Exported
	if code := ask("/v1/export", wire.Export{Path: path, Passphrase: "correct horse", Move: true}, &out); code != "" || len(out.Connections) != 1 || !out.Moved {
		t.Fatalf("%s %+v", code, out)
	}
	if code := ask("/v1/export", wire.Export{Path: path, Passphrase: "correct horse"}, nil); code != "conflict" {
		t.Errorf("a file that is there was replaced: %s", code)
	}
	file, err := os.ReadFile(path)
	must(t, err)
	mustNotHold(t, "the file", string(file), "canary", "ada")
	if code := ask("/v1/import", wire.Import{Path: path, Passphrase: "wrong horse"}, nil); code != "wrong_passphrase" {
		t.Error(code)
	}
	var in wire.Imported
	if code := ask("/v1/import", wire.Import{Path: path, Passphrase: "correct horse"}, &in); code != "" || len(in.Connections) != 1 || in.Connections[0].ID != adaID {
		t.Errorf("%s %+v", code, in)
	}
}
