package oauth

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

var deviceAsked = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func deviceAnswer(status int, body string) answer {
	return answer{status: status, header: http.Header{"Content-Type": {"application/json"}}, body: []byte(body), asked: deviceAsked}
}

var deviceServer = Server{Token: TokenEndpoint{URL: "https://as.example/token"}, Device: DeviceEndpoint{URL: "https://as.example/device"}}

// deviceBody is an answer with one member changed.
func deviceBody(member, value string) string {
	members := map[string]string{
		"device_code": `"dc"`, "user_code": `"WDJB-MJHT"`, "verification_uri": `"https://as.example/activate"`, "expires_in": "600", "interval": "5",
	}
	if value == "" {
		delete(members, member)
	} else if member != "" {
		members[member] = value
	}
	var all []string
	for name, v := range members {
		all = append(all, fmt.Sprintf("%q:%s", name, v))
	}
	return "{" + strings.Join(all, ",") + "}"
}

func TestADeviceAnswerIsReadStrictly(t *testing.T) {
	for _, tt := range []struct {
		name, body string
		kind       Kind // 0: it is used
	}{
		{"as it should be", deviceBody("", ""), 0},
		{"DV-01 null", `null`, Malformed},
		{"DV-01 empty", `{}`, Malformed},
		{"DV-01 no device_code", deviceBody("device_code", ""), Malformed},
		{"DV-01 no user_code", deviceBody("user_code", ""), Malformed},
		{"DV-01 no verification_uri", deviceBody("verification_uri", ""), Malformed},
		{"device_code of 5 KiB", deviceBody("device_code", `"`+strings.Repeat("d", 5<<10)+`"`), Malformed},
		{"device_code of a number", deviceBody("device_code", "7"), Malformed},
		{"DV-07 javascript", deviceBody("verification_uri", `"javascript:alert(1)"`), Malformed},
		{"DV-07 file", deviceBody("verification_uri", `"file:///etc/passwd"`), Malformed},
		{"DV-07 http", deviceBody("verification_uri", `"http://as.example/activate"`), Malformed},
		{"DV-07 long", deviceBody("verification_uri", `"https://as.example/`+strings.Repeat("a", 10<<10)+`"`), Malformed},
		{"DV-07 longer than anybody types", deviceBody("verification_uri", `"https://as.example/`+strings.Repeat("a", 600)+`"`), Malformed},
		{"DV-07 userinfo", deviceBody("verification_uri", `"https://as.example@evil.example/"`), Malformed},
		{"DV-07 inward", deviceBody("verification_uri", `"https://127.0.0.1/admin"`), Malformed},
		{"DV-08 escape", deviceBody("user_code", `"AB\u001b[2J"`), Malformed},
		{"DV-08 bidi", deviceBody("user_code", `"AB\u202ECD"`), Malformed},
		{"DV-08 long", deviceBody("user_code", `"`+strings.Repeat("A", 4<<10)+`"`), Malformed},
		{"DV-08 HTML", deviceBody("user_code", `"<b>AB</b>"`), Malformed},
		{"the name of drafts", `{"device_code":"dc","user_code":"AB","verification_url":"https://as.example/a","expires_in":60}`, 0},
		{"an error with 200", `{"error":"invalid_client"}`, Refused},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, failed := readDevice(deviceServer, deviceAnswer(200, tt.body))
			switch {
			case tt.kind == 0 && failed != nil:
				t.Error(failed)
			case tt.kind != 0 && (failed == nil || failed.Kind != tt.kind || d != (DeviceAuthorization{})):
				t.Errorf("%+v %v", d, failed)
			}
		})
	}
	for interval, want := range map[string]time.Duration{
		"": 5 * time.Second, "-1": time.Second, "0": time.Second, "1000000000": time.Minute, "9223372036854775807": time.Minute, "18446744074": time.Minute,
		`"7"`: 7 * time.Second, "5.5": 5 * time.Second, `"x"`: 5 * time.Second, "null": 5 * time.Second,
	} {
		if d, failed := readDevice(deviceServer, deviceAnswer(200, deviceBody("interval", interval))); failed != nil || d.Interval != want {
			t.Errorf("DV-02 interval %s: %v %v, want %v", interval, d.Interval, failed, want)
		}
	}
	for life, want := range map[string]time.Duration{"": 15 * time.Minute, "-5": 15 * time.Minute, "1000000000000": 15 * time.Minute, "90": 90 * time.Second, "0": 15 * time.Minute} {
		if d, failed := readDevice(deviceServer, deviceAnswer(200, deviceBody("expires_in", life))); failed != nil || d.Expires.Sub(deviceAsked) != want {
			t.Errorf("DV-05 expires_in %s: %v %v, want %v", life, d.Expires, failed, want)
		}
	}
	elsewhere := `{"device_code":"dc","user_code":"AB","verification_uri":"https://as.example/a","verification_uri_complete":"https://evil.example/a?user_code=AB"}`
	if d, failed := readDevice(deviceServer, deviceAnswer(200, elsewhere)); failed != nil || d.Complete != "" {
		t.Errorf("a complete address elsewhere was taken: %+v %v", d, failed)
	}
}

func FuzzDeviceResponse(f *testing.F) {
	for _, body := range []string{deviceBody("", ""), deviceBody("interval", "1e9"), `{"error":"slow_down"}`, "null", "[]", "<html>", `{"device_code":"a","user_code":"b","verification_uri":"https://x/","verification_uri_complete":"https://x/?c"}`} {
		f.Add(200, "application/json", []byte(body))
		f.Add(400, "text/html", []byte(body))
	}
	f.Fuzz(func(t *testing.T, status int, contentType string, body []byte) {
		a := answer{status: status, header: http.Header{"Content-Type": {contentType}}, body: body, asked: deviceAsked}
		d, failed := readDevice(deviceServer, a)
		if failed != nil {
			if failed.Kind == 0 || !d.DeviceCode.IsZero() {
				t.Fatalf("%+v %+v", failed, d)
			}
			return
		}
		if d.DeviceCode.IsZero() || !isUserCode(d.UserCode) || ValidEndpoint(d.VerificationURI, false) != nil ||
			d.Complete != "" && ValidEndpoint(d.Complete, false) != nil ||
			d.Interval < minDeviceInterval || d.Interval > maxDeviceInterval ||
			!d.Expires.After(deviceAsked) || d.Expires.Sub(deviceAsked) > maxDeviceLife {
			t.Fatalf("accepted %+v", d)
		}
	})
}
