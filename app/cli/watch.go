package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"keyturn/backend/api/wire"
	"keyturn/backend/client"
	"keyturn/backend/fault"
	"keyturn/backend/text"
)

// change is one line of keyturn watch.
type change struct {
	outcome
	At            time.Time  `json:"at"`
	What          string     `json:"what"` // "connection" or "attempt"
	ID            string     `json:"id,omitempty"`
	State         string     `json:"state,omitempty"` // of an attempt: its status handle
	Provider      string     `json:"provider"`
	Account       string     `json:"account,omitempty"`
	Status        string     `json:"status"` // as in status; "disconnected" when it is gone
	Step          string     `json:"step,omitempty"`
	Reason        string     `json:"reason,omitempty"`
	Health        string     `json:"health,omitempty"` // of a connection
	GrantedScopes []string   `json:"granted_scopes,omitempty"`
	ExpiresAt     *time.Time `json:"expires_at,omitempty"`
}

// view is what changes are changes of.
type view struct {
	connections []wire.Connection
	attempts    []wire.Attempt
}

func (k *command) watch() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "watch",
		Short: "Print a line for each change, until interrupted",
		Long: `Print a line for each change of a connection or an authorization, until
Ctrl-C. With --json each line is one JSON value. When Keyturn is restarted,
watching goes on.`,
		Args: none,
	}
	return k.does(cmd, func(context.Context, []string) (answer, error) {
		app, err := k.app()
		if err != nil {
			return answer{}, err
		}
		stop, _, release := interrupts()
		defer release()
		return answer{}, k.keepWatching(stop, app)
	})
}

// keepWatching prints changes until ctx ends.
func (k *command) keepWatching(ctx context.Context, app *client.Client) error {
	var seen *view
	return k.keepHearing(ctx, app, func(ctx context.Context) error {
		now, err := look(ctx, app)
		if err == nil && seen != nil {
			err = k.print(changes(*seen, now, time.Now().UTC().Truncate(time.Millisecond)))
		}
		if err == nil {
			seen = &now
		}
		return err
	})
}

// keepHearing calls heard at the start and after each change until ctx ends.
// It fails only when Keyturn cannot be reached to begin with, or says no.
func (k *command) keepHearing(ctx context.Context, app *client.Client, heard func(context.Context) error) error {
	began := false
	for pause := quick; ; pause = min(2*pause, 5*time.Second) {
		var failed error
		inner, end := context.WithCancel(ctx)
		err := app.Events(inner, func() {
			if err := heard(inner); err != nil {
				failed = err
				end()
				return
			}
			began, pause = true, quick
		})
		end()
		if ctx.Err() != nil {
			return nil
		}
		if failed != nil {
			err = failed
		}
		if !began || fault.CodeOf(err) != fault.Unreachable {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
}

func look(ctx context.Context, app *client.Client) (view, error) {
	c, err := app.Connections(ctx)
	if err != nil {
		return view{}, err
	}
	a, err := app.Attempts(ctx)
	return view{c.Connections, a}, err
}

// changes lists what is different in after, connections first. A connection
// that was only used has not changed.
func changes(before, after view, at time.Time) []change {
	var all []change
	for _, c := range after.connections {
		old := slices.IndexFunc(before.connections, func(b wire.Connection) bool { return b.ID == c.ID })
		if old < 0 || !sameConnection(before.connections[old], c) {
			all = append(all, ofConnection(c, c.Status, at))
		}
	}
	for _, c := range before.connections {
		if !slices.ContainsFunc(after.connections, func(a wire.Connection) bool { return a.ID == c.ID }) {
			all = append(all, ofConnection(c, "disconnected", at))
		}
	}
	for _, a := range after.attempts {
		old := slices.IndexFunc(before.attempts, func(b wire.Attempt) bool { return b.State == a.State })
		if old < 0 || before.attempts[old].Status != a.Status || before.attempts[old].Step != a.Step {
			all = append(all, change{outcome: done, At: at, What: "attempt", State: a.State, Provider: a.Service,
				Account: a.AccountInfo, Status: a.Status, Step: a.Step, Reason: a.Code, GrantedScopes: a.GrantedScopes})
		}
	}
	return all
}

func ofConnection(c wire.Connection, status string, at time.Time) change {
	return change{outcome: done, At: at, What: "connection", ID: c.ID, Provider: c.Provider, Account: c.Account,
		Status: status, Reason: c.Reason, Health: c.Health, GrantedScopes: c.GrantedScopes, ExpiresAt: c.ExpiresAt}
}

func sameConnection(a, b wire.Connection) bool {
	sameExpiry := a.ExpiresAt == b.ExpiresAt || a.ExpiresAt != nil && b.ExpiresAt != nil && a.ExpiresAt.Equal(*b.ExpiresAt)
	return a.Status == b.Status && a.Reason == b.Reason && a.Account == b.Account && sameExpiry && slices.Equal(a.GrantedScopes, b.GrantedScopes)
}

// print writes one line per change at once: somebody reads along.
func (k *command) print(all []change) error {
	for _, c := range all {
		var err error
		if k.json {
			err = encode(k.out, c)
		} else {
			_, err = fmt.Fprintln(k.out, c.says())
		}
		if err != nil {
			return fault.Wrap(err, fault.Internal, "The change could not be written to standard output.")
		}
	}
	return nil
}

func (c change) says() string {
	status := strings.ReplaceAll(c.Status, "_", " ")
	switch {
	case c.What == "attempt" && c.Status == "pending":
		status = "authorization: " + strings.ReplaceAll(c.Step, "_", " ")
	case c.What == "attempt" && c.Status == "complete":
		status = "authorization complete"
	case c.What == "attempt":
		status = "authorization failed"
	}
	if c.What == "connection" && c.Health != "" && c.Status != "disconnected" {
		status = c.Health
	} else if c.Reason != "" {
		status += " (" + strings.ReplaceAll(c.Reason, "_", " ") + ")"
	}
	words := []string{c.At.Local().Format(time.TimeOnly), c.Provider}
	if c.Account != "" {
		words = append(words, text.Clean(c.Account, 80))
	}
	return text.Clean(strings.Join(append(words, status), "  "), 300)
}
