package oauth

import (
	"errors"
	"net/url"
	"strings"

	"keyturn/backend/fault"
)

// maxParameters is how many parameters an authorization response may carry.
const maxParameters = 100

// ParseAuthorizationResponse reads the query of an authorization response
// (RFC 6749 section 4.1.2): state, and a code or an error, each once.
// Parameters with other names are ignored. The error says what is wrong
// without repeating any of it, and then nothing else is returned: a malformed
// response has no effect.
func ParseAuthorizationResponse(rawQuery string) (state string, r AuthorizationResponse, err error) {
	got, err := responseParameters(rawQuery)
	if err != nil {
		return "", AuthorizationResponse{}, err
	}
	state = got["state"]
	code, hasCode := got["code"]
	errorCode, hasError := got["error"]
	switch {
	case state == "" || !isVSCHAR(state):
		return "", AuthorizationResponse{}, errors.New("authorization response: no usable state")
	case hasCode == hasError:
		return "", AuthorizationResponse{}, errors.New("authorization response: neither code nor error, or both")
	case hasCode && (code == "" || !isVSCHAR(code)):
		return "", AuthorizationResponse{}, errors.New("authorization response: code is empty or holds other characters than the RFC allows")
	case hasError && errorCode == "":
		return "", AuthorizationResponse{}, errors.New("authorization response: error is empty")
	}
	if hasCode {
		r.Code = NewSecret(code)
	} else {
		r.Error = cleanErrorCode(errorCode)
	}
	if iss, ok := got["iss"]; ok {
		r.Iss = &iss
	}
	return state, r, nil
}

// responseParameters decodes the parameters that mean something to us. Any one
// of them twice is an error (RFC 6749 section 3.1), and so is bad encoding
// anywhere: what reads it differently than we do must not matter.
func responseParameters(rawQuery string) (map[string]string, error) {
	if len(rawQuery) > maxURL {
		return nil, errors.New("authorization response: too long")
	}
	got := map[string]string{}
	for n := 0; rawQuery != ""; n++ {
		if n == maxParameters {
			return nil, errors.New("authorization response: too many parameters")
		}
		var pair string
		pair, rawQuery, _ = strings.Cut(rawQuery, "&")
		rawName, rawValue, _ := strings.Cut(pair, "=")
		name, err1 := url.QueryUnescape(rawName)
		value, err2 := url.QueryUnescape(rawValue)
		if err1 != nil || err2 != nil || strings.Contains(pair, ";") { // a separator to some
			return nil, errors.New("authorization response: malformed encoding")
		}
		switch name {
		case "code", "state", "iss", "error", "error_description", "error_uri":
			if _, twice := got[name]; twice {
				return nil, errors.New("authorization response: a parameter came twice")
			}
			got[name] = value
		}
	}
	return got, nil
}

// CheckIss compares the iss of a response with the issuer it was asked of
// (RFC 9207 section 2.4), byte by byte. A response from another server than the one
// the user was sent to is a mix-up attack. A server that is known without an
// issuer identifier has nothing to compare with; there the callback path, one
// per provider, tells servers apart.
func CheckIss(s Server, r AuthorizationResponse) error {
	switch {
	case r.Iss == nil && s.IssParameter:
		return fault.New(fault.IssMissing, "The answer does not say which server it comes from, though this provider always does. Nothing was connected. Start again.")
	case r.Iss == nil, !s.IssParameter && s.Issuer == "":
		return nil
	case *r.Iss != s.Issuer || s.Issuer == "":
		return fault.New(fault.IssMismatch, "The answer came from another server than the one you were sent to. Nothing was connected. Start again, and only approve what you started yourself.")
	}
	return nil
}

// cleanErrorCode returns an error code as it may be shown: in the alphabet of
// RFC 6749 section 4.1.2.1 and short, or else "other".
func cleanErrorCode(code string) string {
	if len(code) == 0 || len(code) > 64 {
		return "other"
	}
	for i := range len(code) {
		if c := code[i]; c < 0x20 || c > 0x7e || c == '"' || c == '\\' {
			return "other"
		}
	}
	return code
}

// isVSCHAR reports whether s is made of visible ASCII and blanks (RFC 6749 appendix A).
func isVSCHAR(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}
