package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"keyturn/backend/api/wire"
	"keyturn/backend/fault"
	"keyturn/backend/text"
)

func (k *command) token() *cobra.Command {
	var (
		in       wire.TokenRequest
		minValid time.Duration
	)
	cmd := &cobra.Command{
		Use:   "token <provider> [flags]",
		Short: "Print a fresh access token",
		Long: `Print an access token, alone on standard output. Keyturn refreshes it first
when it has expired or is about to.`,
		Example: `  keyturn token github | sed 's/^/Authorization: Bearer /' | curl -H @- https://api.github.com/user
  keyturn token google --account ada@example.org --min-valid 10m`,
		Args:              providerAndScopes(&in.Scopes),
		ValidArgsFunction: k.completeConnected,
	}
	f := cmd.Flags()
	f.StringVar(&in.Account, "account", "", "which account, where there are several")
	f.StringVar(&in.ClientID, "client-id", "", "which OAuth app, where there are several")
	f.Var(listFlag{&in.Scopes}, "scopes", "fail unless all of these are granted")
	f.Var(spanFlag{&minValid}, "min-valid", "refresh unless it is valid for at least this long, such as 60s")

	return k.does(cmd, func(ctx context.Context, args []string) (answer, error) {
		in.Provider = args[0]
		in.MinValidSeconds = int((minValid + time.Second - 1) / time.Second)
		app, err := k.app()
		if err != nil {
			return answer{}, err
		}
		t, err := app.Token(ctx, in)
		if err != nil {
			return answer{}, err
		}
		value := struct {
			outcome
			Token         string     `json:"token"`
			TokenType     string     `json:"token_type"`
			ExpiresAt     *time.Time `json:"expires_at,omitempty"`
			GrantedScopes []string   `json:"granted_scopes"`
		}{done, t.Token, t.TokenType, t.ExpiresAt, list(t.GrantedScopes)}
		if t.TokenType != "Bearer" {
			k.note("This token is bound to a key that stays in Keyturn, so other programs cannot use it. Make the call with: keyturn request URL --provider %s", text.Clean(in.Provider, 64))
		}
		return alone(value, t.Token), nil
	})
}

func (k *command) ping() *cobra.Command {
	var in wire.PingRequest
	cmd := &cobra.Command{
		Use:               "ping <provider> [flags]",
		Short:             "Try whether the token works at the provider",
		Args:              one("provider"),
		ValidArgsFunction: k.completeConnected,
	}
	f := cmd.Flags()
	f.StringVar(&in.Account, "account", "", "which account, where there are several")
	f.StringVar(&in.ClientID, "client-id", "", "which OAuth app, where there are several")

	return k.does(cmd, func(ctx context.Context, args []string) (answer, error) {
		in.Provider = args[0]
		app, err := k.app()
		if err != nil {
			return answer{}, err
		}
		p, err := app.Ping(ctx, in)
		if err != nil {
			return answer{}, err
		}
		err = pinged(p)
		value := struct {
			outcome
			Provider string `json:"provider"`
			Account  string `json:"account"`
			Status   int    `json:"status"`
		}{outcomeOf(err), p.Provider, p.Account, p.Status}
		if err != nil {
			return answer{json: value}, err
		}
		return said(value, "%s accepts the token%s (HTTP %d).", p.Provider, of(p.Account), p.Status), nil
	})
}

// pinged is the error that an answer of the provider amounts to.
func pinged(p wire.Ping) error {
	name := text.Clean(p.Provider, 64)
	switch {
	case p.OK:
		return nil
	case p.Status == 0:
		return fault.New(fault.ProviderUnavailable, "No answer came from %s. Try again later.", name)
	case p.Status == 401:
		return fault.New(fault.NeedsReconnect, "%s does not accept the token (HTTP 401). Connect again: keyturn connect %s", name, name)
	case p.Status == 403:
		return fault.New(fault.ScopeInsufficient, "The token works, but %s does not allow this request with it (HTTP 403).", name)
	case p.Status == 429:
		return fault.New(fault.RateLimited, "%s asks for fewer requests (HTTP 429). Try again later.", name)
	case p.Status >= 500:
		return fault.New(fault.ProviderUnavailable, "%s has a problem of its own (HTTP %d). Try again later.", name, p.Status)
	}
	return fault.New(fault.ProviderError, "%s answered with HTTP %d.", name, p.Status)
}

func of(account string) string {
	if account == "" {
		return ""
	}
	return " of " + text.Clean(account, 80)
}

func (k *command) disconnect() *cobra.Command {
	var in wire.DisconnectRequest
	cmd := &cobra.Command{
		Use:   "disconnect <provider> [flags]",
		Short: "Revoke a grant at the provider, then forget it",
		Example: `  keyturn disconnect github
  keyturn disconnect google --account ada@example.org`,
		Args:              one("provider"),
		ValidArgsFunction: k.completeConnected,
	}
	f := cmd.Flags()
	f.StringVar(&in.Account, "account", "", "which account, where there are several")
	f.StringVar(&in.ConnectionID, "connection-id", "", "which connection; keyturn status --json lists them")
	f.StringVar(&in.ClientID, "client-id", "", "which OAuth app, where there are several")
	cmd.MarkFlagsMutuallyExclusive("account", "connection-id")

	return k.does(cmd, func(ctx context.Context, args []string) (answer, error) {
		in.Provider = args[0]
		app, err := k.app()
		if err != nil {
			return answer{}, err
		}
		d, err := app.Disconnect(ctx, in)
		if err != nil {
			return answer{}, err
		}
		value := struct {
			outcome
			Provider     string `json:"provider"`
			ConnectionID string `json:"connection_id"`
			Revoked      bool   `json:"revoked"`
			Pending      bool   `json:"revocation_pending,omitempty"`
		}{done, d.Provider, d.ConnectionID, d.Revoked, d.Pending}
		if d.Revoked {
			return said(value, "Disconnected %s. The provider confirmed that the grant is gone.", d.Provider), nil
		}
		if d.Pending {
			return said(value, "Disconnected %s here. The provider cannot be reached: Keyturn goes on revoking, and keyturn status shows it until it is done.", d.Provider), nil
		}
		return said(value, "Disconnected %s here. The provider did not confirm that the grant is gone: its page of connected applications shows it.", d.Provider), nil
	})
}
