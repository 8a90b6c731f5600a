package place_test

import (
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"keyturn/backend/place"
)

func find(t *testing.T) place.Places {
	t.Helper()
	p, err := place.Find()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPlacesOnLinux(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("the XDG folders are Linux's")
	}
	for _, name := range []string{"KEYTURN_HOME", "KEYTURN_SOCKET", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"} {
		t.Setenv(name, "")
	}
	t.Setenv("HOME", "/home/ada")
	want := place.Places{
		Data:   "/home/ada/.local/share/keyturn",
		Config: "/home/ada/.config/keyturn/config.toml",
		Log:    "/home/ada/.local/state/keyturn/keyturn.log",
		Socket: "/home/ada/.local/state/keyturn/run/api.sock",
	}
	if got := find(t); got != want {
		t.Errorf("got %+v\nwant %+v", got, want)
	}

	t.Setenv("XDG_RUNTIME_DIR", "/run/user/7")
	if got := find(t).Socket; got != "/run/user/7/keyturn/api.sock" {
		t.Error(got)
	}
	t.Setenv("XDG_DATA_HOME", "relative")
	if got := find(t).Data; got != want.Data {
		t.Errorf("a relative XDG folder was believed: %s", got)
	}

	t.Setenv("KEYTURN_HOME", "/tmp/k")
	if got := find(t); got.Data != "/tmp/k/data" || got.Socket != "/tmp/k/run/api.sock" || got.Config != "/tmp/k/config/config.toml" {
		t.Errorf("%+v", got)
	}
	t.Setenv("KEYTURN_HOME", "/tmp/"+strings.Repeat("long", 40))
	if got := find(t).Socket; len(got) > 103 || !strings.HasPrefix(got, "/run/user/7/keyturn-") {
		t.Errorf("a path too long for a socket: %s", got)
	}
	t.Setenv("KEYTURN_SOCKET", "/elsewhere/s")
	if got := find(t).Socket; filepath.Clean(got) != "/elsewhere/s" {
		t.Error(got)
	}
}
