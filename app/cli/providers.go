package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"keyturn/backend/api/wire"
	"keyturn/backend/text"
)

func (k *command) providers() *cobra.Command {
	return k.group(&cobra.Command{
		Use:   "providers",
		Short: "List providers, and register your own",
	}, k.providersList(), k.providersMCP(), k.providersGet(), k.providersRegister(), k.providersImport(), k.providersUpdate(), k.providersDelete())
}

func (k *command) providersList() *cobra.Command {
	var keys []string
	cmd := &cobra.Command{
		Use:     "list [word] [flags]",
		Short:   "List the catalogue and your own",
		Example: "  keyturn providers list\n  keyturn providers list git",
		Args:    atMostOne("word"),
	}
	cmd.Flags().Var(listFlag{&keys}, "provider-key", "only providers whose id holds one of these words")
	return k.does(cmd, func(ctx context.Context, args []string) (answer, error) {
		app, err := k.app()
		if err != nil {
			return answer{}, err
		}
		all, err := app.Providers(ctx)
		if err != nil {
			return answer{}, err
		}
		shown := []wire.ProviderSummary{}
		for _, p := range all {
			if matches(p, args, true) && matches(p, keys, false) {
				shown = append(shown, p)
			}
		}
		value := struct {
			outcome
			Providers []wire.ProviderSummary `json:"providers"`
		}{done, shown}
		return answer{value, func(w io.Writer) error {
			if len(shown) == 0 {
				fmt.Fprintln(w, "No provider matches. To add one: keyturn providers register --help")
				return nil
			}
			t := table{{"ID", "NAME", "CATEGORY", "STATE"}}
			for _, p := range shown {
				t = append(t, []string{p.ID, p.Name, orDash(p.Category), readiness(p)})
			}
			t.write(w)
			return nil
		}}, nil
	})
}

// matches reports whether one of words is in the id of p, or in its name as
// well; no words match everything.
func matches(p wire.ProviderSummary, words []string, name bool) bool {
	for _, word := range words {
		word = strings.ToLower(word)
		if strings.Contains(p.ID, word) || name && strings.Contains(strings.ToLower(p.Name), word) {
			return true
		}
	}
	return len(words) == 0
}

func readiness(p wire.ProviderSummary) string {
	says := "needs an OAuth app"
	if p.Ready {
		says = "ready"
	}
	if p.Custom {
		says += ", your own"
	}
	return says
}

func (k *command) providersGet() *cobra.Command {
	cmd := &cobra.Command{
		Use:               "get <provider>",
		Short:             "Show one provider, and the redirect URI to register",
		Args:              one("provider"),
		ValidArgsFunction: k.completeCatalogue,
	}
	return k.does(cmd, func(ctx context.Context, args []string) (answer, error) {
		app, err := k.app()
		if err != nil {
			return answer{}, err
		}
		p, err := app.Provider(ctx, args[0])
		if err != nil {
			return answer{}, err
		}
		return providerAnswer(p, func(w io.Writer) { sayProvider(w, p) }), nil
	})
}

func providerAnswer(p wire.Provider, say func(io.Writer)) answer {
	value := struct {
		outcome
		Provider wire.Provider `json:"provider"`
	}{done, p}
	return answer{value, func(w io.Writer) error {
		say(w)
		return nil
	}}
}

