package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"
	"rsc.io/qr"

	"keyturn/backend/api/wire"
	"keyturn/backend/client"
	"keyturn/backend/fault"
	"keyturn/backend/text"
)

// remote reports whether this is a session on another computer, without a
// display: a browser that opens here is seen by nobody.
func remote() bool {
	return os.Getenv("SSH_CONNECTION") != "" && os.Getenv("DISPLAY") == "" && os.Getenv("WAYLAND_DISPLAY") == "" && os.Getenv("BROWSER") == ""
}

// chooseWay picks, for a session without a browser, how the response comes
// back, and says why. What the user asked for is left as it is.
func (k *command) chooseWay(ctx context.Context, app *client.Client, in *wire.ConnectStart) {
	if !remote() || in.CallbackTransport != "" {
		return
	}
	say := func(format string, args ...any) {
		if !k.json {
			k.note(format, args...)
		}
	}
	here, err := os.Hostname()
	if health, failed := app.Health(ctx); failed == nil && err == nil && health.Host != "" && health.Host != here {
		in.OpenBrowser = true
		say("Keyturn runs on %s: the browser opens there.", text.Clean(health.Host, 80))
		return
	}
	p, err := app.Provider(ctx, in.Service)
	switch {
	case err != nil: // the connect will say it better
	case slices.Contains(p.CallbackTransports, "device"):
		in.CallbackTransport = "device"
		say("There is no browser here, so %s is connected by a code that you enter on any device.", text.Clean(p.Name, 60))
	case k.typed() && slices.Contains(p.CallbackTransports, "paste"):
		in.CallbackTransport = "paste"
		say("There is no browser here, and %s has no device code, so you will paste an address.", text.Clean(p.Name, 60))
	}
}

// typed reports whether a person types on standard input.
func (k *command) typed() bool {
	in, is := k.in.(*os.File)
	return is && term.IsTerminal(int(in.Fd()))
}

// ownCode stands beside every code (RFC 8628 section 5.4).
const ownCode = "Enter it only because you started this yourself, just now: whoever sends you a code wants your account."

// showCode says what to enter where. In JSON mode it is said all the same: it
// is for a person, and there is no other way on.
func (k *command) showCode(provider string, started wire.ConnectStarted) {
	k.note("To connect %s, open this address on any device:", provider)
	fmt.Fprintf(k.err, "\n  %s\n\n", started.VerificationURI)
	k.note("and enter this code:")
	fmt.Fprintf(k.err, "\n  %s\n\n", text.Clean(started.UserCode, 60))
	if k.terminal && !k.json {
		drawQR(k.err, started.AuthURL)
	}
	k.note(ownCode)
}

// drawQR draws what a phone can read, two rows to a line. An address that
// fits into no code is left out.
func drawQR(w io.Writer, address string) {
	code, err := qr.Encode(address, qr.L)
	if err != nil || code.Size > 60 {
		return
	}
	const quiet = 2 // modules around it
	black := func(x, y int) bool {
		return x >= 0 && y >= 0 && x < code.Size && y < code.Size && code.Black(x, y)
	}
	var b strings.Builder
	for y := -quiet; y < code.Size+quiet; y += 2 {
		b.WriteString("  \x1b[30;107m")
		for x := -quiet; x < code.Size+quiet; x++ {
			switch top, bottom := black(x, y), black(x, y+1); {
			case top && bottom:
				b.WriteRune('█')
			case top:
				b.WriteRune('▀')
			case bottom:
				b.WriteRune('▄')
			default:
				b.WriteByte(' ')
			}
		}
		b.WriteString("\x1b[0m\n")
	}
	fmt.Fprintln(w, b.String())
}

// offerPaste takes pasted addresses, or the code that the browser shows, from
// the terminal while the attempt is followed. A read from a terminal cannot be
// interrupted: it is left behind when the attempt ends.
func (k *command) offerPaste(ctx context.Context, app *client.Client, started wire.ConnectStarted) {
	send, ask := app.Paste, "Approve there. The page that comes then does not load: paste its address here, and press Enter."
	if started.Confirms {
		send, ask = app.Confirm, "Approve there. The page that comes then shows a code: type it here, and press Enter."
	}
	if !started.Pastes && !started.Confirms || started.Joined || k.json || !k.typed() || !started.Confirms && started.Transport != "paste" && !remote() {
		return
	}
	k.note("%s", ask)
	go func() {
		lines := bufio.NewReaderSize(k.in, 32<<10)
		for ctx.Err() == nil {
			line, err := lines.ReadString('\n')
			if line = strings.TrimSpace(line); line != "" && ctx.Err() == nil {
				if failed := send(ctx, started.State, line); failed != nil {
					k.note("%s", sentenceOf(failed))
				} else {
					return
				}
			}
			if err != nil {
				return
			}
		}
	}()
}

// maxPasted is more than any address bar holds of a response.
const maxPasted = 16 << 10

func (k *command) paste() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "paste <state>",
		Short: "Finish an authorization with the address of a page that did not load",
		Long: `Finish an authorization whose browser runs on another computer: the page that
comes after approving does not load there, and its address holds what is needed.
It is read from standard input, or asked for: never from the command line, which
other programs can read. <state> is what keyturn connect --no-browser --json
calls state; keyturn status shows it too.`,
		Example: `  keyturn connect github --no-browser --callback-transport paste --json
  keyturn paste 3f9a…                     asks for the address`,
		Args:              one("state"),
		ValidArgsFunction: k.completeAttempts,
	}
	return k.does(cmd, func(ctx context.Context, args []string) (answer, error) {
		app, err := k.app()
		if err != nil {
			return answer{}, err
		}
		line, err := k.line("Address of the page that did not load: ", "Nothing was pasted. Give the address of the page that did not load on standard input.")
		if err != nil {
			return answer{}, err
		}
		if err := app.Paste(ctx, args[0], line); err != nil {
			return answer{}, err
		}
		return said(done, "Taken. How it went on: keyturn status"), nil
	})
}

// line reads one line from standard input, which a person is asked for.
func (k *command) line(question, nothing string) (string, error) {
	if k.typed() {
		fmt.Fprint(k.err, question)
	}
	line, err := bufio.NewReader(io.LimitReader(k.in, maxPasted+2)).ReadString('\n')
	switch line = strings.TrimSpace(line); {
	case line == "" && (err == nil || err == io.EOF):
		return "", wrong("%s", nothing)
	case line == "":
		return "", fault.Wrap(err, fault.BadRequest, "Standard input cannot be read.")
	case len(line) > maxPasted:
		return "", fault.New(fault.BadRequest, "That is too long to be what was asked for. Copy it again, and nothing else.")
	}
	return line, nil
}

func (k *command) confirm() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "confirm <state>",
		Short: "Type the code that the browser shows, for a connect through a relay",
		Long: `Type the code that the browser shows after you have approved, for an
authorization whose response came through the relay of a gateway. It proves that
the browser is yours: give the code to nobody. It is read from standard input,
or asked for.`,
		Args:              one("state"),
		ValidArgsFunction: k.completeAttempts,
	}
	return k.does(cmd, func(ctx context.Context, args []string) (answer, error) {
		app, err := k.app()
		if err != nil {
			return answer{}, err
		}
		code, err := k.line("Code that the browser shows: ", "Nothing was typed. Give the code that the browser shows on standard input.")
		if err != nil {
			return answer{}, err
		}
		if err := app.Confirm(ctx, args[0], code); err != nil {
			return answer{}, err
		}
		return said(done, "Taken. How it went on: keyturn status"), nil
	})
}
