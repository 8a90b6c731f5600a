package store

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"time"

	ring "github.com/zalando/go-keyring"

	"keyturn/backend/fault"
)

// keyringService is under what the keyring keeps our keys: each store has an
// item of its own, so that none can lock out another of the same user.
const keyringService = "keyturn"

// keyringPatience is how long a call to the keyring may take. A person who is
// asked to unlock it may take longer: the question stays, we do not wait.
const keyringPatience = 3 * time.Second

func itemName(item string) string { return "sealing-key " + item }

// keyring guards the key as one item of the OS keyring (Secret Service, macOS
// Keychain, Windows Credential Manager), whose name is in the note. A keyring
// can hang, so every call runs in a goroutine of its own under a limit, and one
// that hangs keeps the only slot: calls do not pile up.
type keyring struct {
	slot  chan struct{}
	guard keyringGuard
}

func newKeyring() *keyring { return &keyring{slot: make(chan struct{}, 1)} }

func (r *keyring) name() string { return byKeyring }
func (r *keyring) close()       { r.guard.close() }

func (r *keyring) fetch(n note) (*key, error) {
	k, err := r.get(n.Item)
	if errors.Is(err, ring.ErrNotFound) {
		return nil, keyLost{fault.Wrap(err, fault.StoreLocked, "The keyring is open but no longer holds Keyturn's key, and without it the saved connections cannot be opened. Restore the keyring from a backup, or move the database away to start afresh.")}
	}
	return k, err
}

func (r *keyring) make(n *note) (*key, error) {
	n.Item = rand.Text()[:8]
	k := newKey()
	_, err := r.call(func() (string, error) {
		return "", ring.Set(keyringService, itemName(n.Item), encodeKey(k))
	})
	if err != nil {
		k.forget()
		return nil, err
	}
	// Sealing with a key that the keyring did not keep would lose everything
	// at the next start.
	kept, err := r.get(n.Item)
	if err != nil || subtle.ConstantTimeCompare(kept[:], k[:]) != 1 {
		k.forget()
		return nil, fault.Wrap(err, fault.StoreLocked, "The keyring did not keep Keyturn's key. Check the keyring, or %s", howToChoose)
	}
	return kept, nil
}

func (r *keyring) drop(n note) string {
	_, err := r.call(func() (string, error) { return "", ring.Delete(keyringService, itemName(n.Item)) })
	if err == nil || errors.Is(err, ring.ErrNotFound) {
		return ""
	}
	return fmt.Sprintf("The old key could not be removed from the keyring. It opens nothing any more; remove the item %q of %q there.", itemName(n.Item), keyringService)
}

// get returns the key, ring.ErrNotFound when the keyring is open and has none.
func (r *keyring) get(item string) (*key, error) {
	text, err := r.call(func() (string, error) { return ring.Get(keyringService, itemName(item)) })
	if err != nil {
		return nil, err
	}
	k, ok := decodeKey([]byte(text))
	if !ok {
		return nil, fault.New(fault.StoreLocked, "The keyring item %q (user %q) is not a key of Keyturn's. Remove it from the keyring, or %s", keyringService, itemName(item), howToChoose)
	}
	return k, nil
}

// call asks the keyring, once it is known to be there and open.
func (r *keyring) call(ask func() (string, error)) (string, error) {
	select {
	case r.slot <- struct{}{}:
	default:
		return "", didNotAnswer()
	}
	type answer struct {
		text string
		err  error
	}
	answered := make(chan answer, 1)
	go func() {
		var a answer
		defer func() {
			// The library takes replies of any shape for what it expects.
			if p := recover(); p != nil {
				a = answer{err: fault.Wrap(fmt.Errorf("keyring: %v", p), fault.StoreLocked, "The keyring gave an answer that makes no sense. Restart it, or %s", howToChoose)}
			}
			<-r.slot // before the answer: whoever gets it may ask again at once
			answered <- a
		}()
		ctx, cancel := context.WithTimeout(context.Background(), keyringPatience)
		defer cancel()
		if a.err = r.guard.ready(ctx); a.err == nil {
			a.text, a.err = ask()
		}
	}()
	limit := time.NewTimer(keyringPatience + keyringPatience/10)
	defer limit.Stop()
	select {
	case a := <-answered:
		var said *fault.Error
		if a.err != nil && !errors.Is(a.err, ring.ErrNotFound) && !errors.As(a.err, &said) {
			return "", fault.Wrap(fmt.Errorf("keyring: %w", a.err), fault.StoreLocked, "The keyring refused. Unlock it and try again, or %s", howToChoose)
		}
		return a.text, a.err
	case <-limit.C:
		return "", didNotAnswer()
	}
}

func didNotAnswer() error {
	return fault.New(fault.StoreLocked, "The keyring did not answer within %d seconds. Keyturn tries again; to do without it, %s", int(keyringPatience.Seconds()), howToChoose)
}
