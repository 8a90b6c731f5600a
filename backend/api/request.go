package api

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/textproto"
	"reflect"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"keyturn/backend/api/wire"
	"keyturn/backend/fault"
	"keyturn/backend/orchestrator"
	"keyturn/backend/request"
	"keyturn/backend/strictjson"
)

const (
	maxRequests = 64
	// maxCallJSON is how much a simple program may send, and maxAnswer how
	// much of a provider's body it is given.
	maxCallJSON = 1 << 20
	maxAnswer   = 8 << 20
	// maxReplay is the longest body that is taken into memory, so that it can
	// be sent again without asking the caller.
	maxReplay = 64 << 10
	// maxAnswerHeader is the longest Keyturn-Response that clients have to read.
	maxAnswerHeader = 64 << 10
	// unmoved is how long one read from or write to the caller may take.
	unmoved = 10 * time.Minute
)

// request answers a simple program: bodies are in JSON, and in memory.
func (s *Server) request(ctx context.Context, in *with[wire.Request]) (wire.RequestAnswer, error) {
	body, err := bodyOf(in.Body)
	if err != nil {
		return wire.RequestAnswer{}, err
	}
	call := callOf(in.Body.RequestHead)
	call.Body = body
	a, leave, err := s.call(ctx, call)
	if err != nil {
		return wire.RequestAnswer{}, err
	}
	defer leave()
	data, err := io.ReadAll(io.LimitReader(a.Body, maxAnswer+1))
	if err != nil {
		return wire.RequestAnswer{}, err
	}
	out := wire.RequestAnswer{AnswerHead: headOf(a), Truncated: len(data) > maxAnswer}
	out.Body, out.BodyBase64 = inJSON(data[:min(len(data), maxAnswer)], out.Truncated)
	return out, nil
}

// call makes the call in one of a limited number of places. leave gives the
// place back and ends the answer.
func (s *Server) call(ctx context.Context, c request.Call) (a *request.Answer, leave func(), err error) {
	if c.Grant.Provider == "" && c.Grant.ConnectionID == "" {
		return nil, nil, badRequest("Name the provider, or the connection_id.")
	}
	if s.requests.Add(1) > maxRequests {
		s.requests.Add(-1)
		return nil, nil, fault.New(fault.RateLimited, "%d requests are being made already. Try again when one is done.", maxRequests)
	}
	a, err = s.opts.Requests.Do(ctx, c)
	if err != nil {
		s.requests.Add(-1)
		return nil, nil, err
	}
	return a, func() {
		a.Body.Close()
		s.requests.Add(-1)
	}, nil
}

func callOf(h wire.RequestHead) request.Call {
	return request.Call{
		Grant:   orchestrator.TokenQuery{Provider: h.Provider, Account: h.Account, ClientID: h.ClientID, ConnectionID: h.ConnectionID},
		Method:  h.Method,
		URL:     h.URL,
		Header:  h.Headers,
		Follow:  h.Follow,
		MaxTime: time.Duration(h.MaxTimeSeconds) * time.Second,
	}
}

func bodyOf(in wire.Request) (*request.Body, error) {
	switch {
	case in.Body != nil && in.BodyBase64 != nil:
		return nil, badRequest("Give body or body_base64, not both.")
	case in.Body != nil:
		return request.Bytes([]byte(*in.Body)), nil
	case in.BodyBase64 != nil:
		data, err := base64.StdEncoding.DecodeString(*in.BodyBase64)
		if err != nil {
			return nil, badRequest("body_base64 is not base64.")
		}
		return request.Bytes(data), nil
	}
	return nil, nil
}

// inJSON is a body as text when it is that. One that was cut may end within a
// character, which does not make it binary.
func inJSON(data []byte, cut bool) (text, encoded *string) {
	whole := data
	if cut {
		for len(data)-len(whole) < utf8.UTFMax-1 && !utf8.Valid(whole) {
			whole = whole[:len(whole)-1]
		}
	}
	if utf8.Valid(whole) {
		s := string(whole)
		return &s, nil
	}
	s := base64.StdEncoding.EncodeToString(data)
	return nil, &s
}

// ofTheConnection are headers that say nothing to who gets the answer from us
// (RFC 9110 section 7.6.1).
var ofTheConnection = map[string]bool{
	"Connection": true, "Keep-Alive": true, "Proxy-Connection": true, "Te": true, "Trailer": true, "Transfer-Encoding": true, "Upgrade": true,
}

func headOf(a *request.Answer) wire.AnswerHead {
	head := wire.AnswerHead{Status: a.Status, Headers: map[string][]string{}, Note: a.Note, Code: string(a.Code)}
	for name, values := range a.Header {
		if !ofTheConnection[textproto.CanonicalMIMEHeaderKey(name)] {
			head.Headers[strings.ToLower(name)] = values
		}
	}
	return head
}

