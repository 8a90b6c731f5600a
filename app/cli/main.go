// Command keyturn is the command line of Keyturn: a thin client of the
// program that runs. It owns no authorization, no store and no listener, and
// never falls back to having one: when nobody answers on the socket it says so.
//
// The rules:
//
//   - A command returns one answer; main alone writes it. With --json, exactly
//     one JSON value goes to standard output, whatever happened, and everything
//     else to standard error (answer.go). keyturn watch is a stream of such
//     values.
//   - Exit 0: done. 1: it failed. 2: wrong usage.
//   - No colour and no escape sequence, ever: what strangers named passes
//     text.Clean before a person sees it, and what a program reads line by line
//     is refused when it is more than a line.
//   - No secret in arguments or environment, of this process or one it starts.
//   - A command is built when it is asked for: most of the time of a
//     keyturn token is getting started (commands.go).
package main

import (
	"io"
	"os"

	"golang.org/x/term"
)

// version is set by the linker.
var version = "dev"

func main() { os.Exit(keyturn()) }

// keyturn is this process from arguments to exit code.
func keyturn() int {
	k := &command{
		in:       os.Stdin,
		out:      os.Stdout,
		err:      os.Stderr,
		terminal: term.IsTerminal(int(os.Stderr.Fd())),
	}
	return k.run(os.Args[1:])
}

// command is one run of the command line.
type command struct {
	in       io.Reader
	out, err io.Writer
	terminal bool // err is a terminal: somebody is watching
	json     bool

	answer answer
	began  bool // a command's own code was reached: what fails now is no wrong usage
}
