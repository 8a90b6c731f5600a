package main

import (
	"context"

	"github.com/spf13/cobra"
)

func (k *command) pause() *cobra.Command {
	return k.handOuts(&cobra.Command{
		Use:   "pause",
		Short: "Give no program a token, until resumed",
		Long: `Give no program a token and make no request with one, until keyturn resume or
the end of Keyturn. Connections stay as they are and are renewed.`,
		Args: none,
	}, true, "Hand-outs are paused. To let them go on: keyturn resume")
}

func (k *command) resume() *cobra.Command {
	return k.handOuts(&cobra.Command{Use: "resume", Short: "Let programs have tokens again", Args: none}, false, "Programs get tokens again.")
}

func (k *command) handOuts(cmd *cobra.Command, paused bool, says string) *cobra.Command {
	return k.does(cmd, func(ctx context.Context, _ []string) (answer, error) {
		app, err := k.app()
		if err == nil {
			err = app.HandOuts(ctx, paused)
		}
		if err != nil {
			return answer{}, err
		}
		return said(done, "%s", says), nil
	})
}
