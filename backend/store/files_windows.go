package store

import (
	"errors"
	"io/fs"
	"os"
	"syscall"

	"keyturn/backend/fault"
)

// Windows keeps a user's local application data from other users by the access
// list of the profile folder, which new files inherit: there are no modes and
// owners to check here. Links and special files are refused as elsewhere.

// errQuota is ERROR_DISK_QUOTA_EXCEEDED.
const errQuota = syscall.Errno(1295)

func checkFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return failure(err, dir)
	}
	info, err := os.Lstat(dir)
	switch {
	case err != nil:
		return failure(err, dir)
	case info.Mode()&(fs.ModeSymlink|fs.ModeIrregular) != 0:
		return fault.New(fault.Forbidden, "%q is a link. Keyturn keeps secrets only in a real folder: set KEYTURN_HOME to one.", dir)
	case !info.IsDir():
		return fault.New(fault.Forbidden, "%q is not a folder. Move it away, or set KEYTURN_HOME to a folder.", dir)
	}
	return nil
}

func checkDatabaseFiles(path string) (os.FileInfo, error) {
	for _, beside := range []string{"-wal", "-shm", "-journal"} {
		if info, err := os.Lstat(path + beside); err == nil {
			if err := private(info, path+beside); err != nil {
				return nil, err
			}
		}
	}
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err != nil {
		return nil, failure(err, path)
	}
	return info, private(info, path)
}

func private(info fs.FileInfo, path string) error {
	if !info.Mode().IsRegular() {
		return fault.New(fault.Forbidden, "%q is not a plain file. Move it away, or name the file itself.", path)
	}
	return nil
}

func openPrivate(path string) (*os.File, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if err := private(info, path); err != nil {
		return nil, err
	}
	return os.Open(path)
}
