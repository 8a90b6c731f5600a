package open

import (
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"keyturn/backend/fault"
)

func TestOnlyAddressesAreOpened(t *testing.T) {
	long := "https://idp.example/authorize?state=" + strings.Repeat("a", 9<<10)
	for _, tt := range []struct{ name, in string }{
		{"OB-01 empty", ""},
		{"OB-01 option", "--help"},
		{"OB-01 one dash", "-version"},
		{"OB-01 blank and option", " -x"},
		{"OB-02 file", "file:///etc/passwd"},
		{"OB-02 path", "/etc/passwd"},
		{"OB-02 mailto", "mailto:ada@example.org"},
		{"OB-02 tel", "tel:+123"},
		{"OB-02 ssh", "ssh://host/"},
		{"OB-02 diagnostic tool", "ms-msdt:/id"},
		{"OB-02 search", "search-ms:query=x"},
		{"OB-02 script", "vbscript:x"},
		{"OB-02 javascript", "javascript://x/%0aalert(1)"},
		{"OB-02 unknown", "x-scheme:abc"},
		{"OB-02 urn", "urn:manual-token"},
		{"OB-05 nine KiB", long},
		{"OB-07 homograph", "https://аpple.example/"},
		{"http elsewhere", "http://idp.example/authorize"},
		{"http to a name like ours", "http://127.0.0.1.example/"},
		{"http to all interfaces", "http://0.0.0.0/"},
		{"http to short form", "http://127.1/"},
		{"user", "https://ada@idp.example/"},
		{"user and password", "https://ada:x@idp.example/"},
		{"another host behind a backslash", `https://idp.example\@evil.example/`},
		{"no host", "https:///x"},
		{"only dots", "https://../x"},
		{"port of words", "https://idp.example:https/"},
		{"port too large", "https://idp.example:65536/"},
		{"empty port", "https://idp.example:/"},
		{"signed port", "https://idp.example:+1/"},
		{"open bracket", "https://[::1/"},
		{"zone", "https://[fe80::1%25eth0]/"},
		{"fragment", "https://idp.example/#x"},
		{"opaque", "https:idp.example"},
		{"one slash", "https:/idp.example"},
		{"blank", "https://idp.example/a b"},
		{"line break", "https://idp.example/\nx"},
		{"NUL", "https://idp.example/\x00"},
		{"DEL", "https://idp.example/\x7f"},
		{"escape sequence", "https://idp.example/\x1b[2J"},
		{"broken escape in the path", "https://idp.example/%zz"},
		{"broken escape in the query", "https://idp.example/?a=%2"},
		{"escaped host", "https://idp%2eexample/"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, err := parse(tt.in)
			if err == nil {
				t.Fatalf("opened as %s", a.s)
			}
			if fault.CodeOf(err) != fault.BadRequest {
				t.Errorf("code %s", fault.CodeOf(err))
			}
			if tt.in != "" && strings.Contains(err.Error(), tt.in) {
				t.Errorf("the URL is in the error: %v", err)
			}
		})
	}
}

func TestAddressesKeepWhatTheySay(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"plain", "https://idp.example/authorize?client_id=a&scope=b%20c&state=d", ""},
		{"no path", "https://idp.example", ""},
		{"query without path", "https://idp.example?x=1", ""},
		{"port", "https://idp.example:8443/a", ""},
		{"what block lists refuse", "https://idp.example/~a/(b)*!;c=$1?q=@:,[x]+y", ""},
		{"letters", "HTTPS://IdP.Example/PATH", "https://idp.example/PATH"},
		{"this machine", "http://127.0.0.1:27420/authorize", ""},
		{"this machine by name", "http://localhost:27420/", ""},
		{"this machine, IPv6", "http://[::1]:27420/", ""},
		{"punycode", "https://xn--pple-43d.example/", ""},
		{"OB-04 shell", "https://x/$(touch${IFS}/tmp/p)`id`;&|<>'\"\\^{}", "https://x/$(touch$%7BIFS%7D/tmp/p)%60id%60;&%7C%3C%3E%27%22%5C%5E%7B%7D"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want := tt.want
			if want == "" {
				want = tt.in
			}
			a, err := parse(tt.in)
			if err != nil || a.s != want {
				t.Errorf("%q, %v; want %q", a.s, err, want)
			}
		})
	}
}

func FuzzBrowserURL(f *testing.F) {
	for _, s := range []string{
		"https://idp.example/authorize?client_id=a&state=b", "http://127.0.0.1:1/", "http://[::1]/?%41", "https://a@b/", "https://x/'`{}",
		"https://[::ffff:127.0.0.1]:80/a;b?c#d", "https://\\evil/", "HTTPS://X", "https://x?'", "--help", "https://x:0443/", "https://127.0.0.1:080",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		a, err := parse(raw)
		if err != nil {
			if !errors.Is(err, fault.New(fault.BadRequest, "")) {
				t.Fatalf("%q: %v", raw, err)
			}
			return
		}
		for i := 0; i < len(a.s); i++ {
			if c := a.s[i]; c < 0x21 || c > 0x7e || strings.IndexByte("\"'<>\\^`{|}", c) >= 0 {
				t.Fatalf("%q became %q", raw, a.s)
			}
		}
		if again, err := parse(a.s); err != nil || again != a {
			t.Fatalf("%q is not stable: %q, %v", a.s, again.s, err)
		}
		u, err := url.Parse(a.s)
		if err != nil || u.User != nil || u.Hostname() == "" || u.Fragment != "" || len(a.s) > maxLength {
			t.Fatalf("%q: %v", a.s, err)
		}
		if u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())) {
			t.Fatalf("%q goes out in the clear", a.s)
		}
		was, err := url.Parse(raw)
		if err != nil || !strings.EqualFold(was.Host, u.Host) || was.Path != u.Path || was.Query().Encode() != u.Query().Encode() {
			t.Fatalf("%q does not say what %q says", a.s, raw)
		}
	})
}

// read returns what a fake opener wrote.
func read(t *testing.T, dir, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
