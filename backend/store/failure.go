package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"modernc.org/sqlite"

	"keyturn/backend/fault"
)

// The result codes of SQLite (https://www.sqlite.org/rescode.html) that have a
// meaning for people. The low byte is the primary code.
const (
	sqliteError      = 1 // of our own statements: the tables are not as we made them
	sqliteBusy       = 5
	sqliteReadOnly   = 8
	sqliteCorrupt    = 11
	sqliteFull       = 13
	sqliteCannotOpen = 14
	sqliteNotADB     = 26

	sqliteIOWrite   = 10 | 3<<8
	sqliteIOSync    = 10 | 4<<8
	sqliteIODirSync = 10 | 5<<8
	sqliteIOTrunc   = 10 | 6<<8
	sqliteIOShm     = 10 | 19<<8
	sqliteIORead    = 10 | 1<<8
	sqliteIOShort   = 10 | 2<<8
)

// failure turns what SQLite or the system says about the database at path into
// a sentence and what to do.
func failure(err error, path string) error {
	var said *fault.Error
	var fromSQLite *sqlite.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &said), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.As(err, &fromSQLite):
		return sqliteFailure(fromSQLite, path)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, errQuota):
		return fault.Wrap(err, fault.DiskFull, "The disk that holds %q is full. Free some space and try again.", path)
	case errors.Is(err, syscall.EROFS), errors.Is(err, fs.ErrPermission):
		return fault.Wrap(err, fault.DiskFull, "Keyturn cannot write to %q: the folder is read-only. Make it writable, or set KEYTURN_HOME to another one.", path)
	}
	return fault.Wrap(fmt.Errorf("store: %w", err), fault.Internal, "Keyturn could not use %q. The log has the details.", path)
}

func sqliteFailure(err *sqlite.Error, path string) error {
	switch err.Code() & 0xff {
	case sqliteFull:
		return fault.Wrap(err, fault.DiskFull, "The disk that holds %q is full. Free some space and try again.", path)
	case sqliteReadOnly, sqliteCannotOpen:
		return fault.Wrap(err, fault.DiskFull, "Keyturn cannot write to %q: the file or its folder is read-only. Make it writable, or set KEYTURN_HOME to another folder.", path)
	case sqliteError, sqliteCorrupt, sqliteNotADB:
		return fault.Wrap(err, fault.StoreDamaged, "%s", damagedMessage(path, "is damaged"))
	case sqliteBusy:
		return fault.Wrap(err, fault.StoreLocked, "Another program is using %q. Close it and try again.", path)
	}
	switch err.Code() {
	case sqliteIOWrite, sqliteIOSync, sqliteIODirSync, sqliteIOTrunc, sqliteIOShm:
		return fault.Wrap(err, fault.DiskFull, "The disk that holds %q did not take what Keyturn wrote. Check its free space, its quota and its health, and try again.", path)
	case sqliteIORead, sqliteIOShort:
		return fault.Wrap(err, fault.StoreDamaged, "%q cannot be read from its disk. Check the disk, or restore the file from a backup.", path)
	}
	return fault.Wrap(fmt.Errorf("sqlite: %w", err), fault.Internal, "Keyturn could not use %q. The log has the details.", path)
}

// damaged says that the database cannot be used and was left as it is.
func damaged(path, how string) error {
	return fault.New(fault.StoreDamaged, "%s", damagedMessage(path, how))
}

func damagedMessage(path, how string) string {
	return fmt.Sprintf("%q %s. Nothing was changed. Restore it from a backup, or move it away to start afresh.", path, how)
}
