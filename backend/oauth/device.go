package oauth

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"strings"
	"time"

	"keyturn/backend/fault"
)

// How a device authorization is read: a hostile server can neither make us ask
// all the time, nor wait for ever.
const (
	deviceInterval    = 5 * time.Second // RFC 8628 section 3.2
	minDeviceInterval = time.Second
	maxDeviceInterval = time.Minute
	maxDeviceLife     = 15 * time.Minute
	maxUserCode       = 40
	maxDeviceCode     = 4 << 10
)

const deviceGrant = "urn:ietf:params:oauth:grant-type:device_code"

// DeviceAuthorization is a device authorization response (RFC 8628 section 3.2).
type DeviceAuthorization struct {
	DeviceCode Secret
	// UserCode is what the user enters at VerificationURI: visible ASCII.
	UserCode        string
	VerificationURI string
	// Complete leads to the same page with the code filled in; "" when the
	// server has no such address.
	Complete string
	Expires  time.Time     // at most 15 minutes from now
	Interval time.Duration // between polls, 1 s to 1 min
}

// StartDevice asks for a device code (RFC 8628 section 3.1). Errors are
// *fault.Error or *Error.
func (h *HTTP) StartDevice(ctx context.Context, s Server, c Client, scopes []string) (DeviceAuthorization, error) {
	if s.Device.URL == "" {
		return DeviceAuthorization{}, fault.New(fault.BadRequest, "The provider has no device code.")
	}
	fields := map[string]string{}
	maps.Copy(fields, s.Device.Params)
	if len(scopes) > 0 {
		separator := s.ScopeSeparator
		if separator == "" {
			separator = " "
		}
		fields["scope"] = strings.Join(scopes, separator)
	}
	if s.Resource != "" {
		fields["resource"] = s.Resource
	}
	fields[cmp.Or(s.IDParam, "client_id")] = c.ID // required whatever the authentication (section 3.1)
	a, err := h.ask(ctx, opDevice, s, c, s.Device.URL, fields, false)
	if err != nil {
		return DeviceAuthorization{}, err
	}
	d, failed := readDevice(s, a)
	if failed != nil {
		return DeviceAuthorization{}, failed
	}
	return d, nil
}

// readDevice reads the answer of a device authorization endpoint.
func readDevice(s Server, a answer) (d DeviceAuthorization, failed *Error) {
	top, reason := members(TokenResponseShape{AnyContentType: s.Token.Response.AnyContentType}, a)
	code := errorCode(TokenResponseShape{}, top)
	if a.status < 200 || a.status > 299 {
		return d, judge(opDevice, a, code)
	}
	malformed := func(reason string) (DeviceAuthorization, *Error) {
		return DeviceAuthorization{}, &Error{Op: opDevice, Status: a.status, Kind: Malformed, reason: reason}
	}
	switch {
	case top == nil && isHTML(a):
		return d, &Error{Op: opDevice, Status: a.status, Kind: Outage, reason: reason}
	case top == nil:
		return malformed(reason)
	case code != "":
		return d, &Error{Op: opDevice, Status: a.status, Kind: Refused, Code: code}
	}
	var ok bool
	if d.DeviceCode, ok = tokenField(top, "device_code"); !ok || d.DeviceCode.IsZero() || len(d.DeviceCode.Reveal()) > maxDeviceCode {
		return malformed("no usable device_code")
	}
	if d.UserCode, ok = jsonString(top["user_code"]); !ok || !isUserCode(d.UserCode) {
		return malformed("user_code is nothing that can be shown")
	}
	uri := top["verification_uri"]
	if absent(uri) {
		uri = top["verification_url"] // the name in drafts, which stayed in use
	}
	if d.VerificationURI, ok = jsonString(uri); !ok || !shownURI(s, d.VerificationURI) {
		return malformed("verification_uri is nothing that can be opened")
	}
	if complete, ok := jsonString(top["verification_uri_complete"]); ok && shownURI(s, complete) && Origin(complete) == Origin(d.VerificationURI) {
		d.Complete = complete
	}
	life, known, _ := readLifetime(top["expires_in"], maxDeviceLife)
	if !known || life <= 0 {
		life = maxDeviceLife
	}
	d.Expires = a.asked.Add(life)
	d.Interval = readInterval(top["interval"])
	return d, nil
}

// isUserCode: what people can read and type.
func isUserCode(s string) bool {
	if s == "" || len(s) > maxUserCode || strings.TrimSpace(s) != s {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || strings.IndexByte(`<>&"'\`+"`", c) >= 0 {
			return false
		}
	}
	return true
}

// shownURI: what is shown to a person and opened in the browser is an endpoint
// like the others, of a length that a person might type.
func shownURI(s Server, uri string) bool {
	return len(uri) <= 512 && ValidEndpoint(uri, s.AllowLoopbackHTTP) == nil && !leadsInward(s.Token.URL, uri)
}

// readInterval holds the interval between a second and a minute; what is no
// number of seconds is as if it were absent (RFC 8628 section 3.2).
func readInterval(raw json.RawMessage) time.Duration {
	d, known, _ := readLifetime(raw, maxDeviceInterval)
	switch {
	case !known:
		return deviceInterval
	case d < minDeviceInterval:
		return minDeviceInterval
	}
	return d
}

// PollDevice asks once whether the user has approved (RFC 8628 section 3.4).
// While that is open the error is an *Error of kind Refused whose code is
// authorization_pending or slow_down (section 3.5).
func (h *HTTP) PollDevice(ctx context.Context, s Server, c Client, device Secret) (Token, error) {
	fields := map[string]string{}
	maps.Copy(fields, s.Token.Params)
	fields["grant_type"] = deviceGrant
	fields["device_code"] = device.Reveal()
	if c.Auth == AuthBasic {
		fields["client_id"] = c.ID
	}
	return h.token(ctx, opPoll, s, c, s.Token.URL, fields)
}
