package client

import (
	"bytes"
	"errors"
	"net"
	"testing"
	"time"

	"keyturn/backend/fault"
)

// tape is a connection on which everything has been said already.
type tape struct {
	net.Conn
	*bytes.Reader
}

func (t tape) Read(p []byte) (int, error)  { return t.Reader.Read(p) }
func (t tape) SetDeadline(time.Time) error { return nil }
func (t tape) Close() error                { return nil }

func FuzzAnswer(f *testing.F) {
	for _, s := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1;x=y\r\n}\r\n0\r\n\r\n",
		"HTTP/1.1 404 Not Found\r\nContent-Type: application/problem+json\r\n\r\n{\"code\":\"x\",\"detail\":\"y\"}",
		"HTTP/1.1 200\n\n", "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r := newResponse(t.Context(), tape{Reader: bytes.NewReader(data)})
		defer r.close()
		err := r.readHeader()
		var body []byte
		if err == nil {
			body, err = r.read()
		}
		if err != nil {
			if _, ok := errors.AsType[*fault.Error](r.fault(err)); !ok {
				t.Fatalf("%T has no sentence", err)
			}
			return
		}
		if r.status < 200 || r.status > 599 || len(body) > len(data) {
			t.Fatalf("status %d, %d bytes out of %d", r.status, len(body), len(data))
		}
	})
}
