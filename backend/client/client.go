// Package client calls the local API from Go: one method per route.
//
// It is made for programs that ask one thing and end. net/http alone would
// take as long to get going as everything else in such a program together
// (about 1 ms), so the few lines of HTTP/1.1 that a Unix socket needs are
// written out in exchange.go (RFC 9112): one connection per request, answers
// limited in size, a body with a length or in chunks.
//
// Every error is a *fault.Error, or the context's own. A problem document
// (RFC 9457) becomes a fault with its code and sentence. Unreachable means
// that nobody answered, and only then is it worth trying again; an answer that
// makes no sense is Internal, and nothing of it is repeated.
package client

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"keyturn/backend/api/wire"
	"keyturn/backend/fault"
	"keyturn/backend/socket"
)

// limit is how long an answer may take when the context sets no deadline:
// longer than a refresh at a slow provider with its one retry.
const limit = 90 * time.Second

// A Client asks the Keyturn that listens on one socket. It holds no
// connection and may be used from several goroutines.
type Client struct {
	socket string
}

// New returns a client for the socket at path. It does not connect yet.
func New(path string) *Client { return &Client{socket: path} }

// get asks and decodes the answer into out.
func (c *Client) get(ctx context.Context, path string, out any) error {
	return c.call(ctx, "GET", path, nil, out)
}

// post sends in, if it is not nil, and decodes the answer into out.
func (c *Client) post(ctx context.Context, path string, in, out any) error {
	return c.call(ctx, "POST", path, in, out)
}

func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	var body []byte
	if in != nil {
		var err error
		if body, err = json.Marshal(in); err != nil {
			return fault.Wrap(err, fault.BadRequest, "The request cannot be written as JSON.")
		}
	}
	r, err := c.send(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer r.close()
	data, err := r.read()
	if err != nil {
		return r.fault(err)
	}
	if r.status != 200 {
		return problem(r, data)
	}
	if !r.is("application/json") || json.Unmarshal(data, out) != nil {
		return garbled(errors.New("answer is not the JSON asked for"))
	}
	return nil
}

// send connects, sends the request, and returns when the answer's header is
// there.
func (c *Client) send(ctx context.Context, method, path string, body []byte) (*response, error) {
	conn, err := c.dial(ctx)
	if err != nil {
		return nil, err
	}
	r := newResponse(ctx, conn)
	// A server that refuses a request may answer before it has read it all:
	// what it said counts more than a failed write.
	writeErr := writeRequest(conn, method, path, body)
	if err := r.readHeader(); err != nil {
		r.close()
		if writeErr != nil {
			err = writeErr
		}
		return nil, r.fault(err)
	}
	return r, nil
}

// dial connects to a Keyturn that can be trusted.
func (c *Client) dial(ctx context.Context) (net.Conn, error) {
	conn, err := socket.Dial(ctx, c.socket)
	switch {
	case err == nil:
		return conn, nil
	case ctx.Err() != nil || errors.Is(err, os.ErrDeadlineExceeded):
		return nil, late(ctx, err)
	case errors.Is(err, socket.ErrUntrusted):
		why := strings.TrimPrefix(err.Error(), socket.ErrUntrusted.Error()+": ")
		return nil, fault.Wrap(err, fault.Forbidden, "The socket of Keyturn cannot be trusted, so nothing was sent: %s.", why)
	}
	return nil, unreachable(err)
}

// fault names what went wrong while an answer was read.
func (r *response) fault(err error) error {
	// The deadline of the connection may come a moment before that of the context.
	if r.ctx.Err() != nil || errors.Is(err, os.ErrDeadlineExceeded) {
		return late(r.ctx, err)
	}
	var closed net.Error
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &closed) {
		return unreachable(err)
	}
	return garbled(err)
}

// problem is the error that the other side sent.
func problem(r *response, data []byte) error {
	var p wire.Problem
	if !r.is("application/problem+json") || json.Unmarshal(data, &p) != nil || p.Code == "" || p.Detail == "" {
		return garbled(errors.New("failure without a problem document"))
	}
	return fault.New(fault.Code(p.Code), "%s", p.Detail)
}

// is reports whether the answer has this content type.
func (r *response) is(want string) bool {
	got, _, _ := strings.Cut(r.contentType, ";")
	return strings.EqualFold(strings.TrimSpace(got), want)
}

func unreachable(cause error) error {
	return fault.Wrap(cause, fault.Unreachable, "Could not reach Keyturn. Is it running?")
}

func garbled(cause error) error {
	return fault.Wrap(cause, fault.Internal, "Keyturn answered something that this program does not understand. Are both of the same version?")
}

// late is the error when the context ended: the caller's own doing, or our
// limit.
func late(ctx context.Context, cause error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return ctx.Err()
	}
	return fault.Wrap(errors.Join(cause, os.ErrDeadlineExceeded), fault.Unreachable, "Keyturn did not answer in time. Is it busy or stopped?")
}
