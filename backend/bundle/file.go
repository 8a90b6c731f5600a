package bundle

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"

	"keyturn/backend/fault"
)

// Write makes a new file at path that only its owner can read, and returns
// when it is on the disk. Nothing that is there already is replaced.
func Write(path string, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return cannot(err, path, "written")
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = syncFolder(filepath.Dir(path))
	}
	if err != nil {
		_ = os.Remove(path)
		return cannot(err, path, "written")
	}
	return nil
}

// Read returns the file at path.
func Read(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() {
		return nil, fault.New(fault.BadRequest, "%q is not a plain file.", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, cannot(err, path, "read")
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, cannot(err, path, "read")
	}
	return data, nil
}

func cannot(err error, path, what string) error {
	switch {
	case errors.Is(err, fs.ErrExist):
		return fault.Wrap(err, fault.Conflict, "%q is there already. Name a new file.", path)
	case errors.Is(err, fs.ErrNotExist) && what == "read":
		return fault.Wrap(err, fault.NotFound, "There is no file %q.", path)
	case errors.Is(err, fs.ErrNotExist):
		return fault.Wrap(err, fault.NotFound, "There is no folder %q. Make it, or name another.", filepath.Dir(path))
	case errors.Is(err, fs.ErrPermission):
		return fault.Wrap(err, fault.Forbidden, "%q cannot be %s: permission denied. Name another path.", path, what)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EROFS), errors.Is(err, syscall.EIO):
		return fault.Wrap(err, fault.DiskFull, "The disk did not take %q. Check its free space, and that it is writable. Nothing was forgotten.", path)
	}
	return fault.Wrap(err, fault.Internal, "%q cannot be %s. The log has the details.", path, what)
}

// syncFolder makes a new name in dir survive a power cut. Windows has no such call.
func syncFolder(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}
