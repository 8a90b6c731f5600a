package main

import (
	"fmt"
	"os"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"keyturn/backend/fault"
	"keyturn/backend/gateway"
	"keyturn/backend/text"
)

// relayPath is where enrolled apps connect.
const relayPath = "/relay"

func enrolCommand() *cobra.Command {
	var dir, name, url, app string
	cmd := &cobra.Command{
		Use:   "enrol --name NAME --url URL [--app URL]",
		Short: "Let one more Keyturn receive callbacks through relay or forward",
		Long: `Make an enrolment and print it: one line, a secret, for that Keyturn alone. Give
it to the Keyturn there:

  keyturn gateway add -          and paste the line

Without --app it is for the relay: the Keyturn connects to here. With --app it is
for forward: this gateway posts to the Keyturn at that address. A forwarding
gateway serves one Keyturn and no more: a callback forwarded to somebody else's
could be one that he talked you into.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			token, err := enrol(folder(dir), name, url, app)
			if err == nil {
				fmt.Println(token)
				fmt.Fprintln(os.Stderr, "This line is a secret. Give it to that Keyturn and to nobody else: keyturn gateway add -")
			}
			return err
		},
	}
	stateFlag(cmd, &dir)
	cmd.Flags().StringVar(&name, "name", "", "what you call it, such as build-server")
	cmd.Flags().StringVar(&url, "url", "", "the https address of this gateway")
	cmd.Flags().StringVar(&app, "app", "", "forward to the Keyturn at this https address")
	return cmd
}

func stateFlag(cmd *cobra.Command, dir *string) {
	cmd.Flags().StringVar(dir, "state", usualFolder(), "folder that keeps keys and enrolments")
}

func enrol(f folder, name, url, app string) (string, error) {
	base, err := gateway.Address(url)
	if err != nil {
		return "", err
	}
	if name = text.Clean(name, 60); name == "" {
		return "", fault.New(fault.BadRequest, "Give the Keyturn a name: --name build-server")
	}
	all, err := f.enrolments()
	if err != nil {
		return "", err
	}
	alive := slices.DeleteFunc(slices.Clone(all), func(e enrolled) bool { return e.Revoked })
	if slices.ContainsFunc(alive, func(e enrolled) bool { return e.Name == name }) {
		return "", fault.New(fault.Conflict, "There is an enrolment with the name %s. Revoke it first, or choose another name.", name)
	}
	now := time.Now().UTC().Truncate(time.Second)
	if app != "" {
		if len(alive) > 0 {
			return "", fault.New(fault.Conflict, "A forwarding gateway serves one Keyturn, and %s is enrolled already: a callback forwarded to somebody else's could be one that he talked you into. Revoke it first, or use the relay.", alive[0].Name)
		}
		target, err := gateway.Address(app)
		if err != nil {
			return "", err
		}
		e := enrolled{ID: newID(), Name: name, Way: "forward", Since: now, App: target, Bearer: newBearer()}
		return gateway.ForwardEnrolment{Gateway: base, Bearer: e.Bearer}.Token(), f.save(append(all, e))
	}
	if slices.ContainsFunc(alive, func(e enrolled) bool { return e.Way == "forward" }) {
		return "", fault.New(fault.Conflict, "This gateway forwards to one Keyturn. Revoke that enrolment first to use the relay.")
	}
	keys, err := f.keys(true)
	if err != nil {
		return "", err
	}
	e, err := keys.Enrol(name, base+relayPath)
	if err != nil {
		return "", err
	}
	return e.Token(), f.save(append(all, enrolled{ID: e.ID, Name: name, Way: "relay", Since: now}))
}

func enrolmentsCommand() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "enrolments",
		Short: "List who is enrolled",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			all, err := folder(dir).enrolments()
			if err != nil {
				return err
			}
			w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "ID\tNAME\tWAY\tSINCE\tSTATE")
			for _, e := range all {
				state := "enrolled"
				if e.Revoked {
					state = "revoked"
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", e.ID, text.Clean(e.Name, 60), e.Way, e.Since.Format(time.DateOnly), state)
			}
			return w.Flush()
		},
	}
	stateFlag(cmd, &dir)
	return cmd
}

func revokeCommand() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "revoke NAME|ID",
		Short: "Serve an enrolled Keyturn no more",
		Long:  "Serve an enrolled Keyturn no more. A gateway that runs learns of it within a few seconds.",
		Args:  cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			all, err := folder(dir).enrolments()
			if err != nil {
				return err
			}
			found := false
			for i, e := range all {
				if !e.Revoked && (e.ID == args[0] || e.Name == args[0]) {
					all[i].Revoked, all[i].Bearer, found = true, "", true
				}
			}
			if !found {
				return fault.New(fault.NotFound, "Nobody of that name or id is enrolled. See: keyturn-gateway enrolments")
			}
			return folder(dir).save(all)
		},
	}
	stateFlag(cmd, &dir)
	return cmd
}
