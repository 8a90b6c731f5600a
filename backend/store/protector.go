package store

import (
	"bytes"
	"context"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"

	"keyturn/backend/fault"
)

// A protector guards the sealing key. Its methods may block on a person or a
// program; they are called by one goroutine at a time and never under a lock.
type protector interface {
	name() string
	// fetch returns the key of a store whose note is n.
	fetch(n note) (*key, error)
	// make returns a key for what is to be sealed from now on: a new one, or the
	// one in the key file that the user named. It notes in n what fetch will need.
	make(n *note) (*key, error)
	// drop removes the key that n names, with which nothing is sealed, and says
	// what it leaves to the user.
	drop(n note) (says string)
	// close gives up whatever is still waited for.
	close()
}

// The names of the protectors, as users and the API see them.
const (
	byKeyring    = "keyring"
	byPassphrase = "passphrase"
	byKeyFile    = "key_file"
)

// howToChoose ends every sentence about a keyring that cannot be used.
const howToChoose = "set KEYTURN_KEY_FILE to the path of a key file (it is made when it does not exist) or KEYTURN_PASSPHRASE_FILE to a file that holds a passphrase, and start Keyturn again."

// note is what the database keeps about its key: nothing that helps to find it
// but by trying passphrases.
type note struct {
	Protector string  `json:"protector"`
	Check     []byte  `json:"check"`          // tells the right key from every other
	Item      string  `json:"item,omitempty"` // keyring: the name of the item
	File      string  `json:"file,omitempty"` // key_file: where it was
	Argon2    *argon2 `json:"argon2id,omitempty"`
}

// choose returns the protector that opts and the note of the store ask for.
func choose(opts Options, n note) protector {
	name := opts.Protector
	switch {
	case name != "":
	case opts.KeyFile != "":
		name = byKeyFile
	case opts.PassphraseFile != "":
		name = byPassphrase
	case n.Protector != "":
		name = n.Protector // what was chosen last
	default:
		name = byKeyring
	}
	switch name {
	case byKeyFile:
		if opts.KeyFile == "" {
			return &keyFile{path: n.File}
		}
		return &keyFile{path: opts.KeyFile}
	case byPassphrase:
		return &passphrase{file: opts.PassphraseFile, ask: opts.AskPassphrase}
	default:
		return newKeyring()
	}
}

// matching says how to open a store that another protector guards.
func matching(n note, chosen string) error {
	if n.Protector == chosen {
		return nil
	}
	why := map[string]string{
		byKeyring:    "no key file or passphrase is set",
		byKeyFile:    "a key file is set",
		byPassphrase: "a passphrase is set",
	}[chosen]
	switch n.Protector {
	case byKeyring:
		return fault.New(fault.StoreLocked, "The saved connections are sealed with a key in the keyring, but %s. Unset KEYTURN_KEY_FILE and KEYTURN_PASSPHRASE_FILE and start Keyturn again.", why)
	case byKeyFile:
		return fault.New(fault.StoreLocked, "The saved connections are sealed with the key file %q, but %s. Set KEYTURN_KEY_FILE to that file and start Keyturn again.", n.File, why)
	case byPassphrase:
		return fault.New(fault.StoreLocked, "The saved connections are sealed with a passphrase, but %s. Set KEYTURN_PASSPHRASE_FILE to a file that holds it and start Keyturn again.", why)
	}
	return fault.New(fault.StoreDamaged, "The database does not say how its key is guarded. Restore it from a backup, or move it away to start afresh.")
}

// unlock returns the key of a store with the note n and, when the store has
// sealed nothing yet, the note it is to keep. A key is never made for a store
// that needs another one.
func unlock(p protector, n note, empty bool) (*key, *note, error) {
	if n.Protector != "" || !empty {
		err := matching(n, p.name())
		var k *key
		if err == nil {
			k, err = p.fetch(n)
		}
		if err == nil && subtle.ConstantTimeCompare(k.check(), n.Check) != 1 {
			k.forget()
			err = wrongKey(n)
		}
		// A key that guards nothing may be chosen anew; one that is merely out
		// of reach for now may not.
		if err == nil || !empty || !lost(err) && p.name() == n.Protector {
			return k, nil, err
		}
	}
	fresh := note{Protector: p.name()}
	k, err := p.make(&fresh)
	if err != nil {
		return nil, nil, err
	}
	fresh.Check = k.check()
	return k, &fresh, nil
}

// keyLost marks a key that is gone or another one: waiting does not help.
type keyLost struct{ said *fault.Error }

func (e keyLost) Error() string { return e.said.Error() }
func (e keyLost) Unwrap() error { return e.said }

func lost(err error) bool {
	_, is := err.(keyLost)
	return is
}

func wrongKey(n note) error {
	switch n.Protector {
	case byKeyFile:
		return keyLost{fault.New(fault.StoreLocked, "The key file holds another key than the one that sealed the saved connections. Put the right file at the path in KEYTURN_KEY_FILE (it was %q), or move the database away to start afresh.", n.File)}
	case byPassphrase:
		return fault.New(fault.StoreLocked, "The passphrase is not the one that sealed the saved connections. Nothing was changed: try again with the right one.")
	}
	return keyLost{fault.New(fault.StoreLocked, "The keyring holds another key than the one that sealed the saved connections. Restore the keyring from a backup, or move the database away to start afresh.")}
}

// encodeKey writes a key as text: base64 (RFC 4648 section 4).
func encodeKey(k *key) string { return base64.StdEncoding.EncodeToString(k[:]) }

// decodeKey reads what encodeKey wrote; a final line break is accepted.
func decodeKey(text []byte) (*key, bool) {
	text = bytes.TrimSuffix(text, []byte("\n"))
	if len(text) != base64.StdEncoding.EncodedLen(keySize) {
		return nil, false // the decoder passes over line breaks
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(string(text))
	if err != nil || len(raw) != keySize {
		return nil, false
	}
	k := new(key)
	copy(k[:], raw)
	clear(raw)
	return k, true
}

// readNote reads the note of the database, the zero note when there is none.
func (s *Store) readNote(ctx context.Context) (n note, err error) {
	rows, err := s.db.QueryContext(ctx, "SELECT value FROM meta WHERE name = 'key'")
	if err != nil {
		return note{}, failure(err, s.path)
	}
	defer rows.Close()
	if rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return note{}, failure(err, s.path)
		}
		if err := json.Unmarshal([]byte(text), &n); err != nil {
			return note{}, damaged(s.path, "does not say how its key is guarded")
		}
	}
	return n, failure(rows.Err(), s.path)
}

func (s *Store) writeNote(ctx context.Context, n note) error {
	text, err := json.Marshal(n)
	if err != nil {
		return failure(err, s.path)
	}
	_, err = s.db.ExecContext(ctx, "INSERT INTO meta VALUES ('key', ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value", string(text))
	return failure(err, s.path)
}

// empty reports whether nothing is sealed.
func (s *Store) empty(ctx context.Context) (empty bool, err error) {
	err = s.db.QueryRowContext(ctx, "SELECT NOT EXISTS (SELECT 1 FROM connections UNION ALL SELECT 1 FROM apps UNION ALL SELECT 1 FROM providers UNION ALL SELECT 1 FROM secrets)").Scan(&empty)
	return empty, failure(err, s.path)
}
