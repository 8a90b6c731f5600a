// Package place says where Keyturn's files are.
//
// On Linux the XDG folders, elsewhere the system's own; KEYTURN_HOME puts data,
// settings, logs and socket under one folder, KEYTURN_SOCKET names the socket
// alone.
package place

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
)

// Places are absolute paths; none needs to exist.
type Places struct {
	Data   string // folder: database, lock
	Config string // file: config.toml
	Log    string // file: keyturn.log; activity.log is beside it
	Socket string // Unix socket, or the name of a Windows named pipe
}

// maxSocket is the longest path a Unix socket can have (sun_path, less its
// final NUL; macOS has four bytes less than Linux).
const maxSocket = 103

// Find reads the environment and returns the places.
func Find() (Places, error) {
	var p Places
	if home := os.Getenv("KEYTURN_HOME"); home != "" {
		home, err := filepath.Abs(home)
		if err != nil {
			return Places{}, err
		}
		p = Places{
			Data:   filepath.Join(home, "data"),
			Config: filepath.Join(home, "config", "config.toml"),
			Log:    filepath.Join(home, "state", "keyturn.log"),
			Socket: socket(filepath.Join(home, "run"), home),
		}
	} else {
		home, err := os.UserHomeDir()
		if err != nil {
			return Places{}, fmt.Errorf("no home folder: %w", err)
		}
		p = ofUser(home)
	}
	if s := os.Getenv("KEYTURN_SOCKET"); s != "" {
		p.Socket = s
	}
	return p, nil
}

// ofUser returns the places of an ordinary install.
func ofUser(home string) Places {
	switch runtime.GOOS {
	case "windows":
		local := orElse(os.Getenv("LocalAppData"), filepath.Join(home, "AppData", "Local"))
		base := filepath.Join(local, "Keyturn")
		return Places{
			Data:   base,
			Config: filepath.Join(base, "config.toml"),
			Log:    filepath.Join(base, "keyturn.log"),
			Socket: socket(base, home),
		}
	case "darwin":
		base := filepath.Join(home, "Library", "Application Support", "Keyturn")
		return Places{
			Data:   base,
			Config: filepath.Join(base, "config.toml"),
			Log:    filepath.Join(home, "Library", "Logs", "Keyturn", "keyturn.log"),
			Socket: socket(filepath.Join(base, "run"), home),
		}
	}
	state := filepath.Join(xdg("XDG_STATE_HOME", home, ".local/state"), "keyturn")
	run := filepath.Join(state, "run")
	if dir := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(dir) {
		run = filepath.Join(dir, "keyturn")
	}
	return Places{
		Data:   filepath.Join(xdg("XDG_DATA_HOME", home, ".local/share"), "keyturn"),
		Config: filepath.Join(xdg("XDG_CONFIG_HOME", home, ".config"), "keyturn", "config.toml"),
		Log:    filepath.Join(state, "keyturn.log"),
		Socket: socket(run, home),
	}
}

// socket returns the path of the socket in dir, or a pipe name on Windows. A
// path too long for a socket falls back to the user's runtime folder, never to
// a folder that others can write to.
func socket(dir, unique string) string {
	sum := sha256.Sum256([]byte(unique))
	short := hex.EncodeToString(sum[:6])
	if runtime.GOOS == "windows" {
		return `\\.\pipe\keyturn-` + short
	}
	path := filepath.Join(dir, "api.sock")
	if run := os.Getenv("XDG_RUNTIME_DIR"); len(path) > maxSocket && filepath.IsAbs(run) {
		path = filepath.Join(run, "keyturn-"+short, "api.sock")
	}
	return path
}

// xdg returns the folder of an XDG variable; a relative one counts as unset
// (XDG Base Directory Specification).
func xdg(name, home, fallback string) string {
	if dir := os.Getenv(name); filepath.IsAbs(dir) {
		return dir
	}
	return filepath.Join(home, filepath.FromSlash(fallback))
}

func orElse(s, fallback string) string {
	if s != "" {
		return s
	}
	return fallback
}
