package main

import (
	"context"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"keyturn/backend/client"
	"keyturn/backend/fault"
	"keyturn/backend/place"
	"keyturn/backend/text"
)

// The groups of the overview.
const (
	accounts = "accounts"
	registry = "registry"
	program  = "program"
)

// entry is a command by name: it is built when it is needed.
type entry struct {
	name  string
	group string
	build func(*command) *cobra.Command
}

// commands lists every command in the order of the overview. It is a function
// because one of them, completion, needs all of them.
func commands() []entry {
	return []entry{
		{"connect", accounts, (*command).connect},
		{"status", accounts, (*command).status},
		{"watch", accounts, (*command).watch},
		{"activity", accounts, (*command).activity},
		{"token", accounts, (*command).token},
		{"request", accounts, (*command).request},
		{"ping", accounts, (*command).ping},
		{"disconnect", accounts, (*command).disconnect},
		{"cancel", accounts, (*command).cancel},
		{"paste", accounts, (*command).paste},
		{"confirm", accounts, (*command).confirm},

		{"providers", registry, (*command).providers},
		{"apps", registry, (*command).apps},
		{"gateway", registry, (*command).gateway},

		{"open", program, (*command).open},
		{"ui", program, (*command).ui},
		{"quit", program, (*command).quit},
		{"pause", program, (*command).pause},
		{"resume", program, (*command).resume},
		{"lock", program, (*command).lock},
		{"unlock", program, (*command).unlock},
		{"protector", program, (*command).protector},
		{"export", program, (*command).export},
		{"import", program, (*command).importFile},
		{"doctor", program, (*command).doctor},
		{"version", program, (*command).version},
		{"completion", program, (*command).completion},
	}
}

const overview = `Keyturn connects your accounts in your own browser and hands fresh access
tokens to the programs on this computer.

This command talks to the Keyturn that is running. For a start:

  keyturn connect demo        approve in the browser
  keyturn status              what is connected
  keyturn token demo          a fresh access token, alone on standard output`

// run runs the command that args name and returns the exit code.
func (k *command) run(args []string) int {
	args, err := k.takeJSON(args)
	if err != nil {
		return k.finish(err)
	}
	name := firstWord(args)
	if name == "" && slices.Contains(args, "--version") {
		name, args = "version", []string{"version"}
	}
	root := k.root(name)
	if name != "" && !known(root, name) {
		return k.finish(unknownCommand(root, name))
	}
	root.SetArgs(args)
	return k.finish(root.ExecuteContext(context.Background()))
}

// takeJSON takes --json out of args, wherever it stands: what cannot be
// parsed is reported in JSON as well.
func (k *command) takeJSON(args []string) ([]string, error) {
	if len(args) > 0 && strings.HasPrefix(args[0], cobra.ShellCompRequestCmd) {
		return args, nil
	}
	rest := make([]string, 0, len(args))
	var wrongValue error
	for i, arg := range args {
		value, found := strings.CutPrefix(arg, "--json=")
		switch {
		case arg == "--":
			return append(rest, args[i:]...), wrongValue
		case arg == "--json":
			k.json = true
		case found:
			on, err := strconv.ParseBool(value)
			if err != nil {
				on, wrongValue = true, wrong("The flag --json takes no value.")
			}
			k.json = on
		default:
			rest = append(rest, arg)
		}
	}
	return rest, wrongValue
}

// firstWord is the name of the command: no flag comes before it that takes a
// value.
func firstWord(args []string) string {
	for _, arg := range args {
		if !strings.HasPrefix(arg, "-") {
			return arg
		}
	}
	return ""
}

// root builds the command named name, or all when it is none of ours.
func (k *command) root(name string) *cobra.Command {
	root := &cobra.Command{
		Use:           "keyturn",
		Short:         "Fresh access tokens for the programs on this computer",
		Long:          overview,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return k.nothingNamed(cmd)
		},
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	root.SetIn(k.in)
	root.SetOut(k.out)
	root.SetErr(k.err)
	// For the help only: takeJSON has taken it.
	root.PersistentFlags().Bool("json", false, "exactly one JSON value on standard output")
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageOf(err) })
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) { k.help(cmd) })

	cobra.EnableCommandSorting = false // the overview has an order of its own
	for _, c := range commands() {
		if c.name == name {
			root.AddCommand(c.build(k))
			return root
		}
	}
	root.AddGroup(
		&cobra.Group{ID: accounts, Title: "Accounts:"},
		&cobra.Group{ID: registry, Title: "Providers and OAuth apps:"},
		&cobra.Group{ID: program, Title: "Keyturn itself:"},
	)
	for _, c := range commands() {
		cmd := c.build(k)
		cmd.GroupID = c.group
		root.AddCommand(cmd)
	}
	root.SetHelpCommand(k.helpCommand(root))
	return root
}