func sayProvider(w io.Writer, p wire.Provider) {
	var scopes []string
	for _, s := range p.Scopes {
		if s.Default {
			scopes = append(scopes, s.Name)
		}
	}
	for _, f := range []struct{ label, value string }{
		{"Name", p.Name},
		{"State", readiness(p.ProviderSummary)},
		{"Begins with", p.Extends},
		{"Found at", p.Resource},
		{"Redirect URI", p.RedirectURI},
		{"", p.RedirectNote},
		{"Register at", p.ConsoleURL},
		{"Issuer", p.Issuer},
		{"Authorization", p.AuthorizationURL},
		{"Token", p.TokenURL},
		{"Refresh", p.RefreshURL},
		{"Revocation", p.RevocationURL},
		{"Userinfo", p.UserinfoURL},
		{"Client auth", strings.Join(p.TokenAuthMethods, ", ")},
		{"Transports", strings.Join(p.CallbackTransports, ", ")},
		{"API hosts", strings.Join(p.APIHosts, ", ")},
		{"Default scopes", strings.Join(scopes, " ")},
	} {
		if f.value != "" {
			fmt.Fprintf(w, "%-15s %s\n", f.label, text.Clean(f.value, 300))
		}
	}
	if len(p.Vars) > 0 {
		fmt.Fprintln(w, "\nNeeds to know first:")
		flags := ""
		for _, v := range p.Vars {
			says := v.Says
			if len(v.OneOf) > 0 {
				says += ": " + strings.Join(v.OneOf, ", ")
			}
			fmt.Fprintf(w, "  %-14s %s\n", text.Clean(v.Name, 40), text.Clean(says, sentence))
			flags += " --var " + text.Clean(v.Name, 40) + "=…"
		}
		fmt.Fprintf(w, "Add yours with: keyturn providers register --extends %s%s\n", text.Clean(p.ID, 64), flags)
	}
	if len(p.Scopes) > 0 {
		fmt.Fprintln(w, "\nScopes:")
		t := table{}
		for _, s := range p.Scopes {
			t = append(t, []string{s.Name, s.Says})
		}
		t.write(w)
	}
	sayList(w, "To register an OAuth app:", p.Steps)
	sayList(w, "Mind:", p.Warnings)
}

func sayList(w io.Writer, heading string, items []string) {
	if len(items) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s\n", heading)
	for i, item := range items {
		fmt.Fprintf(w, "%3d. %s\n", i+1, text.Clean(item, sentence))
	}
}

func (k *command) providersMCP() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "mcp [word]",
		Short: "List public MCP servers",
		Long: `List public MCP servers, or those whose name or address holds a word. Any MCP
server is connected by its address, in this list or not:

  keyturn connect https://mcp.example.com/mcp`,
		Example: `  keyturn providers mcp linear`,
		Args:    atMostOne("word"),
	}
	return k.does(cmd, func(ctx context.Context, args []string) (answer, error) {
		app, err := k.app()
		if err != nil {
			return answer{}, err
		}
		all, err := app.MCPServers(ctx)
		if err != nil {
			return answer{}, err
		}
		found := []wire.MCPServer{}
		for _, s := range all {
			if len(args) == 0 || strings.Contains(strings.ToLower(s.Name+" "+s.URL), strings.ToLower(args[0])) {
				found = append(found, s)
			}
		}
		value := struct {
			outcome
			Servers []wire.MCPServer `json:"servers"`
		}{done, found}
		return answer{value, func(w io.Writer) error {
			if len(found) == 0 {
				fmt.Fprintln(w, "None with this word. Any MCP server is connected by its address: keyturn connect https://…")
				return nil
			}
			rows := table{{"NAME", "ADDRESS", "STATE"}}
			for _, s := range found {
				state := ""
				switch {
				case s.Provider != "":
					state = "known as " + s.Provider
				case s.NeedsApp:
					state = "needs an OAuth app"
				}
				rows = append(rows, []string{s.Name, s.URL, state})
			}
			rows.write(w)
			return nil
		}}, nil
	})
}

