package demo

import (
	"net/http"
	"time"
)

// Drop says how an answer fails to arrive.
type Drop int

// The ways.
const (
	Arrives     Drop = iota
	Unreachable      // nobody listens: the request is not sent (in memory only; on a socket it is Lost)
	Lost             // the request arrives, the connection ends, nothing has happened
	Unanswered       // the request arrives and takes effect, the answer does not arrive
)

// Fault is one answer that is not as it should be.
type Fault struct {
	On     string // one of the Op names; "" means the next request of any kind
	Times  int    // how many requests; 0 means one
	Delay  time.Duration
	Drop   Drop
	Status int // with Body and Header: answered instead of the real answer, which does not happen
	Header http.Header
	Body   string // application/json unless Header says otherwise
}

// Script has the next requests answered with faults, in order for each kind.
func (s *Server) Script(faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.script = append(s.script, faults...)
}

func (f Fault) answers() bool { return f.Status != 0 }

func (f Fault) write(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	for name, values := range f.Header {
		w.Header()[http.CanonicalHeaderKey(name)] = values
	}
	w.WriteHeader(f.Status)
	w.Write([]byte(f.Body))
}

// Quirks are departures from the RFCs that are seen in the wild. The zero
// Quirks are none.
type Quirks struct {
	JSONBody         bool   // the token endpoint takes JSON instead of a form
	RefreshElsewhere bool   // refresh works at /refresh only
	ScopeParam       string // authorization requests carry scopes under this name
	ScopeSeparator   string // between scopes; "" means a space
	GrantedSeparator string // between granted scopes; "" means ScopeSeparator

	Root           string // token answers are nested under this name
	OKField        string // answers have this boolean; errors come with status 200
	ErrorsAre200   bool   // token errors come with status 200
	FormAnswer     bool   // token answers are form-encoded
	ContentType    string // token answers are JSON under this content type
	TokenType      string // instead of "Bearer"; "none" leaves it out
	NoScope        bool   // token answers do not say the scope
	Unlisted       string // token answers do not list this scope, granted or not
	NoExpiry       bool   // token answers do not say the expiry
	ExpiryAsString bool   // expires_in is a string
	NoRefresh      bool   // no refresh token is issued
	NoIss          bool   // responses do not name their issuer
	NoPKCE         bool   // metadata does not mention PKCE, which is needed nevertheless
	// Revoke is how revocation works: "" RFC 7009; "bearer" with the token
	// itself as authorization and no body; "json" with the token in a JSON
	// body under token or access_token, and Basic authentication; "open"
	// without authentication.
	Revoke string
}
