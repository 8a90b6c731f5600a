package provider

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"keyturn/backend/fault"
	"keyturn/backend/text"
)

// What a provider file may be at most; the parser takes time that grows with
// the square of the lines. Aliases are refused altogether: a few lines of them
// can stand for gigabytes.
const (
	MaxFile    = 256 << 10 // bytes
	maxLines   = 4000
	maxNesting = 16
)

// Parse reads one provider file and validates it. file is for the sentences
// only. Every error is a *fault.Error that names file and line.
func Parse(file string, data []byte) (Provider, error) { return ParseWith(file, data, baseOf) }

// ParseWith is Parse with the entries that others may extend.
func ParseWith(file string, data []byte, base func(id string) (Provider, bool)) (p Provider, err error) {
	file = text.Clean(file, 80)
	if len(data) > MaxFile {
		return Provider{}, fault.New(fault.BadRequest, "%s is larger than 256 KiB. A provider file is a few dozen lines.", file)
	}
	if bytes.Count(data, []byte{'\n'})+bytes.Count(data, []byte{'\r'}) > maxLines {
		return Provider{}, fault.New(fault.BadRequest, "%s has more than %d lines. A provider file is a few dozen lines.", file, maxLines)
	}
	if line := deepLine(data); line != 0 {
		return Provider{}, errAt(file, line, "this is nested too deeply for a provider file")
	}
	// A parser of a format this rich is where hostile input would bring the
	// whole program down.
	defer func() {
		if r := recover(); r != nil {
			p, err = Provider{}, fault.Wrap(fmt.Errorf("yaml: %v", r), fault.BadRequest, "%s is not YAML that Keyturn can read.", file)
		}
	}()
	tree, err := parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return Provider{}, errYAML(file, err)
	}
	body, err := only(file, tree)
	if err != nil {
		return Provider{}, err
	}
	look := strictly{file: file, lines: map[string]int{}}
	if err := look.at(body, reflect.TypeFor[Provider](), ""); err != nil {
		return Provider{}, err
	}
	if err := yaml.NodeToValue(body, &p, yaml.Strict()); err != nil {
		return Provider{}, errYAML(file, err)
	}
	if p.Extends != "" {
		var ok bool
		if p, ok = base(p.Extends); !ok {
			return Provider{}, errAt(file, look.line("extends"), "extends names no provider that comes with Keyturn")
		}
		if err := yaml.NodeToValue(body, &p, yaml.Strict()); err != nil {
			return Provider{}, errYAML(file, err)
		}
	}
	if err := look.verdict(p); err != nil {
		return Provider{}, err
	}
	return p, nil
}

// verdict is the first thing that is wrong with what was read, with its line.
func (s *strictly) verdict(p Provider) error {
	if wrong := p.wrongs(); len(wrong) > 0 {
		return errAt(s.file, s.line(wrong[0].field), "%s", wrong[0])
	}
	return nil
}

// baseOf returns an entry to extend: no preset of another.
func baseOf(id string) (Provider, bool) {
	b := builtins()[id]
	if b == nil {
		return Provider{}, false
	}
	p := decode(b.written) // a copy: its maps are changed
	p.Popular = false
	return p, p.Extends == ""
}

// only returns the body of the one document.
func only(file string, tree *ast.File) (ast.Node, error) {
	var bodies []ast.Node
	for _, d := range tree.Docs {
		if d != nil && d.Body != nil {
			bodies = append(bodies, d.Body)
		}
	}
	switch len(bodies) {
	case 0:
		return nil, fault.New(fault.BadRequest, "%s is empty.", file)
	case 1:
		return bodies[0], nil
	}
	return nil, errAt(file, lineOf(bodies[1]), "a second document starts here, but a file holds one provider")
}

// strictly looks at a document as written, before anything is decoded: what
// the decoder would forgive is refused here, with its line.
type strictly struct {
	file  string
	lines map[string]int // field path, such as "authorize.url" → line
}

// at checks that node can be a t. path names it.
func (s *strictly) at(node ast.Node, t reflect.Type, path string) error {
	line := lineOf(node)
	if path != "" {
		s.lines[path] = line
	}
	switch n := node.(type) {
	case *ast.NullNode:
		return nil
	case *ast.AnchorNode, *ast.AliasNode, *ast.MergeKeyNode:
		return errAt(s.file, line, "anchors and aliases are not used in provider files: write the value out")
	case *ast.TagNode:
		return errAt(s.file, line, "tags are not used in provider files")
	case *ast.MappingNode:
		return s.mapping(n.Values, t, path, line)
	case *ast.MappingValueNode:
		return s.mapping([]*ast.MappingValueNode{n}, t, path, line)
	case *ast.SequenceNode:
		if t.Kind() != reflect.Slice {
			return errAt(s.file, line, "%s is %s: a list does not fit", named(path), kind(t))
		}
		for i, v := range n.Values {
			if err := s.at(v, t.Elem(), fmt.Sprintf("%s[%d]", path, i)); err != nil {
				return err
			}
		}
		return nil
	}
	if !scalar(node, t) {
		return errAt(s.file, line, "%s is %s", named(path), kind(t))
	}
	return nil
}

