package request

import (
	"bytes"
	"context"
	"io"
	"sync"
)

// Body is what a request carries: bytes, which can be sent any number of
// times, or a stream, which is there once.
type Body struct {
	bytes  []byte
	stream io.Reader
	size   int64 // of the stream; -1: not known
	last   *outflow
}

// Bytes is a body that is in memory.
func Bytes(b []byte) *Body { return &Body{bytes: b} }

// Stream is a body that is read as it is sent. The caller keeps it open until
// the call is over, and closes it.
func Stream(r io.Reader, size int64) *Body { return &Body{stream: r, size: size} }

// open returns the body for one request, with its Content-Length.
func (b *Body) open(w *watch) (io.ReadCloser, int64) {
	r, size := b.stream, b.size
	if r == nil {
		r, size = bytes.NewReader(b.bytes), int64(len(b.bytes))
	}
	b.last = &outflow{r: r, watch: w, began: make(chan struct{}), closed: make(chan struct{})}
	return b.last, size
}

// again reports whether it can be sent once more. A stream can as long as
// nothing has been read of it: a server that is asked first (RFC 9110 section
// 10.1.1) may have refused before.
func (b *Body) again() bool {
	if b.stream == nil {
		return true
	}
	select {
	case <-b.last.began:
		return false
	default:
		return true
	}
}

// ready waits until the request before has let go of the body, and reports
// whether it is still there to be sent.
func (b *Body) ready(ctx context.Context) bool {
	if b.stream == nil {
		return true
	}
	select {
	case <-b.last.closed:
	case <-b.last.began:
	case <-ctx.Done():
		return false
	}
	return b.again()
}

// outflow is a body on its way out.
type outflow struct {
	r             io.Reader
	watch         *watch
	first, end    sync.Once
	began, closed chan struct{}
}

func (o *outflow) Read(p []byte) (int, error) {
	o.first.Do(func() { close(o.began) })
	n, err := o.r.Read(p)
	if n > 0 {
		o.watch.moved()
	}
	return n, err
}

func (o *outflow) Close() error {
	o.end.Do(func() { close(o.closed) })
	return nil
}
