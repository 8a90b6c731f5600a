package store

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"

	"golang.org/x/crypto/chacha20poly1305"
)

// A sealed value is
//
//	version (1 byte) | nonce (24 bytes) | XChaCha20-Poly1305 ciphertext and tag
//
// and its plaintext, before sealing,
//
//	length (4 bytes) | value | zeros up to the next step
//
// so that the length of a token does not show. What a value belongs to is
// authenticated beside it (binding): a value that is moved to another row, or
// whose row is made to name another server, does not open.
const (
	sealVersion = 1
	sealStep    = 1024
	sealHead    = 1 + chacha20poly1305.NonceSizeX
	keySize     = chacha20poly1305.KeySize
)

// errNotOurs is all there is to say about a value that does not open.
var errNotOurs = errors.New("sealed value: authentication failed")

// binding is what a sealed value belongs to. Generation makes the value of one
// token useless beside the row of another; it does not stop somebody who can
// write to the file from putting back a whole older row.
type binding struct {
	kind       string // "connection", "app", "provider", "secret"
	id         string
	provider   string
	origin     string // of the token endpoint
	issuer     string
	clientID   string
	generation uint64
	plain      string // what stands in clear beside the value and may not change
}

// encode is unambiguous: every field is preceded by its length.
func (b binding) encode() []byte {
	out := []byte{sealVersion}
	for _, field := range []string{b.kind, b.id, b.provider, b.origin, b.issuer, b.clientID, b.plain} {
		out = binary.BigEndian.AppendUint64(out, uint64(len(field)))
		out = append(out, field...)
	}
	return binary.BigEndian.AppendUint64(out, b.generation)
}

// key is the one key that seals the secrets. It lives in memory only.
type key [keySize]byte

// newKey returns a random key.
func newKey() *key {
	k := new(key)
	_, _ = rand.Read(k[:]) // never fails: it ends the program instead
	return k
}

// forget overwrites the key.
func (k *key) forget() { clear(k[:]) }

// derive returns a key for one purpose only.
func (k *key) derive(purpose string, size int) []byte {
	out, err := hkdf.Expand(sha256.New, k[:], "keyturn "+purpose+" v1", size)
	if err != nil {
		panic("store: " + err.Error()) // only for sizes that are not ours
	}
	return out
}

// check tells this key from every other without giving it away.
func (k *key) check() []byte { return k.derive("key check", 16) }

// seal returns value sealed for b.
func (k *key) seal(b binding, value []byte) []byte {
	size := (4 + len(value) + sealStep - 1) / sealStep * sealStep
	plaintext := make([]byte, size)
	defer clear(plaintext)
	binary.BigEndian.PutUint32(plaintext, uint32(len(value)))
	copy(plaintext[4:], value)

	sealed := make([]byte, sealHead, sealHead+size+chacha20poly1305.Overhead)
	sealed[0] = sealVersion
	_, _ = rand.Read(sealed[1:])
	sealing := k.derive("seal", keySize)
	defer clear(sealing)
	aead, err := chacha20poly1305.NewX(sealing)
	if err != nil {
		panic("store: " + err.Error()) // only for a key of another size
	}
	return aead.Seal(sealed, sealed[1:], plaintext, b.encode())
}

// open returns the value that was sealed for b, or errNotOurs.
func (k *key) open(b binding, sealed []byte) ([]byte, error) {
	if len(sealed) < sealHead || sealed[0] != sealVersion {
		return nil, errNotOurs
	}
	sealing := k.derive("seal", keySize)
	defer clear(sealing)
	aead, err := chacha20poly1305.NewX(sealing)
	if err != nil {
		panic("store: " + err.Error())
	}
	plaintext, err := aead.Open(nil, sealed[1:sealHead], sealed[sealHead:], b.encode())
	if err != nil || len(plaintext) < 4 {
		return nil, errNotOurs
	}
	size := binary.BigEndian.Uint32(plaintext)
	if uint64(size) > uint64(len(plaintext)-4) {
		return nil, errNotOurs
	}
	return plaintext[4 : 4+size], nil
}
