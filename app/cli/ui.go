package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"keyturn/app/open"
)

func (k *command) ui() *cobra.Command {
	var noBrowser bool
	cmd := &cobra.Command{
		Use:   "ui [flags]",
		Short: "Open Keyturn in the browser",
		Long: `Open Keyturn's pages in the browser, where there is no window or none is wanted.
The link is good once and for a minute; the page stays good while it is used,
for 12 hours at most, and is nobody else's on this computer.

On another computer's Keyturn, forward the port that the link names first:
ssh -L PORT:127.0.0.1:PORT host`,
		Args: none,
	}
	cmd.Flags().BoolVar(&noBrowser, "no-browser", false, "print the link instead of opening it")
	return k.does(cmd, func(ctx context.Context, _ []string) (answer, error) {
		app, err := k.app()
		if err != nil {
			return answer{}, err
		}
		ui, err := app.BrowserUI(ctx)
		if err != nil {
			return answer{}, err
		}
		if err := printable(ui.URL); err != nil {
			return answer{}, err
		}
		value := struct {
			outcome
			URL       string    `json:"url"`
			ExpiresAt time.Time `json:"expires_at"`
		}{done, ui.URL, ui.ExpiresAt}
		opened := !noBrowser && !k.json && open.Show(ctx, browserOf(ctx, app), ui.URL) == nil
		return answer{value, func(w io.Writer) error {
			if opened {
				_, err := fmt.Fprintln(w, "Keyturn opens in your browser.")
				return err
			}
			_, err := fmt.Fprintf(w, "Open this within a minute: %s\n", ui.URL)
			return err
		}}, nil
	})
}
