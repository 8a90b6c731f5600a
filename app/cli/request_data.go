package main

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"

	"keyturn/backend/client"
	"keyturn/backend/fault"
	"keyturn/backend/text"
)

// dataKind is one of curl's ways to give data.
type dataKind struct {
	flag, short string
	says        string
	file        bool // @file and @- name where it is
	strip       bool // line ends and NULs of a file are left out
	encode      bool // it is to be URL-encoded
	json        bool
}

var dataKinds = []dataKind{
	{flag: "data", short: "d", says: "data to send, as a form unless -H says otherwise; @file or @- without its line ends", file: true, strip: true},
	{flag: "data-binary", says: "the same, with a file sent as it is", file: true},
	{flag: "data-raw", says: "the same, where @ means nothing"},
	{flag: "data-urlencode", says: "the same, URL-encoded: content, name=content, @file or name@file", encode: true},
	{flag: "data-json", says: "JSON to send; @file or @- as it is", file: true, json: true},
}

// dataPart is what one flag was given.
type dataPart struct {
	kind  dataKind
	value string
}

// dataFlag collects data in the order of the command line, whatever its kind.
type dataFlag struct {
	parts *[]dataPart
	kind  dataKind
}

func (f dataFlag) String() string     { return "" }
func (f dataFlag) Type() string       { return "data" }
func (f dataFlag) Set(s string) error { *f.parts = append(*f.parts, dataPart{f.kind, s}); return nil }

// held is how much of standard input is taken into memory: a body with a known
// length that can be sent again. What is longer streams.
const held = 1 << 20

// contentOf joins the parts with &, as curl does; JSON is joined as it is.
func (k *command) contentOf(parts []dataPart) (*client.Content, error) {
	if len(parts) == 0 {
		return nil, nil
	}
	var all []*client.Content
	stdin := false
	for i, p := range parts {
		if i > 0 && !p.kind.json {
			all = append(all, inMemory([]byte("&")))
		}
		name, source, fromFile := p.source()
		if !fromFile {
			all = append(all, inMemory([]byte(name+source)))
			continue
		}
		if source == "-" && stdin {
			return nil, wrong("Standard input can be read once only.")
		}
		stdin = stdin || source == "-"
		c, err := k.dataFrom(source, p.kind.strip)
		if err != nil {
			return nil, err
		}
		if p.kind.encode {
			if c, err = encoded(name, c); err != nil {
				return nil, err
			}
		}
		all = append(all, c)
	}
	return joined(all), nil
}

// source splits a part into a name that goes before the content, and the
// content or the file that holds it.
func (p dataPart) source() (name, content string, fromFile bool) {
	if p.kind.encode {
		i := strings.IndexAny(p.value, "=@")
		switch {
		case i < 0:
			return "", escaped(p.value), false
		case p.value[i] == '@':
			if i > 0 {
				name = p.value[:i] + "="
			}
			return name, p.value[i+1:], true
		case i > 0:
			name = p.value[:i+1]
		}
		return name, escaped(p.value[i+1:]), false
	}
	if file, ok := strings.CutPrefix(p.value, "@"); ok && p.kind.file {
		return "", file, true
	}
	return "", p.value, false
}

// encoded is name and the URL-encoded content of a file.
func encoded(name string, c *client.Content) (*client.Content, error) {
	body, err := c.Open()
	if err != nil {
		return nil, err
	}
	defer body.Close()
	data, err := io.ReadAll(io.LimitReader(body, held+1))
	if err != nil {
		return nil, unreadable(err)
	}
	if len(data) > held {
		return nil, wrong("What is to be URL-encoded is longer than %d MiB. Send it with --data-binary.", held>>20)
	}
	return inMemory([]byte(name + escaped(string(data)))), nil
}

func inMemory(data []byte) *client.Content {
	return &client.Content{Size: int64(len(data)), Open: func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(data)), nil
	}}
}

// joined is one content after the other.
func joined(all []*client.Content) *client.Content {
	whole := &client.Content{}
	for _, c := range all {
		whole.Once = whole.Once || c.Once
		if c.Size < 0 || whole.Size < 0 {
			whole.Size = -1
		} else {
			whole.Size += c.Size
		}
	}
	whole.Open = func() (io.ReadCloser, error) {
		var readers []io.Reader
		var opened several
		for _, c := range all {
			body, err := c.Open()
			if err != nil {
				opened.Close()
				return nil, err
			}
			readers, opened = append(readers, body), append(opened, body)
		}
		return &closing{io.MultiReader(readers...), opened}, nil
	}
	return whole
}

type several []io.Closer

func (s several) Close() error {
	for _, c := range s {
		c.Close()
	}
	return nil
}

// dataFrom is the content of a file, or of standard input for "-".
func (k *command) dataFrom(name string, strip bool) (*client.Content, error) {
	if name == "-" {
		if f, ok := k.in.(*os.File); ok {
			if c := regular(f, strip); c != nil {
				return c, nil
			}
		}
		return stream(k.in, strip)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, unreadable(err)
	}
	if c := regular(f, strip); c != nil {
		f.Close()
		c.Open = func() (io.ReadCloser, error) {
			f, err := os.Open(name)
			if err != nil {
				return nil, unreadable(err)
			}
			return &closing{stripped(f, strip), f}, nil
		}
		return c, nil
	}
	if info, err := f.Stat(); err == nil && info.IsDir() {
		f.Close()
		return nil, fault.New(fault.NotFound, "%s is a folder, not a file with data.", text.Clean(name, 80))
	}
	return stream(f, strip) // a pipe, for example
}

// regular is what is left to read of an ordinary file, or nil: its length is
// known, and it can be read again.
func regular(f *os.File, strip bool) *client.Content {
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return nil
	}
	from, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil
	}
	section := func() io.Reader { return stripped(io.NewSectionReader(f, from, max(0, info.Size()-from)), strip) }
	size := max(0, info.Size()-from)
	if strip {
		if size, err = io.Copy(io.Discard, section()); err != nil {
			return nil
		}
	}
	return &client.Content{Size: size, Open: func() (io.ReadCloser, error) { return io.NopCloser(section()), nil }}
}

// stream is a content that is there once. A short one is read now.
func stream(r io.Reader, strip bool) (*client.Content, error) {
	r = stripped(r, strip)
	var first bytes.Buffer
	if _, err := io.CopyN(&first, r, held); errors.Is(err, io.EOF) {
		return inMemory(first.Bytes()), nil
	} else if err != nil {
		return nil, unreadable(err)
	}
	return &client.Content{Size: -1, Once: true, Open: func() (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(&first, r)), nil
	}}, nil
}

// stripped leaves out what curl's --data leaves out of a file.
func stripped(r io.Reader, strip bool) io.Reader {
	if !strip {
		return r
	}
	return stripper{r}
}

type stripper struct{ r io.Reader }

func (s stripper) Read(p []byte) (int, error) {
	for {
		n, err := s.r.Read(p)
		kept := p[:0]
		for _, c := range p[:n] {
			if c != '\r' && c != '\n' && c != 0 {
				kept = append(kept, c)
			}
		}
		if len(kept) > 0 || err != nil || len(p) == 0 {
			return len(kept), err
		}
	}
}

// closing reads from one and closes another.
type closing struct {
	io.Reader
	io.Closer
}

func unreadable(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return fault.Wrap(err, fault.NotFound, "The data cannot be read from %s: %v.", text.Clean(e.Path, 120), e.Err)
	}
	return fault.Wrap(err, fault.NotFound, "The data cannot be read.")
}
