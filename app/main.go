//go:build !bindings

package app

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"syscall"
	"time"

	"keyturn/backend/fault"
	"keyturn/backend/place"
)

// stopLimit is how long the parts may take to stop.
const stopLimit = 5 * time.Second

const usage = `Usage: keyturn-%s [--hidden] [--take-over] [--passphrase] [--ui]

Keyturn connects accounts and hands fresh access tokens to the programs of this
computer. It runs until it is told to quit; use the keyturn command beside it.

  --hidden      start without showing the window
  --take-over   end another Keyturn of this user, and go on in its place
  --passphrase  guard the stored secrets with a passphrase, asked on the terminal
  --ui          print a link to Keyturn's pages in a browser, good once
  --version     print the version
  --help        print this

Environment: KEYTURN_HOME, KEYTURN_SOCKET, KEYTURN_KEY_FILE, KEYTURN_PASSPHRASE_FILE.
`

// Main runs the program and returns its exit status: 0 done, 1 it failed, 2
// wrong usage.
func Main(args []string, dist fs.FS) int {
	opts, status, ok := parse(args, os.Stdout, os.Stderr)
	if !ok {
		return status
	}
	opts.Dist = dist
	places, err := place.Find()
	if err == nil {
		err = harden()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}

	// Before anything else takes signals: Wails does, and would only tell itself.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	opts.Stopping = func() {
		time.AfterFunc(stopLimit, func() {
			fmt.Fprintln(os.Stderr, "Keyturn did not stop in time and ends here.")
			os.Exit(1)
		})
	}
	switch err := New(opts, places).Run(ctx); {
	case err == nil:
		return 0
	case errors.Is(err, errShown):
		fmt.Fprintln(os.Stderr, "Keyturn is running already; its window is in front now.")
		return 0
	default:
		fmt.Fprintln(os.Stderr, sentence(err))
		return 1
	}
}

// sentence is what a person reads. An error without one is a bug or a failure
// of the machine, which the person at the terminal is the one to see.
func sentence(err error) string {
	if fault.CodeOf(err) == fault.Internal {
		return "Keyturn could not start: " + err.Error()
	}
	return fault.MessageOf(err)
}

// parse reads the command line. When it is not ok the program ends with status.
func parse(args []string, out, errs io.Writer) (opts Options, status int, ok bool) {
	flags := flag.NewFlagSet("keyturn-"+program, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	opts.Out = errs
	flags.BoolVar(&opts.Hidden, "hidden", false, "")
	flags.BoolVar(&opts.TakeOver, "take-over", false, "")
	flags.BoolVar(&opts.Passphrase, "passphrase", false, "")
	flags.BoolVar(&opts.UI, "ui", false, "")
	version := flags.Bool("version", false, "")
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprintf(out, usage, program)
		return opts, 0, false
	case err != nil || flags.NArg() > 0:
		fmt.Fprintf(errs, "This is not an option of keyturn-%s. See keyturn-%s --help; accounts are connected with the keyturn command.\n", program, program)
		return opts, 2, false
	case *version:
		fmt.Fprintf(out, "keyturn-%s %s\n", program, Version)
		return opts, 0, false
	}
	return opts, 0, true
}
