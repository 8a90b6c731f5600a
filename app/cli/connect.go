package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"keyturn/app/open"
	"keyturn/backend/api/wire"
	"keyturn/backend/client"
	"keyturn/backend/fault"
	"keyturn/backend/text"
)

func (k *command) connect() *cobra.Command {
	var (
		in        wire.ConnectStart
		noBrowser bool
		more      []string
		timeout   time.Duration
	)
	cmd := &cobra.Command{
		Use:   "connect <provider> [flags]",
		Short: "Connect an account: approve it in your browser",
		Long: `Start an authorization in Keyturn, open your browser, and wait for the result.

The authorization lives in Keyturn: Ctrl-C here cancels it there, and with
--no-browser it goes on after this command has printed the link.

Over SSH, where no browser can open, the way is chosen by itself and said: the
Keyturn at the other end of a forwarded socket opens its browser, or you enter
a code on any device, or you paste the address that your browser ends at.`,
		Example: `  keyturn connect github
  keyturn connect google --scopes openid,email --account ada@example.org
  keyturn connect github --add-scopes gist
  keyturn connect https://mcp.linear.app/mcp
  keyturn connect demo --if-needed
  keyturn connect demo --no-browser
  keyturn connect demo --callback-transport device`,
		Args:              providerAndScopes(&in.RequestedScopes),
		ValidArgsFunction: k.completeCatalogue,
	}
	f := cmd.Flags()
	f.Var(listFlag{&in.RequestedScopes}, "scopes", "ask for these scopes instead of the provider's defaults")
	f.Var(listFlag{&more}, "add-scopes", "ask for these scopes besides those that the account has granted already")
	f.StringVar(&in.AccountHint, "account", "", "account to preselect at the provider")
	f.BoolVar(&in.IfNeeded, "if-needed", false, "do nothing when a connection already covers this")
	f.BoolVar(&in.ChooseAccount, "choose-account", false, "have the provider ask which account, whatever it remembers")
	f.StringVar(&in.ClientID, "client-id", "", "OAuth app to use (default: the one last changed)")
	transportFlag(f, &in.CallbackTransport)
	f.BoolVar(&noBrowser, "no-browser", false, "print the link and return; the authorization goes on in Keyturn")
	f.Var(spanFlag{&timeout}, "timeout", "cancel when it takes longer, such as 5m (default: as long as Keyturn waits)")

	return k.does(cmd, func(_ context.Context, args []string) (answer, error) {
		in.Service = args[0]
		app, err := k.app()
		if err != nil {
			return answer{}, err
		}
		if len(more) > 0 {
			if in.RequestedScopes, err = k.withGranted(app, in, more); err != nil {
				return answer{}, err
			}
		}
		stop, hurry, release := interrupts()
		defer release()
		// Not cancelled by the first Ctrl-C: an authorization that was started
		// has to be known before it can be cancelled.
		if !noBrowser {
			k.chooseWay(hurry, app, &in)
		}
		started, err := app.Connect(hurry, in)
		if err != nil {
			return answer{}, interruptedOr(hurry, err)
		}
		in.Service = cmp.Or(started.Service, in.Service)
		if started.AlreadyConnected {
			return connected(in.Service, started.ConnectionID, started.AccountInfo, started.GrantedScopes), nil
		}
		if err := cmp.Or(printable(started.AuthURL), printable(started.VerificationURI)); err != nil {
			app.Cancel(hurry, started.State) // nobody could ever finish it
			return answer{}, err
		}
		if noBrowser {
			return k.deferred(in.Service, started)
		}
		k.show(stop, app, in.Service, started)

		k.offerPaste(stop, app, started)
		w := waiting{k: k, app: app, started: started}
		status, err := w.follow(stop, timeout)
		if stop.Err() != nil || fault.CodeOf(err) == overtime {
			status, err = w.abandon(hurry, status, err)
		}
		if err != nil {
			return answer{}, err
		}
		if status.AskedAccount != "" {
			k.note("%s was asked for, and another account approved. For that one too: keyturn connect %s --choose-account", text.Clean(status.AskedAccount, 80), in.Service)
		}
		if len(status.MissingScopes) > 0 {
			k.note("Asked for and not granted: %s", strings.Join(status.MissingScopes, ", "))
		}
		return connected(in.Service, status.ConnectionID, status.AccountInfo, status.GrantedScopes), nil
	})
}

// withGranted adds scopes to those that the account has granted: some providers
// take what is asked for in the place of what was granted.
func (k *command) withGranted(app *client.Client, in wire.ConnectStart, more []string) ([]string, error) {
	if len(in.RequestedScopes) > 0 {
		return nil, wrong("Give the scopes with --scopes or with --add-scopes, not with both.")
	}
	all, err := app.Connections(context.Background())
	if err != nil {
		return nil, err
	}
	var found []wire.Connection
	for _, c := range all.Connections {
		if isOf(c, in.Service) && (in.AccountHint == "" || strings.EqualFold(c.Account, in.AccountHint)) && (in.ClientID == "" || c.ClientID == in.ClientID) {
			found = append(found, c)
		}
	}
	switch len(found) {
	case 0:
		return nil, fault.New(fault.NotConnected, "%s is not connected with that account, so there is nothing to add to. Connect with --scopes.", text.Clean(in.Service, 80))
	case 1:
	default:
		return nil, fault.New(fault.Ambiguous, "%s is connected with several accounts. Name one with --account.", text.Clean(in.Service, 80))
	}
	scopes := slices.Clone(found[0].GrantedScopes)
	for _, s := range more {
		if !slices.Contains(scopes, s) {
			scopes = append(scopes, s)
		}
	}
	return scopes, nil
}