// scalar reports whether a single value fits a field.
func scalar(node ast.Node, t reflect.Type) bool {
	switch node := node.(type) {
	case *ast.StringNode:
		if t == reflect.TypeFor[time.Duration]() {
			_, err := time.ParseDuration(node.Value)
			return err == nil
		}
		return t.Kind() == reflect.String
	case *ast.LiteralNode:
		return t.Kind() == reflect.String
	case *ast.BoolNode:
		return t.Kind() == reflect.Bool
	case *ast.IntegerNode:
		return t.Kind() == reflect.Int
	}
	return false
}

func (s *strictly) mapping(pairs []*ast.MappingValueNode, t reflect.Type, path string, line int) error {
	if t.Kind() != reflect.Struct && t.Kind() != reflect.Map {
		return errAt(s.file, line, "%s is %s: a group of fields does not fit", named(path), kind(t))
	}
	seen := map[string]bool{}
	for _, pair := range pairs {
		key, ok := pair.Key.(*ast.StringNode)
		if !ok {
			return errAt(s.file, lineOf(pair), "%s holds something that is not a plain field name", named(path))
		}
		name := strings.TrimPrefix(path+"."+key.Value, ".")
		line := lineOf(key)
		if seen[key.Value] {
			return errAt(s.file, line, "%s is there twice", shown(name))
		}
		seen[key.Value] = true
		if t.Kind() == reflect.Map {
			if err := s.at(pair.Value, t.Elem(), name); err != nil {
				return err
			}
			continue
		}
		known := fields(t)
		field, ok := known[key.Value]
		if !ok {
			if near := nearest(key.Value, keys(known)); near != "" {
				return errAt(s.file, line, "there is no field %s. Did you mean %s?", shown(name), near)
			}
			return errAt(s.file, line, "there is no field %s. %s has: %s", shown(name), named(path), strings.Join(keys(known), ", "))
		}
		if err := s.at(pair.Value, field, name); err != nil {
			return err
		}
	}
	return nil
}

// line returns the line of a field, or of the nearest group around it that
// was written at all.
func (s *strictly) line(path string) int {
	for {
		if n, ok := s.lines[path]; ok {
			return n
		}
		cut := strings.LastIndexAny(path, ".[")
		if cut < 0 {
			return 1
		}
		path = path[:cut]
	}
}

// fields maps the names that a file uses for the fields of a struct to their types.
func fields(t reflect.Type) map[string]reflect.Type {
	m := map[string]reflect.Type{}
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
		if name != "-" {
			m[name] = t.Field(i).Type
		}
	}
	return m
}

func keys(m map[string]reflect.Type) []string {
	list := make([]string, 0, len(m))
	for k := range m {
		list = append(list, k)
	}
	slices.Sort(list)
	return list
}

// kind says what a field holds, for people.
func kind(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Struct:
		return "a group of fields"
	case reflect.Map:
		return "a group of names and texts"
	case reflect.Slice:
		return "a list"
	case reflect.Bool:
		return "true or false"
	case reflect.Int:
		return "a whole number"
	case reflect.Int64:
		return "a span of time, such as 8h or 90s"
	}
	return "a text; write it in quotes when it looks like something else"
}

func named(path string) string {
	if path == "" {
		return "A provider"
	}
	return shown(path)
}

// shown makes a name from a file or a caller fit for a sentence.
func shown(name string) string {
	if name = text.Clean(name, 64); name == "" {
		return "(empty)"
	}
	return name
}

func lineOf(n ast.Node) int {
	if t := n.GetToken(); t != nil && t.Position != nil {
		return t.Position.Line
	}
	return 1
}

func errAt(file string, line int, format string, args ...any) error {
	says := fmt.Sprintf(format, args...)
	if !strings.HasSuffix(says, ".") && !strings.HasSuffix(says, "?") {
		says += "."
	}
	return fault.New(fault.BadRequest, "%s:%d: %s", file, line, says)
}

// errYAML says what the YAML parser found wrong, without its excerpt.
func errYAML(file string, err error) error {
	if e, ok := errors.AsType[yaml.Error](err); ok && e.GetToken() != nil && e.GetToken().Position != nil {
		return errAt(file, e.GetToken().Position.Line, "%s", text.Clean(e.GetMessage(), 120))
	}
	return fault.Wrap(err, fault.BadRequest, "%s is not YAML that Keyturn can read.", file)
}

// deepLine returns the line at which nesting gets deeper than any provider
// file needs, or 0. It counts what opens a level in the text, so that no
// parser has to recurse to find out; brackets in texts count too and do no
// harm, because nobody leaves sixteen of them open.
func deepLine(data []byte) int {
	line, open := 1, 0
	starts, atStart := 0, true // block entries opened one after the other: "- - -", "? ?"
	for _, c := range data {
		switch c {
		case '\n':
			line++
			starts, atStart = 0, true
			continue
		case '[', '{':
			open++
		case ']', '}':
			open = max(0, open-1)
		case '-', '?', ':':
			if atStart {
				starts++
			}
		}
		if c != ' ' && c != '\t' && c != '-' && c != '?' && c != ':' {
			atStart = false
		}
		if open > maxNesting || starts > maxNesting {
			return line
		}
	}
	return 0
}
