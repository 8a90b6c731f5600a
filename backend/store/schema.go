package store

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"modernc.org/sqlite"

	"keyturn/backend/fault"
)

// The database is either absent or complete: it is built under another name
// and moved into place. So an empty file, or a journal without its database,
// is damage and not a first start.
const (
	databaseFile = "keyturn.db"
	// applicationID marks a database as ours (SQLite file format section 1.3.15): "KTRN".
	applicationID = 0x4B54524E
	// maxDatabase is far more than thousands of connections need; checking a
	// file larger than this would keep the program from starting.
	maxDatabase = 256 << 20
)

// steps bring a database from one format to the next; the format is how many
// of them were taken. Steps are added, never changed. There are no indexes
// beside the tables: what is found in two places can disagree.
var steps = []string{
	`CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
	 CREATE TABLE connections (
		id         TEXT PRIMARY KEY,
		provider   TEXT NOT NULL,
		account    TEXT NOT NULL, -- label; the true one is sealed, this one names the row when it does not open
		client_id  TEXT NOT NULL,
		origin     TEXT NOT NULL,
		issuer     TEXT NOT NULL,
		generation INTEGER NOT NULL,
		sealed     BLOB NOT NULL
	 ) STRICT, WITHOUT ROWID;
	 CREATE TABLE apps (
		id        TEXT PRIMARY KEY,
		provider  TEXT NOT NULL,
		client_id TEXT NOT NULL,
		sealed    BLOB NOT NULL
	 ) STRICT, WITHOUT ROWID;
	 CREATE TABLE providers (
		id         TEXT PRIMARY KEY,
		definition TEXT NOT NULL, -- JSON
		sealed     BLOB NOT NULL  -- nothing, bound to the definition
	 ) STRICT, WITHOUT ROWID;
	 CREATE TABLE probe (id INTEGER PRIMARY KEY CHECK (id = 1), filler BLOB NOT NULL) STRICT;
	 INSERT INTO probe VALUES (1, zeroblob(0));`,
	`CREATE TABLE secrets (name TEXT PRIMARY KEY, sealed BLOB NOT NULL) STRICT, WITHOUT ROWID;`,
}

// openDatabase opens the database in dir, which was checked, and makes it when
// there is none. A file it does not understand is left as it is.
func openDatabase(ctx context.Context, dir string) (*sql.DB, error) {
	// SQLite's own choice where its configure script finds it: half the time
	// of fsync, as durable. Not to be had everywhere.
	_, _ = sqlite.Fdatasync(true)

	path := filepath.Join(dir, databaseFile)
	before, err := checkDatabaseFiles(path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := createDatabase(ctx, path); err != nil {
			return nil, err
		}
		before, err = checkDatabaseFiles(path)
	}
	if err != nil {
		return nil, err
	}
	if err := checkHeader(path, before.Size()); err != nil {
		return nil, err
	}
	// Closing a database moves its log into it. A damaged one is to stay as it
	// is, so one with a log is looked at through a door that only reads first.
	if log, err := os.Lstat(path + "-wal"); err == nil && log.Size() > 0 {
		if err := inspect(ctx, path); err != nil {
			return nil, err
		}
	}
	db := connect(path, "rw",
		"busy_timeout(500)",
		"locking_mode(EXCLUSIVE)", // nobody else reads or writes meanwhile
		"journal_mode(WAL)",
		"synchronous(FULL)", // a save that returned survives a power cut
		"secure_delete(ON)",
		"foreign_keys(ON)",
		"trusted_schema(OFF)",
		"temp_store(MEMORY)",
		"cache_size(-256)", // KiB
		"journal_size_limit(1048576)",
	)
	err = func() error {
		if err := quickCheck(ctx, db, path); err != nil {
			return err
		}
		if after, err := os.Lstat(path); err != nil || !os.SameFile(before, after) {
			return fault.New(fault.Forbidden, "Somebody replaced %q while Keyturn opened it. Start Keyturn again.", path)
		}
		return migrate(ctx, db, path)
	}()
	if err != nil {
		_ = db.Close()
		return nil, err
	}
	return db, nil
}

// connect returns a handle on one connection to the database at path.
func connect(path, mode string, pragmas ...string) *sql.DB {
	query := url.Values{"mode": {mode}, "_defensive": {"1"}, "_dqs": {"0"}, "_pragma": pragmas}
	slashed := filepath.ToSlash(path)
	if !strings.HasPrefix(slashed, "/") {
		slashed = "/" + slashed // C:/…
	}
	dsn := url.URL{Scheme: "file", Path: slashed, RawQuery: query.Encode()}
	db, err := sql.Open("sqlite", dsn.String())
	if err != nil {
		panic("store: " + err.Error()) // the driver is linked in
	}
	db.SetMaxOpenConns(1)
	db.SetMaxIdleConns(1)
	return db
}

