package hub_test

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"testing"
	"testing/iotest"

	"keyturn/backend/relay/hub"
)

// frame is what a client sends (RFC 6455 section 5.2).
func frame(first byte, body []byte) []byte {
	b := []byte{first}
	switch n := len(body); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	mask := []byte{1, 2, 3, 4}
	b = append(b, mask...)
	for i, c := range body {
		b = append(b, c^mask[i&3])
	}
	return b
}

// unframed returns what is passed on, and what is answered.
func unframed(t testing.TB, in io.Reader) (out, answered []byte, err error) {
	t.Helper()
	ours, theirs := net.Pipe()
	heard := make(chan []byte)
	go func() {
		b, _ := io.ReadAll(theirs)
		heard <- b
	}()
	var to bytes.Buffer
	err = hub.Unframe(&to, in, ours)
	ours.Close()
	return to.Bytes(), <-heard, err
}

func TestFramesOfAnAppAreTakenApart(t *testing.T) {
	big := make([]byte, 200_000)
	rand.Read(big)
	var in, want bytes.Buffer
	for _, n := range []int{0, 1, 125, 126, 127, 1000, 1024, 1025, 65535, 65536, len(big)} {
		in.Write(frame(0x82, big[:n]))
		want.Write(big[:n])
	}
	in.Write(frame(0x02, big[:10])) // one message in three frames, with a ping inside
	in.Write(frame(0x89, []byte("hello")))
	in.Write(frame(0x00, big[10:20]))
	in.Write(frame(0x8a, nil))
	in.Write(frame(0x80, big[20:30]))
	want.Write(big[:30])
	in.Write(frame(0x88, []byte{0x03, 0xe8}))
	in.Write(frame(0x82, []byte("after the end")))
	for name, from := range map[string]io.Reader{"at once": bytes.NewReader(in.Bytes()), "byte by byte": iotest.OneByteReader(bytes.NewReader(in.Bytes()))} {
		out, answered, err := unframed(t, from)
		if err != io.EOF || !bytes.Equal(out, want.Bytes()) {
			t.Errorf("%s: %d bytes of %d, %v", name, len(out), want.Len(), err)
		}
		if string(answered) != "\x8a\x05hello\x88\x02\x03\xe8" {
			t.Errorf("%s: answered %q", name, answered)
		}
	}
}

func TestWhatIsNoFrameEndsTheConnection(t *testing.T) {
	unmasked := frame(0x82, []byte("x"))
	unmasked[1] &^= 0x80
	for name, in := range map[string][]byte{
		"not masked":                    append(unmasked, "xxxxx"...),
		"text":                          frame(0x81, []byte("x")),
		"an extension":                  frame(0xc2, []byte("x")),
		"a reserved kind":               frame(0x83, []byte("x")),
		"a continuation of nothing":     frame(0x80, []byte("x")),
		"a message inside a message":    append(frame(0x02, nil), frame(0x82, []byte("x"))...),
		"a long ping":                   frame(0x89, make([]byte, 126)),
		"a ping in parts":               frame(0x09, nil),
		"a size beyond all sizes":       append([]byte{0x82, 0xff}, bytes.Repeat([]byte{0xff}, 20)...),
		"a size that promises too much": append([]byte{0x82, 0xff, 0, 0, 0, 0xff, 0, 0, 0, 0}, 0, 0, 0, 0),
	} {
		out, _, err := unframed(t, bytes.NewReader(in))
		if err == nil || len(out) != 0 {
			t.Errorf("%s: %d bytes pass, %v", name, len(out), err)
		}
	}
	whole := frame(0x82, []byte("hello"))
	for n := range whole {
		if _, _, err := unframed(t, bytes.NewReader(whole[:n])); !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("cut at %d: %v", n, err)
		}
	}
}

func FuzzFrames(f *testing.F) {
	f.Add(frame(0x82, []byte("hello")))
	f.Add(append(frame(0x89, []byte("x")), frame(0x88, nil)...))
	f.Add([]byte{0x82, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, in []byte) {
		out, answered, err := unframed(t, bytes.NewReader(in))
		if err == nil {
			t.Error("the end was not noticed")
		}
		if len(out)+len(answered) > len(in) {
			t.Errorf("%d bytes became %d", len(in), len(out)+len(answered))
		}
		again, _, _ := unframed(t, iotest.OneByteReader(bytes.NewReader(in)))
		if !bytes.Equal(out, again) {
			t.Errorf("%q when read at once, %q byte by byte", out, again)
		}
	})
}
