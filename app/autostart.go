//go:build linux

package app

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"keyturn/backend/fault"
)

// autostart starts this program when the user logs in, by a file where desktops
// look (Desktop Application Autostart Specification). That the file is there is
// the setting.
type autostart struct{ file string }

func newAutostart() *autostart {
	config, err := os.UserConfigDir()
	if err != nil || program != "desktop" {
		return nil
	}
	return &autostart{filepath.Join(config, "autostart", "keyturn.desktop")}
}

func (a *autostart) on() *bool {
	if a == nil {
		return nil
	}
	_, err := os.Stat(a.file)
	is := err == nil
	return &is
}

func (a *autostart) set(on bool) error {
	if a == nil {
		return fault.New(fault.BadRequest, "This Keyturn has no desktop to start with.")
	}
	err := error(nil)
	if on {
		err = a.write()
	} else if err = os.Remove(a.file); errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err != nil {
		return fault.Wrap(err, fault.BadRequest, "The file that starts Keyturn when you log in cannot be changed: %s", a.file)
	}
	return nil
}

func (a *autostart) write() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(a.file), 0o700); err != nil {
		return err
	}
	return os.WriteFile(a.file, []byte("[Desktop Entry]\nType=Application\nName=Keyturn\nExec="+quoted(self)+" --hidden\nIcon=keyturn\nX-GNOME-Autostart-enabled=true\n"), 0o644)
}

// quoted is an argument as Exec has it (Desktop Entry Specification).
func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\\\`, `"`, `\\"`, "`", "\\\\`", `$`, `\\$`, `%`, `%%`).Replace(s) + `"`
}