// known reports whether root has a command of this name.
func known(root *cobra.Command, name string) bool {
	return name == "help" || strings.HasPrefix(name, cobra.ShellCompRequestCmd) ||
		slices.ContainsFunc(root.Commands(), func(c *cobra.Command) bool { return c.Name() == name })
}

func unknownCommand(parent *cobra.Command, name string) error {
	path, name := parent.CommandPath(), text.Clean(name, 40)
	parent.SuggestionsMinimumDistance = 2
	if like := parent.SuggestionsFor(name); len(like) > 0 {
		return wrong("There is no command %s %s. Did you mean %s %s?", path, name, path, like[0])
	}
	return wrong("There is no command %s %s. %s --help lists those there are.", path, name, path)
}

// nothingNamed is for a command that only has commands below it.
func (k *command) nothingNamed(cmd *cobra.Command) error {
	if !k.json {
		io.WriteString(k.err, helpText(cmd)+"\n")
	}
	return wrong("Name a command. %s --help lists them.", cmd.CommandPath())
}

// group makes cmd a command that only has commands below it.
func (k *command) group(cmd *cobra.Command, below ...*cobra.Command) *cobra.Command {
	cmd.AddCommand(below...)
	cmd.FParseErrWhitelist.UnknownFlags = true // the wrong name is worth more words than its flags
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return unknownCommand(cmd, args[0])
		}
		return nil
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return k.nothingNamed(cmd) }
	return cmd
}

// helpCommand is keyturn help [command].
func (k *command) helpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:     "help [command]",
		Short:   "Say how a command is used",
		GroupID: program,
		RunE: func(_ *cobra.Command, args []string) error {
			cmd, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				return wrong("There is no command %s.", text.Clean("keyturn "+strings.Join(args, " "), 80))
			}
			k.help(cmd)
			return nil
		},
	}
}

// help answers with the help of cmd.
func (k *command) help(cmd *cobra.Command) {
	says := helpText(cmd)
	k.answer = answer{
		json: struct {
			outcome
			Help string `json:"help"`
		}{done, says},
		text: func(w io.Writer) error {
			_, err := io.WriteString(w, says)
			return err
		},
	}
}

func helpText(cmd *cobra.Command) string {
	cmd.InitDefaultHelpFlag()
	says := cmd.Long
	if says == "" {
		says = cmd.Short + "."
	}
	return says + "\n\n" + cmd.UsageString()
}

// does makes body what cmd does.
func (k *command) does(cmd *cobra.Command, body func(ctx context.Context, args []string) (answer, error)) *cobra.Command {
	cmd.Flags().SortFlags = false
	cmd.DisableFlagsInUseLine = true
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		k.began = true
		var err error
		k.answer, err = body(cmd.Context(), args)
		if err != nil && k.answer.json == nil {
			k.answer = answer{}
		}
		return err
	}
	return cmd
}

// app is the Keyturn that is running, or is not.
func (k *command) app() (*client.Client, error) {
	places, err := place.Find()
	if err != nil {
		return nil, fault.Wrap(err, fault.Unreachable, "Could not reach Keyturn. Is it running?")
	}
	return client.New(places.Socket), nil
}

// none, one and atMostOne say how many arguments a command takes.
func none(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return wrong("%s takes no argument like %q.", cmd.CommandPath(), text.Clean(args[0], 40))
	}
	return nil
}

func one(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) == 0:
			return wrong("Name the %s: %s <%s>.", what, cmd.CommandPath(), what)
		case len(args) > 1:
			return wrong("%s takes one %s, not also %q.", cmd.CommandPath(), what, text.Clean(args[1], 40))
		case args[0] == "":
			return wrong("The %s is empty.", what)
		}
		return nil
	}
}

func atMostOne(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		return one(what)(cmd, args)
	}
}
