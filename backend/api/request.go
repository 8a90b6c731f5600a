package api

import (
	"context"
	"encoding/base64"
	"io"
	"net/textproto"
	"strings"
	"time"
	"unicode/utf8"

	"keyturn/backend/activity"
	"keyturn/backend/api/wire"
	"keyturn/backend/fault"
	"keyturn/backend/orchestrator"
	"keyturn/backend/request"
)

const (
	maxRequests = 64 // at a time
	// maxCallJSON is how much a simple program may send, and maxAnswer how
	// much of a provider's body it is given.
	maxCallJSON = 1 << 20
	maxAnswer   = 8 << 20
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
	if err = s.o.HandsOut(); err == nil {
		a, err = s.opts.Requests.Do(ctx, c)
	}
	if err != nil {
		s.record(ctx, activity.Request, c.Grant, "", err)
		s.requests.Add(-1)
		return nil, nil, err
	}
	if !a.Again {
		s.record(ctx, activity.Request, c.Grant, a.Connection.ID, nil)
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
