//go:build linux

package app

import (
	"os"
	"path/filepath"
	"testing"
)

// tool puts a program into a PATH of the test's own.
func tool(t *testing.T, dir, name, script string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script), 0o700); err != nil {
		t.Fatal(err)
	}
}

func TestTheClipboardToolGetsTheLinkAndNobodySeesIt(t *testing.T) {
	home(t)
	dir := t.TempDir()
	t.Setenv("PATH", dir+":/usr/bin:/bin")
	t.Setenv("DISPLAY", ":7")
	const link = "https://as.example/authorize?state=secret"
	if _, err := os.Stat("/usr/bin/xclip"); err != nil {
		if err := copyWithTool(t.Context(), link); err == nil {
			t.Error("copied without a tool")
		}
	}
	// One that does not work is passed over; Wayland's is not for X.
	tool(t, dir, "wl-copy", "echo called > "+dir+"/wayland")
	tool(t, dir, "xclip", "exit 1")
	tool(t, dir, "xsel", "cat > "+dir+"/copied; echo \"$*\" > "+dir+"/arguments")
	if err := copyWithTool(t.Context(), link); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(filepath.Join(dir, "copied")); string(got) != link {
		t.Errorf("on the clipboard: %q", got)
	}
	if got, _ := os.ReadFile(filepath.Join(dir, "arguments")); string(got) != "--clipboard --input\n" {
		t.Errorf("arguments: %q", got)
	}
	if exists(filepath.Join(dir, "wayland")) {
		t.Error("wl-copy was called without Wayland")
	}
}