func (k *command) providersRegister() *cobra.Command {
	var in wire.ProviderRegister
	cmd := &cobra.Command{
		Use:   "register [provider] [flags]",
		Short: "Add a provider of your own",
		Long: `Add a provider of your own: by its issuer, whose metadata says the rest, by its
authorization and token endpoint, or by an entry of the catalogue that needs to
know something of yours, such as a subdomain. Endpoints are https; http is for
this machine alone, and only with --allow-http-loopback.

An MCP server needs none of it: keyturn connect https://its.address/mcp`,
		Example: `  keyturn providers register --provider-key work --issuer https://id.example.org
  keyturn providers register --extends zendesk --var subdomain=acme
  keyturn providers register --provider-key forge --auth-url https://forge.example/oauth/authorize \
      --token-url https://forge.example/oauth/token --scopes read --token-auth-method none \
      --identity-url https://forge.example/api/user --identity-response-paths login`,
		Args: atMostOne("provider"),
	}
	cmd.Flags().StringVar(&in.ProviderKey, "provider-key", "", "its id: small letters, digits, - and _")
	cmd.Flags().StringVar(&in.Extends, "extends", "", "begin with this entry of the catalogue")
	cmd.Flags().Var(pairFlag{&in.Vars}, "var", "value of a variable of that entry; may be repeated")
	registerFlags(cmd, &in)
	return k.does(cmd, func(ctx context.Context, args []string) (answer, error) {
		if len(args) == 1 {
			if in.ProviderKey != "" && in.ProviderKey != args[0] {
				return answer{}, wrong("The provider is named twice: %q and %q.", text.Clean(args[0], 64), text.Clean(in.ProviderKey, 64))
			}
			in.ProviderKey = args[0]
		}
		if in.ProviderKey == "" && in.Extends != "" {
			in.ProviderKey = keyFor(in.Extends, in.Vars)
		}
		switch {
		case in.ProviderKey == "":
			return answer{}, wrong("Give the provider an id with --provider-key.")
		case in.Extends == "" && in.Issuer == "" && (in.AuthURL == "" || in.TokenURL == ""):
			return answer{}, wrong("Say where the provider is: --issuer, or --auth-url and --token-url.")
		}
		app, err := k.app()
		if err != nil {
			return answer{}, err
		}
		p, err := app.RegisterProvider(ctx, in)
		if err != nil {
			return answer{}, err
		}
		return providerAnswer(p, func(w io.Writer) { sayNext(w, "Registered", p) }), nil
	})
}

// keyFor makes an id of an entry and what was said about it: "zendesk-acme".
func keyFor(entry string, vars map[string]string) string {
	var b strings.Builder
	b.WriteString(entry)
	for _, name := range slices.Sorted(maps.Keys(vars)) {
		b.WriteByte('-')
		value := vars[name]
		if _, after, found := strings.Cut(value, "://"); found {
			value = after
		}
		for _, r := range strings.ToLower(value) {
			if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
				b.WriteRune(r)
			} else {
				b.WriteByte('-')
			}
		}
	}
	key := b.String()
	return strings.Trim(key[:min(len(key), 64)], "-")
}

func (k *command) providersUpdate() *cobra.Command {
	var in wire.ProviderRegister
	cmd := &cobra.Command{
		Use:   "update <provider> [flags]",
		Short: "Change a provider of your own",
		Long: `Change what the flags name of a provider of your own, and leave the rest. What
is in the catalogue cannot be changed.`,
		Example:           `  keyturn providers update forge --scopes read,write`,
		Args:              one("provider"),
		ValidArgsFunction: k.completeCustom,
	}
	registerFlags(cmd, &in)
	return k.does(cmd, func(ctx context.Context, args []string) (answer, error) {
		if cmd.Flags().NFlag() == 0 {
			return answer{}, wrong("Nothing to change: name at least one flag. --help lists them.")
		}
		app, err := k.app()
		if err != nil {
			return answer{}, err
		}
		p, err := app.UpdateProvider(ctx, args[0], in)
		if err != nil {
			return answer{}, err
		}
		return providerAnswer(p, func(w io.Writer) { fmt.Fprintf(w, "Changed %s.\n", text.Clean(p.ID, 64)) }), nil
	})
}

