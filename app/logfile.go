package app

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"
)

const (
	maxLog  = 5 << 20 // bytes, before the file begins anew
	oldLogs = 3       // how many old files are kept: keyturn.log.1 is the youngest
)

// logFile is a file of whole lines. A line is there entirely or not at all,
// whatever happens around it: when the file has its size it is put aside
// before the next line; when somebody removed it, another one is made; a link
// or a folder in its place is refused; what a full disk has no room for is
// dropped and counted. That it cannot be written is said once on out, and
// stops nobody.
type logFile struct {
	path string
	out  io.Writer

	mu     sync.Mutex
	file   *os.File // nil when it could not be opened
	opened fs.FileInfo
	size   int64
	lost   int // lines, since the last one that was written
	closed bool
	said   bool
}

// Write writes one line, which is how slog calls it. It never fails: whoever
// logs has better things to do.
func (l *logFile) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed { // a library that logs after the end must not make the file anew
		return len(line), nil
	}
	err := l.prepareLocked(len(line))
	if err == nil && l.lost > 0 {
		err = l.addLocked(fmt.Appendf(nil, "time=%s level=WARN msg=\"lines of the log could not be written\" lost=%d\n",
			time.Now().Format(time.RFC3339), l.lost))
		if err == nil {
			l.lost = 0
		}
	}
	if err == nil {
		err = l.addLocked(line)
	}
	if err != nil {
		l.lost++
		l.sayLocked(err)
		return len(line), nil
	}
	l.said = false
	return len(line), nil
}

// open makes the file, so that what is wrong with it is said at the start.
func (l *logFile) open() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.openLocked(); err != nil {
		l.sayLocked(err)
	}
}

func (l *logFile) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	l.closeLocked()
}

// prepareLocked sees that the file is ours, and has room for n bytes more.
func (l *logFile) prepareLocked(n int) error {
	if l.file != nil {
		if now, err := os.Lstat(l.path); err != nil || !os.SameFile(now, l.opened) {
			l.closeLocked()
		} else {
			l.size = now.Size()
		}
	}
	if l.file == nil {
		if err := l.openLocked(); err != nil {
			return err
		}
	}
	if l.size == 0 || l.size+int64(n) <= maxLog {
		return nil
	}
	l.closeLocked()
	if err := l.putAside(); err != nil {
		return err
	}
	return l.openLocked()
}

func (l *logFile) old(n int) string { return fmt.Sprintf("%s.%d", l.path, n) }

// putAside makes the file the youngest of the old ones.
func (l *logFile) putAside() error {
	for n := oldLogs; n > 1; n-- {
		if err := os.Rename(l.old(n-1), l.old(n)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return os.Rename(l.path, l.old(1))
}

func (l *logFile) openLocked() error {
	if err := os.MkdirAll(filepath.Dir(l.path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(l.path, os.O_RDWR|os.O_APPEND|os.O_CREATE|noFollow, 0o600)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is no plain file", l.path)
	}
	if err == nil && info.Mode().Perm() != 0o600 {
		err = private(f)
	}
	if err != nil {
		return errors.Join(err, f.Close())
	}
	l.file, l.opened, l.size = f, info, info.Size()
	return l.mendLocked()
}

// mendLocked ends a line that a crash has cut, so that the next one is whole.
func (l *logFile) mendLocked() error {
	if l.size == 0 {
		return nil
	}
	last := make([]byte, 1)
	if _, err := l.file.ReadAt(last, l.size-1); err != nil || last[0] == '\n' {
		return err
	}
	return l.addLocked([]byte("\n"))
}

func (l *logFile) addLocked(line []byte) error {
	n, err := l.file.Write(line)
	if err != nil && n > 0 { // half a line would spoil the next
		return errors.Join(err, l.file.Truncate(l.size))
	}
	l.size += int64(n)
	return err
}

func (l *logFile) closeLocked() {
	if l.file != nil {
		_ = l.file.Close() // each line has been written already
		l.file = nil
	}
}

func (l *logFile) sayLocked(err error) {
	if !l.said {
		fmt.Fprintf(l.out, "Keyturn cannot write its log %s and goes on without it: %v.\n", l.path, err)
		l.said = true
	}
}
