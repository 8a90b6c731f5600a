package open

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// desktop lays out a home and a system with browsers, and returns the home.
func desktop(t *testing.T) (home string) {
	t.Helper()
	home = t.TempDir()
	bin, share := t.TempDir(), t.TempDir()
	for name, body := range map[string]string{
		bin + "/firefox-esr": "#!/bin/sh\nprintf '%s\\n' \"$@\" >" + home + "/argv\n",
		bin + "/chromium":    "#!/bin/sh\n",
		bin + "/xdg-open":    "#!/bin/sh\nprintf '%s\\n' \"$@\" >" + home + "/opener\n",
		share + "/applications/firefox-esr.desktop": "[Desktop Entry]\nType=Application\nName=Firefox ESR\nName[de]=Feuerfuchs\nExec=firefox-esr %u\nMimeType=text/html;x-scheme-handler/https;\n" +
			"[Desktop Action private]\nName=Private\nExec=firefox-esr --private-window %u\n",
		share + "/applications/chromium.desktop":           "[Desktop Entry]\nType=Application\nName=Chromium\nExec=chromium --a \"b c\" %U\nMimeType=x-scheme-handler/https;\n",
		home + "/.local/share/applications/chrome.desktop": "[Desktop Entry]\nType=Application\nName=Gone\nExec=not-there %U\nMimeType=x-scheme-handler/https;\n",
		share + "/applications/editor.desktop":             "[Desktop Entry]\nType=Application\nName=Editor\nExec=chromium %f\nMimeType=text/plain;\n",
		share + "/applications/lynx.desktop":               "[Desktop Entry]\nType=Application\nName=Lynx\nTerminal=true\nExec=chromium %u\nMimeType=x-scheme-handler/https;\n",
		home + "/.mozilla/firefox/profiles.ini":            "[Install4F96D1932A9F858E]\nDefault=x\n[Profile1]\nName=work; rm\nPath=a\n[Profile0]\nName=default\nPath=b\n[General]\nVersion=2\n",
		home + "/.config/chromium/Local State":             `{"profile":{"info_cache":{"Profile 1":{"name":"Ada"},"Default":{"name":"Me"}}}}`,
	} {
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(body), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("HOME", home)
	t.Setenv("PATH", bin+":/usr/bin:/bin")
	t.Setenv("DISPLAY", ":99")
	t.Setenv("XDG_DATA_HOME", "")
	t.Setenv("XDG_CONFIG_HOME", "")
	t.Setenv("XDG_DATA_DIRS", share)
	opened = limiter{}
	return home
}

func TestBrowsersAndTheirProfilesCanBeChosen(t *testing.T) {
	desktop(t)
	var got []string
	for _, b := range Browsers() {
		got = append(got, b.ID+": "+b.Name)
	}
	want := []string{
		"chromium: Chromium", "chromium/Default: Chromium – Me", "chromium/Profile 1: Chromium – Ada",
		"firefox-esr: Firefox ESR", "firefox-esr/work; rm: Firefox ESR – work; rm", "firefox-esr/default: Firefox ESR – default",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestAPageOpensInTheBrowserThatWasChosen(t *testing.T) {
	for id, want := range map[string]string{
		"firefox-esr":          page + "\n",
		"firefox-esr/work; rm": "-P\nwork; rm\n" + page + "\n",
	} {
		home := desktop(t)
		if err := Show(t.Context(), id, page); err != nil {
			t.Fatal(err)
		}
		if got, _ := os.ReadFile(home + "/argv"); string(got) != want {
			t.Errorf("%s was started with %q", id, got)
		}
	}
}

func TestABrowserThatIsGoneIsTheSystemsOwn(t *testing.T) {
	home := desktop(t)
	if err := Show(t.Context(), "netscape", page); err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(home + "/opener"); string(got) != page+"\n" {
		t.Errorf("the opener was given %q", got)
	}
}

func TestExecLinesAreSplitAsTheDesktopDoes(t *testing.T) {
	for line, want := range map[string]string{
		`firefox %u`:                    `firefox|URL`,
		`chromium --a "b c" %U %i`:      `chromium|--a|b c|URL`,
		`"/opt/a b/run" "x\"y\$" 100%%`: `/opt/a b/run|x"y$|100%|URL`,
		`flatpak run app @@u %u @@`:     `flatpak|run|app|@@u|URL|@@`,
		`twice %u %U`:                   `twice|URL`,
		`empty "" %u`:                   `empty||URL`,
	} {
		got := strings.Join(Browser{argv: words(line)}.line(address{"URL"}), "|")
		if got != want {
			t.Errorf("%s: %s, want %s", line, got, want)
		}
	}
}