// registerFlags are the flags that register and update share.
func registerFlags(cmd *cobra.Command, in *wire.ProviderRegister) {
	f := cmd.Flags()
	f.StringVar(&in.DisplayName, "display-name", "", "its name for people")
	f.StringVar(&in.Issuer, "issuer", "", "issuer URL: endpoints are read from its metadata (OpenID Connect, RFC 8414)")
	f.StringVar(&in.AuthURL, "auth-url", "", "authorization endpoint")
	f.StringVar(&in.TokenURL, "token-url", "", "token endpoint")
	f.StringVar(&in.RefreshURL, "refresh-url", "", "where tokens are refreshed, if elsewhere")

	f.Var(listFlag{&in.Scopes}, "scopes", "default scopes")
	f.StringVar(&in.ScopeSeparator, "scope-separator", "", "what is between scopes (default: a blank)")
	f.Var(pairFlag{&in.AuthorizeParams}, "authorize-params", "further parameter of the authorization URL; may be repeated")
	f.Var(pairFlag{&in.TokenParams}, "token-params", "further parameter of the code exchange; may be repeated")
	f.Var(choiceFlag{&in.TokenAuthMethod, []string{"none", "client_secret_post", "client_secret_basic", "private_key_jwt"}},
		"token-auth-method", "how the OAuth app authenticates")
	f.Var(choiceFlag{&in.TokenBodyFormat, []string{"form", "json"}}, "token-body-format", "how the token endpoint wants its body")
	f.StringVar(&in.TokenResponseRoot, "token-response-root", "", "member of the token response that holds the token")
	f.BoolVar(&in.DPoP, "dpop", false, "bind the tokens to a key that stays in Keyturn (RFC 9449): for keyturn request only")
	f.BoolVar(&in.IssParameter, "iss-parameter", false, "authorization responses carry iss (RFC 9207)")

	f.StringVar(&in.UserinfoURL, "userinfo-url", "", "OpenID Connect userinfo endpoint: whose account it is")
	f.StringVar(&in.IdentityURL, "identity-url", "", "call of the provider's own that says whose account it is")
	f.Var(choiceFlag{&in.IdentityMethod, []string{"GET", "POST"}}, "identity-method", "method of that call")
	f.Var(pairFlag{&in.IdentityHeaders}, "identity-headers", "further header of that call; may be repeated")
	f.StringVar(&in.IdentityBody, "identity-body", "", "body of that call")
	f.StringVar(&in.IdentityOKField, "identity-ok-field", "", "member of its answer that is true on success")
	f.Var(listFlag{&in.IdentityResponsePaths}, "identity-response-paths", "where its answer names the account, such as data.login")
	f.StringVar(&in.IdentityFormat, "identity-format", "", "how the account is written, such as {name}@{team}")

	f.StringVar(&in.RevokeURL, "revoke-url", "", "revocation endpoint")
	f.Var(choiceFlag{&in.RevokeMethod, []string{"POST", "DELETE", "GET"}}, "revoke-method", "its method")
	f.Var(choiceFlag{&in.RevokeAuth, []string{"client", "basic", "bearer", "none"}}, "revoke-auth", "how the OAuth app authenticates there")
	f.Var(pairFlag{&in.RevokeBody}, "revoke-body", "parameter of its body; may be repeated")

	f.Var(portFlag{&in.CallbackPort}, "callback-port", "fixed port of the redirect URI, where the provider insists on one")
	f.Var(choiceFlag{&in.RedirectHost, []string{"127.0.0.1", "localhost"}}, "redirect-host", "host of the redirect URI")
	f.Var(listFlag{&in.APIHosts}, "api-hosts", "hosts that tokens may be sent to")
	f.StringVar(&in.ConsoleURL, "console-url", "", "page where OAuth apps are registered")
	f.BoolVar(&in.AllowLoopbackHTTP, "allow-http-loopback", false, "permit http endpoints on this machine")
}

func (k *command) providersDelete() *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:               "delete <provider> [flags]",
		Short:             "Forget a provider of your own",
		Args:              one("provider"),
		ValidArgsFunction: k.completeCustom,
	}
	cmd.Flags().BoolVar(&force, "force", false, "disconnect its connections and forget its OAuth apps first")
	return k.does(cmd, func(ctx context.Context, args []string) (answer, error) {
		app, err := k.app()
		if err != nil {
			return answer{}, err
		}
		d, err := app.DeleteProvider(ctx, args[0], force)
		if err != nil {
			return answer{}, err
		}
		return said(deleted(d), "Deleted %s.", args[0]), nil
	})
}

func deleted(d wire.Deleted) any {
	return struct {
		outcome
		ID string `json:"id"`
	}{done, d.ID}
}
