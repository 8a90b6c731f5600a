package oauth_test

import (
	"strings"
	"testing"

	"keyturn/backend/fault"
	"keyturn/backend/oauth"
)

func TestEndpointsThatMayBeCalled(t *testing.T) {
	for _, raw := range []string{
		"https://as.example", "https://as.example/", "https://AS.example/a/b?x=y&z=%20", "https://as.example:8443/token", "https://xn--mnchen-3ya.example/",
		"https://93.184.216.34/", "https://[2606:4700::1111]/", "https://[2606:4700::1111]:8443/", "https://10.0.0.1/", "https://idp/", "https://a.b.c.1a/", "https://as.example/$(calc)&a",
	} {
		if err := oauth.ValidEndpoint(raw, false); err != nil {
			t.Errorf("%s: %v", raw, err)
		}
	}
	for _, raw := range []string{"http://127.0.0.1:8080/x", "http://127.0.0.1/", "http://[::1]:8080/", "http://localhost:8080/"} {
		if err := oauth.ValidEndpoint(raw, true); err != nil {
			t.Errorf("%s: %v", raw, err)
		}
		if err := oauth.ValidEndpoint(raw, false); err == nil {
			t.Errorf("%s without permission", raw)
		}
	}
}

func TestEndpointsThatMayNot(t *testing.T) {
	for name, raws := range map[string][]string{
		"DI-02": {"http://as.example", "ftp://as.example", "https://u:p@as.example", "https://u@as.example", "https://as.example#f", "https://as.example#", "http://10.0.0.1/", "http://0.0.0.0:1/", "http://127.1:1/", "http://localhost.:1/", "http://localhost.evil.example/"},
		"DI-04": {"https:evil", "https:///x", "//host/x", "/authorize", "https://good@evil/", "https://x/\n--help", "https://x y/", "https://x/ y", "https://x./", "https://.x/", "https://x..y/", "https://x:99999/", "https://x:/", "https://x:0/", "https://x:+1/", "https://x:080/", "https://x:80a/", "https://①②⑦.0.0.1/", "https://ⓔxample.com/", "https://xä/", "https://x%2ey/", "https://x%00y/", "https://-x/", "https://x-/", "https://x_y/", "https://"},
		"DI-05": {"https://x/`id`", "https://x/|a", "https://x/;a|", "https://x/<a>", "https://x/\"a", "https://x/\\a", "https://x\\@y/", "https://x/{a}", "https://x/^a", "https://x/\x7f", "https://x/\x00", "https://x/\t"},
		"DI-13": {"https://2130706433/", "https://0x7f.1/", "https://0x7f000001/", "https://127.1/", "https://127.0.0.01/", "https://1.2.3/", "https://1.2.3.4.5/", "https://1.2.3.256/", "https://as.example.1/", "https://[::1%25eth0]/", "https://[::1%eth0]/", "https://[::ffff:127.0.0.1]/", "https://[::]/", "https://[::1/", "https://::1/", "https://[1.2.3.4]/", "https://0.0.0.0/", "https://224.0.0.1/", "https://[ff02::1]/"},
		"OB-01": {"", "--help", "-version", " https://x/", " -x"},
		"OB-02": {"file:///etc/passwd", "/etc/passwd", "mailto:a@b", "tel:1", "ssh://x", "ms-msdt:x", "search-ms:x", "vbscript:x", "javascript:alert(1)", "data:text/html,x", "HTTPS://x/", "x-scheme:"},
		"OB-05": {"https://x/" + strings.Repeat("a", 9<<10)},
	} {
		for _, raw := range raws {
			err := oauth.ValidEndpoint(raw, true)
			if fault.CodeOf(err) != fault.BadRequest {
				t.Errorf("%s %q: %v", name, raw, err)
				continue
			}
			if said := err.Error(); len(raw) > 12 && strings.Contains(said, raw) || !strings.HasSuffix(said, ".") {
				t.Errorf("%s said %q", name, said)
			}
		}
	}
}

func TestOrigins(t *testing.T) {
	for raw, want := range map[string]string{
		"https://AS.example/a?b": "https://as.example", "https://as.example:443": "https://as.example", "https://as.example:8443/x": "https://as.example:8443",
		"http://127.0.0.1:80/": "http://127.0.0.1", "http://127.0.0.1:8080/": "http://127.0.0.1:8080", "https://[::1]:8443/": "https://[::1]:8443", "https://[::1]/": "https://[::1]",
		"": "", "as.example": "", "mailto:x@y": "", "https://": "", "ftp://x": "", "https://x:bad/": "",
	} {
		if got := oauth.Origin(raw); got != want {
			t.Errorf("%s: %q, want %q", raw, got, want)
		}
	}
}
