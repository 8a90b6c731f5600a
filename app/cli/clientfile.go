package main

import (
	"context"
	"encoding/json"
	"strings"

	"github.com/spf13/cobra"

	"keyturn/backend/api/wire"
	"keyturn/backend/fault"
)

// clientFile is the JSON that Google's console offers for download: a client
// under the name of its type. Other authorization servers have taken the shape
// over from it.
type clientFile map[string]json.RawMessage

type clientOfFile struct {
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret"`
}

// types that a client can be of, in the order in which they are looked for.
var clientTypes = []string{"installed", "web"}

func (k *command) appsImport() *cobra.Command {
	var provider string
	cmd := &cobra.Command{
		Use:   "import <file> [flags]",
		Short: "Register the OAuth app of a downloaded client JSON",
		Long: `Register the OAuth app that is described by the JSON file which Google's console
offers for download (client_secret_….json), - for standard input. The file holds
the client secret: delete it afterwards.`,
		Example: `  keyturn apps import ~/Downloads/client_secret_123.json
  keyturn apps import client_secret_123.json --provider gmail`,
		Args: one("file"),
	}
	cmd.Flags().StringVar(&provider, "provider", "google", "provider it is registered at")
	cmd.RegisterFlagCompletionFunc("provider", k.completeCatalogue)
	return k.does(cmd, func(ctx context.Context, args []string) (answer, error) {
		document, err := k.readSecret(args[0])
		if err != nil {
			return answer{}, fault.Wrap(err, fault.BadRequest, "%s", strings.Replace(fault.MessageOf(err), "The client secret", "The file", 1))
		}
		in, isWeb, err := fromClientFile(document)
		if err != nil {
			return answer{}, err
		}
		in.Provider = provider
		app, err := k.app()
		if err != nil {
			return answer{}, err
		}
		a, err := app.UpsertApp(ctx, in)
		if err != nil {
			return answer{}, err
		}
		if isWeb {
			k.note("It is a web client: register the redirect URI with it that this says: keyturn providers get %s", a.Provider)
		}
		return appAnswer(a, "Saved the OAuth app %s at %s. Next: keyturn connect %s", a.ClientID, a.Provider, a.Provider), nil
	})
}

// fromClientFile reads the document. Nothing of it is quoted in an error: it
// holds a secret.
func fromClientFile(document string) (in wire.AppUpsert, isWeb bool, err error) {
	var file clientFile
	if err := json.Unmarshal([]byte(document), &file); err != nil {
		return in, false, wrong("This is no client JSON: it should begin with {\"installed\":{\"client_id\":…")
	}
	for _, kind := range clientTypes {
		var c clientOfFile
		if json.Unmarshal(file[kind], &c) == nil && c.ClientID != "" {
			return wire.AppUpsert{ClientID: c.ClientID, ClientSecret: c.ClientSecret}, kind == "web", nil
		}
	}
	return in, false, wrong("There is no client of the type installed or web in this file. Download the JSON of an OAuth client, not of a service account.")
}
