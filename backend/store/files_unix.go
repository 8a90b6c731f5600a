//go:build unix

package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"keyturn/backend/fault"
)

// errQuota is what a system says when the user, not the disk, is full.
const errQuota = unix.EDQUOT

// nobody owns what a user namespace does not map: the root folder inside a
// sandbox, for example.
const nobody = 65534

// checkFolder makes dir when it is missing and refuses one that others can
// reach: a symbolic link, another owner, a mode that lets others in, a folder
// above it that others can rename things in.
func checkFolder(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) && !errors.Is(err, syscall.ENOTDIR) {
		return failure(err, dir)
	}
	info, err := os.Lstat(dir)
	switch {
	case err != nil:
		return failure(err, dir)
	case info.Mode()&fs.ModeSymlink != 0:
		return fault.New(fault.Forbidden, "%q is a symbolic link. Keyturn keeps secrets only in a real folder: set KEYTURN_HOME to one.", dir)
	case !info.IsDir():
		return fault.New(fault.Forbidden, "%q is not a folder. Move it away, or set KEYTURN_HOME to a folder.", dir)
	case owner(info) != os.Geteuid():
		return fault.New(fault.Forbidden, "%q belongs to another user. Run Keyturn as that user, or set KEYTURN_HOME to a folder of your own.", dir)
	case info.Mode().Perm()&0o077 != 0:
		return fault.New(fault.Forbidden, "Other users can reach %q (mode %04o). Run: chmod 700 %q. If that changes nothing, its disk keeps no permissions: set KEYTURN_HOME to a folder on another one.", dir, info.Mode().Perm(), dir)
	}
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return failure(err, dir)
	}
	for above := filepath.Dir(real); ; above = filepath.Dir(above) {
		info, err := os.Lstat(above)
		if err != nil {
			return failure(err, above)
		}
		uid := owner(info)
		if uid != os.Geteuid() && uid != 0 && uid != nobody {
			return fault.New(fault.Forbidden, "%q, above the data folder, belongs to another user, who could replace the data. Set KEYTURN_HOME to a folder elsewhere.", above)
		}
		if info.Mode()&0o002 != 0 && info.Mode()&fs.ModeSticky == 0 {
			return fault.New(fault.Forbidden, "Everybody can write to %q, above the data folder, and replace the data. Run: chmod o-w %q.", above, above)
		}
		if above == filepath.Dir(above) {
			return nil
		}
	}
}

// checkDatabaseFiles refuses a database, or a log beside it, that is not a
// plain file of ours that only we can reach. fs.ErrNotExist: no database.
func checkDatabaseFiles(path string) (os.FileInfo, error) {
	for _, beside := range []string{"-wal", "-shm", "-journal"} {
		info, err := os.Lstat(path + beside)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, failure(err, path)
		}
		if err := private(info, path+beside); err != nil {
			return nil, err
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

// private refuses anything but a file of ours that has one name and that only
// we can reach.
func private(info fs.FileInfo, path string) error {
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		return fault.New(fault.Forbidden, "%q is a symbolic link. Keyturn does not follow it: put the file itself there.", path)
	case !info.Mode().IsRegular():
		return fault.New(fault.Forbidden, "%q is not a plain file. Move it away.", path)
	case owner(info) != os.Geteuid():
		return fault.New(fault.Forbidden, "%q belongs to another user. Run Keyturn as that user, or move the file away.", path)
	case info.Mode().Perm()&0o077 != 0:
		return fault.New(fault.Forbidden, "Other users can reach %q (mode %04o). Run: chmod 600 %q", path, info.Mode().Perm(), path)
	case info.Sys().(*syscall.Stat_t).Nlink != 1:
		return fault.New(fault.Forbidden, "%q has more than one name on this disk. Remove the other hard links, or put a copy in its place.", path)
	}
	return nil
}

// openPrivate opens a file that private accepts. It never waits for the other
// end of a named pipe.
func openPrivate(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, syscall.ELOOP) {
		return nil, fault.New(fault.Forbidden, "%q is a symbolic link. Keyturn does not follow it: name the file itself.", path)
	}
	if errors.Is(err, fs.ErrPermission) {
		return nil, fault.Wrap(err, fault.Forbidden, "Keyturn may not read %q. Run Keyturn as its owner, or name another file.", path)
	}
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil {
		err = private(info, path)
	}
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

func owner(info fs.FileInfo) int { return int(info.Sys().(*syscall.Stat_t).Uid) }
