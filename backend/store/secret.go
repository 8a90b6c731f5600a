package store

import (
	"context"
	"database/sql"
	"errors"

	"keyturn/backend/fault"
)

// A secret is a text that the program keeps beside connections and apps, by a
// name of its own: what a gateway proves itself with, for example.

func secretBinding(name string) binding { return binding{kind: "secret", id: name} }

// SaveSecret keeps a text under a name, in the place of the one before.
func (s *Store) SaveSecret(ctx context.Context, name, text string) error {
	return s.do(ctx, unlockPatience, func(ctx context.Context) error {
		value := []byte(text)
		defer clear(value)
		_, err := s.db.ExecContext(ctx, "INSERT INTO secrets VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET sealed = excluded.sealed",
			name, s.key.seal(secretBinding(name), value))
		return failure(err, s.path)
	})
}

// Secret returns the text under a name, "" when there is none.
func (s *Store) Secret(ctx context.Context, name string) (text string, err error) {
	err = s.do(ctx, unlockPatience, func(ctx context.Context) error {
		text, err = s.secret(ctx, name)
		return err
	})
	return text, err
}

func (s *Store) secret(ctx context.Context, name string) (string, error) {
	var sealed []byte
	err := s.db.QueryRowContext(ctx, "SELECT sealed FROM secrets WHERE name = ?", name).Scan(&sealed)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	if err != nil {
		return "", failure(err, s.path)
	}
	value, err := s.key.open(secretBinding(name), sealed)
	if err != nil {
		return "", fault.Wrap(err, fault.StoreDamaged, "The stored secret %q is damaged. Set it up again.", name)
	}
	defer clear(value)
	return string(value), nil
}

// DeleteSecret forgets the text under a name. What is gone already is no error.
func (s *Store) DeleteSecret(ctx context.Context, name string) error {
	return s.do(ctx, unlockPatience, func(ctx context.Context) error {
		if _, err := s.db.ExecContext(ctx, "DELETE FROM secrets WHERE name = ?", name); err != nil {
			return failure(err, s.path)
		}
		s.emptyLog(ctx)
		return nil
	})
}