// connected is the answer when there is a connection.
func connected(provider, id, account string, granted []string) answer {
	value := struct {
		outcome
		Provider      string   `json:"provider"`
		ConnectionID  string   `json:"connection_id"`
		Account       string   `json:"account"`
		GrantedScopes []string `json:"granted_scopes"`
	}{done, provider, id, account, list(granted)}
	return answer{value, func(w io.Writer) error {
		as := ""
		if account != "" {
			as = " as " + text.Clean(account, 80)
		}
		fmt.Fprintf(w, "Connected %s%s.\n", text.Clean(provider, 64), as)
		if len(granted) > 0 {
			fmt.Fprintf(w, "Granted: %s\n", text.Clean(strings.Join(granted, ", "), sentence))
		}
		return nil
	}}
}

// deferred is the answer of --no-browser.
func (k *command) deferred(provider string, started wire.ConnectStarted) (answer, error) {
	if started.AuthURL == "" {
		return answer{}, fault.New(fault.Conflict,
			"Another program has started this authorization and has its link. Finish it there, or cancel it with keyturn cancel %s.", started.State)
	}
	value := struct {
		outcome
		Deferred  bool       `json:"deferred"`
		Provider  string     `json:"provider"`
		AuthURL   string     `json:"auth_url"`
		State     string     `json:"state"`
		ExpiresAt *time.Time `json:"expires_at"`
		UserCode  string     `json:"user_code,omitempty"`

		VerificationURI string `json:"verification_uri,omitempty"`
	}{done, true, provider, started.AuthURL, started.State, started.ExpiresAt, started.UserCode, started.VerificationURI}
	if !k.json {
		if started.UserCode != "" {
			k.note("Enter this code there: %s", text.Clean(started.UserCode, 60))
			k.note(ownCode)
		}
		k.note("Keyturn finishes by itself when you have approved there, before %s. To cancel: keyturn cancel %s", clock(*started.ExpiresAt), started.State)
	}
	return alone(value, started.AuthURL), nil
}

// show opens the browser, unless the tab is open already, and says the link.
// In JSON mode the link is said only to a person who needs it.
func (k *command) show(ctx context.Context, app *client.Client, provider string, started wire.ConnectStarted) {
	provider = text.Clean(provider, 64)
	if started.Joined {
		if started.AuthURL == "" {
			k.note("An authorization for %s is already waiting; another program started it. Finish it there.", provider)
			return
		}
		switch {
		case started.UserCode != "":
			k.note("An authorization for %s is already waiting.", provider)
			k.showCode(provider, started)
		case !k.json:
			k.link("An authorization for %s is already waiting in your browser. Its link:", provider, started)
		}
		return
	}
	switch {
	case started.UserCode != "":
		k.showCode(provider, started)
		return
	case started.Browser == "opened":
		if !k.json {
			k.link("The browser opens, where Keyturn runs, to connect %s. If it does not, open this link there:", provider, started)
		}
		return
	case remote() && started.Transport == "paste":
		k.link("To connect %s, open this link in your browser:", provider, started)
		return
	}
	err := open.Show(ctx, browserOf(ctx, app), started.AuthURL)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		k.note("%s", fault.MessageOf(err))
		k.link("To connect %s, open this link in your browser:", provider, started)
		k.sayForward(started.AuthURL)
	case !k.json:
		k.link("Your browser opens to connect %s. If it does not, open this link:", provider, started)
	}
}

// link says the URL on lines of its own, for copying.
func (k *command) link(format, provider string, started wire.ConnectStarted) {
	k.note(format, provider)
	fmt.Fprintf(k.err, "\n  %s\n\n", started.AuthURL)
}

// sayForward tells somebody on another machine how the provider's answer gets
// back to this one.
func (k *command) sayForward(authURL string) {
	if os.Getenv("SSH_CONNECTION") == "" {
		return
	}
	u, err := url.Parse(authURL)
	if err != nil {
		return
	}
	back, err := url.Parse(u.Query().Get("redirect_uri"))
	if err != nil || net.ParseIP(back.Hostname()) == nil || back.Port() == "" {
		return
	}
	k.note("The browser comes back to %s. On another computer that address leads nowhere: paste it here, or forward that port first: ssh -L %s:%s …", back.Host, back.Port(), back.Host)
}

// printable refuses a URL that is not one word of ASCII.
func printable(authURL string) error {
	for i := 0; i < len(authURL); i++ {
		if c := authURL[i]; c < 0x21 || c > 0x7e {
			return fault.New(fault.Internal, "Keyturn gave a link that is not one. Nothing was opened.")
		}
	}
	return nil
}

func (k *command) cancel() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "cancel <state>",
		Short: "Cancel an authorization that is waiting",
		Long: `Cancel an authorization that is waiting for the browser. <state> is what
keyturn connect --no-browser --json calls state; keyturn status shows it too.`,
		Args:              one("state"),
		ValidArgsFunction: k.completeAttempts,
	}
	return k.does(cmd, func(ctx context.Context, args []string) (answer, error) {
		app, err := k.app()
		if err != nil {
			return answer{}, err
		}
		if err := app.Cancel(ctx, args[0]); err != nil {
			return answer{}, err
		}
		return said(done, "Cancelled."), nil
	})
}

// list is s, or an empty list in JSON.
func list(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

// waiting is an authorization that somebody is approving.
type waiting struct {
	k       *command
	app     *client.Client
	started wire.ConnectStarted
}

// browserOf is the browser that the user has chosen for pages, "" for the
// system's own.
func browserOf(ctx context.Context, app *client.Client) string {
	settings, err := app.Settings(ctx)
	if err != nil || settings.Browser == nil {
		return ""
	}
	return *settings.Browser
}
