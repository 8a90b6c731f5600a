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
)

func (k *command) lock() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "lock",
		Short: "Forget every token and the key to them, until unlocked",
		Long: `Forget every token and the key to them. No program gets a token until
keyturn unlock. Refreshes in flight are waited for, so that nothing is lost.
When Keyturn is started anew it is not locked.`,
		Args: none,
	}
	return k.does(cmd, func(ctx context.Context, _ []string) (answer, error) {
		app, err := k.app()
		if err == nil {
			err = app.Lock(ctx)
		}
		if err != nil {
			return answer{}, err
		}
		return said(done, "Locked. To unlock: keyturn unlock"), nil
	})
}

func (k *command) unlock() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "unlock [flags]",
		Short: "Get the key again",
		Long: `Get the key again from whatever guards it: a keyring may ask its own
question, a passphrase is asked for here, a key file is read.`,
		Example: `  keyturn unlock
  keyturn unlock --passphrase-file ~/.keyturn-passphrase`,
		Args: none,
	}
	cmd.Flags().StringVar(&file, "passphrase-file", "", "the file that holds the passphrase; - for standard input")
	return k.does(cmd, func(ctx context.Context, _ []string) (answer, error) {
		app, err := k.app()
		if err != nil {
			return answer{}, err
		}
		now, err := app.Connections(ctx)
		if err != nil {
			return answer{}, err
		}
		var in wire.Unlock
		if now.Store != "" && (file != "" || now.Protector == "passphrase") {
			if in.Passphrase, err = k.readPassphrase(file, "Passphrase: ", false); err != nil {
				return answer{}, err
			}
		}
		if err := app.Unlock(ctx, in); err != nil {
			return answer{}, err
		}
		return said(done, "Unlocked."), nil
	})
}

// protectorNames are how people write what the API calls.
var protectorNames = map[string]string{"keyring": "keyring", "passphrase": "passphrase", "key-file": "key_file", "key_file": "key_file"}

func (k *command) protector() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "protector [keyring | passphrase | key-file <path>] [flags]",
		Short: "Say or change what guards the key to your tokens",
		Long: `Say what guards the key that seals your tokens, or change it. A change
seals everything anew: with a new key, or with the one in the key file that you
name when that file exists. The old key leaves the keyring; an old key file is
left to you. Nothing is ever stored unsealed, and a crash at any moment costs
nothing.`,
		Example: `  keyturn protector
  keyturn protector keyring
  keyturn protector passphrase
  keyturn protector key-file ~/.config/keyturn/key`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			kind := protectorNames[args[0]]
			switch {
			case kind == "":
				return wrong("Name keyring, passphrase or key-file.")
			case kind == "key_file" && len(args) != 2:
				return wrong("Name the key file: keyturn protector key-file <path>.")
			case kind != "key_file" && len(args) != 1:
				return wrong("keyturn protector %s takes nothing more.", args[0])
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&file, "passphrase-file", "", "with passphrase: the file that holds it; - for standard input")
	return k.does(cmd, func(ctx context.Context, args []string) (answer, error) {
		app, err := k.app()
		if err != nil {
			return answer{}, err
		}
		if len(args) == 0 {
			now, err := app.Connections(ctx)
			if err != nil {
				return answer{}, err
			}
			return said(struct {
				outcome
				Protector string `json:"protector"`
			}{done, now.Protector}, "%s", protectors[now.Protector]), nil
		}
		in, err := k.protectorChange(args, file)
		if err != nil {
			return answer{}, err
		}
		out, err := app.ChangeProtector(ctx, in)
		if err != nil {
			return answer{}, err
		}
		return answer{struct {
			outcome
			wire.ProtectorChanged
		}{done, out}, func(w io.Writer) error {
			_, err := fmt.Fprintln(w, strings.Join(append([]string{protectors[out.Protector]}, out.Says...), "\n"))
			return err
		}}, nil
	})
}

func (k *command) protectorChange(args []string, file string) (in wire.ProtectorChange, err error) {
	in.Protector = protectorNames[args[0]]
	switch in.Protector {
	case "passphrase":
		in.Passphrase, err = k.readPassphrase(file, "New passphrase: ", true)
	case "key_file":
		if in.KeyFile, err = filepath.Abs(args[1]); err != nil {
			err = fault.Wrap(err, fault.BadRequest, "The path of the key file cannot be used.")
		}
	}
	if in.Protector != "passphrase" && file != "" {
		err = wrong("--passphrase-file goes with passphrase only.")
	}
	return in, err
}
