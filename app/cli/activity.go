package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"keyturn/backend/api/wire"
	"keyturn/backend/client"
	"keyturn/backend/fault"
	"keyturn/backend/text"
)

// mostEvents is how many Keyturn remembers.
const mostEvents = 2000

func (k *command) activity() *cobra.Command {
	var (
		limit  int
		since  time.Duration
		follow bool
	)
	cmd := &cobra.Command{
		Use:   "activity [provider] [flags]",
		Short: "Show what happened to grants, and which programs read tokens",
		Long: `Show what happened to grants, and which programs read tokens, newest first.
Alike reads within a minute are one line with their number. A program is called
what the system calls it, which is no proof of who it is.

With --follow the newest is last, and what comes later is added until Ctrl-C:
one line, or with --json one JSON value, when something begins.`,
		Example: `  keyturn activity github --since 24h
  keyturn activity --follow`,
		Args:              atMostOne("provider"),
		ValidArgsFunction: k.completeConnected,
	}
	f := cmd.Flags()
	f.IntVar(&limit, "limit", 50, "at most so many, the newest")
	f.Var(spanFlag{&since}, "since", "only what happened within this time, such as 24h")
	f.BoolVar(&follow, "follow", false, "add what happens from now on, until interrupted")

	return k.does(cmd, func(ctx context.Context, args []string) (answer, error) {
		q := client.ActivityQuery{Limit: limit}
		if limit < 1 || limit > mostEvents {
			return answer{}, wrong("The flag --limit takes a number from 1 to %d.", mostEvents)
		}
		if since > 0 {
			q.Since = time.Now().Add(-since)
		}
		if len(args) == 1 {
			q.Provider = args[0]
		}
		app, err := k.app()
		if err != nil {
			return answer{}, err
		}
		if follow {
			stop, _, release := interrupts()
			defer release()
			return answer{}, k.followActivity(stop, app, q)
		}
		all, err := app.Activity(ctx, q)
		if err == nil && q.Provider != "" && len(all.Activity) == 0 {
			_, err = app.Provider(ctx, q.Provider) // nothing there, or a typo
		}
		if err != nil {
			return answer{}, err
		}
		value := struct {
			outcome
			wire.Activity
		}{done, all}
		return answer{value, func(w io.Writer) error {
			sayActivity(w, all)
			return nil
		}}, nil
	})
}

func sayActivity(w io.Writer, all wire.Activity) {
	if !all.Recording {
		fmt.Fprintln(w, "Activity is not recorded: it is switched off in the settings.")
	}
	if len(all.Activity) == 0 {
		fmt.Fprintln(w, "There is no activity to show.")
		return
	}
	t := table{{"TIME", "PROVIDER", "ACCOUNT", "WHAT HAPPENED"}}
	for _, e := range all.Activity {
		t = append(t, []string{e.At.Local().Format(time.DateTime), orDash(e.Provider), orDash(e.Account), happened(e)})
	}
	t.write(w)
}

// followActivity prints events as they begin, oldest first, until ctx ends.
func (k *command) followActivity(ctx context.Context, app *client.Client, q client.ActivityQuery) error {
	var last uint64
	return k.keepHearing(ctx, app, func(ctx context.Context) error {
		all, err := app.Activity(ctx, q)
		if err != nil {
			return err
		}
		q.Since, q.Limit = time.Time{}, mostEvents/10 // the next time there is little more
		if len(all.Activity) > 0 && all.Activity[0].ID < last {
			last = 0 // the log has begun anew
		}
		for _, e := range slices.Backward(all.Activity) {
			if e.ID <= last {
				continue
			}
			if err := k.printEvent(e); err != nil {
				return err
			}
			last = e.ID
		}
		return nil
	})
}

func (k *command) printEvent(e wire.Event) error {
	var err error
	if k.json {
		err = encode(k.out, struct {
			outcome
			Event wire.Event `json:"event"`
		}{done, e})
	} else {
		words := []string{e.At.Local().Format(time.DateTime)}
		for _, word := range []string{e.Provider, e.Account} {
			if word != "" {
				words = append(words, text.Clean(word, widest))
			}
		}
		_, err = fmt.Fprintln(k.out, strings.Join(append(words, text.Clean(happened(e), sentence)), "  "))
	}
	if err != nil {
		return fault.Wrap(err, fault.Internal, "The activity could not be written to standard output.")
	}
	return nil
}

// happened says an event in words.
func happened(e wire.Event) string {
	who := e.Program
	if who == "" {
		who = "a program"
	}
	says, failed := "", ""
	switch e.Kind {
	case "connected":
		says = "connected"
	case "connect_failed":
		says = "was not connected"
	case "refreshed":
		says = "Keyturn renewed the token"
	case "refresh_failed":
		says = "Keyturn could not renew the token"
	case "needs_reconnect":
		says = "needs you to connect again"
	case "token_read":
		says, failed = who+" read the token", who+" asked for the token and got none"
	case "request":
		says, failed = who+" made a request", who+" wanted to make a request and could not"
	case "disconnected":
		says = "disconnected"
	case "revoked":
		says = "the provider confirmed that the grant is gone"
	case "revocation_failed":
		says = "the provider has not confirmed that the grant is gone"
	case "locked":
		says = "Keyturn was locked"
	case "unlocked":
		says = "Keyturn was unlocked"
	case "exported":
		says = "the connections were exported to a file"
	case "imported":
		says = "connections were imported from a file"
	case "protector_changed":
		says = "the key that seals the secrets is guarded another way"
	default:
		says = strings.ReplaceAll(e.Kind, "_", " ")
	}
	if e.Code != "" && failed != "" {
		says = failed
	}
	if e.Code != "" {
		says += " (" + strings.ReplaceAll(e.Code, "_", " ") + ")"
	}
	if e.Count > 1 {
		says += fmt.Sprintf(", %d times", e.Count)
	}
	return says
}
