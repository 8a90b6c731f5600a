package main

import (
	"context"

	"github.com/spf13/cobra"
)

func (k *command) open() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "open [view]",
		Short: "Show the window",
		Long:  "Show Keyturn's window; <view> is where to, such as connections or connect/github.",
		Args:  atMostOne("view"),
	}
	return k.does(cmd, func(ctx context.Context, args []string) (answer, error) {
		app, err := k.app()
		if err != nil {
			return answer{}, err
		}
		view := ""
		if len(args) == 1 {
			view = args[0]
		}
		if err := app.Open(ctx, view); err != nil {
			return answer{}, err
		}
		return said(done, "The window is open."), nil
	})
}

func (k *command) quit() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "quit",
		Short: "End Keyturn; connections are kept",
		Args:  none,
	}
	return k.does(cmd, func(ctx context.Context, _ []string) (answer, error) {
		app, err := k.app()
		if err != nil {
			return answer{}, err
		}
		if err := app.Quit(ctx); err != nil {
			return answer{}, err
		}
		return said(done, "Keyturn ends."), nil
	})
}

func (k *command) version() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print the version of this command",
		Args:  none,
	}
	return k.does(cmd, func(context.Context, []string) (answer, error) {
		value := struct {
			outcome
			Version string `json:"version"`
		}{done, version}
		return said(value, "keyturn %s", version), nil
	})
}
