package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"unicode/utf8"

	"golang.org/x/term"

	"keyturn/backend/api/wire"
	"keyturn/backend/client"
	"keyturn/backend/fault"
	"keyturn/backend/text"
)

// output says where an answer goes.
type output struct {
	file    string // "": standard output; "-": the same, whatever it is
	headers bool   // print them first
	silent  bool
}

// toFile reports whether the body goes into a file.
func (o output) toFile() bool { return o.file != "" && o.file != "-" }

// maxValue is how much of a body one JSON value may hold.
const maxValue = 64 << 20

// transfer is a request on its way.
type transfer struct {
	k     *command
	out   output
	meter *meter
}

func (t *transfer) run(ctx context.Context, app *client.Client, in wire.RequestHead, content *client.Content) (answer, error) {
	// Before anything is sent: what was asked for must not get lost because
	// the file cannot be written.
	var f *file
	if t.out.toFile() {
		var err error
		if f, err = create(t.out.file); err != nil {
			return answer{}, err
		}
		defer f.discard()
	}
	defer t.meter.end()
	a, err := app.Request(ctx, in, t.meter.counting(content))
	if err != nil {
		return answer{}, err
	}
	defer a.Body.Close()
	t.meter.expect(a.Length)
	value := answered{outcome: outcomeOf(statusError(a, in)), Status: a.Status, Headers: a.Headers, Note: a.Note}
	body := t.meter.received(a.Body)
	switch {
	case f != nil:
		if err := t.copyTo(f, a, body); err != nil {
			return answer{}, err
		}
		if err := f.keep(); err != nil {
			return answer{}, err
		}
		value.Output = t.out.file
	case t.k.json:
		data, err := io.ReadAll(io.LimitReader(body, maxValue+1))
		if err != nil {
			return answer{}, err
		}
		if len(data) > maxValue {
			return answer{}, fault.New(fault.BadRequest, "The answer is longer than %d MiB, which is too much for one JSON value. Write it to a file with --output.", maxValue>>20)
		}
		value.hold(data)
	default:
		if err := t.copyTo(stdout{t.k, t.out.file == ""}.writer(), a, body); err != nil {
			return answer{}, err
		}
	}
	if !t.k.json {
		return answer{}, statusError(a, in)
	}
	return answer{json: value}, statusError(a, in)
}

// answered is an answer as one JSON value.
type answered struct {
	outcome
	Status     int                 `json:"status"`
	Headers    map[string][]string `json:"headers"`
	Body       *string             `json:"body,omitempty"`
	BodyBase64 *string             `json:"body_base64,omitempty"`
	Output     string              `json:"output,omitempty"` // the file with the body
	Note       string              `json:"note,omitempty"`
}

func (v *answered) hold(data []byte) {
	s := string(data)
	if utf8.Valid(data) {
		v.Body = &s
		return
	}
	s = base64.StdEncoding.EncodeToString(data)
	v.BodyBase64 = &s
}

// statusError is the error that a status amounts to.
func statusError(a *client.Answer, in wire.RequestHead) error {
	if a.Status >= 200 && a.Status <= 299 {
		return nil
	}
	who := in.Provider
	if who == "" {
		who = "The provider"
	}
	says := fmt.Sprintf("%s answered with HTTP %d.", text.Clean(who, 64), a.Status)
	if a.Note != "" {
		says += " " + a.Note
	}
	code := fault.Code(a.Code)
	if code == "" || code == fault.BadRequest { // which is for wrong usage
		code = fault.ProviderError
	}
	return fault.New(code, "%s", says)
}

// copyTo writes headers, if wanted, and body.
func (t *transfer) copyTo(w io.Writer, a *client.Answer, body io.Reader) error {
	if t.out.headers {
		var b bytes.Buffer
		fmt.Fprintf(&b, "HTTP/1.1 %d\r\n", a.Status)
		for _, name := range slices.Sorted(maps.Keys(a.Headers)) {
			for _, value := range a.Headers[name] {
				fmt.Fprintf(&b, "%s: %s\r\n", text.Clean(name, 200), text.Clean(value, 16<<10))
			}
		}
		b.WriteString("\r\n")
		if _, err := w.Write(b.Bytes()); err != nil {
			return err
		}
	}
	buffer := make([]byte, 32<<10)
	for {
		n, err := body.Read(buffer)
		if n > 0 {
			if _, err := w.Write(buffer[:n]); err != nil {
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

// stdout is standard output. A terminal gets no bytes that are no text, unless
// that is asked for.
type stdout struct {
	k       *command
	careful bool
}

func (s stdout) writer() io.Writer {
	s.careful = s.careful && isTerminal(s.k.out)
	return s
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

func (s stdout) Write(p []byte) (int, error) {
	if s.careful && bytes.IndexByte(p, 0) >= 0 {
		return 0, wrong("The answer is not text and would confuse the terminal. Write it to a file with --output, or insist with --output -.")
	}
	n, err := s.k.out.Write(p)
	if err != nil {
		err = fault.Wrap(err, fault.Internal, "The answer could not be written to standard output.")
	}
	return n, err
}

// file is a file that is there whole or not at all: it is written beside its
// place and moved there at the end.
type file struct {
	*os.File
	place string // "": it is no ordinary file and is written directly
}

// create gets ready to write what will be at path.
func create(path string) (*file, error) {
	place := path
	mode := fs.FileMode(0o666)
	switch info, err := os.Stat(path); {
	case err == nil && info.IsDir():
		return nil, fault.New(fault.NotFound, "%s is a folder. Name a file in it.", text.Clean(path, 120))
	case err == nil && !info.Mode().IsRegular():
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return nil, unwritable(path, err)
		}
		return &file{File: f}, nil
	case err == nil:
		mode = info.Mode().Perm()
		if place, err = filepath.EvalSymlinks(path); err != nil {
			return nil, unwritable(path, err)
		}
	}
	beside := filepath.Join(filepath.Dir(place), "."+filepath.Base(place)+"."+strconv.FormatUint(rand.Uint64(), 36)+".part")
	f, err := os.OpenFile(beside, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return nil, unwritable(path, err)
	}
	return &file{f, place}, nil
}

func (f *file) Write(p []byte) (int, error) {
	n, err := f.File.Write(p)
	if err != nil {
		err = unwritable(f.Name(), err)
	}
	return n, err
}

// keep puts the file into its place.
func (f *file) keep() error {
	var err error
	if f.place != "" {
		err = f.Sync()
	}
	if failed := f.Close(); err == nil {
		err = failed
	}
	if err == nil && f.place != "" {
		err = os.Rename(f.Name(), f.place)
	}
	if err != nil {
		return unwritable(f.Name(), err)
	}
	f.place = ""
	return nil
}

// discard removes what was not kept.
func (f *file) discard() {
	f.Close()
	if f.place != "" {
		os.Remove(f.Name())
	}
}

func unwritable(path string, err error) error {
	why := err
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		why = e.Err
	}
	if errors.Is(err, syscall.ENOSPC) {
		return fault.Wrap(err, fault.DiskFull, "The disk is full: the answer could not be written.")
	}
	return fault.Wrap(err, fault.Internal, "%s could not be written: %v.", text.Clean(path, 120), why)
}
