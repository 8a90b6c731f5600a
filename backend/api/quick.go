package api

import (
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"keyturn/backend/api/wire"
	"keyturn/backend/orchestrator"
)

// Programs ask for a token before everything they do, so this one request has
// a quick way: the plain form of its body is read here, byte by byte. Whatever
// is not plain goes the usual way, which decides what is wrong with it; a fuzz
// test holds the two ways to the same reading.

// quickToken answers a plain request for a token.
func (s *Server) quickToken(w http.ResponseWriter, r *http.Request, body []byte) bool {
	q, plain := plainTokenQuery(body)
	if !plain || r.Header.Get("Content-Type") != jsonType {
		return false
	}
	out, err := s.handOut(r.Context(), q)
	if err != nil {
		s.fail(r.Context(), "token", err).write(w)
		return true
	}
	w.Header()["Content-Type"] = []string{jsonType}
	huma.DefaultJSONFormat.Marshal(w, out)
	return true
}

// The limits of wire.TokenRequest; a test compares.
const (
	maxProvider = 64
	maxAccount  = 320
	maxClientID = 512
	maxMinValid = 365 * 24 * 60 * 60
)

// plainTokenQuery reads a wire.TokenRequest without scopes, written without
// blanks and escapes in printable ASCII, each member at most once.
func plainTokenQuery(body []byte) (q orchestrator.TokenQuery, plain bool) {
	p := plainReader{rest: body}
	seen := wire.TokenRequest{MinValidSeconds: -1}
	p.byte('{')
	for !p.bad {
		switch p.string(len("min_valid_seconds")) {
		case "provider":
			p.once(seen.Provider == "")
			seen.Provider = p.member(maxProvider)
		case "account":
			p.once(seen.Account == "")
			seen.Account = p.member(maxAccount)
		case "client_id":
			p.once(seen.ClientID == "")
			seen.ClientID = p.member(maxClientID)
		case "min_valid_seconds":
			p.once(seen.MinValidSeconds < 0)
			p.byte(':')
			seen.MinValidSeconds = p.number(maxMinValid)
		default:
			p.bad = true
		}
		if !p.next(',') {
			break
		}
	}
	p.byte('}')
	if p.next('\n'); p.bad || len(p.rest) > 0 || seen.Provider == "" {
		return q, false
	}
	return orchestrator.TokenQuery{
		Provider: seen.Provider,
		Account:  seen.Account,
		ClientID: seen.ClientID,
		MinValid: time.Duration(max(0, seen.MinValidSeconds)) * time.Second,
	}, true
}

// plainReader takes plain JSON apart; bad once something was not plain.
type plainReader struct {
	rest []byte
	bad  bool
}

// next takes c when it is next.
func (p *plainReader) next(c byte) bool {
	if len(p.rest) == 0 || p.rest[0] != c {
		return false
	}
	p.rest = p.rest[1:]
	return true
}

func (p *plainReader) byte(c byte) { p.bad = !p.next(c) || p.bad }

func (p *plainReader) once(first bool) { p.bad = !first || p.bad }

// member takes a colon and a string that is not empty.
func (p *plainReader) member(limit int) string {
	p.byte(':')
	s := p.string(limit)
	p.bad = s == "" || p.bad
	return s
}

func (p *plainReader) string(limit int) string {
	p.byte('"')
	for i, c := range p.rest {
		if c == '"' && i <= limit {
			s := string(p.rest[:i])
			p.rest = p.rest[i+1:]
			return s
		}
		if c < ' ' || c > '~' || c == '\\' || i >= limit {
			break
		}
	}
	p.bad = true
	return ""
}

// number takes a number of at most 8 digits.
func (p *plainReader) number(limit int) int {
	n, digits := 0, 0
	for len(p.rest) > 0 && '0' <= p.rest[0] && p.rest[0] <= '9' && digits < 9 {
		if n = n*10 + int(p.rest[0]-'0'); digits > 0 && n < 10 {
			p.bad = true // a leading zero
		}
		p.rest = p.rest[1:]
		digits++
	}
	p.bad = digits == 0 || digits > 8 || n > limit || p.bad
	return n
}
