package store

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"runtime/debug"

	"crypto/rand"

	argon "golang.org/x/crypto/argon2"

	"keyturn/backend/fault"
)

// argon2 is how the key is made of the passphrase (RFC 9106). Whoever has the
// database may try passphrases; each try costs this much.
type argon2 struct {
	Salt    []byte `json:"salt"`
	Time    uint32 `json:"time"`
	Memory  uint32 `json:"memory"` // KiB
	Threads uint8  `json:"threads"`
}

// today's cost of one try.
var today = argon2{Time: 3, Memory: 64 << 10, Threads: 4}

// sane refuses what would keep the machine busy: the note is not sealed.
func (a *argon2) sane() bool {
	return a != nil && len(a.Salt) >= 16 && a.Time >= 1 && a.Time <= 16 &&
		a.Memory >= 8<<10 && a.Memory <= 1<<20 && a.Threads >= 1 && a.Threads <= 16
}

func (a *argon2) key(passphrase []byte) *key {
	k := new(key)
	copy(k[:], argon.IDKey(passphrase, a.Salt, a.Time, a.Memory, a.Threads, keySize))
	// The memory of one try is more than the rest of the program uses.
	debug.FreeOSMemory()
	return k
}

const (
	shortestPassphrase = 8    // bytes, of a new one
	longestPassphrase  = 1024 // bytes
	maxAsked           = 3
)

// passphrase makes the key of what a person knows, read from a file or asked
// for. It asks a few times, never for ever.
type passphrase struct {
	file  string
	ask   func() ([]byte, error)
	asked int
}

func (p *passphrase) name() string { return byPassphrase }
func (p *passphrase) close()       {}

func (p *passphrase) fetch(n note) (*key, error) {
	if !n.Argon2.sane() {
		return nil, fault.New(fault.StoreDamaged, "The database does not say how its key is made of the passphrase. Restore it from a backup, or move it away to start afresh.")
	}
	words, err := p.read()
	if err != nil {
		return nil, err
	}
	defer clear(words)
	return n.Argon2.key(words), nil
}

func (p *passphrase) make(n *note) (*key, error) {
	words, err := p.read()
	if err != nil {
		return nil, err
	}
	defer clear(words)
	if len(words) < shortestPassphrase {
		return nil, fault.New(fault.StoreLocked, "The passphrase is too short to seal anything with: use at least %d characters.", shortestPassphrase)
	}
	cost := today
	cost.Salt = make([]byte, 16)
	_, _ = rand.Read(cost.Salt)
	n.Argon2 = &cost
	return cost.key(words), nil
}

func (p *passphrase) drop(note) string { return "" }

// read returns the passphrase without its line break.
func (p *passphrase) read() ([]byte, error) {
	switch {
	case p.file != "":
		return p.readFile()
	case p.ask == nil:
		return nil, fault.New(fault.StoreLocked, "The saved connections are sealed with a passphrase. Unlock them with: keyturn unlock (or set KEYTURN_PASSPHRASE_FILE to a file that holds it before Keyturn starts).")
	case p.asked >= maxAsked:
		return nil, fault.New(fault.StoreLocked, "Keyturn does not ask for the passphrase any more. Start it again to be asked, or set KEYTURN_PASSPHRASE_FILE to a file that holds the passphrase.")
	}
	p.asked++
	words, err := p.ask()
	if err != nil {
		p.asked = maxAsked // whoever closed the question does not want another
		return nil, fault.Wrap(err, fault.StoreLocked, "The passphrase was not given. Start Keyturn again to be asked once more, or set KEYTURN_PASSPHRASE_FILE to a file that holds it.")
	}
	return trimmed(words, "The passphrase")
}

func (p *passphrase) readFile() ([]byte, error) {
	f, err := openPrivate(p.file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.Wrap(err, fault.StoreLocked, "The passphrase file %q is not there. Put it there, or name another in KEYTURN_PASSPHRASE_FILE.", p.file)
	}
	if err != nil {
		return nil, failure(err, p.file)
	}
	defer f.Close()
	words, err := io.ReadAll(io.LimitReader(f, longestPassphrase+3))
	if err != nil {
		return nil, failure(err, p.file)
	}
	return trimmed(words, "The passphrase file")
}

func trimmed(words []byte, what string) ([]byte, error) {
	words = bytes.TrimSuffix(bytes.TrimSuffix(words, []byte("\n")), []byte("\r"))
	if len(words) == 0 {
		return nil, fault.New(fault.StoreLocked, "%s is empty. Put the passphrase in it and try again.", what)
	}
	if len(words) > longestPassphrase {
		return nil, fault.New(fault.StoreLocked, "%s is longer than %d bytes. Use a shorter one.", what, longestPassphrase)
	}
	return words, nil
}
