//go:build unix

package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"keyturn/backend/fault"
	"keyturn/backend/place"
)

func TestRootDoesNotWriteIntoAnotherUsersHome(t *testing.T) {
	t.Run("PR-19", func(t *testing.T) {
		if os.Geteuid() != 0 {
			t.Skip("only root can be refused")
		}
		ada := t.TempDir()
		if err := os.Chown(ada, 65534, 65534); err != nil {
			t.Fatal(err)
		}
		err := rightUser(place.Places{Data: filepath.Join(ada, ".local", "share", "keyturn")})
		if fault.CodeOf(err) != fault.Forbidden || !strings.Contains(fault.MessageOf(err), ada) {
			t.Errorf("%v", err)
		}
		if err := rightUser(place.Places{Data: filepath.Join(t.TempDir(), "new", "keyturn")}); err != nil {
			t.Errorf("root in a folder of root's: %v", err)
		}

		t.Setenv("HOME", ada)
		home(t)
		t.Setenv("KEYTURN_HOME", "")
		for _, name := range []string{"XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_STATE_HOME"} {
			t.Setenv(name, "")
		}
		p := begin(t)
		receive(t, "the refusal", p.ended)
		if p.ProcessState.ExitCode() != 1 || !strings.Contains(p.said.String(), "belongs to another user") {
			t.Errorf("exit %d: %s", p.ProcessState.ExitCode(), p.said.String())
		}
		if left, _ := os.ReadDir(ada); len(left) > 0 {
			t.Errorf("left in the user's home: %v", left)
		}
	})
}