// createDatabase makes an empty database of the current format at path.
func createDatabase(ctx context.Context, path string) error {
	for _, log := range []string{"-wal", "-journal"} {
		if info, err := os.Lstat(path + log); err == nil && info.Size() > 0 {
			return fault.New(fault.StoreDamaged, "%q is missing, but its log %q is there. Put the database back, or move the log away to start afresh.", path, path+log)
		}
	}
	temp := path + ".new"
	err := os.Remove(temp) // what a crash left
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		err = buildDatabase(ctx, temp, len(steps))
	}
	if err == nil {
		err = os.Rename(temp, path)
	}
	if err == nil {
		err = syncFolder(filepath.Dir(path))
	}
	if err != nil {
		_ = os.Remove(temp)
	}
	return failure(err, path)
}

// buildDatabase makes an empty database of a format at temp, where nobody looks
// for one: it has to be on the disk once, at the end.
func buildDatabase(ctx context.Context, temp string, format int) error {
	f, err := os.OpenFile(temp, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	db := connect(temp, "rw", "journal_mode(MEMORY)", "synchronous(OFF)", "temp_store(MEMORY)", fmt.Sprintf("application_id(%d)", applicationID))
	if err = take(ctx, db, 0, format); err == nil {
		_, err = db.ExecContext(ctx, "PRAGMA journal_mode=WAL")
	}
	if err = errors.Join(err, db.Close()); err != nil {
		return err
	}
	return f.Sync()
}

// checkHeader reads the first hundred bytes (SQLite file format section 1.3)
// before SQLite sees the file, which may write to whatever it opens.
func checkHeader(path string, size int64) error {
	f, err := os.Open(path)
	if err != nil {
		return failure(err, path)
	}
	defer f.Close()
	head := make([]byte, 100)
	_, err = io.ReadFull(f, head)
	switch {
	case err != nil || string(head[:16]) != "SQLite format 3\x00":
		return damaged(path, "is not a database")
	case binary.BigEndian.Uint32(head[68:]) != applicationID:
		return damaged(path, "is a database, but not one of Keyturn's")
	case size > maxDatabase:
		return damaged(path, "is larger than it can be")
	}
	return checkFormat(path, int(binary.BigEndian.Uint32(head[60:])))
}

// checkFormat refuses what a newer Keyturn wrote: to read it as far as we
// understand it, and write the rest back, would lose what we do not know.
func checkFormat(path string, format int) error {
	if format > len(steps) {
		return fault.New(fault.StoreDamaged, "%q was written by a newer Keyturn (format %d; this one knows %d). Nothing was changed. Update Keyturn.", path, format, len(steps))
	}
	return nil
}

// inspect checks the database and its log without writing.
func inspect(ctx context.Context, path string) error {
	db := connect(path, "ro", "busy_timeout(500)", "trusted_schema(OFF)", "cache_size(-256)")
	err := quickCheck(ctx, db, path)
	if err == nil {
		err = readFormat(ctx, db, path, new(int))
	}
	_ = db.Close()
	return err
}

// quickCheck reads every page and every row once.
func quickCheck(ctx context.Context, db *sql.DB, path string) error {
	var verdict string
	if err := db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&verdict); err != nil {
		return failure(err, path)
	}
	if verdict != "ok" {
		return fault.Wrap(errors.New("quick_check: "+verdict), fault.StoreDamaged, "%s", damagedMessage(path, "is damaged"))
	}
	return nil
}

func readFormat(ctx context.Context, db *sql.DB, path string, format *int) error {
	if err := db.QueryRowContext(ctx, "PRAGMA user_version").Scan(format); err != nil {
		return failure(err, path)
	}
	return checkFormat(path, *format)
}

// migrate takes the steps that the database has not taken, and keeps a copy of
// what it was before them.
func migrate(ctx context.Context, db *sql.DB, path string) error {
	var format int
	if err := readFormat(ctx, db, path, &format); err != nil {
		return err
	}
	if format == len(steps) {
		return nil
	}
	err := backup(ctx, db, path, format)
	if err == nil {
		err = take(ctx, db, format, len(steps))
	}
	return failure(err, path)
}

// take takes the steps from one format to another, each one whole or not at all.
func take(ctx context.Context, db *sql.DB, from, to int) error {
	for ; from < to; from++ {
		step := fmt.Sprintf("BEGIN IMMEDIATE; %s; PRAGMA user_version=%d; COMMIT", steps[from], from+1)
		if _, err := db.ExecContext(ctx, step); err != nil {
			_, _ = db.ExecContext(ctx, "ROLLBACK")
			return err
		}
	}
	return nil
}

// syncFolder makes a rename in dir survive a power cut. Windows has no such call.
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
