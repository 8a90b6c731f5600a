// Package store keeps connections, OAuth apps and custom providers between
// runs: one SQLite database in the data folder, every secret sealed.
//
// The rules:
//
//   - A method that returns nil has put its change where a power cut cannot
//     reach it. Every change is one statement, so it is whole or absent.
//   - Secrets are sealed with one key (XChaCha20-Poly1305), bound to the row
//     and the server they belong to. What stands in clear names the row:
//     provider, account label, client id, origin, issuer.
//   - The key lives in memory only. Keyring, key file or passphrase guard it
//     (protector); there is no way to store without one. A store that needs
//     another key than the one found says so and makes no new one.
//   - What does not open is kept and named, and never overwritten. What is not
//     understood at all (not a database, a newer format) is not touched.
//   - Folder and files belong to this user alone, or nothing is read from them.
//   - A database of an older format is brought forward, and a copy of what it
//     held stays beside it, without the grants (backup.go).
//   - Nothing is opened twice: Lock keeps other processes away, and SQLite's
//     own lock keeps away who did not ask.
//
// It cannot tell when somebody who may write to the file puts back an older
// copy of a row or of the whole file: there is nothing outside to compare with.
package store

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"keyturn/backend/fault"
	"keyturn/backend/orchestrator"
)

// Options say where the data is and what guards its key.
type Options struct {
	Dir string // the data folder

	// Protector is "keyring", "passphrase" or "key_file". "" means: a key file
	// when KeyFile is set, a passphrase when PassphraseFile is set, else a
	// passphrase when the database has one and AskPassphrase can ask for it,
	// else the keyring.
	Protector string
	// KeyFile is the path of a key file. It is made, with its folder, when it
	// does not exist and nothing is sealed yet.
	KeyFile string
	// PassphraseFile is the path of a file that holds the passphrase.
	PassphraseFile string
	// AskPassphrase asks a person. It may take as long as the person does.
	AskPassphrase func() ([]byte, error)

	Log *slog.Logger // nil: nothing is logged
}

// Store is an orchestrator.Store on disk. Its methods may be called from any
// goroutine; they work one after the other.
type Store struct {
	opts Options
	path string // of the database
	log  *slog.Logger

	turn chan struct{} // whoever holds its token may touch what follows
	db   *sql.DB       // nil until the database could be opened
	key  *key          // nil until unlocked
	// damaged holds the rows that did not open: they are not overwritten.
	damaged map[row]bool
	// unlocking is what is under way to get the key; nil when nothing is.
	unlocking *unlocking
	locked    bool // by the user: nobody gets the key until Unlock
	closed    bool

	mu    sync.Mutex // guards guard, so that Protector never waits for a turn
	guard protector
}

// row names a row.
type row struct{ kind, id string }

// unlocking is one try to get the key, which all who need it wait for.
type unlocking struct {
	done chan struct{}
	err  error // set before done is closed
}

// unlockPatience is how long a change waits for the key: somewhat longer than
// the keyring may take, and shorter than a person who is asked.
const unlockPatience = 4 * time.Second

// Open opens the store in opts.Dir, and makes it when there is none. It fails
// when the folder cannot be trusted or the options contradict each other. A
// database that cannot be used or a key that is locked do not make it fail:
// Load says so, and works once that has passed.
func Open(ctx context.Context, opts Options) (*Store, error) {
	switch {
	case opts.KeyFile != "" && opts.PassphraseFile != "":
		return nil, fault.New(fault.BadRequest, "KEYTURN_KEY_FILE and KEYTURN_PASSPHRASE_FILE are both set, and only one can guard the key. Unset one of them.")
	case opts.Protector != "" && opts.Protector != byKeyring && opts.Protector != byPassphrase && opts.Protector != byKeyFile:
		return nil, fault.New(fault.BadRequest, "%q is no way to guard the key. Use keyring, passphrase or key_file.", opts.Protector)
	}
	dir, err := filepath.Abs(opts.Dir)
	if err != nil {
		return nil, failure(err, opts.Dir)
	}
	if err := checkFolder(dir); err != nil {
		return nil, err
	}
	s := &Store{
		opts:    opts,
		path:    filepath.Join(dir, databaseFile),
		log:     opts.Log,
		turn:    make(chan struct{}, 1),
		damaged: map[row]bool{},
		guard:   choose(opts, note{}),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if err := s.openDatabase(ctx); err != nil {
		switch code := fault.CodeOf(err); {
		case ctx.Err() != nil, code == fault.Forbidden:
			return nil, err
		default:
			s.log.Error("database not opened", "code", code, "error", cause(err))
		}
	}
	s.give()
	return s, nil
}

// openDatabase opens the database, and learns from it what guards the key.
func (s *Store) openDatabase(ctx context.Context) error {
	db, err := openDatabase(ctx, filepath.Dir(s.path))
	if err != nil {
		return err
	}
	s.db = db
	n, err := s.readNote(ctx)
	if err != nil {
		_ = db.Close()
		s.db = nil
		return err
	}
	s.mu.Lock()
	s.guard = choose(s.opts, n)
	s.mu.Unlock()
	return nil
}

// closePatience is how long Close waits for a key that is being fetched or
// made: a file is quick, a person need not be.
const closePatience = time.Second

// Close gives up the key and closes the database.
func (s *Store) Close() error {
	s.mu.Lock()
	s.guard.close()
	s.mu.Unlock()
	<-s.turn
	s.closed = true
	if u := s.unlocking; u != nil {
		s.give()
		limit := time.NewTimer(closePatience)
		select {
		case <-u.done:
		case <-limit.C:
		}
		limit.Stop()
		<-s.turn
	}
	defer s.give()
	if s.key != nil {
		s.key.forget()
		s.key = nil
	}
	if s.db == nil {
		return nil
	}
	err := s.db.Close()
	s.db = nil
	return failure(err, s.path)
}

// Protector implements orchestrator.Store.
func (s *Store) Protector() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.guard.name()
}

