package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/pflag"

	"keyturn/backend/fault"
	"keyturn/backend/text"
)

// Exit codes of the contract.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

// sentence is how long a sentence for people may get.
const sentence = 1000

// answer is what a command has to say: a JSON value for programs, and a way
// to say it to people. Nothing is written before all of it is known.
type answer struct {
	json any
	text func(w io.Writer) error
}

// outcome is the beginning of every JSON value.
type outcome struct {
	OK    bool   `json:"ok"`
	Code  string `json:"code,omitempty"`
	Error string `json:"error,omitempty"`
}

var done = outcome{OK: true}

// outcomeOf is the outcome for err, which may be nil.
func outcomeOf(err error) outcome {
	if err == nil {
		return done
	}
	return outcome{Code: string(fault.CodeOf(err)), Error: sentenceOf(err)}
}

// sentenceOf is what people read. The sentence may come from the other side
// of the socket, or repeat an argument.
func sentenceOf(err error) string { return text.Clean(fault.MessageOf(err), sentence) }

// said is an answer in plain words.
func said(value any, format string, args ...any) answer {
	return answer{value, func(w io.Writer) error {
		_, err := fmt.Fprintln(w, text.Clean(fmt.Sprintf(format, args...), sentence))
		return err
	}}
}

// alone is an answer that programs read as one line.
func alone(value any, line string) answer {
	return answer{value, func(w io.Writer) error {
		if err := oneLine(line); err != nil {
			return err
		}
		_, err := fmt.Fprintln(w, line)
		return err
	}}
}

// oneLine refuses what a reader of lines would take for two of them, or for
// the end.
func oneLine(s string) error {
	if strings.ContainsAny(s, "\r\n\x00") {
		return fault.New(fault.Internal, "The value holds a line break, which has no place in this output. Use --json.")
	}
	return nil
}

// finish writes the answer, or the failure, and returns the exit code.
func (k *command) finish(err error) int {
	if err != nil && !k.began {
		err = usageOf(err)
	}
	var b bytes.Buffer
	switch {
	case k.json && err != nil && k.answer.json == nil:
		encode(&b, outcomeOf(err))
	case k.json && k.answer.json != nil:
		if failed := encode(&b, k.answer.json); failed != nil {
			b.Reset()
			err = failed
			encode(&b, outcomeOf(err))
		}
	case !k.json && k.answer.text != nil:
		if failed := k.answer.text(&b); failed != nil {
			b.Reset()
			err = failed
		}
	}
	if b.Len() > 0 { // even nothing would wait for a write that was left behind
		if _, failed := k.out.Write(b.Bytes()); failed != nil {
			err = fault.Wrap(failed, fault.Internal, "The answer could not be written to standard output.")
		}
	}
	if err == nil {
		return exitDone
	}
	fmt.Fprintln(k.err, "keyturn: "+sentenceOf(err))
	if fault.CodeOf(err) == fault.BadRequest {
		return exitUsage
	}
	return exitFailed
}

// encode writes one JSON value as one line.
func encode(w io.Writer, value any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(value)
}

// note tells people something on standard error that is not the answer.
func (k *command) note(format string, args ...any) {
	fmt.Fprintln(k.err, text.Clean(fmt.Sprintf(format, args...), sentence))
}

// wrong is the error for wrong usage.
func wrong(format string, args ...any) error {
	return fault.New(fault.BadRequest, format, args...)
}

// usageOf turns an error of the command line library into one of ours.
func usageOf(err error) error {
	if _, ok := errors.AsType[*fault.Error](err); ok {
		return err
	}
	if e, ok := errors.AsType[*pflag.NotExistError](err); ok {
		dashes := "--"
		if e.GetSpecifiedShortnames() != "" {
			dashes = "-"
		}
		return wrong("There is no flag %s%s here. --help lists those there are.", dashes, text.Clean(e.GetSpecifiedName(), 40))
	}
	if e, ok := errors.AsType[*pflag.ValueRequiredError](err); ok {
		return wrong("The flag --%s needs a value.", e.GetFlag().Name)
	}
	if e, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		return wrong("The flag --%s cannot be %q: %v.", e.GetFlag().Name, text.Clean(e.GetValue(), 80), errors.Unwrap(e))
	}
	return wrong("%s. --help shows how to use this command.", capital(err.Error()))
}

func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
