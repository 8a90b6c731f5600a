package demo_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"keyturn/backend/demo"
)

func TestGrantsSurviveARestart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "demo")
	r := start(t, demo.Options{Dir: dir})
	access, refresh := r.connect()

	path := filepath.Join(dir, "demo.json")
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v %v", info, err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{access, refresh} {
		if strings.Contains(string(data), secret) || strings.Contains(string(data), secret[3:]) {
			t.Error("a token is on the disk")
		}
	}

	r = start(t, demo.Options{Dir: dir})
	if got := r.get("/notes", access); got.status != 200 {
		t.Errorf("after a restart: %d", got.status)
	}
	next := r.refresh(refresh)
	next.want(t, 200, "")

	r = start(t, demo.Options{Dir: dir})
	r.refresh(refresh).want(t, 400, "invalid_grant") // the rotation is remembered, and its replay ends the grant
	r = start(t, demo.Options{Dir: dir})
	r.refresh(next.text("refresh_token")).want(t, 400, "invalid_grant")
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Errorf("left over: %v %v", left, err)
	}
}

func TestADamagedFileIsSetAside(t *testing.T) {
	for name, content := range map[string]string{
		"no JSON": "{", "another version": `{"version":2}`, "nothing": "", "null grants": `{"version":1,"grants":[null,{}]}`,
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "demo.json"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		r := start(t, demo.Options{Dir: dir})
		r.connect()
		_, err := os.Stat(filepath.Join(dir, "demo.json.damaged"))
		if (err == nil) != (name != "null grants") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What cannot be kept is not granted: after a restart it would be gone.
func TestAFullDiskGrantsNothing(t *testing.T) {
	blocked := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r := start(t, demo.Options{Dir: filepath.Join(blocked, "demo")})
	r.exchange(r.code(nil), nil).want(t, 503, "server_error")
	if n := r.as.Counts(); n.LiveGrants != 0 || n.Exchanges != 0 {
		t.Errorf("%+v", n)
	}
}
