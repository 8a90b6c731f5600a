package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"keyturn/backend/api/wire"
	"keyturn/backend/fault"
	"keyturn/backend/text"
)

func (k *command) apps() *cobra.Command {
	return k.group(&cobra.Command{
		Use:   "apps",
		Short: "List, register and delete OAuth apps",
	}, k.appsList(), k.appsGet(), k.appsUpsert(), k.appsImport(), k.appsDelete())
}

func (k *command) appsList() *cobra.Command {
	var provider string
	cmd := &cobra.Command{
		Use:   "list [flags]",
		Short: "List OAuth apps",
		Args:  none,
	}
	cmd.Flags().StringVar(&provider, "provider", "", "only those at this provider")
	return k.does(cmd, func(ctx context.Context, _ []string) (answer, error) {
		shown, err := k.findApps(ctx, provider, "")
		if err != nil {
			return answer{}, err
		}
		value := struct {
			outcome
			Apps []wire.App `json:"apps"`
		}{done, shown}
		return answer{value, func(w io.Writer) error {
			if len(shown) == 0 {
				fmt.Fprintln(w, "There is no OAuth app yet. To register one: keyturn apps upsert --help")
				return nil
			}
			t := table{{"ID", "PROVIDER", "CLIENT ID", "SECRET", "UPDATED"}}
			for _, a := range shown {
				t = append(t, []string{a.ID, a.Provider, a.ClientID, secretState(a), a.UpdatedAt.Local().Format(time.DateOnly)})
			}
			t.write(w)
			return nil
		}}, nil
	})
}

// findApps returns the OAuth apps at provider with clientID; "" is any.
func (k *command) findApps(ctx context.Context, provider, clientID string) ([]wire.App, error) {
	app, err := k.app()
	if err != nil {
		return nil, err
	}
	all, err := app.Apps(ctx)
	found := []wire.App{}
	for _, a := range all {
		if (provider == "" || a.Provider == provider || slices.Contains(a.Serves, provider)) && (clientID == "" || a.ClientID == clientID) {
			found = append(found, a)
		}
	}
	return found, err
}

func secretState(a wire.App) string {
	if a.HasClientSecret {
		return "kept"
	}
	return "none"
}

func (k *command) appsGet() *cobra.Command {
	var id, provider, clientID string
	cmd := &cobra.Command{
		Use:   "get [id] [flags]",
		Short: "Show one OAuth app",
		Example: `  keyturn apps get app_0123456789abcdef
  keyturn apps get --provider github`,
		Args: atMostOne("id"),
	}
	f := cmd.Flags()
	f.StringVar(&id, "id", "", "its id; keyturn apps list shows it")
	f.StringVar(&provider, "provider", "", "the one at this provider")
	f.StringVar(&clientID, "client-id", "", "with --provider, where there are several")
	return k.does(cmd, func(ctx context.Context, args []string) (answer, error) {
		if len(args) == 1 {
			if id != "" && id != args[0] {
				return answer{}, wrong("The OAuth app is named twice.")
			}
			id = args[0]
		}
		if (id == "") == (provider == "") {
			return answer{}, wrong("Name the OAuth app by its id, or by --provider.")
		}
		found, err := k.findApps(ctx, provider, clientID)
		if err != nil {
			return answer{}, err
		}
		if id != "" {
			found = only(found, id)
		}
		switch len(found) {
		case 0:
			return answer{}, fault.New(fault.UnknownApp, "There is no such OAuth app. keyturn apps list shows those there are.")
		case 1:
			return appAnswer(found[0], "%s at %s, client secret: %s (%s).", found[0].ClientID, found[0].Provider, secretState(found[0]), found[0].ID), nil
		}
		return answer{}, fault.New(fault.Ambiguous, "There are %d OAuth apps at %s. Name one with --client-id.", len(found), text.Clean(provider, 64))
	})
}

func only(apps []wire.App, id string) []wire.App {
	for _, a := range apps {
		if a.ID == id {
			return []wire.App{a}
		}
	}
	return nil
}

func appAnswer(a wire.App, format string, args ...any) answer {
	return said(struct {
		outcome
		App wire.App `json:"app"`
	}{done, a}, format, args...)
}

