package main

import (
	"context"
	"errors"
	"io"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"keyturn/backend/api/wire"
	"keyturn/backend/client"
	"keyturn/backend/fault"
	"keyturn/backend/text"
)

// request is curl with the token put in by Keyturn: the flags that the two
// share mean the same. Where they differ, Keyturn is the stricter: the token,
// and with it the request, goes to the provider's own hosts only.
func (k *command) request() *cobra.Command {
	var (
		in       wire.RequestHead
		parts    []dataPart
		headers  []string
		asQuery  bool
		headOnly bool
		out      output
		maxTime  time.Duration
	)
	cmd := &cobra.Command{
		Use:   "request <url> --provider <provider> [flags]",
		Short: "Call a provider's API, as curl would",
		Long: `Make an HTTP request with the access token of an account. Keyturn puts the
token in, renews it when the provider answers 401, and sends it to the hosts
of the provider only: keyturn providers get <provider> lists them as API hosts.

The flags are those of curl, but for one: --data-json sends JSON, because
--json is about the answer of this command.
Exit code: 0 when the provider answers 2xx, 1 for anything else (the body is
printed all the same), 2 for wrong usage.`,
		Example: `  keyturn request https://api.github.com/user --provider github
  keyturn request https://api.github.com/user/repos -G -d per_page=5 --provider github
  keyturn request https://slack.com/api/chat.postMessage --provider slack -d channel=C1 -d text=hi
  keyturn request https://api.linear.app/graphql --provider linear --data-json '{"query":"{ viewer { id } }"}'
  keyturn request https://content.dropboxapi.com/2/files/upload --provider dropbox \
    -H 'Dropbox-API-Arg: {"path":"/a.iso"}' -H 'Content-Type: application/octet-stream' --data-binary @a.iso
  keyturn request https://api.github.com/repos/o/r/tarball --provider github -L -o r.tar.gz`,
		Args:              one("url"),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	f := cmd.Flags()
	f.StringVar(&in.Provider, "provider", "", "whose token to use")
	f.StringVar(&in.Account, "account", "", "which account, where there are several")
	f.StringVar(&in.ClientID, "client-id", "", "which OAuth app, where there are several")
	f.StringVar(&in.ConnectionID, "connection-id", "", "which connection; keyturn status --json lists them")
	f.StringVarP(&in.Method, "request", "X", "", "method (default: GET, or POST with data)")
	f.VarP(wordFlag{&headers, "name: value"}, "header", "H", "header to send; can be given again")
	for _, kind := range dataKinds {
		f.VarP(dataFlag{&parts, kind}, kind.flag, kind.short, kind.says)
	}
	f.BoolVarP(&asQuery, "get", "G", false, "put the data into the query of a GET")
	f.BoolVarP(&headOnly, "head", "I", false, "ask for the headers only, and print them")
	f.BoolVarP(&in.Follow, "location", "L", false, "follow redirects; the token goes along to hosts of the provider only")
	f.BoolVarP(&out.headers, "include", "i", false, "print the headers before the body")
	f.StringVarP(&out.file, "output", "o", "", "write to this file, once it is all there; - for standard output")
	f.BoolVarP(&out.silent, "silent", "s", false, "show no progress")
	f.VarP(spanFlag{&maxTime}, "max-time", "m", "give up when it takes longer, such as 60s (default: while data flows)")
	cmd.MarkFlagsMutuallyExclusive("account", "connection-id")
	cmd.RegisterFlagCompletionFunc("provider", func(cmd *cobra.Command, _ []string, word string) ([]cobra.Completion, cobra.ShellCompDirective) {
		return k.completeConnected(cmd, nil, word)
	})

	return k.does(cmd, func(_ context.Context, args []string) (answer, error) {
		in.URL = args[0]
		if in.Provider == "" && in.ConnectionID == "" {
			return answer{}, wrong("Name the provider: --provider github. keyturn status lists those that are connected.")
		}
		if headOnly && len(parts) > 0 && !asQuery {
			return answer{}, wrong("With --head there is no body. Put the data into the query with --get, or leave one of the two out.")
		}
		var err error
		if in.Headers, err = headersOf(headers); err != nil {
			return answer{}, err
		}
		out.headers = out.headers || headOnly
		if maxTime > 0 { // a little later there than here, where the sentence is
			in.MaxTimeSeconds = int(min(maxTime, 23*time.Hour)/time.Second) + 2
		}
		return k.untilInterrupted(maxTime, func(ctx context.Context) (answer, error) {
			content, err := k.contentOf(parts)
			if err != nil {
				return answer{}, err
			}
			if asQuery && content != nil {
				if in.URL, err = withQuery(in.URL, content); err != nil {
					return answer{}, err
				}
				content = nil
			}
			if content != nil {
				typeOf(parts, in.Headers)
			}
			leaveOut(in.Headers)
			switch {
			case in.Method != "":
			case headOnly:
				in.Method = "HEAD"
			case content != nil:
				in.Method = "POST"
			}
			app, err := k.app()
			if err != nil {
				return answer{}, err
			}
			t := transfer{k: k, out: out, meter: k.newMeter(out)}
			return t.run(ctx, app, in, content)
		})
	})
}

// tidying is how long something that was stopped has to tidy up.
const tidying = 300 * time.Millisecond

// untilInterrupted does something that Ctrl-C ends at once, wherever it is: a
// read from a terminal or a write to a pipe cannot be interrupted, and is left
// behind.
func (k *command) untilInterrupted(maxTime time.Duration, do func(context.Context) (answer, error)) (answer, error) {
	ctx, _, release := interrupts()
	defer release()
	if maxTime > 0 {
		limited, cancel := context.WithTimeout(ctx, maxTime)
		defer cancel()
		ctx = limited
	}
	type result struct {
		answer answer
		err    error
	}
	done := make(chan result, 1)
	go func() {
		a, err := do(ctx)
		done <- result{a, err}
	}()
	var r result
	select {
	case r = <-done:
	case <-ctx.Done():
		select {
		case r = <-done:
		case <-time.After(tidying):
			r.err = ctx.Err()
		}
	}
	switch {
	case r.err == nil:
		return r.answer, nil
	case errors.Is(ctx.Err(), context.DeadlineExceeded), maxTime > 0 && errors.Is(r.err, os.ErrDeadlineExceeded): // the connection has a clock of its own
		return answer{}, fault.New(fault.ProviderUnavailable, "It took longer than %s, so it was given up. The request may have reached the provider.", maxTime)
	case ctx.Err() == nil:
		return r.answer, r.err
	}
	return answer{}, fault.New(fault.Cancelled, "Stopped. The request may have reached the provider.")
}

// removed marks a header that is not to be sent, not even where Keyturn would
// send one by itself. No header can have it as its value.
const removed = "\x00"

// headersOf reads what -H was given: "Name: value", "Name;" for one without a
// value, "Name:" for none at all. One that is there twice is a list (RFC 9110
// section 5.3).
func headersOf(given []string) (map[string]string, error) {
	headers := map[string]string{}
	for _, line := range given {
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			if name, ok = strings.CutSuffix(line, ";"); !ok {
				return nil, wrong("The header %q is not written as name: value.", text.Clean(line, 40))
			}
		} else if value = strings.Trim(value, " \t"); value == "" {
			value = removed
		}
		if name == "" || strings.ContainsAny(name, " \t\r\n") {
			return nil, wrong("The header %q has no name.", text.Clean(line, 40))
		}
		if known := headerNamed(headers, name); known != "" {
			name, value = known, headers[known]+", "+value
		}
		headers[name] = value
	}
	return headers, nil
}

