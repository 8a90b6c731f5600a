package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"keyturn/backend/api/wire"
	"keyturn/backend/fault"
	"keyturn/backend/request"
	"keyturn/backend/strictjson"
)

const (
	streamType = "application/octet-stream"
	// maxReplay is the longest body that is taken into memory, so that it can
	// be sent again without asking the caller.
	maxReplay = 64 << 10
	// maxAnswerHeader is the longest Keyturn-Response that clients have to read.
	maxAnswerHeader = 64 << 10
	// unmoved is how long one read from or write to the caller may take.
	unmoved = 10 * time.Minute
)

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
	h.Set("Content-Type", streamType)
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

// streamed adds the streaming form to the route of a request, and to what the
// document says about it.
func (b binding) streamed(path string) binding {
	simple := b.register
	b.streams = true
	b.register = func(s *Server, api huma.API, op *huma.Operation) {
		simple(s, api, op)
		schemas := api.OpenAPI().Components.Schemas
		inHeader := func(says string, shape reflect.Type) *huma.Param {
			return &huma.Param{Description: says, Extensions: map[string]any{
				"content": map[string]*huma.MediaType{jsonType: {Schema: schemas.Schema(shape, true, "")}},
			}}
		}
		anything := &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}

		doc := api.OpenAPI().Paths[path].Post
		doc.Description = fmt.Sprintf("Simple programs send and get JSON: bodies of up to 1 MiB there and 8 MiB back. "+
			"For larger bodies, and for streams, put the call into the header %s (JSON in ASCII) and the body into the body; "+
			"the answer has its status in the header %s, and the provider's body as its body. "+
			"A body that is not whole ends before its length, or without its last chunk.", wire.RequestHeader, wire.ResponseHeader)
		head := inHeader("The call, in the streaming form", reflect.TypeFor[wire.StreamRequest]())
		head.Name, head.In = wire.RequestHeader, "header"
		doc.Parameters = append(doc.Parameters, head)
		doc.RequestBody.Required = false
		doc.RequestBody.Content[streamType] = anything
		doc.Responses["200"].Content[streamType] = anything
		doc.Responses["200"].Headers = map[string]*huma.Param{
			wire.ResponseHeader: inHeader("The answer without its body, in the streaming form", reflect.TypeFor[wire.StreamAnswer]()),
		}
	}
	return b
}
