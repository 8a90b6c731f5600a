package relay

import (
	"crypto/ecdh"
	"crypto/hpke"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"regexp"
	"sync"

	"keyturn/backend/fault"
	"keyturn/backend/oauth"
)

// providerID is what may be the last element of a callback path.
var providerID = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,63}$`)

// flow is SHA-256(state). The state itself is not a key of anything.
type flow [sha256.Size]byte

// Attempt is one authorization that waits for its callback. Its methods may be
// called from any goroutine.
type Attempt struct {
	client   *Client
	provider string
	state    string
	flow     flow
	key      hpke.PrivateKey

	held     chan struct{}                    // closed once a response waits for its code
	response chan oauth.AuthorizationResponse // of one; filled once

	mu      sync.Mutex
	waiting []candidate
	wrong   int // codes typed
	over    bool
}

// candidate is a response that waits for its code.
type candidate struct {
	code, query string
	response    oauth.AuthorizationResponse
}

// Expect prepares an attempt at this provider and returns its state, which goes
// into the authorization URL as it is. It does not ask whether the gateway is
// reachable now; Ready does. The caller ends the attempt with Cancel.
func (c *Client) Expect(provider string) (*Attempt, error) {
	if !providerID.MatchString(provider) {
		return nil, errors.New("relay: not the id of a provider")
	}
	key, err := hpke.DHKEM(ecdh.X25519()).GenerateKey()
	if err != nil {
		return nil, err
	}
	state := makeState(c.enrolment.ID, c.enrolment.route, provider, key.PublicKey().Bytes())
	a := &Attempt{
		client: c, provider: provider, state: state, flow: sha256.Sum256([]byte(state)), key: key,
		held: make(chan struct{}), response: make(chan oauth.AuthorizationResponse, 1),
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.attempts) >= MaxAttempts {
		return nil, fault.New(fault.RateLimited, "Too many connections are being made at once. Finish or cancel some of them first.")
	}
	c.attempts[a.flow] = a
	return a, nil
}

// State is the OAuth state of the attempt.
func (a *Attempt) State() string { return a.state }

// Held is closed once a response is there that needs the code which the
// gateway's page shows.
func (a *Attempt) Held() <-chan struct{} { return a.held }

// Response receives the one response: after Confirm, or at once when it is an
// error.
func (a *Attempt) Response() <-chan oauth.AuthorizationResponse { return a.response }

// Cancel ends the attempt. What comes for it afterwards is unknown.
func (a *Attempt) Cancel() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.endLocked()
}

// endLocked forgets everything about the attempt.
func (a *Attempt) endLocked() {
	a.over, a.waiting = true, nil
	a.client.forget(a)
}

// Confirm takes what the person typed. With the code of a response that is
// held, that response is given out and the attempt is over; after Tries other
// codes it is over without one. Letter case, blanks and dashes do not matter.
// The error is a *fault.Error and wraps ErrNothingHeld, ErrWrongCode or ErrOver.
func (a *Attempt) Confirm(typed string) error {
	code := []byte(clean(typed))
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.over:
		return fault.Wrap(ErrOver, fault.Expired, "This attempt is over. Start again.")
	case len(a.waiting) == 0:
		return fault.Wrap(ErrNothingHeld, fault.Conflict, "No answer of the provider has come yet. Approve in the browser first; the page that follows shows the code.")
	}
	// Every candidate is compared in full: time says neither which nor how far.
	var match *candidate
	for i := range a.waiting {
		if subtle.ConstantTimeCompare(code, []byte(a.waiting[i].code)) == 1 {
			match = &a.waiting[i]
		}
	}
	if match != nil {
		a.response <- match.response
		a.endLocked()
		return nil
	}
	a.wrong++
	switch Tries - a.wrong {
	case 0:
		a.endLocked()
		return fault.Wrap(ErrOver, fault.Cancelled, "The code was wrong %d times, so nothing was connected. Start again.", Tries)
	case 1:
		return fault.Wrap(ErrWrongCode, fault.BadRequest, "That is not the code on the page in your browser. One try is left.")
	}
	return fault.Wrap(ErrWrongCode, fault.BadRequest, "That is not the code on the page in your browser. %d tries are left.", Tries-a.wrong)
}

// take checks an opened message and holds or hands over the response in it.
func (a *Attempt) take(d Delivery) Verdict {
	if d.Provider != a.provider {
		return Unknown
	}
	state, response, err := oauth.ParseAuthorizationResponse(d.Query)
	if err != nil || subtle.ConstantTimeCompare([]byte(state), []byte(a.state)) != 1 {
		return Refused
	}
	failed := response.Error != ""
	if failed != (d.Code == "") {
		return Refused // a gateway may not spare anybody the code
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.over {
		return Unknown
	}
	if failed {
		a.response <- response
		a.endLocked()
		return Accepted
	}
	for _, c := range a.waiting {
		if c.query == d.Query && c.code == d.Code {
			return Accepted
		}
	}
	if len(a.waiting) == maxHeld {
		return Refused
	}
	a.waiting = append(a.waiting, candidate{code: d.Code, query: d.Query, response: response})
	if len(a.waiting) == 1 {
		close(a.held)
	}
	return Accepted
}
