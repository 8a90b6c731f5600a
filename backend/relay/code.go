package relay

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"strings"
)

// alphabet has 32 letters that look and sound apart: no I, L, O, U, as in
// Crockford's base 32, whose rules for reading clean also follows.
const alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"

// codeLength gives 40 bits against Tries guesses.
const codeLength = 8

// makeCode derives the confirmation code of one response: whoever has secret,
// which is every replica of the gateway and nobody else, comes to the same one.
// So a reloaded page shows the code that the app already waits for.
func makeCode(secret []byte, d Delivery) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("keyturn relay code\x00"))
	mac.Write(d.Flow[:])
	for _, s := range []string{d.Provider, d.Query} {
		mac.Write(binary.BigEndian.AppendUint32(nil, uint32(len(s))))
		mac.Write([]byte(s))
	}
	sum := mac.Sum(nil)
	code := make([]byte, codeLength)
	for i := range code {
		code[i] = alphabet[sum[i]&31]
	}
	return string(code)
}

// ShowCode is how a code is shown to people: "K7QM-2D4X".
func ShowCode(code string) string {
	if len(code) != codeLength {
		return code
	}
	return code[:codeLength/2] + "-" + code[codeLength/2:]
}

// clean undoes what people do to a code on its way: small letters, blanks,
// dashes, and letters that look like digits.
func clean(typed string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ' || r == '-' || r == '\t' || r == '\n' || r == '\r':
			return -1
		case r >= 'a' && r <= 'z':
			r -= 'a' - 'A'
		}
		switch r {
		case 'O':
			return '0'
		case 'I', 'L':
			return '1'
		}
		return r
	}, typed)
}
