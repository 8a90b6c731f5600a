package activity

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// maxSize is when the file begins anew. All events there can be take less.
const maxSize = 4 << 20

// file is the log on disk: JSON lines, where a later line with an id replaces
// an earlier one. A line that is not whole, or not ours, is skipped. When the
// file has its size, or is not as it was left, a new one with all events takes
// its place; one old file is kept.
type file struct {
	path string // empty: memory only
	size int64  // as it was left
	// behind: the file does not hold what it should and has to begin anew.
	behind    bool
	failed    bool      // the last write did
	waitUntil time.Time // and the next one has time
}

func (f *file) old() string { return f.path + ".1" }

// read returns the events on disk, by id.
func (f *file) read() ([]Event, error) {
	if f.path == "" {
		return nil, nil
	}
	byID := map[uint64]Event{}
	size, whole, err := readLines(f.path, byID)
	f.size, f.behind = size, !whole
	if errors.Is(err, fs.ErrNotExist) { // as a crash between two renames leaves it
		_, _, err = readLines(f.old(), byID)
		f.behind = len(byID) > 0
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	found := make([]Event, 0, len(byID))
	for _, e := range byID {
		found = append(found, e)
	}
	slices.SortFunc(found, func(a, b Event) int { return cmp.Compare(a.ID, b.ID) })
	return found, err
}

// readLines adds the events of one file; whole says that it ends where a line
// does.
func readLines(path string, into map[uint64]Event) (size int64, whole bool, err error) {
	in, size, err := open(path, os.O_RDONLY)
	if err != nil {
		return 0, false, err
	}
	defer in.Close()
	whole = true
	if size > 2*maxSize { // it is not ours: the end will do
		whole = false
		if _, err := in.Seek(-maxSize, io.SeekEnd); err != nil {
			return 0, false, err
		}
	}
	lines := bufio.NewReaderSize(in, 16<<10)
	for {
		line, err := lines.ReadSlice('\n')
		for errors.Is(err, bufio.ErrBufferFull) { // no event is that long
			line = nil
			_, err = lines.ReadSlice('\n')
		}
		var e Event
		if err == nil && json.Unmarshal(line, &e) == nil && e.valid() {
			into[e.ID] = e
		}
		switch {
		case errors.Is(err, io.EOF):
			return size, whole && len(line) == 0, nil
		case err != nil:
			return size, false, err
		}
	}
}

// append adds lines at the end, or writes a new file with all there is.
func (f *file) append(lines []byte, all func() []byte) error {
	if f.path == "" {
		return nil
	}
	full := f.size+int64(len(lines)) > maxSize
	if !f.behind && !full {
		err := f.add(lines)
		if err == nil {
			return nil
		}
		f.behind = true
		if !errors.Is(err, errChanged) && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	f.behind = true
	if err := f.renew(all(), full); err != nil {
		return err
	}
	f.behind = false
	return nil
}

var errChanged = errors.New("not as it was left")

func (f *file) add(lines []byte) error {
	out, size, err := open(f.path, os.O_WRONLY|os.O_APPEND)
	if err != nil {
		return err
	}
	defer out.Close()
	if size != f.size {
		return errChanged
	}
	if _, err := out.Write(lines); err != nil {
		return errors.Join(err, out.Truncate(size)) // half a line would spoil the next
	}
	f.size += int64(len(lines))
	return nil
}

// renew puts a file with these lines in the place of the one that is there.
func (f *file) renew(lines []byte, keep bool) error {
	if err := os.MkdirAll(filepath.Dir(f.path), 0o700); err != nil {
		return err
	}
	if info, err := os.Lstat(f.path); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("%s: %w", f.path, errNotPlain)
	}
	next := f.path + ".new"
	if err := os.Remove(next); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := writeNew(next, lines); err != nil {
		return errors.Join(err, os.Remove(next))
	}
	if keep {
		if err := os.Rename(f.path, f.old()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := os.Rename(next, f.path); err != nil {
		return err
	}
	f.size = int64(len(lines))
	return nil
}

func writeNew(path string, lines []byte) error {
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, bytes.NewReader(lines))
	if err == nil {
		err = out.Sync()
	}
	return errors.Join(err, out.Close())
}

var errNotPlain = errors.New("not a plain file")

// open opens a plain file that exists; a link is not followed.
func open(path string, flag int) (*os.File, int64, error) {
	f, err := os.OpenFile(path, flag|noFollow, 0)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s: %w", path, errNotPlain)
	}
	if err == nil && info.Mode().Perm()&0o077 != 0 {
		err = private(f)
	}
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, info.Size(), nil
}
