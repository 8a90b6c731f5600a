package main

import (
	"bytes"
	"context"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"keyturn/backend/client"
	"keyturn/backend/fault"
	"keyturn/backend/text"
)

var shells = []string{"bash", "zsh", "fish", "powershell"}

func (k *command) completion() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "completion <bash|zsh|fish|powershell>",
		Short: "Print the completion script for a shell",
		Long: `Print a script that completes commands, flags, and the names of providers.

  bash         source <(keyturn completion bash)
  zsh          keyturn completion zsh > "${fpath[1]}/_keyturn"
  fish         keyturn completion fish > ~/.config/fish/completions/keyturn.fish
  powershell   keyturn completion powershell | Out-String | Invoke-Expression`,
		Args:      one("shell"),
		ValidArgs: shells,
	}
	return k.does(cmd, func(_ context.Context, args []string) (answer, error) {
		if !slices.Contains(shells, args[0]) {
			return answer{}, wrong("There is no completion for %q. There is for %s.", text.Clean(args[0], 40), strings.Join(shells, ", "))
		}
		// The script is made from all commands, not from this one alone.
		root := k.root("")
		var b bytes.Buffer
		var err error
		switch args[0] {
		case "bash":
			err = root.GenBashCompletionV2(&b, true)
		case "zsh":
			err = root.GenZshCompletion(&b)
		case "fish":
			err = root.GenFishCompletion(&b, true)
		case "powershell":
			err = root.GenPowerShellCompletionWithDesc(&b)
		}
		if err != nil {
			return answer{}, fault.Wrap(err, fault.Internal, "The completion script could not be made.")
		}
		value := struct {
			outcome
			Shell  string `json:"shell"`
			Script string `json:"script"`
		}{done, args[0], b.String()}
		return answer{value, func(w io.Writer) error {
			_, err := w.Write(b.Bytes())
			return err
		}}, nil
	})
}

// impatience is how long somebody who pressed Tab waits.
const impatience = time.Second

// complete makes a completion for the first argument from what find offers: a
// word and what it means.
func (k *command) complete(args []string, find func(context.Context, *client.Client, func(word, means string)) error) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	app, err := k.app()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(context.Background(), impatience)
	defer cancel()
	var words []cobra.Completion
	find(ctx, app, func(word, means string) {
		words = append(words, cobra.CompletionWithDesc(text.Clean(word, 64), text.Clean(means, 80)))
	})
	slices.Sort(words)
	return slices.Compact(words), cobra.ShellCompDirectiveNoFileComp
}

// completeCatalogue offers every provider.
func (k *command) completeCatalogue(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return k.complete(args, func(ctx context.Context, app *client.Client, offer func(word, means string)) error {
		all, err := app.Providers(ctx)
		for _, p := range all {
			offer(p.ID, p.Name)
		}
		return err
	})
}

// completeCustom offers the providers of the user's own.
func (k *command) completeCustom(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return k.complete(args, func(ctx context.Context, app *client.Client, offer func(word, means string)) error {
		all, err := app.Providers(ctx)
		for _, p := range all {
			if p.Custom {
				offer(p.ID, p.Name)
			}
		}
		return err
	})
}

// completeConnected offers the providers with a connection.
func (k *command) completeConnected(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return k.complete(args, func(ctx context.Context, app *client.Client, offer func(word, means string)) error {
		all, err := app.Connections(ctx)
		for _, c := range all.Connections {
			offer(c.Provider, c.ProviderName)
		}
		return err
	})
}

// completeAttempts offers the attempts that can be cancelled.
func (k *command) completeAttempts(_ *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return k.complete(args, func(ctx context.Context, app *client.Client, offer func(word, means string)) error {
		all, err := app.Attempts(ctx)
		for _, a := range all {
			if a.Status == "pending" {
				offer(a.State, a.ServiceName)
			}
		}
		return err
	})
}
