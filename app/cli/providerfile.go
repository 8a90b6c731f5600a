package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"keyturn/backend/api/wire"
	"keyturn/backend/fault"
	"keyturn/backend/text"
)

const maxProviderFile = 256 << 10

func (k *command) providersImport() *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "import <file or address> [flags]",
		Short: "Add a provider from a file, after showing what it would do",
		Long: `Add a provider of your own from a YAML file, - for standard input, or from the
https address of one. Before anything is kept it says where you would approve
and which hosts would be sent codes, tokens and secrets, and asks.`,
		Example: `  keyturn providers import forge.yaml
  keyturn providers import https://example.org/keyturn/forge.yaml --yes`,
		Args: one("file or address"),
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	return k.does(cmd, func(ctx context.Context, args []string) (answer, error) {
		in := wire.ProviderDocument{URL: args[0]}
		if !strings.Contains(args[0], "://") {
			document, err := k.readProviderFile(args[0])
			if err != nil {
				return answer{}, err
			}
			in = wire.ProviderDocument{Document: document}
		}
		app, err := k.app()
		if err != nil {
			return answer{}, err
		}
		preview, err := app.PreviewProvider(ctx, in)
		if err != nil {
			return answer{}, err
		}
		k.showPreview(preview)
		if !yes && !k.agrees(args[0] != "-") {
			return answer{}, fault.New(fault.Cancelled, "Nothing was imported. To import it without being asked, add --yes.")
		}
		p, err := app.ImportProvider(ctx, preview.Document)
		if err != nil {
			return answer{}, err
		}
		return providerAnswer(p, func(w io.Writer) { sayNext(w, "Imported", p) }), nil
	})
}

func (k *command) readProviderFile(name string) (string, error) {
	var data []byte
	var err error
	if name == "-" {
		data, err = io.ReadAll(io.LimitReader(k.in, maxProviderFile+1))
	} else if f, openErr := os.Open(name); openErr != nil {
		err = openErr
	} else {
		defer f.Close()
		data, err = io.ReadAll(io.LimitReader(f, maxProviderFile+1))
	}
	switch {
	case err != nil:
		return "", fault.Wrap(err, fault.BadRequest, "The file cannot be read: %s.", text.Clean(reason(err), 200))
	case len(data) > maxProviderFile:
		return "", wrong("The file is larger than 256 KiB. A provider file is a few dozen lines.")
	}
	return string(data), nil
}

// showPreview says on standard error what would happen: standard output is for
// the answer.
func (k *command) showPreview(p wire.ProviderPreview) {
	what := "A new provider"
	if p.Replaces {
		what = "In the place of your own provider of this name"
	}
	k.note("%s: %s (%s)", what, p.Provider.Name, p.Provider.ID)
	k.note("You approve at %s; codes, tokens and secrets go to: %s.", p.Approve, strings.Join(p.SendsTo, ", "))
	for _, w := range p.Warnings {
		k.note("Careful: %s", w)
	}
}

// agrees asks on the terminal; without one the answer is no.
func (k *command) agrees(inFree bool) bool {
	in, typed := k.in.(*os.File)
	if k.json || !inFree || !typed || !term.IsTerminal(int(in.Fd())) {
		return false
	}
	fmt.Fprint(k.err, "Import it? [y/N] ")
	line, _ := bufio.NewReader(in).ReadString('\n')
	line = strings.ToLower(strings.TrimSpace(line))
	return line == "y" || line == "yes"
}

// sayNext says what was done with a provider and what to do with it now.
func sayNext(w io.Writer, did string, p wire.Provider) {
	fmt.Fprintf(w, "%s %s.\n", did, text.Clean(p.ID, 64))
	if p.RedirectURI != "" {
		fmt.Fprintf(w, "Redirect URI to register there: %s\n", text.Clean(p.RedirectURI, 300))
	}
	if !p.Ready {
		fmt.Fprintf(w, "Next: keyturn apps upsert --provider %s --client-id ID\n", text.Clean(p.ID, 64))
	} else {
		fmt.Fprintf(w, "Next: keyturn connect %s\n", text.Clean(p.ID, 64))
	}
}
