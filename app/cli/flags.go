package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"keyturn/backend/text"
)

// listFlag collects words: separated by commas or blanks, or given again.
type listFlag struct{ words *[]string }

func (f listFlag) String() string { return "" }
func (f listFlag) Type() string   { return "a,b" }
func (f listFlag) Set(s string) error {
	words := strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' || r == '\n' })
	if len(words) == 0 {
		return errors.New("it names nothing")
	}
	*f.words = append(*f.words, words...)
	return nil
}

// pairFlag collects key=value, one pair each time it is given.
type pairFlag struct{ pairs *map[string]string }

func (f pairFlag) String() string { return "" }
func (f pairFlag) Type() string   { return "key=value" }
func (f pairFlag) Set(s string) error {
	key, value, ok := strings.Cut(s, "=")
	if !ok || key == "" {
		return errors.New("write it as key=value")
	}
	if _, twice := (*f.pairs)[key]; twice {
		return fmt.Errorf("%s is given twice", key)
	}
	pairs := maps.Clone(*f.pairs)
	if pairs == nil {
		pairs = map[string]string{}
	}
	pairs[key] = value
	*f.pairs = pairs
	return nil
}

// choiceFlag takes one of a few words.
type choiceFlag struct {
	value   *string
	choices []string
}

func (f choiceFlag) String() string { return "" }
func (f choiceFlag) Type() string   { return strings.Join(f.choices, "|") }
func (f choiceFlag) Set(s string) error {
	if !slices.Contains(f.choices, s) {
		return fmt.Errorf("it is one of %s", strings.Join(f.choices, ", "))
	}
	*f.value = s
	return nil
}

// spanFlag takes a duration such as 90s or 5m; a bare number is seconds.
type spanFlag struct{ value *time.Duration }

const longestSpan = 365 * 24 * time.Hour

func (f spanFlag) String() string { return "" }
func (f spanFlag) Type() string   { return "duration" }
func (f spanFlag) Set(s string) error {
	d, err := time.ParseDuration(s)
	if n, notNumber := strconv.ParseUint(s, 10, 32); notNumber == nil {
		d, err = time.Duration(n)*time.Second, nil
	}
	if err != nil || d < 0 || d > longestSpan {
		return errors.New("write it like 90s or 5m")
	}
	*f.value = d
	return nil
}

// portFlag takes a TCP port.
type portFlag struct{ value *int }

func (f portFlag) String() string { return "" }
func (f portFlag) Type() string   { return "port" }
func (f portFlag) Set(s string) error {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil || n == 0 {
		return errors.New("it is a number from 1 to 65535")
	}
	*f.value = int(n)
	return nil
}

// transportFlag is --callback-transport.
func transportFlag(fs *pflag.FlagSet, value *string) {
	fs.Var(choiceFlag{value, []string{"loopback", "gateway", "device", "paste"}}, "callback-transport",
		"how the provider's answer reaches Keyturn (default: what works for the provider)")
}

// providerAndScopes are the arguments of a command with --scopes: one
// provider, and after it the scopes that were written with blanks between
// them.
func providerAndScopes(scopes *[]string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > 1 && cmd.Flags().Changed("scopes") {
			for _, more := range args[1:] {
				if err := (listFlag{scopes}).Set(more); err != nil {
					return wrong("The scope %q is not one.", text.Clean(more, 40))
				}
			}
			args = args[:1]
		}
		return one("provider")(cmd, args)
	}
}
