package bundle

import (
	"bytes"

	"filippo.io/age"
)

// CheapWork lowers what one try of a passphrase costs for new files.
func CheapWork() { work = 10 }

// Encrypted is any text as the inside of a file, whatever work it costs.
func Encrypted(passphrase string, plain []byte, cost int) []byte {
	to, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		panic(err)
	}
	to.SetWorkFactor(cost)
	return encryptedTo(to, plain)
}

// EncryptedTo is any text as the inside of a file for to.
func EncryptedTo(to age.Recipient, plain []byte) []byte { return encryptedTo(to, plain) }

func encryptedTo(to age.Recipient, plain []byte) []byte {
	var out bytes.Buffer
	w, err := age.Encrypt(&out, to)
	if err == nil {
		_, err = w.Write(plain)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		panic(err)
	}
	return out.Bytes()
}
