package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"keyturn/backend/api/wire"
	"keyturn/backend/text"
)

// connectionLine is a connection in JSON.
type connectionLine struct {
	ID              string     `json:"id"`
	Provider        string     `json:"provider"`
	Account         string     `json:"account"`
	GrantedScopes   []string   `json:"granted_scopes"`
	Status          string     `json:"status"`
	Reason          string     `json:"reason,omitempty"`
	ExpiresAt       *time.Time `json:"expires_at,omitempty"`
	HasRefreshToken bool       `json:"has_refresh_token"`

	Health        string         `json:"health"`
	Since         *time.Time     `json:"since,omitempty"`
	NextTryAt     *time.Time     `json:"next_try_at,omitempty"`
	Unsaved       bool           `json:"unsaved,omitempty"`
	MissingScopes []string       `json:"missing_scopes,omitempty"`
	Forecast      *wire.Forecast `json:"forecast,omitempty"`
}

func lineOf(c wire.Connection) connectionLine {
	return connectionLine{
		c.ID, c.Provider, c.Account, list(c.GrantedScopes), c.Status, c.Reason, c.ExpiresAt, c.HasRefreshToken,
		c.Health, c.Since, c.NextTryAt, c.Unsaved, c.MissingScopes, c.Forecast,
	}
}

func (k *command) status() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "status [provider]",
		Short: "Show what is connected, and how secrets are sealed",
		Example: `  keyturn status
  keyturn status github --json`,
		Args:              atMostOne("provider"),
		ValidArgsFunction: k.completeConnected,
	}
	return k.does(cmd, func(ctx context.Context, args []string) (answer, error) {
		app, err := k.app()
		if err != nil {
			return answer{}, err
		}
		all, err := app.Connections(ctx)
		if err != nil {
			return answer{}, err
		}
		only := ""
		if len(args) == 1 {
			only = args[0]
		}
		shown := all.Connections[:0:0]
		for _, c := range all.Connections {
			if only == "" || isOf(c, only) {
				shown = append(shown, c)
			}
		}
		if only != "" && len(shown) == 0 {
			// Nothing there, or a typo.
			if _, err := app.Provider(ctx, only); err != nil && !strings.Contains(only, "://") {
				return answer{}, err
			}
		}
		if k.json {
			return answer{json: statusValue(all, shown, only)}, nil
		}
		attempts, err := app.Attempts(ctx)
		if err != nil {
			return answer{}, err
		}
		return answer{text: func(w io.Writer) error {
			sayStatus(w, all, shown, only, time.Now())
			sayPending(w, attempts, only)
			return nil
		}}, nil
	})
}

// isOf reports whether c is a connection of what a person named: the id of a
// provider, or the address of what was connected.
func isOf(c wire.Connection, name string) bool {
	return c.Provider == name || c.Resource != "" && c.Resource == strings.TrimSuffix(strings.TrimSpace(name), "/")
}

func statusValue(all wire.Connections, shown []wire.Connection, only string) any {
	value := struct {
		outcome
		Protector   string           `json:"protector"`
		Store       string           `json:"store,omitempty"`
		StoreError  string           `json:"store_error,omitempty"`
		Connections []connectionLine `json:"connections"`
		Revoking    []connectionLine `json:"revoking,omitempty"`
		Damaged     []wire.Damaged   `json:"damaged,omitempty"`
		Paused      bool             `json:"paused,omitempty"`
	}{done, all.Protector, all.Store, all.StoreError, []connectionLine{}, nil, all.Damaged, all.Paused}
	for _, c := range shown {
		value.Connections = append(value.Connections, lineOf(c))
	}
	for _, c := range all.Revoking {
		if only == "" || isOf(c, only) {
			value.Revoking = append(value.Revoking, lineOf(c))
		}
	}
	return value
}

// protectors says where the key that seals the secrets is.
var protectors = map[string]string{
	"keyring":    "Secrets are sealed with a key in the system's keyring.",
	"passphrase": "Secrets are sealed with a key made from your passphrase.",
	"key_file":   "Secrets are sealed with the key in your key file.",
}

