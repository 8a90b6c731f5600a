package hub

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// The server's half of RFC 6455, as far as NATS in binary frames needs it: no
// extensions, no subprotocols. Frames are taken apart as they come and never
// collected, so their size costs nothing.

const (
	opContinue = 0x0
	opBinary   = 0x2
	opClose    = 0x8
	opPing     = 0x9
	opPong     = 0xa

	final      = 0x80 // first byte
	masked     = 0x80 // second byte
	maxControl = 125
	maxHeader  = 4 // of what we send: never more than chunk in one frame
)

var errFrame = errors.New("websocket: not a frame of a client")

// acceptWebSocket answers the handshake (section 4.2.2).
func acceptWebSocket(app net.Conn, key string) error {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	_ = app.SetWriteDeadline(time.Now().Add(stuck))
	_, err := fmt.Fprintf(app, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n", base64.StdEncoding.EncodeToString(sum[:]))
	return err
}

// frames writes frames to an app, from two goroutines: what NATS says, and
// answers to pings.
type frames struct {
	mu sync.Mutex
	to net.Conn
}

// write sends room[maxHeader:maxHeader+n] as one frame; the header is put
// before it, in room.
func (f *frames) write(op byte, room []byte, n int) error {
	from := maxHeader - 2
	if n > maxControl {
		from -= 2
		room[from+1] = 126
		binary.BigEndian.PutUint16(room[from+2:], uint16(n))
	} else {
		room[from+1] = byte(n)
	}
	room[from] = final | op
	f.mu.Lock()
	defer f.mu.Unlock()
	_ = f.to.SetWriteDeadline(time.Now().Add(stuck))
	_, err := f.to.Write(room[from : maxHeader+n])
	return err
}

// unframe passes on what is in the frames of an app until it closes or sends
// something else (sections 5.2 to 5.5).
func unframe(to io.Writer, from io.Reader, back *frames) error {
	r := bufio.NewReaderSize(from, chunk)
	var fixed [12]byte
	open := false // a message that more frames belong to
	for {
		header := fixed[:2]
		if _, err := io.ReadFull(r, header); err != nil {
			return err
		}
		op, size := header[0]&0x0f, uint64(header[1]&^masked)
		wide := 0
		switch size {
		case 126:
			wide = 2
		case 127:
			wide = 8
		}
		rest := fixed[:wide+4]
		fits := header[0]&0x70 == 0 && header[1]&masked != 0 // no extension; clients mask
		last := header[0]&final != 0
		if _, err := io.ReadFull(r, rest); err != nil {
			return err
		}
		switch wide {
		case 2:
			size = uint64(binary.BigEndian.Uint16(rest))
		case 8:
			size = binary.BigEndian.Uint64(rest)
		}
		mask := [4]byte(rest[wide:])
		switch {
		case !fits, size > 1<<62:
			return errFrame
		case op == opClose || op == opPing || op == opPong:
			if size > maxControl || !last {
				return errFrame
			}
			if err := control(r, op, mask, int(size), back); err != nil {
				return err
			}
			continue
		case op == opBinary && open, op == opContinue && !open, op != opBinary && op != opContinue:
			return errFrame
		}
		open = !last
		if err := unmask(to, r, mask, size); err != nil {
			return err
		}
	}
}

// control answers a ping and a close.
func control(r io.Reader, op byte, mask [4]byte, size int, back *frames) error {
	room := make([]byte, maxHeader+size)
	body := room[maxHeader:]
	if _, err := io.ReadFull(r, body); err != nil {
		return err
	}
	for i := range body {
		body[i] ^= mask[i&3]
	}
	switch op {
	case opPing:
		return back.write(opPong, room, size)
	case opClose:
		if err := back.write(opClose, room, size); err != nil {
			return err
		}
		return io.EOF
	}
	return nil
}

// unmask passes size bytes on, from r's own buffer.
func unmask(to io.Writer, r *bufio.Reader, mask [4]byte, size uint64) error {
	for at := 0; size > 0; {
		if _, err := r.Peek(1); err != nil {
			return err
		}
		b, _ := r.Peek(int(min(size, uint64(r.Buffered()))))
		for i := range b {
			b[i] ^= mask[(at+i)&3]
		}
		if _, err := to.Write(b); err != nil {
			return err
		}
		at = (at + len(b)) & 3
		size -= uint64(len(b))
		if _, err := r.Discard(len(b)); err != nil {
			return err
		}
	}
	return nil
}
