package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// backup keeps what a database of an older format held beside it, as
// keyturn.db.before-N, before it is brought to format N: all but the grants. A
// copy of a refresh token is of no use once the true one has rotated, and
// dangerous until then; the rows that stay name the accounts to connect again.
// The tokens are never written to the copy, so no crash leaves them there.
func backup(ctx context.Context, db *sql.DB, path string, format int) error {
	to := fmt.Sprintf("%s.before-%d", path, format+1)
	temp := to + ".new"
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) { // what a crash left
		return err
	}
	if err := buildDatabase(ctx, temp, format); err != nil {
		return err
	}
	err := copyWithoutGrants(ctx, db, temp)
	if err == nil {
		err = syncFile(temp)
	}
	if err == nil {
		err = os.Rename(temp, to)
	}
	if err == nil {
		err = syncFolder(filepath.Dir(to))
	}
	if err != nil {
		_ = os.Remove(temp)
	}
	return err
}

// copyWithoutGrants fills the empty database at to, which has the same tables.
func copyWithoutGrants(ctx context.Context, db *sql.DB, to string) error {
	if _, err := db.ExecContext(ctx, "ATTACH ? AS copy", to); err != nil {
		return err
	}
	err := func() error {
		if _, err := db.ExecContext(ctx, "PRAGMA copy.journal_mode=MEMORY"); err != nil {
			return err // no log of its own: the file is whole or thrown away
		}
		tables, err := texts(ctx, db, "SELECT name FROM main.sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'")
		if err != nil {
			return err
		}
		for _, table := range tables {
			columns, err := texts(ctx, db, "SELECT name FROM pragma_table_info(?, 'main')", table)
			if err != nil {
				return err
			}
			values := strings.Join(columns, ", ")
			if table == "connections" {
				values = strings.ReplaceAll(values, "sealed", "zeroblob(0)")
			}
			copied := "DELETE FROM copy." + table + "; INSERT INTO copy." + table + " (" + strings.Join(columns, ", ") + ") SELECT " + values + " FROM main." + table
			if _, err := db.ExecContext(ctx, copied); err != nil {
				return err
			}
		}
		_, err = db.ExecContext(ctx, "PRAGMA copy.journal_mode=WAL")
		return err
	}()
	_, detached := db.ExecContext(ctx, "DETACH copy")
	return errors.Join(err, detached)
}

func texts(ctx context.Context, db *sql.DB, query string, args ...any) (all []string, err error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var one string
		if err := rows.Scan(&one); err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, rows.Err()
}

func syncFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
