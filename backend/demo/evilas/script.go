package evilas

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// Step is the answer to one request; the package comment lists what it can do.
type Step struct {
	Status         int // 0 means 200
	Header         map[string]string
	Body           string
	Repeat         int // how many times the body is sent; 0 means once
	Delay          time.Duration
	BytesPerSecond int
	Gzip           bool
	RedirectTo     string
	CloseAfter     int
	Hangup         bool
	Raw            string
	Behave         bool
}

// JSON is a Step that answers 200 with a JSON body.
func JSON(body string) Step {
	return Step{Header: map[string]string{"Content-Type": "application/json"}, Body: body}
}

// Script queues answers for the next requests to a path.
func (s *Server) Script(path string, steps ...Step) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.scripts[path] = append(s.scripts[path], steps...)
}

func (s *Server) next(path string) (Step, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	steps := s.scripts[path]
	if len(steps) == 0 {
		return Step{}, false
	}
	s.scripts[path] = steps[1:]
	return steps[0], true
}

func (step Step) play(s *Server, w http.ResponseWriter, r *http.Request) {
	if !s.wait(r, step.Delay) {
		return
	}
	switch {
	case step.Behave && step.Hangup:
		s.behave(lost{http.Header{}}, r)
		hangUp(w, "")
	case step.Behave:
		s.behave(w, r)
	case step.Hangup || step.Raw != "":
		hangUp(w, step.Raw)
	case step.RedirectTo != "":
		http.Redirect(w, r, step.RedirectTo, cmp.Or(step.Status, http.StatusTemporaryRedirect))
	default:
		step.answer(s, w, r)
	}
}

func (step Step) answer(s *Server, w http.ResponseWriter, r *http.Request) {
	for name, value := range step.Header {
		w.Header().Set(name, value)
	}
	status := cmp.Or(step.Status, http.StatusOK)
	body := step.body()
	if step.CloseAfter > 0 {
		whole, _ := io.ReadAll(body)
		w.Header().Set("Content-Length", fmt.Sprint(len(whole)))
		w.WriteHeader(status)
		w.Write(whole[:min(step.CloseAfter, len(whole))])
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	if step.Gzip {
		w.Header().Set("Content-Encoding", "gzip")
	}
	w.WriteHeader(status)
	var out io.Writer = w
	if step.Gzip {
		z := gzip.NewWriter(w)
		defer z.Close()
		out = z
	}
	if step.BytesPerSecond == 0 {
		io.Copy(out, body)
		return
	}
	for {
		if n, err := io.CopyN(out, body, 1); n == 0 || err != nil {
			return
		}
		http.NewResponseController(w).Flush()
		if !s.wait(r, time.Second/time.Duration(step.BytesPerSecond)) {
			return
		}
	}
}

// body is made while it is sent: it may be far larger than memory.
func (step Step) body() io.Reader {
	if step.Repeat == 0 {
		return strings.NewReader(step.Body)
	}
	return io.LimitReader(&endless{text: []byte(step.Body)}, int64(step.Repeat)*int64(len(step.Body)))
}

type endless struct {
	text []byte
	at   int
}

func (e *endless) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		c := copy(p[n:], e.text[e.at:])
		n, e.at = n+c, (e.at+c)%len(e.text)
	}
	return n, nil
}

// wait reports false when client or test went away meanwhile.
func (s *Server) wait(r *http.Request, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-r.Context().Done():
	case <-s.ended:
	}
	return false
}

// hangUp takes the connection from net/http, says raw, and closes it.
func hangUp(w http.ResponseWriter, raw string) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	io.Copy(conn, bytes.NewReader([]byte(raw)))
}

// lost is an answer on its way to nobody.
type lost struct{ header http.Header }

func (l lost) Header() http.Header         { return l.header }
func (l lost) Write(p []byte) (int, error) { return len(p), nil }
func (l lost) WriteHeader(int)             {}
