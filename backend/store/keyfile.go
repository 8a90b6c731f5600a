package store

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"keyturn/backend/fault"
)

// keyFile guards the key in a file: 32 bytes in base64 and a line break, 0600.
// Choosing it is the user's explicit wish; it protects as well as the folder
// that it is in.
type keyFile struct{ path string }

func (f *keyFile) name() string { return byKeyFile }
func (f *keyFile) close()       {}

func (f *keyFile) fetch(note) (*key, error) {
	k, err := f.read()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, keyLost{fault.Wrap(err, fault.StoreLocked, "The key file %q is not there, and without it the saved connections cannot be opened. Put it back, or move the database away to start afresh.", f.path)}
	}
	return k, err
}

func (f *keyFile) make(n *note) (*key, error) {
	path, err := filepath.Abs(f.path)
	if err != nil {
		return nil, failure(err, f.path)
	}
	n.File = path
	k, err := f.read()
	if !errors.Is(err, fs.ErrNotExist) {
		return k, err
	}
	k = newKey()
	if err := f.write(k); err != nil {
		k.forget()
		return nil, err
	}
	return k, nil
}

// drop leaves the file alone: the path is the user's, and what else it opens is
// not known here.
func (f *keyFile) drop(n note) string {
	return fmt.Sprintf("The key file %q opens nothing of this Keyturn any more. Remove it, unless something else of yours uses it.", n.File)
}

func (f *keyFile) read() (*key, error) {
	if f.path == "" {
		return nil, fault.New(fault.StoreLocked, "No key file is named. Set KEYTURN_KEY_FILE to its path and start Keyturn again.")
	}
	file, err := openPrivate(f.path)
	if err != nil {
		return nil, f.failed(err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, 64))
	defer clear(text)
	if err != nil {
		return nil, f.failed(err)
	}
	k, ok := decodeKey(text)
	if !ok {
		return nil, fault.New(fault.StoreLocked, "%q is not a key file: it must hold 32 bytes in base64 and nothing else. Restore it from a backup, or name another path in KEYTURN_KEY_FILE.", f.path)
	}
	return k, nil
}

// write moves a complete file into place: one that is cut short would lock out
// whoever finds it.
func (f *keyFile) write(k *key) error {
	dir := filepath.Dir(f.path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return f.failed(err)
	}
	file, err := os.CreateTemp(dir, ".keyturn-key-*") // 0600
	if err != nil {
		return f.failed(err)
	}
	_, err = io.WriteString(file, encodeKey(k)+"\n")
	if err == nil {
		err = file.Sync()
	}
	err = errors.Join(err, file.Close())
	if err == nil {
		// A link of that name, even one that leads nowhere, was refused by read.
		if err = os.Rename(file.Name(), f.path); err == nil {
			err = syncFolder(dir)
		}
	}
	if err != nil {
		_ = os.Remove(file.Name())
		return f.failed(err)
	}
	return nil
}

// failed keeps fs.ErrNotExist as it is: what it means depends on who asks.
func (f *keyFile) failed(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return failure(err, f.path)
}
