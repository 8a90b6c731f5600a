package gateway

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"strings"

	"keyturn/backend/fault"
)

// ForwardEnrolment is what an app has to know of the gateway that forwards to it.
type ForwardEnrolment struct {
	Gateway string `json:"gateway"` // https address
	Bearer  string `json:"bearer"`  // what the gateway proves itself with
}

const forwardPrefix = "ktf1."

// Token returns the enrolment as one line. It is a secret.
func (e ForwardEnrolment) Token() string {
	data, _ := json.Marshal(e) // two strings always marshal
	return forwardPrefix + base64.RawURLEncoding.EncodeToString(data)
}

// ParseForwardEnrolment reads what Token wrote; ok is false for anything else.
func ParseForwardEnrolment(token string) (e ForwardEnrolment, ok bool) {
	data, found := strings.CutPrefix(strings.TrimSpace(token), forwardPrefix)
	if !found {
		return e, false
	}
	raw, err := base64.RawURLEncoding.DecodeString(data)
	if err != nil || json.Unmarshal(raw, &e) != nil || len(e.Bearer) < 40 {
		return ForwardEnrolment{}, false
	}
	if e.Gateway, err = Address(e.Gateway); err != nil {
		return ForwardEnrolment{}, false
	}
	return e, true
}

// Address returns the https address of a gateway or an app as it is kept: with
// a host and maybe a port, and nothing else. On this machine it may be http.
func Address(written string) (string, error) {
	u, err := url.Parse(strings.TrimRight(strings.TrimSpace(written), "/"))
	if err != nil || u.Host == "" || u.Hostname() == "" || u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return "", fault.New(fault.BadRequest, "Give an address such as https://gateway.example.com, without a path: --url")
	}
	local := u.Hostname() == "127.0.0.1" || u.Hostname() == "localhost" || u.Hostname() == "::1"
	if u.Scheme != "https" && !(u.Scheme == "http" && local) {
		return "", fault.New(fault.BadRequest, "The address has to begin with https://. Only one on this computer may use http.")
	}
	return u.Scheme + "://" + strings.ToLower(u.Host), nil
}
