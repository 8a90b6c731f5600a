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
		Use:   "add <url> | -",
		Short: "Test a gateway, and use it from now on",
		Long: `Test a gateway, and use it from now on. For a server that no browser can reach,
have the gateway's owner enrol it (keyturn-gateway enrol) and give the line that
this prints on standard input: it is a secret, and arguments can be read by
every program.`,
		Example: `  keyturn gateway add https://gateway.example.com
  keyturn gateway add -                          asks for the enrolment`,
		Args: one("url"),
	}
	return k.does(cmd, func(ctx context.Context, args []string) (answer, error) {
		app, err := k.app()
		if err != nil {
			return answer{}, err
		}
		in := wire.GatewayAdd{URL: args[0]}
		if args[0] == "-" {
			in.URL = ""
			if in.Enrolment, err = k.line("Enrolment: ", "Nothing was given. Put the line that keyturn-gateway enrol printed on standard input."); err != nil {
				return answer{}, err
			}
		} else if !strings.Contains(args[0], "://") {
			return answer{}, wrong("An address begins with https://. An enrolment is a secret: give it on standard input, with keyturn gateway add -")
		}
		out, err := app.AddGateway(ctx, in)
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
		came := "A test callback came home"
		switch {
		case out.Relay:
			came = "Connected"
		case out.Forward:
			_, err := fmt.Fprintf(w, "%s may forward callbacks to here; a first connect shows whether it reaches this computer.\n%s", out.URL, strings.Join(more, ""))
			return err
		}
		_, err := fmt.Fprintf(w, "%s in %d ms by way of %s.\n%s", came, out.CameHomeMS, out.URL, strings.Join(more, ""))
		return err
	}}
}
