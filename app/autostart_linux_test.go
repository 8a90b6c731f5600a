package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAutostartIsAFile(t *testing.T) {
	a := &autostart{filepath.Join(t.TempDir(), "autostart", "keyturn.desktop")}
	if on := a.on(); on == nil || *on {
		t.Fatal("on before anybody asked")
	}
	for range 2 { // doing it twice is no error
		if err := a.set(true); err != nil || !*a.on() {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(a.file)
	if err != nil || !strings.Contains(string(data), ` --hidden`) || !strings.HasPrefix(string(data), "[Desktop Entry]\n") {
		t.Errorf("%s %v", data, err)
	}
	for range 2 {
		if err := a.set(false); err != nil || *a.on() {
			t.Fatal(err)
		}
	}
	if got := quoted("/opt/a \"b\"$c`%"); got != `"/opt/a \\"b\\"\\$c`+"\\\\`"+`%%"` {
		t.Errorf("%s", got)
	}
	var none *autostart
	if none.on() != nil || none.set(true) == nil {
		t.Error("autostart without a desktop")
	}
}