func sayStatus(w io.Writer, all wire.Connections, shown []wire.Connection, only string, now time.Time) {
	if all.Store != "" {
		fmt.Fprintf(w, "%s\n", text.Clean(all.StoreError, sentence))
	}
	for _, d := range all.Damaged {
		fmt.Fprintf(w, "Damaged and kept aside: %s\n", text.Clean(strings.Join([]string{d.Kind, d.Provider, d.Account, d.ID}, " "), 120))
	}
	if all.Paused {
		fmt.Fprintln(w, "Hand-outs are paused: programs get no tokens. To let them go on: keyturn resume")
	}
	if len(shown) == 0 {
		name := only
		if only == "" {
			name = "demo"
		}
		if all.Store == "" {
			fmt.Fprintf(w, "Nothing is connected yet. Try: keyturn connect %s\n", text.Clean(name, 64))
		}
	} else {
		t := table{{"PROVIDER", "ACCOUNT", "STATE", "TOKEN EXPIRES", "SCOPES"}}
		for _, c := range shown {
			t = append(t, []string{c.Provider, orDash(c.Account), state(c), expires(c, now), orDash(strings.Join(c.GrantedScopes, " "))})
		}
		t.write(w)
		for _, c := range shown {
			sayMore(w, c)
		}
	}
	for _, c := range all.Revoking {
		if only == "" || isOf(c, only) {
			fmt.Fprintf(w, "%s: %s\n", whose(c), text.Clean(c.Health, sentence))
		}
	}
	if says := protectors[all.Protector]; says != "" && all.Store == "" {
		fmt.Fprintln(w, says)
	}
}

func sayPending(w io.Writer, attempts []wire.Attempt, only string) {
	for _, a := range attempts {
		if a.Status == "pending" && (only == "" || a.Service == only) {
			handle := text.Clean(a.State, 64)
			fmt.Fprintf(w, "%s until %s: %s. To cancel: keyturn cancel %s\n", waitsFor(a, handle), clock(a.ExpiresAt), text.Clean(a.Service, 64), handle)
		}
	}
}

// waitsFor is what a pending attempt waits for, and where the user can do it.
func waitsFor(a wire.Attempt, handle string) string {
	switch {
	case a.Step == "awaiting_confirmation":
		return "Waiting for the code that the browser shows (keyturn confirm " + handle + ")"
	case a.UserCode != "":
		return "Waiting for the code " + text.Clean(a.UserCode, 60) + " to be entered at " + text.Clean(a.VerificationURI, 300)
	case a.Transport == "paste":
		return "Waiting for the address of the page that does not load (keyturn paste " + handle + ")"
	}
	return "Waiting for the browser"
}

// sayMore says what a row of the table has no room for.
func sayMore(w io.Writer, c wire.Connection) {
	if c.Status != "connected" || c.Unsaved {
		fmt.Fprintf(w, "%s: %s\n", whose(c), text.Clean(c.Health, sentence))
	}
	if c.Status == "needs_reconnect" {
		fmt.Fprintf(w, "%s needs you: keyturn connect %s\n", text.Clean(c.ProviderName, 80), text.Clean(c.Provider, 64))
	}
	if len(c.MissingScopes) > 0 {
		fmt.Fprintf(w, "%s: asked for and not granted: %s\n", whose(c), text.Clean(strings.Join(c.MissingScopes, " "), 400))
	}
	if f := c.Forecast; f != nil {
		fmt.Fprintf(w, "%s: sign in again by %s. %s\n", whose(c), f.At.Local().Format("2006-01-02 15:04"), text.Clean(strings.TrimSpace(f.Says+" "+f.Fix), sentence))
		if len(f.Scopes) > 0 {
			fmt.Fprintf(w, "  keyturn connect %s --scopes %s\n", text.Clean(c.Provider, 64), text.Clean(strings.Join(f.Scopes, ","), 400))
		}
	}
}

// whose names a connection in a few words.
func whose(c wire.Connection) string {
	if c.Account == "" {
		return text.Clean(c.ProviderName, 80)
	}
	return text.Clean(c.ProviderName, 80) + " — " + text.Clean(c.Account, 80)
}

// state is a connection's status in one word or two.
func state(c wire.Connection) string { return strings.ReplaceAll(c.Status, "_", " ") }

// expires says when the access token does; a refresh token renews it.
func expires(c wire.Connection, now time.Time) string {
	if c.ExpiresAt == nil {
		return "unknown"
	}
	left := c.ExpiresAt.Sub(now)
	switch {
	case left <= 0 && c.HasRefreshToken:
		return "renewed when used"
	case left <= 0:
		return "expired"
	case left < time.Minute:
		return "in less than a minute"
	case left < 2*time.Hour:
		return fmt.Sprintf("in %d min", int(left.Minutes()))
	case left < 48*time.Hour:
		return fmt.Sprintf("in %d h", int(left.Hours()))
	}
	return "on " + c.ExpiresAt.Local().Format("2006-01-02")
}

func clock(t time.Time) string { return t.Local().Format("15:04") }

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
