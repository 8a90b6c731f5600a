package open

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// Which browsers there are, the desktop says: by the entries of its menus that
// take https addresses (freedesktop.org, Desktop Entry Specification). Which
// profiles a browser has, it says itself, in a file of its own.

// Browsers returns the browsers that can be chosen, by name. The profiles of
// one that has several follow it.
func Browsers() []Browser {
	found := map[string]Browser{}
	for _, dir := range menus() {
		files, _ := filepath.Glob(filepath.Join(dir, "*.desktop"))
		for _, file := range files {
			id := strings.TrimSuffix(filepath.Base(file), ".desktop")
			if _, known := found[id]; known {
				continue // an entry of the user's own goes before the system's
			}
			found[id] = entry(id, limited(file))
		}
	}
	all := slices.SortedFunc(maps.Values(found), func(a, b Browser) int {
		return strings.Compare(strings.ToLower(a.Name)+a.ID, strings.ToLower(b.Name)+b.ID)
	})
	var out []Browser
	for _, b := range all {
		if len(b.argv) > 0 {
			out = append(append(out, b), profiles(b)...)
		}
	}
	return out
}

// chosen returns the browser with an id.
func chosen(id string) (Browser, bool) {
	if id == "" {
		return Browser{}, false
	}
	all := Browsers()
	i := slices.IndexFunc(all, func(b Browser) bool { return b.ID == id })
	if i < 0 {
		return Browser{}, false
	}
	return all[i], true
}

// menus are the folders of desktop entries, the user's own first.
func menus() []string {
	data := os.Getenv("XDG_DATA_HOME")
	if home, err := os.UserHomeDir(); data == "" && err == nil {
		data = filepath.Join(home, ".local/share")
	}
	system := os.Getenv("XDG_DATA_DIRS")
	if system == "" {
		system = "/usr/local/share:/usr/share"
	}
	var dirs []string
	for _, dir := range append([]string{data}, strings.Split(system, ":")...) {
		if filepath.IsAbs(dir) {
			dirs = append(dirs, filepath.Join(dir, "applications"))
		}
	}
	return dirs
}

// most is the size of the largest file that is read for a choice.
const most = 4 << 20

// limited reads a small file; of a large one there is nothing.
func limited(path string) []byte {
	file, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, most+1))
	if err != nil || len(data) > most {
		return nil
	}
	return data
}

// entry reads a desktop entry. What is not a browser that can be started has
// no argv.
func entry(id string, data []byte) Browser {
	is := group(data, "Desktop Entry")
	types := strings.Split(is["MimeType"], ";")
	if is["Type"] != "Application" || is["Hidden"] == "true" || is["Terminal"] == "true" || !slices.Contains(types, "x-scheme-handler/https") {
		return Browser{}
	}
	argv := words(is["Exec"])
	if len(argv) == 0 || is["Name"] == "" {
		return Browser{}
	}
	path, err := exec.LookPath(argv[0])
	if err != nil || !filepath.IsAbs(path) {
		return Browser{}
	}
	argv[0] = path
	return Browser{ID: id, Name: is["Name"], argv: argv}
}

// group returns the keys of one group of an ini file.
func group(data []byte, name string) map[string]string {
	is := map[string]string{}
	inside := false
	for lines := bufio.NewScanner(bytes.NewReader(data)); lines.Scan(); {
		line := strings.TrimSpace(lines.Text())
		if strings.HasPrefix(line, "[") {
			inside = line == "["+name+"]"
			continue
		}
		if key, value, ok := strings.Cut(line, "="); ok && inside && !strings.HasPrefix(line, "#") {
			is[strings.TrimSpace(key)] = strings.TrimSpace(value)
		}
	}
	return is
}

// words splits the Exec key of a desktop entry: blanks part arguments, double
// quotes hold them together, a backslash inside takes the next as it is.
func words(line string) (out []string) {
	var word strings.Builder
	open, quoted := false, false
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case c == '"':
			open, quoted = true, !quoted
		case c == '\\' && quoted && i+1 < len(line):
			i++
			word.WriteByte(line[i])
		case c == ' ' && !quoted:
			if open {
				out = append(out, word.String())
			}
			word.Reset()
			open = false
		default:
			open = true
			word.WriteByte(c)
		}
	}
	if open {
		out = append(out, word.String())
	}
	return out
}

// line returns the arguments that open an address in a browser: the field
// codes of the entry are filled in, and it is added where there is none.
func (b Browser) line(a address) []string {
	var out []string
	placed := false
	for _, word := range b.argv {
		switch word {
		case "%u", "%U", "%f", "%F":
			if !placed {
				out = append(out, a.s)
			}
			placed = true
		case "%i", "%c", "%k":
		default:
			out = append(out, strings.ReplaceAll(word, "%%", "%"))
		}
	}
	if !placed {
		out = append(out, a.s)
	}
	return out
}

// with returns a browser that is started with more arguments.
func (b Browser) with(id, name string, args ...string) Browser {
	argv := slices.Concat(b.argv[:1], args, b.argv[1:])
	return Browser{ID: b.ID + "/" + id, Name: b.Name + " – " + name, argv: argv}
}

// chromiums are where the browsers of Chromium's family keep their profiles,
// below the user's configuration.
var chromiums = map[string]string{
	"brave-browser":         "BraveSoftware/Brave-Browser",
	"brave-browser-stable":  "BraveSoftware/Brave-Browser",
	"chromium":              "chromium",
	"chromium-browser":      "chromium",
	"google-chrome":         "google-chrome",
	"google-chrome-stable":  "google-chrome",
	"microsoft-edge":        "microsoft-edge",
	"microsoft-edge-stable": "microsoft-edge",
	"vivaldi":               "vivaldi",
	"vivaldi-stable":        "vivaldi",
}

// profiles returns the profiles of a browser that has more than one.
func profiles(b Browser) (out []Browser) {
	home, err := os.UserHomeDir()
	if err != nil {
		return nil
	}
	program := filepath.Base(b.argv[0])
	if folder, ok := chromiums[program]; ok {
		config := os.Getenv("XDG_CONFIG_HOME")
		if config == "" {
			config = filepath.Join(home, ".config")
		}
		out = chromiumProfiles(b, limited(filepath.Join(config, folder, "Local State")))
	} else if program == "firefox" || program == "firefox-esr" {
		out = firefoxProfiles(b, limited(filepath.Join(home, ".mozilla/firefox/profiles.ini")))
	}
	if len(out) < 2 {
		return nil
	}
	return out
}

func chromiumProfiles(b Browser, state []byte) (out []Browser) {
	var is struct {
		Profile struct {
			Cache map[string]struct {
				Name string `json:"name"`
			} `json:"info_cache"`
		} `json:"profile"`
	}
	if json.Unmarshal(state, &is) != nil {
		return nil
	}
	for _, folder := range slices.Sorted(maps.Keys(is.Profile.Cache)) {
		out = append(out, b.with(folder, is.Profile.Cache[folder].Name, "--profile-directory="+folder))
	}
	return out
}

func firefoxProfiles(b Browser, ini []byte) (out []Browser) {
	for line := range strings.Lines(string(ini)) {
		name := strings.Trim(line, "[] \r\n")
		if !strings.HasPrefix(name, "Profile") || !strings.HasPrefix(line, "[") {
			continue
		}
		if profile := group(ini, name)["Name"]; profile != "" {
			out = append(out, b.with(profile, profile, "-P", profile))
		}
	}
	return out
}
