package orchestrator

import "context"

// The kinds of Protection, as Store.Protector names them too.
const (
	ByKeyring    = "keyring"
	ByPassphrase = "passphrase"
	ByKeyFile    = "key_file"
)

// Protection is what is to guard the key of a store from now on.
type Protection struct {
	Kind       string
	KeyFile    string // ByKeyFile: the absolute path of a file that is not there yet
	Passphrase []byte // ByPassphrase; the store overwrites it when it is done
}

// Protected is what came of a change of the protection.
type Protected struct {
	Damaged []Damaged // rows that had not opened before: they were left as they are
	Says    []string  // sentences about what is left for the user to do
}

// A Vault is a Store that can be shut and opened again while the program runs,
// and whose key can be put into other hands. Not every Store is one: that of
// the tests has no key.
type Vault interface {
	// Lock forgets the key. Until Unlock every method that needs it says
	// fault.StoreLocked, Load included.
	Lock(ctx context.Context) error
	// Unlock gets the key again from whoever guards it: a keyring may ask its
	// user, a key file is read once more. The passphrase is nil unless that is
	// what guards the key; the store overwrites it when it is done.
	Unlock(ctx context.Context, passphrase []byte) error
	// ChangeProtector seals everything anew with a key that to guards. A crash
	// at any moment leaves a store that the old or the new protector opens.
	ChangeProtector(ctx context.Context, to Protection) (Protected, error)
}
