package api

import (
	"bytes"
	"cmp"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"keyturn/backend/fault"
	"keyturn/backend/strictjson"
)

const (
	maxBody     = int64(64 << 10)
	bodyTimeout = 5 * time.Second
)

// Door returns the API as one principal sees it. Whatever comes through is
// taken for that principal's: the caller of Door has made sure of it (the
// socket by its peer, the window by being in this process).
func (s *Server) Door(p Principal) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a := &answer{ResponseWriter: w}
		defer s.recover(a, r)
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("X-Content-Type-Options", "nosniff")
		row, body, refused := s.admit(p, a, r)
		if refused != nil {
			refused.write(a)
			return
		}
		if row.quick != nil && row.quick(s, a, r, body) {
			return
		}
		if refused := row.check(r, body); refused != nil {
			refused.write(a)
			return
		}
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		r.Header.Del("Accept") // answers are JSON, whatever else would be welcome
		s.mux.ServeHTTP(a, r.WithContext(withPrincipal(r.Context(), p)))
	})
}

// admit finds the route and reads the body, when p may call the route. The
// order of its checks is path, method, access, query, size.
func (s *Server) admit(p Principal, w http.ResponseWriter, r *http.Request) (row, []byte, *problem) {
	// A body that is refused unread is discarded by net/http when the answer
	// is out; a sender that never finishes must not hold it up. net/http takes
	// the deadline away when it has seen the end of the body.
	hasBody := r.Body != nil && r.Body != http.NoBody
	if hasBody {
		http.NewResponseController(w).SetReadDeadline(time.Now().Add(bodyTimeout))
	}
	if !canonical(r.URL.Path) || r.URL.RawPath != "" {
		return row{}, nil, noSuchRoute()
	}
	_, pattern := s.mux.Handler(r)
	found, known := s.rows[pattern]
	if !known || found.method != r.Method { // ServeMux lets HEAD reach GET
		if allow := s.methods(r); len(allow) > 0 {
			refused := newProblem(http.StatusMethodNotAllowed, fault.BadRequest, "This route does not have this method.")
			refused.header = http.Header{"Allow": {strings.Join(allow, ", ")}}
			return row{}, nil, refused
		}
		return row{}, nil, noSuchRoute()
	}
	if !found.access.admits(p) {
		return row{}, nil, newProblem(http.StatusForbidden, fault.Forbidden, "This is not for the kind of program that asked.")
	}
	if r.URL.RawQuery != "" {
		if err := found.checkQuery(r.URL.RawQuery); err != nil {
			return row{}, nil, problemOf(err)
		}
	}
	if !hasBody || found.streams && streams(r) {
		return found, nil, nil
	}
	body, refused := readBody(r, cmp.Or(found.maxBody, maxBody))
	if refused != nil {
		return row{}, nil, refused
	}
	return found, body, nil
}

// checkQuery refuses a query that does not say what the route can be asked,
// each thing once. What it repeats are names from the table.
func (row row) checkQuery(raw string) error {
	if len(row.query) == 0 {
		return badRequest("This route takes no query.")
	}
	asked, err := url.ParseQuery(raw)
	if err != nil {
		return badRequest("The query is not one.")
	}
	for name, values := range asked {
		switch {
		case !slices.Contains(row.query, name):
			return badRequest("The query has a parameter that this route does not know. It knows %s.", strings.Join(row.query, ", "))
		case len(values) > 1 || values[0] == "":
			return badRequest("The query has to say %s once.", name)
		}
	}
	return nil
}

func readBody(r *http.Request, limit int64) ([]byte, *problem) {
	if r.ContentLength > limit {
		return nil, bodyTooLarge(limit)
	}
	var b bytes.Buffer
	if r.ContentLength > 0 {
		b.Grow(int(r.ContentLength) + bytes.MinRead)
	}
	if n, err := b.ReadFrom(io.LimitReader(r.Body, limit+1)); err != nil {
		return nil, newProblem(http.StatusRequestTimeout, fault.BadRequest, "The body of the request did not arrive.")
	} else if n > limit {
		return nil, bodyTooLarge(limit)
	}
	return b.Bytes(), nil
}

