package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"keyturn/backend/fault"
	"keyturn/backend/text"
)

// maxPassphrase is the longest passphrase that Keyturn takes.
const maxPassphrase = 1024

// readPassphrase reads a passphrase from a file, from standard input for "-",
// or, when no file is named, from the person at the terminal, without showing
// it; a new one twice. It never comes from the command line, where every other
// program could read it.
func (k *command) readPassphrase(file, question string, isNew bool) (string, error) {
	if file == "" {
		return k.askPassphrase(question, isNew)
	}
	var data []byte
	var err error
	if file == "-" {
		data, err = io.ReadAll(io.LimitReader(k.in, maxPassphrase+3))
	} else {
		data, err = readFile(file)
	}
	if err != nil {
		return "", fault.Wrap(err, fault.BadRequest, "The passphrase cannot be read: %s.", text.Clean(reason(err), 200))
	}
	return onePassphrase(string(data))
}

func (k *command) askPassphrase(question string, isNew bool) (string, error) {
	in, typed := k.in.(*os.File)
	if !typed || !term.IsTerminal(int(in.Fd())) {
		return "", wrong("There is no terminal to ask for the passphrase. Name a file that holds it: --passphrase-file FILE, or - for standard input.")
	}
	ask := func(question string) (string, error) {
		fmt.Fprint(k.err, question)
		data, err := term.ReadPassword(int(in.Fd()))
		fmt.Fprintln(k.err)
		if err != nil {
			return "", fault.Wrap(err, fault.Cancelled, "No passphrase was given.")
		}
		return onePassphrase(string(data))
	}
	first, err := ask(question)
	if err != nil || !isNew {
		return first, err
	}
	second, err := ask("Once more: ")
	if err == nil && second != first {
		err = wrong("The two passphrases differ. Nothing was changed.")
	}
	return first, err
}

func onePassphrase(data string) (string, error) {
	words := strings.TrimSuffix(strings.TrimSuffix(data, "\n"), "\r")
	switch {
	case words == "":
		return "", wrong("The passphrase is empty.")
	case len(words) > maxPassphrase:
		return "", wrong("The passphrase is longer than %d bytes.", maxPassphrase)
	case oneLine(words) != nil:
		return "", wrong("The passphrase has more than one line.")
	}
	return words, nil
}
