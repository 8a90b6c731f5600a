// Package bundle is the file that moves Keyturn to another computer:
// connections with their tokens, OAuth apps with their secrets, and the
// providers that are the user's own.
//
// The rules:
//
//   - The file is an age file (age-encryption.org/v1) for one passphrase:
//     nothing of it can be read or changed without.
//   - Inside is one JSON document with a version, read strictly: what is not
//     understood is refused whole, never taken in part.
//   - Opening costs bounded time and memory, whoever made the file.
//   - A wrong passphrase, a damaged file and one of a newer Keyturn are told
//     apart.
//   - Write returns when a power cut cannot take the file back any more.
package bundle

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"

	"filippo.io/age"

	"keyturn/backend/fault"
	"keyturn/backend/orchestrator"
	"keyturn/backend/strictjson"
)

const (
	shortestPassphrase = 8    // bytes, of a new file
	longestPassphrase  = 1024 // bytes
	maxFile            = 64 << 20
	// maxWork is what one try of a passphrase may cost (scrypt, as the power
	// of two of its N): 256 MiB.
	maxWork = 18
)

// work is what one try costs for a new file: 128 MiB, about half a second.
var work = 17

// Seal returns the contents as a file that passphrase opens.
func Seal(passphrase []byte, c orchestrator.Contents) ([]byte, error) {
	switch {
	case len(passphrase) < shortestPassphrase:
		return nil, fault.New(fault.BadRequest, "The passphrase is too short to seal anything with: use at least %d characters.", shortestPassphrase)
	case len(passphrase) > longestPassphrase:
		return nil, fault.New(fault.BadRequest, "The passphrase is longer than %d bytes. Use a shorter one.", longestPassphrase)
	}
	plain, err := json.Marshal(documentOf(c))
	if err != nil {
		return nil, fmt.Errorf("bundle: %w", err)
	}
	defer clear(plain)
	to, err := age.NewScryptRecipient(string(passphrase))
	if err != nil {
		return nil, fmt.Errorf("bundle: %w", err)
	}
	to.SetWorkFactor(work)
	defer debug.FreeOSMemory() // one try takes more than the rest of the program
	var out bytes.Buffer
	w, err := age.Encrypt(&out, to)
	if err == nil {
		_, err = w.Write(plain)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("bundle: %w", err)
	}
	if out.Len() > maxFile {
		return nil, fault.New(fault.BadRequest, "There is too much to export into one file.")
	}
	return out.Bytes(), nil
}

// Open returns the contents of a file. fault.WrongPassphrase, FileDamaged or
// NewerVersion say why not.
func Open(passphrase, file []byte) (orchestrator.Contents, error) {
	if len(file) > maxFile {
		return orchestrator.Contents{}, damaged(errors.New("too large"))
	}
	if len(passphrase) == 0 || len(passphrase) > longestPassphrase {
		return orchestrator.Contents{}, wrongPassphrase(nil)
	}
	if !bytes.HasPrefix(file, []byte("age-encryption.org/v1\n")) {
		return orchestrator.Contents{}, notOurs(nil)
	}
	by, err := age.NewScryptIdentity(string(passphrase))
	if err != nil {
		return orchestrator.Contents{}, fmt.Errorf("bundle: %w", err)
	}
	by.SetMaxWorkFactor(maxWork)
	defer debug.FreeOSMemory()
	r, err := age.Decrypt(bytes.NewReader(file), by)
	var mismatch *age.NoIdentityMatchError
	switch {
	case errors.As(err, &mismatch) && !bytes.Contains(file[:min(len(file), 200)], []byte("\n-> scrypt ")):
		return orchestrator.Contents{}, notOurs(err)
	case errors.As(err, &mismatch):
		return orchestrator.Contents{}, wrongPassphrase(err)
	case err != nil && strings.Contains(err.Error(), "work factor"):
		return orchestrator.Contents{}, notOurs(err)
	case err != nil:
		return orchestrator.Contents{}, damaged(err)
	}
	plain, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	defer clear(plain)
	if err != nil || len(plain) > maxFile {
		return orchestrator.Contents{}, damaged(err)
	}
	return read(plain)
}

// read reads the document that was inside.
func read(plain []byte) (orchestrator.Contents, error) {
	members, err := strictjson.Object(plain)
	if err != nil {
		return orchestrator.Contents{}, notOurs(err)
	}
	var format string
	var version int
	if json.Unmarshal(members["format"], &format) != nil || format != formatName || json.Unmarshal(members["version"], &version) != nil || version < 1 {
		return orchestrator.Contents{}, notOurs(nil)
	}
	if version > formatVersion {
		return orchestrator.Contents{}, fault.New(fault.NewerVersion, "A newer Keyturn wrote this file (version %d; this one knows %d). Nothing was imported. Update Keyturn.", version, formatVersion)
	}
	d := json.NewDecoder(bytes.NewReader(plain))
	d.DisallowUnknownFields()
	var doc document
	if err := d.Decode(&doc); err != nil {
		return orchestrator.Contents{}, damaged(err)
	}
	return doc.contents(), nil
}

func wrongPassphrase(cause error) error {
	return fault.Wrap(cause, fault.WrongPassphrase, "The passphrase does not open this file. Nothing was imported: try again with the right one.")
}

func damaged(cause error) error {
	return fault.Wrap(cause, fault.FileDamaged, "This file is damaged. Nothing was imported: copy it again, or export once more.")
}

func notOurs(cause error) error {
	return fault.Wrap(cause, fault.FileDamaged, "This is not a file that keyturn export wrote, or its beginning is damaged. Nothing was imported.")
}