const jsonType = "application/json"

// check refuses a body that is not one JSON value that says everything once.
func (row row) check(r *http.Request, body []byte) *problem {
	if len(body) == 0 {
		return nil
	}
	if ct := r.Header.Get("Content-Type"); ct != jsonType {
		if media, _, err := mime.ParseMediaType(ct); err != nil || media != jsonType {
			return newProblem(http.StatusUnsupportedMediaType, fault.BadRequest, "The body has to be JSON, with Content-Type application/json.")
		}
	}
	if err := strictjson.Check(body); err != nil {
		return problemOf(badRequest("The body is not valid JSON (%s).", strings.TrimPrefix(err.Error(), "json: ")))
	}
	if !row.takesBody && string(bytes.TrimSpace(body)) != "{}" {
		return problemOf(badRequest("This route takes no body."))
	}
	return nil
}

func bodyTooLarge(limit int64) *problem {
	return newProblem(http.StatusRequestEntityTooLarge, fault.BadRequest, fmt.Sprintf("The body is larger than %d KiB.", limit>>10))
}

func noSuchRoute() *problem {
	return newProblem(http.StatusNotFound, fault.NotFound, "There is no such route.")
}

// methods returns the methods that the path of r has.
func (s *Server) methods(r *http.Request) []string {
	var found []string
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		probe := *r
		probe.Method = method
		if _, pattern := s.mux.Handler(&probe); pattern != "" {
			if _, known := s.rows[pattern]; known {
				found = append(found, method)
			}
		}
	}
	slices.Sort(found)
	return found
}

const documentPath = "/v1/openapi.json"

// canonical reports whether path is written in the one way there is: segments
// of 1 to 64 of the characters that ids are made of. ServeMux would clean
// other spellings and redirect.
func canonical(path string) bool {
	if path == documentPath {
		return true
	}
	rest, ok := strings.CutPrefix(path, "/")
	if !ok {
		return false
	}
	length := 0
	for i := 0; i < len(rest); i++ {
		switch c := rest[i]; {
		case c == '/':
			if length == 0 {
				return false
			}
			length = 0
			continue
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '_', c == '-':
		default:
			return false
		}
		if length++; length > 64 {
			return false
		}
	}
	return length > 0
}

// answer remembers whether anything has been sent.
type answer struct {
	http.ResponseWriter
	begun bool
}

func (a *answer) WriteHeader(status int) {
	a.begun = true
	a.ResponseWriter.WriteHeader(status)
}

func (a *answer) Write(data []byte) (int, error) {
	a.begun = true
	return a.ResponseWriter.Write(data)
}

// Unwrap lets http.ResponseController through.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// recover answers 500 for a handler that panicked. The log gets where, not
// what: the value and the arguments may hold a secret.
func (s *Server) recover(a *answer, r *http.Request) {
	v := recover()
	if v == nil {
		return
	}
	if v == http.ErrAbortHandler {
		panic(v)
	}
	s.log.Error("panic in a handler", slog.String("method", r.Method), slog.String("path", r.URL.Path),
		slog.String("at", where()))
	if a.begun {
		panic(http.ErrAbortHandler) // cut the answer short: half of one must not look whole
	}
	newProblem(http.StatusInternalServerError, fault.Internal, fault.MessageOf(errPanic)).write(a)
}

var errPanic = error(panicked{})

type panicked struct{}

func (panicked) Error() string { return "panic in a handler" }

// where lists the functions on the stack of a panic, without their arguments.
func where() string {
	pc := make([]uintptr, 32)
	frames := runtime.CallersFrames(pc[:runtime.Callers(4, pc)])
	var b strings.Builder
	for {
		f, more := frames.Next()
		if b.Len() > 0 {
			b.WriteString(" < ")
		}
		b.WriteString(f.Function + ":" + strconv.Itoa(f.Line))
		if !more {
			return b.String()
		}
	}
}
