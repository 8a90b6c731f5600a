package provider

import (
	"cmp"
	_ "embed"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
)

// The entries that come with the program are YAML files in catalogue/, read by
// Parse with all its strictness when the program is built. What is in the
// program is made of them: catalogue.tsv, a line for each entry, whose head is
// read at the start and whose body is decoded when the entry is used.
//
//	id, name, category, client id, hosted by, flags, the whole entry as JSON
//
// To make it anew: go test ./backend/provider -update
//
//go:embed catalogue.tsv
var index string

// Listing is what a list shows of a provider.
type Listing struct {
	ID, Name, Category string
	Ready              bool // can be connected without an OAuth app of the user's
	Hosted             bool // by an authorization server inside this program
	Custom             bool
	Popular            bool
	// AppsAt is the id of the provider whose OAuth apps serve this one.
	AppsAt string
	// Template: it has to be filled in first, by a provider of the user's own,
	// which may take its id.
	Template bool
}

func (p Provider) listing() Listing {
	return Listing{ID: p.ID, Name: p.Name, Category: p.Category, Ready: p.Client.ID != "", Hosted: p.HostedBy != "", Custom: p.Custom, Popular: p.Popular, AppsAt: p.AppsAt(), Template: len(p.Unfilled()) > 0}
}

// presetFlag comes before the id of the entry that a preset extends.
const presetFlag = "apps at "

// builtin is an entry that comes with the program.
type builtin struct {
	Listing
	entry   func() Provider // decoded once, with the defaults of its variables
	written string          // as it was written
}

// builtins are the entries by id.
var builtins = sync.OnceValue(func() map[string]*builtin {
	all := make(map[string]*builtin, 300)
	for line := range strings.Lines(index) {
		preset := ""
		field := strings.SplitN(strings.TrimSuffix(line, "\n"), "\t", 7)
		if len(field) != 7 {
			panic("catalogue.tsv: a line without seven fields")
		}
		for flag := range strings.SplitSeq(field[5], ",") {
			if base, ok := strings.CutPrefix(flag, presetFlag); ok {
				preset = base
			}
		}
		all[field[0]] = &builtin{
			Listing: Listing{ID: field[0], AppsAt: cmp.Or(preset, field[0]), Name: field[1], Category: field[2], Ready: field[3] != "", Hosted: field[4] != "", Popular: strings.Contains(field[5], "popular"), Template: strings.Contains(field[5], "template")},
			entry:   sync.OnceValue(func() Provider { return withDefaults(decode(field[6])) }),
			written: field[6],
		}
	}
	return all
})

// decode reads the body of a line. A test has read every one of them.
func decode(document string) Provider {
	var p Provider
	if err := json.Unmarshal([]byte(document), &p); err != nil {
		panic("catalogue.tsv: " + err.Error())
	}
	return p
}

func withDefaults(p Provider) Provider {
	if len(p.Vars) == 0 {
		return p
	}
	filled, err := p.With(nil, false)
	if err != nil {
		panic("catalogue.tsv: " + err.Error())
	}
	return filled
}

// IndexLine is the line of the index for an entry.
func IndexLine(p Provider) (string, error) {
	document, err := json.Marshal(p)
	if err != nil {
		return "", err
	}
	var flags []string
	if p.Popular {
		flags = append(flags, "popular")
	}
	if len(p.Unfilled()) > 0 {
		flags = append(flags, "template")
	}
	if at := p.AppsAt(); at != p.ID {
		flags = append(flags, presetFlag+at)
	}
	line := strings.Join([]string{p.ID, p.Name, p.Category, p.Client.ID, p.HostedBy, strings.Join(flags, ","), string(document)}, "\t")
	if strings.Count(line, "\t") != 6 || strings.Contains(line, "\n") {
		return "", fmt.Errorf("provider %s: a tab or a line break in an entry", p.ID)
	}
	return line + "\n", nil
}

// isBuiltin reports whether an id belongs to a provider of the program, for
// good: nobody is connected by a template, so its id may be taken.
func isBuiltin(id string) bool {
	b := builtins()[id]
	return b != nil && !b.Template
}