// streamRequest answers a request whose header has the call, body by body.
func (s *Server) streamRequest(w http.ResponseWriter, r *http.Request, _ []byte) bool {
	if !streams(r) {
		return false
	}
	rc := http.NewResponseController(w)
	up := &uplink{body: r.Body, rc: rc}
	defer up.end()
	call, err := s.streamedCall(r, up)
	if err != nil {
		s.fail(r.Context(), "request", err).write(w)
		return true
	}
	a, leave, err := s.call(r.Context(), call)
	if err != nil {
		s.fail(r.Context(), "request", err).write(w)
		return true
	}
	defer leave()
	head, err := wire.InHeader(wire.StreamAnswer{AnswerHead: headOf(a), Again: a.Again})
	if err != nil || len(head) > maxAnswerHeader {
		s.fail(r.Context(), "request", fault.New(fault.ProviderError, "%s sent more headers than Keyturn passes on.", a.Host)).write(w)
		return true
	}
	// The provider may answer before it has the whole body.
	_ = rc.EnableFullDuplex() // what cannot is a test without a connection
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set(wire.ResponseHeader, head)
	if a.Length >= 0 {
		h.Set("Content-Length", strconv.FormatInt(a.Length, 10))
	}
	w.WriteHeader(http.StatusOK)
	if err := relay(w, rc, a.Body); err != nil {
		s.log.Debug("request cut off", slog.String("host", a.Host), slog.String("error", err.Error()))
		panic(http.ErrAbortHandler) // half an answer must not look whole
	}
	return true
}

// streams reports whether r has its call in the header.
func streams(r *http.Request) bool { return len(r.Header[wire.RequestHeader]) > 0 }

// streamedCall reads the call of a request, and its body as far as it is short.
func (s *Server) streamedCall(r *http.Request, up *uplink) (request.Call, error) {
	var in wire.StreamRequest
	given := r.Header[wire.RequestHeader]
	if len(given) != 1 {
		return request.Call{}, badRequest("The header %s is there twice.", wire.RequestHeader)
	}
	if err := s.strictly([]byte(given[0]), &in); err != nil {
		return request.Call{}, err
	}
	call := callOf(in.RequestHead)
	call.Resend, call.Again = in.Resend, in.Again
	switch n := r.ContentLength; {
	case n == 0:
	case n > 0 && n <= maxReplay:
		data, err := io.ReadAll(up)
		if err != nil {
			return request.Call{}, newProblem(http.StatusRequestTimeout, fault.BadRequest, "The body of the request did not arrive.")
		}
		call.Body = request.Bytes(data)
	default:
		call.Body = request.Stream(up, n)
	}
	return call, nil
}

// strictly reads one JSON object as huma would read it in a body.
func (s *Server) strictly(data []byte, out any) error {
	if err := strictjson.Check(data); err != nil {
		return badRequest("The header %s is not valid JSON (%s).", wire.RequestHeader, strings.TrimPrefix(err.Error(), "json: "))
	}
	var value any
	json.Unmarshal(data, &value)
	schemas := s.doc.Components.Schemas
	var found huma.ValidateResult
	huma.Validate(schemas, schemas.Schema(reflect.TypeOf(out), true, ""), huma.NewPathBuffer([]byte{}, 0), huma.ModeWriteToServer, value, &found)
	if len(found.Errors) > 0 {
		return refusal(http.StatusBadRequest, found.Errors)
	}
	return json.Unmarshal(data, out)
}

// uplink is the body of a request as the caller sends it. A caller that stops
// is not waited for forever.
type uplink struct {
	body io.Reader
	rc   *http.ResponseController
	done atomic.Bool
}

func (u *uplink) Read(p []byte) (int, error) {
	_ = u.rc.SetReadDeadline(time.Now().Add(unmoved))
	n, err := u.body.Read(p)
	if errors.Is(err, io.EOF) {
		u.done.Store(true)
		_ = u.rc.SetReadDeadline(time.Time{})
	}
	return n, err
}

// end stops a read that is waiting: net/http closes the body when the answer
// is out, and would wait with it.
func (u *uplink) end() {
	if !u.done.Load() && u.body != http.NoBody {
		_ = u.rc.SetReadDeadline(time.Now())
	}
}

// relay passes a body on as it comes.
func relay(w io.Writer, rc *http.ResponseController, body io.Reader) error {
	buffer := make([]byte, 32<<10)
	for {
		n, err := body.Read(buffer)
		if n > 0 {
			_ = rc.SetWriteDeadline(time.Now().Add(unmoved))
			if _, err := w.Write(buffer[:n]); err != nil {
				return err
			}
			if err := rc.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// streamed documents the streaming form of a route.
func (b binding) streamed(path string) binding {
	simple := b.register
	b.streams = true
	b.register = func(s *Server, api huma.API, op *huma.Operation) {
		simple(s, api, op)
		doc, schemas := api.OpenAPI().Paths[path].Post, api.OpenAPI().Components.Schemas
		doc.Description = "Simple programs send and get JSON, with bodies of up to 1 MiB and 8 MiB. " +
			"For larger ones, and for streams, put the call into the header " + wire.RequestHeader + " (JSON in ASCII) and the body into the body: " +
			"the answer then has the header " + wire.ResponseHeader + " and the provider's body. An answer that is not whole ends without its last chunk."
		doc.Parameters = append(doc.Parameters, &huma.Param{
			Name: wire.RequestHeader, In: "header", Description: "The call, for the streaming form",
			Content: map[string]*huma.MediaType{jsonType: {Schema: schemas.Schema(reflect.TypeFor[wire.StreamRequest](), true, "")}},
		})
		binary := map[string]any{"type": "string", "format": "binary"}
		doc.RequestBody.Content["application/octet-stream"] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}, Extensions: nil}
		_ = binary
		ok := doc.Responses["200"]
		ok.Content["application/octet-stream"] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}
		ok.Headers = map[string]*huma.Param{wire.ResponseHeader: {
			Description: "The answer without its body, as JSON, in the streaming form",
			Content:     map[string]*huma.MediaType{jsonType: {Schema: schemas.Schema(reflect.TypeFor[wire.StreamAnswer](), true, "")}},
		}}
	}
	return b
}

var _ = bytes.MinRead
