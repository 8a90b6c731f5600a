package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"keyturn/backend/api/wire"
)

func (k *command) gateway() *cobra.Command {
	return k.group(&cobra.Command{
		Use:   "gateway",
		Short: "Set up the gateway for providers that accept https callbacks only",
		Long: `Some providers refuse to send the browser back to this computer and want an
https address. A gateway is such an address: it passes the browser on to here,
and stores nothing. It can block a connect, but cannot use what it sees. Run one
yourself with keyturn-gateway, or use that of your team.`,
		Example: `  keyturn gateway add https://gateway.example.com
  keyturn gateway check
  keyturn gateway remove`,
	}, k.gatewayAdd(), k.gatewayCheck(), k.gatewayRemove())
}

func (k *command) gatewayAdd() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "add <url>",
		Short: "Test a gateway, and use it from now on",
		Args:  one("url"),
	}
	return k.does(cmd, func(ctx context.Context, args []string) (answer, error) {
		app, err := k.app()
		if err != nil {
			return answer{}, err
		}
		out, err := app.AddGateway(ctx, args[0])
		if err != nil {
			return answer{}, err
		}
		return gatewaySaid(out, "Providers that accept https callbacks only use it from now on. What to register there: "+out.RedirectURI+"\n"), nil
	})
}

func (k *command) gatewayCheck() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Send a test callback through the gateway",
		Args:  none,
	}
	return k.does(cmd, func(ctx context.Context, _ []string) (answer, error) {
		app, err := k.app()
		if err != nil {
			return answer{}, err
		}
		out, err := app.CheckGateway(ctx)
		if err != nil {
			return answer{}, err
		}
		return gatewaySaid(out), nil
	})
}

func (k *command) gatewayRemove() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "remove",
		Short: "Use no gateway from now on",
		Args:  none,
	}
	return k.does(cmd, func(ctx context.Context, _ []string) (answer, error) {
		app, err := k.app()
		if err != nil {
			return answer{}, err
		}
		if err := app.RemoveGateway(ctx); err != nil {
			return answer{}, err
		}
		return said(done, "Keyturn uses no gateway any more."), nil
	})
}

func gatewaySaid(out wire.Gateway, more ...string) answer {
	return answer{struct {
		outcome
		wire.Gateway
	}{done, out}, func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "A test callback came home in %d ms by way of %s.\n%s", out.CameHomeMS, out.URL, strings.Join(more, ""))
		return err
	}}
}
