package config_test

import (
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"keyturn/backend/config"
	"keyturn/backend/fault"
)

func write(t *testing.T, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // whatever the umask says
		t.Fatal(err)
	}
	return path
}

func TestWhatAFileDoesNotSayIsAsUsual(t *testing.T) {
	got, err := config.Load(filepath.Join(t.TempDir(), "nothing", "config.toml"))
	if err != nil || !reflect.DeepEqual(got, config.Default()) {
		t.Errorf("no file: %+v %v", got, err)
	}
	got, err = config.Load(write(t, "# mine\nnotifications = false\n", 0o600))
	if err != nil || got.Notifications || !got.Activity || got.CallbackPort != 27419 {
		t.Errorf("half a file: %+v %v", got, err)
	}
}

func TestAFileThatIsNotUnderstoodChangesNothingAndSaysWhere(t *testing.T) {
	for _, tt := range []struct{ name, text, says string }{
		{"CF-02 unknown key", "notifications = false\ncalback_port = 1\n", "Line 2"},
		{"CF-02 unknown key, what there is", "calback_port = 1\n", "callback_port, notifications, activity, gateway"},
		{"CF-02 unknown table", "[proxy]\nurl = \"x\"\n", "Line 1"},
		{"CF-02 other case", "Callback_Port = 4000\n", "Callback_Port"},
		{"CF-02 NUL", "notifications = false\x00\n", "Line 1"},
		{"wrong type", "callback_port = \"x\"\n", "Line 1"},
		{"not TOML", "notifications = false\n{\n", "Line 2"},
		{"a port below", "callback_port = 80\n", "1024"},
		{"a port above", "callback_port = 70000\n", "65535"},
		{"a negative port", "callback_port = -1\n", "1024"},
		{"too many favourites", "favourites = [" + strings.Repeat("\"a\",", 13) + "]\n", "12"},
		{"a favourite that is no id", "favourites = [\"../x\"]\n", "providers list"},
		{"CF-02 twice", "notifications = true\nnotifications = false\n", "settings file"},
		{"CF-02 megabytes", strings.Repeat("#\n", 1<<20), "too large"},
	} {
		got, err := config.Load(write(t, tt.text, 0o600))
		if fault.CodeOf(err) != fault.BadRequest || !strings.Contains(fault.MessageOf(err), tt.says) {
			t.Errorf("%s: %v", tt.name, err)
		}
		if !reflect.DeepEqual(got, config.Default()) {
			t.Errorf("%s: half of it was taken: %+v", tt.name, got)
		}
	}
}

func TestAFileThatOthersCanWriteIsRefused(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("files have no such mode")
	}
	for _, mode := range []os.FileMode{0o666, 0o620, 0o602} {
		t.Run("CF-01 mode "+mode.String(), func(t *testing.T) {
			if _, err := config.Load(write(t, "", mode)); fault.CodeOf(err) != fault.Forbidden {
				t.Errorf("%v", err)
			}
		})
	}
	t.Run("CF-01 owned by another", func(t *testing.T) {
		if os.Geteuid() != 0 {
			t.Skip("only root can give a file away")
		}
		path := write(t, "", 0o600)
		if err := os.Chown(path, 65534, 65534); err != nil {
			t.Fatal(err)
		}
		if _, err := config.Load(path); fault.CodeOf(err) != fault.Forbidden {
			t.Errorf("%v", err)
		}
	})
}

func TestSavedSettingsAreReadBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "config.toml")
	want := config.Settings{CallbackPort: 4000, Notifications: false, Favourites: []string{"github", "my_own-one"}, Browser: "chromium/Profile 1"}
	if err := config.Save(path, want); err != nil {
		t.Fatal(err)
	}
	if got, err := config.Load(path); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v %v", got, err)
	}
	info, err := os.Stat(path)
	if err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	if err := config.Save(path, config.Settings{CallbackPort: 1}); fault.CodeOf(err) != fault.BadRequest {
		t.Errorf("a bad port was saved: %v", err)
	}
	if got, _ := config.Load(path); !reflect.DeepEqual(got, want) {
		t.Errorf("a refused save changed the file: %+v", got)
	}
	left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".config-*"))
	if len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}
