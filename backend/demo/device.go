package demo

import (
	"crypto/rand"
	"net/http"
	"slices"
	"strings"
	"time"
)

// The device authorization grant (RFC 8628): a code is entered on a page here,
// by a person whose browser need not know the program that wants the token.

const (
	deviceGrant = "urn:ietf:params:oauth:grant-type:device_code"

	deviceLife     = 10 * time.Minute
	deviceInterval = 5 * time.Second
	maxDevices     = 100
	// userCodeLetters have no vowels and nothing that looks like another
	// (RFC 8628 section 6.1).
	userCodeLetters = "BCDFGHJKLMNPQRSTVWXZ"
)

// device is a device authorization in progress.
type device struct {
	request  authorizationRequest
	userCode string
	expires  time.Time
	interval time.Duration
	polled   time.Time

	// Set once the user has answered.
	answered bool
	denied   bool
	account  Account
	scopes   []string
}

// deviceAuthorization is the device authorization endpoint (section 3.1).
func (s *Server) deviceAuthorization(w http.ResponseWriter, r *http.Request) {
	q := requestOf(r)
	if q.malformed != nil || q.isJSON() || repeated(q.Form) != "" || len(q.Query) > 0 {
		s.writeRefusal(w, q, refuse("invalid_request", "The request body cannot be read."))
		return
	}
	client, bad := s.authenticate(q)
	if bad != nil {
		s.writeRefusal(w, q, bad)
		return
	}
	a := authorizationRequest{client: client, device: random("dc_")}
	asked := strings.FieldsFunc(q.Form.Get("scope"), func(r rune) bool { return strings.ContainsRune(s.separator(), r) })
	if len(asked) == 0 {
		asked = defaultScopes
	}
	for _, name := range asked {
		if !knownScope(name) {
			s.writeRefusal(w, q, refuse("invalid_scope", "A scope is not known here."))
			return
		}
		if !slices.Contains(a.scopes, name) {
			a.scopes = append(a.scopes, name)
		}
	}
	d := &device{request: a, userCode: userCode(), expires: time.Now().Add(deviceLife), interval: deviceInterval}
	s.mu.Lock()
	s.sweepLocked(time.Now())
	full := len(s.devices) >= maxDevices
	if !full {
		s.devices[digestOf(a.device)] = d
	}
	s.mu.Unlock()
	if full {
		s.writeRefusal(w, q, &refusal{code: "slow_down", description: "Too many codes are waiting.", status: http.StatusTooManyRequests})
		return
	}
	at := s.opts.Issuer + "/device"
	writeJSON(w, "", http.StatusOK, map[string]any{
		"device_code":               a.device,
		"user_code":                 d.userCode,
		"verification_uri":          at,
		"verification_uri_complete": at + "?user_code=" + d.userCode,
		"expires_in":                int(deviceLife / time.Second),
		"interval":                  int(deviceInterval / time.Second),
	})
}

// userCode returns eight letters in two groups.
func userCode() string {
	b := make([]byte, 8)
	rand.Read(b)
	for i := range b {
		b[i] = userCodeLetters[int(b[i])%len(userCodeLetters)]
	}
	return string(b[:4]) + "-" + string(b[4:])
}

// deviceByCodeLocked finds a code as people type it. The caller holds s.mu.
func (s *Server) deviceByCodeLocked(typed string) *device {
	plain := func(s string) string {
		return strings.Map(func(r rune) rune {
			if strings.ContainsRune(userCodeLetters, r) {
				return r
			}
			return -1
		}, strings.ToUpper(s))
	}
	for _, d := range s.devices {
		if plain(d.userCode) == plain(typed) && !d.answered && time.Now().Before(d.expires) {
			return d
		}
	}
	return nil
}

// enter is the page where the code is entered (section 3.3), and where its form
// goes. A code in the address is shown, to be compared, and has to be confirmed.
func (s *Server) enter(w http.ResponseWriter, r *http.Request) {
	q := requestOf(r)
	if q.Method == http.MethodGet {
		s.pageEnter(w, q.Query.Get("user_code"), "")
		return
	}
	if !s.ownPage(q) {
		s.pageError(w, http.StatusForbidden, "This answer did not come from the page that asked. Nothing was granted.")
		return
	}
	s.mu.Lock()
	d := s.deviceByCodeLocked(q.Form.Get("user_code"))
	s.mu.Unlock()
	if d == nil {
		s.pageEnter(w, "", "This code is not known, or was used already, or is too old.")
		return
	}
	s.pageConsent(w, d.request, s.show(d.request))
}

// answer keeps what the user chose for a device.
func (s *Server) answer(w http.ResponseWriter, a authorizationRequest, u answered) {
	who, known := account(u.account)
	s.mu.Lock()
	d := s.devices[digestOf(a.device)]
	fits := d != nil && !d.answered && time.Now().Before(d.expires)
	if fits {
		d.answered, d.account = true, who
		for _, name := range a.scopes {
			if slices.Contains(u.scopes, name) {
				d.scopes = append(d.scopes, name)
			}
		}
		d.denied = u.answer != "allow" || !known || len(d.scopes) == 0
	}
	s.mu.Unlock()
	switch {
	case !fits:
		s.pageError(w, http.StatusBadRequest, "This code is too old. Go back to the program and start again.")
	case d.denied:
		s.pageDone(w, "Nothing was granted", "You can close this page. The program learns of it by itself.")
	default:
		s.pageDone(w, "Access is granted", "You can close this page. The program goes on by itself.")
	}
}

// poll answers a token request with a device code (sections 3.4 and 3.5).
func (s *Server) poll(client Client, code string) (tokens, *refusal) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.devices[digestOf(code)]
	switch {
	case d == nil || d.request.client.ID != client.ID:
		return tokens{}, refuse("invalid_grant", "The device code is wrong or was used.")
	case !now.Before(d.expires):
		return tokens{}, refuse("expired_token", "The code was not entered in time.")
	case !d.polled.IsZero() && now.Sub(d.polled) < d.interval:
		d.interval += deviceInterval
		d.polled = now
		return tokens{}, refuse("slow_down", "The program asks too often.")
	}
	d.polled = now
	if !d.answered {
		return tokens{}, refuse("authorization_pending", "The code was not entered yet.")
	}
	delete(s.devices, digestOf(code))
	if d.denied {
		return tokens{}, refuse("access_denied", "The user said no.")
	}
	return s.beginLocked(client, d.account, d.scopes, "")
}

// Enter plays a user who enters a code and allows what is asked for, or, with
// an account of nobody, denies it. It reports whether the code was known.
func (s *Server) Enter(code, accountName string) bool {
	who, known := account(accountName)
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.deviceByCodeLocked(code)
	if d == nil {
		return false
	}
	d.answered, d.denied, d.account, d.scopes = true, !known, who, d.request.scopes
	return true
}