func (k *command) appsUpsert() *cobra.Command {
	var (
		in   wire.AppUpsert
		file string
	)
	cmd := &cobra.Command{
		Use:   "upsert --provider P --client-id ID [flags]",
		Short: "Register an OAuth app, or change it",
		Long: `Register an OAuth app that you have created at the provider, or change it. The
client secret is read from a file or from standard input, never from the
command line, which other users of this computer can see. Without a flag for
the secret, one that is there already stays.`,
		Example: `  keyturn apps upsert --provider github --client-id Iv1.0123 --client-secret-file secret.txt
  pass show github | keyturn apps upsert --provider github --client-id Iv1.0123 --client-secret-file -
  keyturn apps upsert --provider work --client-id desktop --no-client-secret`,
		Args: none,
	}
	f := cmd.Flags()
	f.StringVar(&in.Provider, "provider", "", "provider it is registered at")
	f.StringVar(&in.ClientID, "client-id", "", "its client id")
	f.StringVar(&file, "client-secret-file", "", "file with its client secret, - for standard input")
	f.BoolVar(&in.NoClientSecret, "no-client-secret", false, "it has none: forget any that is kept")
	cmd.MarkFlagsMutuallyExclusive("client-secret-file", "no-client-secret")
	cmd.RegisterFlagCompletionFunc("provider", k.completeCatalogue)
	return k.does(cmd, func(ctx context.Context, _ []string) (answer, error) {
		switch {
		case in.Provider == "":
			return answer{}, wrong("Name the provider with --provider.")
		case in.ClientID == "":
			return answer{}, wrong("Name the client id with --client-id.")
		}
		if f.Changed("client-secret-file") {
			var err error
			if in.ClientSecret, err = k.readSecret(file); err != nil {
				return answer{}, err
			}
		}
		app, err := k.app()
		if err != nil {
			return answer{}, err
		}
		a, err := app.UpsertApp(ctx, in)
		if err != nil {
			return answer{}, err
		}
		return appAnswer(a, "Saved the OAuth app %s at %s. Next: keyturn connect %s", a.ClientID, a.Provider, a.Provider), nil
	})
}

// maxSecret is the longest client secret.
const maxSecret = 4 << 10

// readSecret reads a client secret from a file, or from standard input for
// "-": without an echo where somebody types it. White space around it, which
// comes along with a paste, is no part of it.
func (k *command) readSecret(file string) (string, error) {
	var data []byte
	var err error
	switch in, typed := k.in.(*os.File); {
	case file == "-" && typed && term.IsTerminal(int(in.Fd())):
		fmt.Fprint(k.err, "Client secret: ")
		data, err = term.ReadPassword(int(in.Fd()))
		fmt.Fprintln(k.err)
	case file == "-":
		data, err = io.ReadAll(io.LimitReader(k.in, maxSecret+1))
	default:
		data, err = readFile(file)
	}
	if err != nil {
		return "", fault.Wrap(err, fault.BadRequest, "The client secret cannot be read: %s.", text.Clean(reason(err), 200))
	}
	secret := strings.TrimSpace(string(data))
	switch {
	case len(data) > maxSecret:
		return "", wrong("The client secret is longer than 4 KiB.")
	case secret == "":
		return "", wrong("The client secret is empty. An OAuth app without one takes --no-client-secret.")
	case oneLine(secret) != nil && !strings.HasPrefix(secret, "-----BEGIN ") && !strings.HasPrefix(secret, "{"):
		return "", wrong("The client secret has more than one line.")
	}
	return secret, nil
}

// reason is why a file cannot be used, without the words of the system call.
func reason(err error) string {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Path + ": " + e.Err.Error()
	}
	return err.Error()
}

func readFile(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxSecret+1))
}

func (k *command) appsDelete() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "delete <id>",
		Short: "Forget an OAuth app",
		Args:  one("id"),
	}
	return k.does(cmd, func(ctx context.Context, args []string) (answer, error) {
		app, err := k.app()
		if err != nil {
			return answer{}, err
		}
		d, err := app.DeleteApp(ctx, args[0])
		if err != nil {
			return answer{}, err
		}
		return said(deleted(d), "Deleted the OAuth app %s.", args[0]), nil
	})
}
