package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	"keyturn/backend/api/wire"
	"keyturn/backend/fault"
)

const (
	maxRequestHead  = 28 << 10 // what a Keyturn takes for a Keyturn-Request
	maxAnswerHeader = 96 << 10 // more than the longest Keyturn-Response
)

// Content is the body of a request.
type Content struct {
	Size int64 // -1: not known
	// Open returns the body from its beginning.
	Open func() (io.ReadCloser, error)
	// Once: Open works one time only.
	Once bool
}

// Answer is what a provider answered. Body is to be read and closed; an error
// while it is read means that it is not whole.
type Answer struct {
	wire.AnswerHead
	Length int64 // of Body; -1: not known
	Body   io.ReadCloser
}

// Request calls a provider's API. content may be nil. When the provider
// refuses the token and Keyturn has renewed it, the call is made once more, if
// content can be opened again. It takes as long as ctx lives.
func (c *Client) Request(ctx context.Context, in wire.RequestHead, content *Content) (*Answer, error) {
	call := wire.StreamRequest{RequestHead: in, Resend: content != nil && !content.Once}
	for {
		a, again, err := c.request(ctx, call, content)
		if err != nil || !again || call.Again || !call.Resend {
			return a, err
		}
		a.Body.Close()
		call.Again = true
	}
}

// request sends the call once. The body goes out beside the answer that comes
// in: a provider may answer before it has all of it.
func (c *Client) request(ctx context.Context, call wire.StreamRequest, content *Content) (a *Answer, again bool, err error) {
	head, err := wire.InHeader(call)
	if err != nil {
		return nil, false, fault.Wrap(err, fault.BadRequest, "The request cannot be written as JSON.")
	}
	if len(head) > maxRequestHead {
		return nil, false, fault.New(fault.BadRequest, "The address and the headers are longer than %d KiB together.", maxRequestHead>>10)
	}
	var up upload
	if content != nil {
		body, err := content.Open()
		if err != nil {
			return nil, false, err
		}
		up.body, up.size = body, content.Size
	}
	conn, err := c.dial(ctx)
	if err != nil {
		up.close()
		return nil, false, err
	}
	r := newResponse(ctx, conn)
	r.buf, r.maxHeader = bufio.NewReaderSize(conn, maxAnswerHeader), maxAnswerHeader
	go up.send(conn, head)
	fail := func(err error) (*Answer, bool, error) {
		r.close()
		if broken := up.broken.Load(); broken != nil {
			return nil, false, *broken
		}
		return nil, false, err
	}
	if err := r.readHeader(); err != nil {
		return fail(r.fault(err))
	}
	if r.status != 200 {
		data, err := r.read()
		if err != nil {
			return fail(r.fault(err))
		}
		return fail(problem(r, data))
	}
	var said wire.StreamAnswer
	if !r.is("application/octet-stream") || !r.whole || json.Unmarshal([]byte(r.about), &said) != nil || said.Status == 0 {
		return fail(garbled(errors.New("answer is not a relayed one")))
	}
	return &Answer{AnswerHead: said.AnswerHead, Length: r.length, Body: &download{r, &up}}, said.Again, nil
}

// upload is a request on its way out.
type upload struct {
	body   io.ReadCloser // nil: none
	size   int64
	broken atomic.Pointer[error] // why the body could not be read
}

func (u *upload) close() {
	if u.body != nil {
		u.body.Close()
	}
}

// send writes the request. When the server does not want all of it, its answer
// says so; when the body cannot be read, nothing must look whole.
func (u *upload) send(conn net.Conn, head string) {
	defer u.close()
	framing := "Content-Length: 0"
	switch {
	case u.body != nil && u.size >= 0:
		framing = fmt.Sprintf("Content-Length: %d", u.size)
	case u.body != nil:
		framing = "Transfer-Encoding: chunked"
	}
	_, err := fmt.Fprintf(conn, "POST /v1/request HTTP/1.1\r\nHost: keyturn\r\nConnection: close\r\nContent-Type: application/octet-stream\r\n%s: %s\r\n%s\r\n\r\n", wire.RequestHeader, head, framing)
	if err != nil || u.body == nil {
		return
	}
	chunked := u.size < 0
	body := io.Reader(u.body)
	if !chunked {
		body = &exactly{u.body, u.size}
	}
	buffer := make([]byte, chunkRoom+32<<10+len(lineEnd))
	for {
		n, err := body.Read(buffer[chunkRoom : len(buffer)-len(lineEnd)])
		if n > 0 {
			data := buffer[chunkRoom : chunkRoom+n]
			if chunked {
				data = chunk(buffer, n)
			}
			if _, err := conn.Write(data); err != nil {
				return
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			err = fault.Wrap(err, fault.Internal, "The body of the request could not be read, so the request was given up.")
			u.broken.Store(&err)
			conn.SetDeadline(time.Unix(1, 0))
			return
		}
	}
	if chunked {
		io.WriteString(conn, "0"+lineEnd+lineEnd)
	}
}

const (
	lineEnd   = "\r\n"
	chunkRoom = 10 // for the size of a chunk, before its data
)

// chunk makes the n bytes after chunkRoom a chunk (RFC 9112 section 7.1).
func chunk(buffer []byte, n int) []byte {
	size := strconv.FormatInt(int64(n), 16) + lineEnd
	from := chunkRoom - len(size)
	copy(buffer[from:], size)
	copy(buffer[chunkRoom+n:], lineEnd)
	return buffer[from : chunkRoom+n+len(lineEnd)]
}

// download is the body of an answer.
type download struct {
	r  *response
	up *upload
}

func (d *download) Read(p []byte) (int, error) {
	n, err := d.r.body.Read(p)
	switch {
	case err == nil || err == io.EOF:
	case d.up.broken.Load() != nil:
		err = *d.up.broken.Load()
	case d.r.ctx.Err() != nil || errors.Is(err, os.ErrDeadlineExceeded):
		err = late(d.r.ctx, err)
	default:
		err = fault.Wrap(err, fault.ProviderUnavailable, "The answer broke off before its end, so it is not whole.")
	}
	return n, err
}

func (d *download) Close() error {
	d.r.close()
	return nil
}
