package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"keyturn/backend/api/wire"
	"keyturn/backend/fault"
	"keyturn/backend/text"
)

func (k *command) export() *cobra.Command {
	var in wire.Export
	var file string
	cmd := &cobra.Command{
		Use:   "export <file> [flags]",
		Short: "Write everything into one sealed file, to move to another computer",
		Long: `Write the connections, the OAuth apps and your own providers into one new file
that only a passphrase opens. --move forgets the connections here, without
revoking them, once the file is safe: many providers end a refresh token when it
is used, so that a connection can live on one computer only.`,
		Example: `  keyturn export ~/keyturn.age --move
  keyturn import keyturn.age             on the other computer`,
		Args: one("file"),
	}
	cmd.Flags().BoolVar(&in.Move, "move", false, "forget the connections here when the file is written")
	cmd.Flags().StringVar(&file, "passphrase-file", "", "the file that holds the passphrase; - for standard input")
	return k.does(cmd, func(ctx context.Context, args []string) (answer, error) {
		app, err := k.app()
		if err != nil {
			return answer{}, err
		}
		if in.Path, err = absolute(args[0]); err != nil {
			return answer{}, err
		}
		if in.Passphrase, err = k.readPassphrase(file, "Passphrase for the file: ", true); err != nil {
			return answer{}, err
		}
		if len(in.Passphrase) < 8 {
			return answer{}, wrong("The passphrase is too short: use at least 8 characters.")
		}
		out, err := app.Export(ctx, in)
		if err != nil {
			return answer{}, err
		}
		k.warnExported(out)
		return answer{struct {
			outcome
			wire.Exported
		}{done, out}, func(w io.Writer) error { return sayExported(w, out) }}, nil
	})
}

// warnExported says what can still cost a grant.
func (k *command) warnExported(out wire.Exported) {
	switch {
	case len(out.Kept) > 0:
		k.note("Could not be forgotten here: %s. Do not import them elsewhere while they are in use here.", names(out.Kept))
	case !out.Moved && len(out.Rotating) > 0:
		k.note("Can be used on one computer only: %s. The second to renew one loses it: export with --move, or leave them unused here.", names(out.Rotating))
	}
}

func sayExported(w io.Writer, out wire.Exported) error {
	lines := []string{fmt.Sprintf("Exported to %s: %s, %s, %s.", text.Clean(out.Path, 400),
		count(len(out.Connections), "connection"), count(out.Apps, "OAuth app"), count(out.Providers, "provider of your own"))}
	if out.Moved && len(out.Kept) == 0 {
		lines = append(lines, "The connections are forgotten here, and not revoked: the file is now the only place they are in.")
	}
	_, err := fmt.Fprintln(w, strings.Join(lines, "\n"))
	return err
}

func (k *command) importFile() *cobra.Command {
	var in wire.Import
	var file string
	cmd := &cobra.Command{
		Use:   "import <file> [flags]",
		Short: "Take what keyturn export wrote",
		Long: `Take the connections, OAuth apps and providers that keyturn export wrote. What
is there already stays as it is, unless --replace is given.`,
		Example: `  keyturn import keyturn.age
  keyturn import keyturn.age --replace`,
		Args: one("file"),
	}
	cmd.Flags().BoolVar(&in.Replace, "replace", false, "take what is in the file also where the same is there already")
	cmd.Flags().StringVar(&file, "passphrase-file", "", "the file that holds the passphrase; - for standard input")
	return k.does(cmd, func(ctx context.Context, args []string) (answer, error) {
		app, err := k.app()
		if err != nil {
			return answer{}, err
		}
		if in.Path, err = absolute(args[0]); err != nil {
			return answer{}, err
		}
		if in.Passphrase, err = k.readPassphrase(file, "Passphrase of the file: ", false); err != nil {
			return answer{}, err
		}
		out, err := app.Import(ctx, in)
		if err != nil {
			return answer{}, err
		}
		return answer{struct {
			outcome
			wire.Imported
		}{done, out}, func(w io.Writer) error { return sayImported(w, out) }}, nil
	})
}

func sayImported(w io.Writer, out wire.Imported) error {
	lines := []string{fmt.Sprintf("Imported %s, %s, %s.",
		count(len(out.Connections), "connection"), count(out.Apps, "OAuth app"), count(out.Providers, "provider of your own"))}
	for _, s := range out.Skipped {
		lines = append(lines, text.Clean(fmt.Sprintf("Left out %s %s %s: %s", strings.ReplaceAll(s.Kind, "app", "OAuth app"), s.Provider, s.Name, s.Says), 300))
	}
	_, err := fmt.Fprintln(w, strings.Join(lines, "\n"))
	return err
}

// absolute is the path as the Keyturn that runs will find it: it has a folder
// of its own.
func absolute(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", fault.Wrap(err, fault.BadRequest, "The path of the file cannot be used.")
	}
	return abs, nil
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	if first, rest, found := strings.Cut(what, " of "); found {
		return fmt.Sprintf("%d %ss of %s", n, first, rest)
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func names(all []wire.Moved) string {
	var out []string
	for _, m := range all {
		out = append(out, text.Clean(strings.TrimSpace(m.Provider+" "+m.Account), 120))
	}
	return strings.Join(out, ", ")
}