// leaveOut takes out what is not to be sent.
func leaveOut(headers map[string]string) {
	for name, value := range headers {
		if value == removed {
			delete(headers, name)
		}
	}
}

// headerNamed returns the name that is there in whatever letter case, or "".
func headerNamed(headers map[string]string, name string) string {
	for known := range headers {
		if strings.EqualFold(known, name) {
			return known
		}
	}
	return ""
}

// typeOf says what the data is, unless -H did.
func typeOf(parts []dataPart, headers map[string]string) {
	isJSON := slices.ContainsFunc(parts, func(p dataPart) bool { return p.kind.json })
	set := func(name, value string) {
		if headerNamed(headers, name) == "" {
			headers[name] = value
		}
	}
	if isJSON {
		set("Content-Type", "application/json")
		set("Accept", "application/json")
		return
	}
	set("Content-Type", "application/x-www-form-urlencoded")
}

// withQuery adds data to the query of a URL.
func withQuery(raw string, content *client.Content) (string, error) {
	body, err := content.Open()
	if err != nil {
		return "", err
	}
	defer body.Close()
	const most = 8 << 10
	data, err := io.ReadAll(io.LimitReader(body, most+1))
	if err != nil {
		return "", err
	}
	if len(data) > most {
		return "", wrong("The data is longer than %d KiB, which is too much for a query.", most>>10)
	}
	raw, fragment, _ := strings.Cut(raw, "#")
	if fragment != "" {
		return "", wrong("The address has a part after #, which is never sent. Leave it out.")
	}
	sep := "?"
	if strings.Contains(raw, "?") {
		sep = "&"
	}
	return raw + sep + string(data), nil
}

// wordFlag collects what is given, as it is.
type wordFlag struct {
	words *[]string
	shape string
}

func (f wordFlag) String() string     { return "" }
func (f wordFlag) Type() string       { return f.shape }
func (f wordFlag) Set(s string) error { *f.words = append(*f.words, s); return nil }

// escaped is url.QueryEscape in curl's spelling of a blank.
func escaped(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }
