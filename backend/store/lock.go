package store

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"keyturn/backend/fault"
)

// lockFile holds the program and process id of whoever has the data folder. It
// is never removed: a lock on a file that has lost its name locks nobody out.
const lockFile = "keyturn.lock"

// Held is the error of Lock when another process has the data folder.
type Held struct {
	Program string // "keyturn-desktop"; "" when the holder has not said yet
	PID     int    // 0 when the holder has not said yet
}

func (h *Held) Error() string {
	if h.Program == "" {
		return "Keyturn is running already."
	}
	return fmt.Sprintf("Keyturn is running already: %s, process %d.", h.Program, h.PID)
}

// Unwrap gives the error its code.
func (h *Held) Unwrap() error { return fault.New(fault.Conflict, "%s", h.Error()) }

// Lock makes the data folder dir, when it is missing, and takes it for this
// process: two programs on one folder would be two owners of one flow. The
// system gives the lock back when the process ends, however it ends. The error
// is a *Held when another process has it.
func Lock(dir string) (release func(), err error) {
	dir, err = filepath.Abs(dir)
	if err != nil {
		return nil, failure(err, dir)
	}
	if err := checkFolder(dir); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, lockFile)
	f, err := openLock(path)
	if err != nil {
		return nil, failure(err, path)
	}
	info, err := f.Stat()
	if err == nil {
		err = private(info, path)
	}
	if err != nil {
		_ = f.Close()
		return nil, failure(err, path)
	}
	taken, err := tryLock(f)
	if err != nil {
		_ = f.Close()
		return nil, failure(err, path)
	}
	if taken {
		held := readHolder(f)
		_ = f.Close()
		return nil, held
	}
	// Who has it is a courtesy: a full disk does not keep the lock from us.
	if f.Truncate(0) == nil {
		_, _ = fmt.Fprintf(f, "%s %d\n", program(), os.Getpid())
	}
	return func() {
		_ = f.Truncate(0)
		_ = f.Close()
	}, nil
}

// readHolder reads what the holder wrote; somebody may have written anything.
func readHolder(f *os.File) *Held {
	text, _ := io.ReadAll(io.LimitReader(f, 256))
	name, number, _ := strings.Cut(strings.TrimSpace(string(text)), " ")
	pid, err := strconv.Atoi(number)
	if err != nil || pid <= 0 || !plainName(name) {
		return &Held{}
	}
	return &Held{Program: name, PID: pid}
}

func plainName(s string) bool {
	for _, r := range s {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-_.", r) {
			return false
		}
	}
	return s != ""
}

// program is the name of this one, as a word.
func program() string {
	name := filepath.Base(os.Args[0])
	if exe, err := os.Executable(); err == nil {
		name = filepath.Base(exe)
	}
	if !plainName(name) {
		return "keyturn"
	}
	return name
}
