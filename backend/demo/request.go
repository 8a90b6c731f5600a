package demo

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// What a request asks for: the names that Request.Op and Fault.On use.
const (
	OpAuthorize = "authorize"
	OpConsent   = "consent"
	OpToken     = "token"   // code exchange
	OpRefresh   = "refresh" // refresh, at whichever address
	OpDevice    = "device"  // device authorization
	OpPoll      = "poll"    // token request with a device code
	OpEnter     = "enter"   // the page where the code is entered
	OpRevoke    = "revoke"
	OpUserinfo  = "userinfo"
	OpNotes     = "notes"
	OpMetadata  = "metadata"
	OpJWKS      = "jwks"
	OpOther     = "other"
)

// Request is one request as it came.
type Request struct {
	Op     string
	Method string
	Path   string
	Query  url.Values
	Form   url.Values // the body, form or flat JSON
	Header http.Header
	Body   []byte
	Time   time.Time

	malformed error // why Form could not be read
}

type requestKey struct{}

func withRequest(ctx context.Context, r *Request) context.Context {
	return context.WithValue(ctx, requestKey{}, r)
}

func requestOf(r *http.Request) *Request {
	return r.Context().Value(requestKey{}).(*Request)
}

// op names what a request asks for, as far as its path says.
func (s *Server) op(r *http.Request) string {
	path := strings.TrimPrefix(r.URL.Path, s.issuer.Path)
	switch path {
	case "/authorize", "/consent", "/token", "/refresh", "/revoke", "/userinfo", "/notes", "/jwks":
		return path[1:]
	case "/device_authorization":
		return OpDevice
	case "/device":
		return OpEnter
	case "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration":
		return OpMetadata
	}
	return OpOther
}

// readRequest reads a request once and for all.
func readRequest(r *http.Request, op string) *Request {
	q := &Request{Op: op, Method: r.Method, Path: r.URL.Path, Header: r.Header.Clone(), Time: time.Now()}
	q.Query, q.malformed = url.ParseQuery(r.URL.RawQuery)
	if r.Body != nil {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			q.malformed = err
		}
		q.Body = body
	}
	if len(q.Body) > 0 {
		form, err := readBody(r.Header.Get("Content-Type"), q.Body)
		q.Form = form
		if err != nil {
			q.malformed = err
		}
	}
	if op == OpToken && q.Form.Get("grant_type") == "refresh_token" {
		q.Op = OpRefresh
	}
	if op == OpToken && q.Form.Get("grant_type") == deviceGrant {
		q.Op = OpPoll
	}
	return q
}

func readBody(contentType string, body []byte) (url.Values, error) {
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return nil, err
	}
	switch media {
	case "application/x-www-form-urlencoded":
		return url.ParseQuery(string(body))
	case "application/json":
		var flat map[string]any
		if err := json.Unmarshal(body, &flat); err != nil {
			return nil, err
		}
		form := url.Values{}
		for k, v := range flat {
			if text, ok := v.(string); ok {
				form.Set(k, text)
			}
		}
		return form, nil
	}
	return nil, errors.New("unknown content type")
}

// isJSON reports whether the body came as JSON.
func (q *Request) isJSON() bool {
	media, _, _ := mime.ParseMediaType(q.Header.Get("Content-Type"))
	return media == "application/json"
}

// repeated returns the name of a parameter that is there twice, or "".
func repeated(v url.Values) string {
	for name, values := range v {
		if len(values) > 1 {
			return name
		}
	}
	return ""
}

// Counts are how often things happened since the server was made, and how
// many grants are alive now.
type Counts struct {
	Exchanges   int // codes exchanged for tokens
	Refreshes   int // refresh tokens exchanged for tokens
	Refused     int // token requests answered with an error
	Revocations int // grants ended by revocation
	Replays     int // grants ended because a code or refresh token was used twice
	LiveGrants  int
}

// Counts returns the counters.
func (s *Server) Counts() Counts {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.counts
	c.LiveGrants = len(s.grants)
	return c
}

// Requests returns the requests so far, of one kind or, with "", of all. It
// needs Options.Record.
func (s *Server) Requests(op string) []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []Request
	for _, q := range s.seen {
		if op == "" || q.Op == op {
			list = append(list, q)
		}
	}
	return list
}

// record notes a request and returns the fault that is due for it.
func (s *Server) record(q *Request) Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.opts.Record {
		s.seen = append(s.seen, *q)
	}
	f, _ := s.dueLocked(q, func(Fault) bool { return true })
	return f
}

// dueLocked consumes the first fault for a request if wanted says so.
func (s *Server) dueLocked(q *Request, wanted func(Fault) bool) (Fault, bool) {
	for i, f := range s.script {
		if f.On != q.Op && f.On != "" {
			continue
		}
		if !wanted(f) {
			return Fault{}, false
		}
		if s.script[i].Times--; s.script[i].Times <= 0 {
			s.script = slices.Delete(s.script, i, i+1)
		}
		return f, true
	}
	return Fault{}, false
}
