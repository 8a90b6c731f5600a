package app

import (
	"fmt"
	"os"

	"golang.org/x/term"
)

// terminal returns what asks for a passphrase, or nil where nobody could
// answer. The desktop program is started by clicks and has nobody to ask.
func terminal() func() ([]byte, error) {
	in := int(os.Stdin.Fd())
	if program != "headless" || !term.IsTerminal(in) {
		return nil
	}
	return func() ([]byte, error) {
		fmt.Fprint(os.Stderr, "Passphrase of Keyturn's store: ")
		defer fmt.Fprintln(os.Stderr)
		return term.ReadPassword(in)
	}
}