// take waits for the turn, for as long as ctx allows.
func (s *Store) take(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case <-s.turn:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Store) give() { s.turn <- struct{}{} }

// do runs act with the key, as the only one at work. What has begun is
// finished, whatever becomes of ctx meanwhile: half a save would be none, and
// its caller could not tell.
func (s *Store) do(ctx context.Context, patience time.Duration, act func(ctx context.Context) error) error {
	if err := s.unlock(ctx, patience); err != nil {
		return err
	}
	if err := s.take(ctx); err != nil {
		return err
	}
	defer s.give()
	switch {
	case s.closed:
		return closedError()
	case s.key == nil: // locked between the two
		return lockedError()
	}
	return act(context.WithoutCancel(ctx))
}

// unlock returns once the key is there. It joins the try that is under way, so
// that nobody is asked twice; patience 0 means as long as ctx allows.
func (s *Store) unlock(ctx context.Context, patience time.Duration) error {
	if err := s.take(ctx); err != nil {
		return err
	}
	u, err := s.startUnlocking(ctx)
	s.give()
	if u == nil || err != nil {
		return err
	}
	var enough <-chan time.Time
	if patience > 0 {
		limit := time.NewTimer(patience)
		defer limit.Stop()
		enough = limit.C
	}
	select {
	case <-u.done:
		return u.err
	case <-ctx.Done():
		return ctx.Err()
	case <-enough:
		return fault.New(fault.StoreLocked, "Keyturn is still waiting for the key of its store. Answer its question, or start it again.")
	}
}

// startUnlocking returns the try that is under way or a new one, nil when
// there is a key already. Callers have the turn.
func (s *Store) startUnlocking(ctx context.Context) (*unlocking, error) {
	switch {
	case s.closed:
		return nil, closedError()
	case s.locked:
		return nil, lockedError()
	case s.key != nil:
		return nil, nil
	case s.unlocking != nil:
		return s.unlocking, nil
	case s.db == nil:
		if err := s.openDatabase(ctx); err != nil {
			return nil, err
		}
	}
	n, err := s.readNote(ctx)
	if err != nil {
		return nil, err
	}
	empty, err := s.empty(ctx)
	if err != nil {
		return nil, err
	}
	u := &unlocking{done: make(chan struct{})}
	s.unlocking = u
	guard := s.guard
	go func() {
		k, fresh, err := unlock(guard, n, empty)
		<-s.turn
		defer s.give()
		if err == nil && !s.closed && fresh != nil {
			if err = s.writeNote(context.Background(), *fresh); err != nil {
				_ = guard.drop(*fresh) // the next try makes another
			}
		}
		switch {
		case s.closed:
			err = closedError()
		case s.locked:
			err = lockedError()
		case err == nil:
			s.key = k
			k = nil
		}
		if k != nil {
			k.forget()
		}
		s.unlocking = nil
		u.err = err
		close(u.done)
	}()
	return u, nil
}

func closedError() error {
	return fault.New(fault.Internal, "Keyturn is stopping. Start it again.")
}

// Check implements orchestrator.Store: it writes about as much as a connection
// takes. A change that is rolled back would never reach the disk, so this one
// is kept, in a row that is there for it.
func (s *Store) Check(ctx context.Context) error {
	return s.change(ctx, "UPDATE probe SET filler = randomblob(8192)")
}

// change runs one statement, which is whole or absent by itself.
func (s *Store) change(ctx context.Context, statement string, args ...any) error {
	return s.do(ctx, unlockPatience, func(ctx context.Context) error {
		_, err := s.db.ExecContext(ctx, statement, args...)
		return failure(err, s.path)
	})
}

// remove deletes a row and what the log still holds of it, so that no sealed
// copy stays behind.
func (s *Store) remove(ctx context.Context, kind, table, id string) error {
	return s.do(ctx, unlockPatience, func(ctx context.Context) error {
		if _, err := s.db.ExecContext(ctx, "DELETE FROM "+table+" WHERE id = ?", id); err != nil {
			return failure(err, s.path)
		}
		delete(s.damaged, row{kind, id})
		s.emptyLog(ctx)
		return nil
	})
}

// emptyLog moves the log into the database and cuts it off, so that nothing
// that was replaced or deleted stays in it. When that fails it happens with
// the next checkpoint, at the latest when the program ends.
func (s *Store) emptyLog(ctx context.Context) {
	var busy, pages, moved int
	err := s.db.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &pages, &moved)
	if err == nil && busy != 0 {
		err = errors.New("checkpoint: busy")
	}
	if err != nil {
		s.log.Warn("log of the database not emptied", "error", err)
	}
}

// cause is the innermost text of err, for the log.
func cause(err error) string {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err.Error()
		}
		err = inner
	}
}

var _ orchestrator.Store = (*Store)(nil)
