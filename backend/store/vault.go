package store

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"keyturn/backend/fault"
	"keyturn/backend/orchestrator"
)

// promptPatience is how long Unlock waits: its caller is a person, who may
// have to answer the keyring's own question.
const promptPatience = 2 * time.Minute

// Lock implements orchestrator.Vault.
func (s *Store) Lock(ctx context.Context) error {
	if err := s.take(ctx); err != nil {
		return err
	}
	defer s.give()
	s.locked = true
	if s.key != nil {
		s.key.forget()
		s.key = nil
	}
	return nil
}

func lockedError() error {
	return fault.New(fault.StoreLocked, "Keyturn was locked. Unlock it with: keyturn unlock")
}

// Unlock implements orchestrator.Vault.
func (s *Store) Unlock(ctx context.Context, words []byte) error {
	defer clear(words)
	if err := s.take(ctx); err != nil {
		return err
	}
	was := s.locked
	s.locked = false
	s.mu.Lock()
	guard := s.guard
	if p, is := guard.(*passphrase); is && len(words) > 0 {
		given := slices.Clone(words)
		s.guard = &passphrase{ask: func() ([]byte, error) { return given, nil }}
		defer func() {
			clear(given)
			p.asked = 0
		}()
	}
	s.mu.Unlock()
	s.give()

	err := s.unlock(ctx, promptPatience)
	<-s.turn
	defer s.give()
	s.mu.Lock()
	if _, is := guard.(*passphrase); is {
		s.guard = guard
	}
	s.mu.Unlock()
	s.locked = was && err != nil
	return err
}

// ChangeProtector implements orchestrator.Vault. The new protector has its key
// before anything is sealed with it, and the old one keeps its own until all
// is; between the two lies one transaction.
func (s *Store) ChangeProtector(ctx context.Context, to orchestrator.Protection) (orchestrator.Protected, error) {
	defer clear(to.Passphrase)
	next, err := guardFor(to)
	if err != nil {
		return orchestrator.Protected{}, err
	}
	var came orchestrator.Protected
	err = s.do(ctx, unlockPatience, func(ctx context.Context) error {
		old, err := s.readNote(ctx)
		if err != nil {
			return err
		}
		fresh := note{Protector: next.name()}
		if same(old, to) {
			return fault.New(fault.Conflict, "That is what guards the key already.")
		}
		k, err := next.make(&fresh)
		if err != nil {
			return err
		}
		fresh.Check = k.check()
		if came.Damaged, err = s.reseal(ctx, k, fresh); err != nil {
			k.forget()
			return err
		}
		s.key.forget()
		s.key = k
		s.mu.Lock()
		before := s.guard
		s.guard = s.lasting(next, fresh)
		s.mu.Unlock()
		s.emptyLog(ctx)
		came.Says = s.discard(before, old, fresh)
		return nil
	})
	return came, err
}

// guardFor returns the protector that to asks for.
func guardFor(to orchestrator.Protection) (protector, error) {
	switch to.Kind {
	case byKeyring:
		return newKeyring(), nil
	case byPassphrase:
		words, err := trimmed(slices.Clone(to.Passphrase), "The passphrase")
		if err != nil {
			return nil, fault.New(fault.BadRequest, "%s", fault.MessageOf(err))
		}
		return &passphrase{ask: func() ([]byte, error) { return words, nil }}, nil
	case byKeyFile:
		if to.KeyFile == "" {
			return nil, fault.New(fault.BadRequest, "Name the key file that is to be made.")
		}
		return &keyFile{path: to.KeyFile}, nil
	}
	return nil, fault.New(fault.BadRequest, "%q is no way to guard the key. Use keyring, passphrase or key_file.", to.Kind)
}

func same(n note, to orchestrator.Protection) bool {
	return n.Protector == to.Kind && (to.Kind == byKeyring || to.Kind == byKeyFile && n.File == to.KeyFile)
}

// lasting is the protector that later unlocks ask: the one that was given its
// passphrase has to forget it.
func (s *Store) lasting(p protector, n note) protector {
	if p.name() == byPassphrase {
		return &passphrase{file: s.opts.PassphraseFile, ask: s.opts.AskPassphrase}
	}
	if p.name() == byKeyFile {
		return &keyFile{path: n.File}
	}
	return p
}

// reseal seals every row anew with k and replaces the note, all or nothing.
// Rows that do not open are left as they are.
func (s *Store) reseal(ctx context.Context, k *key, n note) (damaged []orchestrator.Damaged, err error) {
	c, err := s.read(ctx, s.key)
	if err != nil {
		return nil, err
	}
	names, err := texts(ctx, s.db, "SELECT name FROM secrets")
	if err != nil {
		return nil, failure(err, s.path)
	}
	secrets := map[string]string{}
	for _, name := range names {
		if text, err := s.secret(ctx, name); err == nil {
			secrets[name] = text
		} // one that does not open is left as it is, too
	}
	words, err := json.Marshal(n)
	if err != nil {
		return nil, failure(err, s.path)
	}
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return nil, failure(err, s.path)
	}
	defer tx.Rollback() //nolint:errcheck // after a commit there is nothing to roll back
	put := func(table, id string, b binding, body any) {
		if err != nil {
			return
		}
		var value []byte
		if value, err = json.Marshal(body); err != nil {
			return
		}
		defer clear(value)
		_, err = tx.ExecContext(ctx, "UPDATE "+table+" SET sealed = ? WHERE id = ?", k.seal(b, value), id)
	}
	for _, r := range c.Connections {
		put("connections", r.ID, connectionBinding(r), bodyOfConnection(r))
	}
	for _, a := range c.Apps {
		put("apps", a.ID, appBinding(a), bodyOfApp(a))
	}
	for _, p := range c.Providers {
		// What is bound to the value is the text as it stands in the row.
		var definition string
		if err == nil {
			err = tx.QueryRowContext(ctx, "SELECT definition FROM providers WHERE id = ?", p.ID).Scan(&definition)
		}
		put("providers", p.ID, providerBinding(p.ID, definition), struct{}{})
	}
	for name, text := range secrets {
		if err == nil {
			_, err = tx.ExecContext(ctx, "UPDATE secrets SET sealed = ? WHERE name = ?", k.seal(secretBinding(name), []byte(text)), name)
		}
	}
	if err == nil {
		_, err = tx.ExecContext(ctx, "INSERT INTO meta VALUES ('key', ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value", string(words))
	}
	if err == nil {
		err = tx.Commit()
	}
	return c.Damaged, failure(err, s.path)
}

// discard gives up the key that nothing is sealed with any more, and says what
// it leaves to the user.
func (s *Store) discard(before protector, old, fresh note) (says []string) {
	if old.Protector != fresh.Protector || old.Item != fresh.Item || old.File != fresh.File {
		if left := before.drop(old); left != "" {
			says = append(says, left)
		}
	}
	if s.opts.KeyFile != "" && s.opts.KeyFile != fresh.File {
		says = append(says, "KEYTURN_KEY_FILE is set: unset it before Keyturn starts again.")
	}
	if s.opts.PassphraseFile != "" {
		says = append(says, "KEYTURN_PASSPHRASE_FILE is set: unset it, or put the new passphrase there, before Keyturn starts again.")
	}
	return says
}

var _ orchestrator.Vault = (*Store)(nil)
