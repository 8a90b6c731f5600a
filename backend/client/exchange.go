package client

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

const (
	maxHeader = 16 << 10
	maxBody   = 4 << 20
)

// errTooLarge and errMalformed are about answers, not about the connection.
var (
	errTooLarge  = errors.New("answer is too large")
	errMalformed = errors.New("answer is not HTTP/1.1")
)

// writeRequest sends one request on a connection that serves no other.
func writeRequest(w io.Writer, method, path string, body []byte) error {
	b := make([]byte, 0, 160+len(path)+len(body))
	b = append(b, method...)
	b = append(b, ' ')
	b = append(b, path...)
	b = append(b, " HTTP/1.1\r\nHost: keyturn\r\nConnection: close\r\n"...)
	if body != nil {
		b = append(b, "Content-Type: application/json\r\nContent-Length: "...)
		b = strconv.AppendInt(b, int64(len(body)), 10)
		b = append(b, "\r\n"...)
	} else if method == "POST" {
		b = append(b, "Content-Length: 0\r\n"...)
	}
	b = append(b, "\r\n"...)
	b = append(b, body...)
	_, err := w.Write(b)
	return err
}

// response is an answer while it is being read.
type response struct {
	ctx  context.Context
	conn net.Conn
	buf  *bufio.Reader
	stop func() bool // forgets ctx

	maxHeader   int64
	status      int
	contentType string
	about       string // Keyturn-Response
	length      int64  // of body; -1: not said
	whole       bool   // body says where it ends
	body        io.Reader
}

// newResponse expects an answer on conn for as long as ctx lives.
func newResponse(ctx context.Context, conn net.Conn) *response {
	r := &response{ctx: ctx, conn: conn, buf: bufio.NewReader(conn), maxHeader: maxHeader}
	if deadline, ok := ctx.Deadline(); ok {
		conn.SetDeadline(deadline)
	}
	r.stop = context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	return r
}

func (r *response) close() {
	r.stop()
	r.conn.Close()
}

// readHeader reads the status line and the fields up to the empty line, and
// prepares body (RFC 9112 section 6.3).
func (r *response) readHeader() error {
	limited := &io.LimitedReader{R: r.conn, N: r.maxHeader}
	r.buf.Reset(limited)
	status, err := r.line()
	if err != nil {
		return err
	}
	if r.status, err = parseStatus(status); err != nil {
		return err
	}
	length, chunked := int64(-1), false
	for {
		field, err := r.line()
		if err != nil {
			return tooLarge(err, limited)
		}
		if field == "" {
			break
		}
		name, value, ok := strings.Cut(field, ":")
		if !ok {
			return errMalformed
		}
		value = strings.Trim(value, " \t")
		switch strings.ToLower(name) {
		case "content-type":
			r.contentType = value
		case "keyturn-response":
			r.about = value
		case "content-length":
			n, err := strconv.ParseUint(value, 10, 62)
			if err != nil || length >= 0 {
				return errMalformed
			}
			length = int64(n)
		case "transfer-encoding":
			if chunked = strings.EqualFold(value, "chunked"); !chunked {
				return errMalformed
			}
		}
	}
	limited.N = 1<<63 - 1 // what follows has limits of its own
	r.length, r.whole = length, chunked || length >= 0
	switch {
	case chunked && length >= 0:
		return errMalformed
	case chunked:
		r.body = &chunks{buf: r.buf}
	case length >= 0:
		r.body = &exactly{r.buf, length}
	default:
		r.body = r.buf // ends with the connection
	}
	return nil
}

// tooLarge tells a header that hit its limit from a connection that ended.
func tooLarge(err error, limited *io.LimitedReader) error {
	if limited.N <= 0 {
		return errTooLarge
	}
	return err
}

// line returns the next line of the header without its end.
func (r *response) line() (string, error) { return readLine(r.buf) }

func readLine(buf *bufio.Reader) (string, error) {
	line, err := buf.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		return "", errTooLarge
	}
	if err != nil {
		return "", err
	}
	line = line[:len(line)-1]
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	return string(line), nil
}

// parseStatus reads "HTTP/1.1 200 OK".
func parseStatus(line string) (int, error) {
	rest, ok := strings.CutPrefix(line, "HTTP/1.1 ")
	code, _, _ := strings.Cut(rest, " ")
	status, err := strconv.ParseUint(code, 10, 16)
	if !ok || err != nil || status < 200 || status > 599 {
		return 0, errMalformed
	}
	return int(status), nil
}

// read returns the whole body.
func (r *response) read() ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r.body, maxBody+1))
	if err == nil && len(data) > maxBody {
		err = errTooLarge
	}
	return data, err
}

// exactly reads n bytes; fewer are an error.
type exactly struct {
	r io.Reader
	n int64
}

func (e *exactly) Read(p []byte) (int, error) {
	if e.n == 0 {
		return 0, io.EOF
	}
	if int64(len(p)) > e.n {
		p = p[:e.n]
	}
	n, err := e.r.Read(p)
	e.n -= int64(n)
	if err == io.EOF && e.n > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// chunks reads a chunked body (RFC 9112 section 7.1). Trailers are ignored.
type chunks struct {
	buf  *bufio.Reader
	left int64 // of the current chunk
	any  bool  // a chunk was read: its line end comes before the next size
	done bool
}

func (c *chunks) Read(p []byte) (int, error) {
	if c.done || len(p) == 0 {
		return 0, c.end()
	}
	if c.left == 0 {
		if err := c.next(); err != nil {
			return 0, err
		}
		if c.done {
			return 0, io.EOF
		}
	}
	if int64(len(p)) > c.left {
		p = p[:c.left]
	}
	n, err := c.buf.Read(p)
	c.left -= int64(n)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func (c *chunks) end() error {
	if c.done {
		return io.EOF
	}
	return nil
}

// next reads the size of the next chunk.
func (c *chunks) next() error {
	if c.any {
		if end, err := readLine(c.buf); err != nil {
			return unexpected(err)
		} else if end != "" {
			return errMalformed
		}
	}
	line, err := readLine(c.buf)
	if err != nil {
		return unexpected(err)
	}
	size, _, _ := strings.Cut(line, ";")
	n, err := strconv.ParseUint(strings.TrimRight(size, " \t"), 16, 31)
	if err != nil {
		return errMalformed
	}
	c.left, c.any, c.done = int64(n), true, n == 0
	return nil
}

// unexpected is err, or that the body ended where it must not.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
