package provider_test

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"keyturn/backend/provider"
)

const schemaFile = "../../docs/provider.schema.json"

// choices are the fields that take one of a few words.
var choices = map[string][]string{
	"pkce": {"s256", "unverified"}, "client.auth": {"none", "post", "basic", "key", "signed"}, "token.body": {"form", "json"},
	"refresh.rotation": {"never", "always", "sometimes"}, "refresh.with": {"refresh_token", "access_token"},
	"revoke.method": {"POST", "DELETE"}, "revoke.auth": {"basic", "bearer", "none"}, "revoke.body": {"form", "json"},
	"redirect.rule": {"any_port", "fixed_port", "https"}, "redirect.host": {"127.0.0.1", "localhost"},
	"authorize.response_mode": {"query", "form_post"}, "identity.method": {"GET", "POST"}, "vars.is": {"label", "host", "base"},
}

// The schema that editors check a provider file with says what the types say.
func TestTheSchemaForEditorsIsCurrent(t *testing.T) {
	schema := schemaOf(reflect.TypeFor[provider.Provider](), "", comments(t))
	schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	schema["title"] = "A provider of Keyturn"
	schema["required"] = []string{"id", "name"}
	var want bytes.Buffer
	e := json.NewEncoder(&want)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(schema); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(schemaFile, want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(schemaFile)
	if err != nil || !bytes.Equal(got, want.Bytes()) {
		t.Errorf("%s is not current (%v): go test ./backend/provider -run SchemaForEditors -update", schemaFile, err)
	}
	for field, words := range choices {
		for _, word := range append([]string{"no-such-word"}, words...) {
			_, err := provider.Parse("f.yaml", fileWith(field, word))
			if about := err != nil && strings.Contains(err.Error(), "must be one of"); about != (word == "no-such-word") {
				t.Errorf("%s: %s: the schema and the loader differ: %v", field, word, err)
			}
		}
	}
}

// fileWith is a provider file with one field set.
func fileWith(field, word string) []byte {
	const file = "id: forge\nname: Forge\n"
	section, name, inside := strings.Cut(field, ".")
	value := "{" + name + ": " + word + "}"
	switch {
	case !inside:
		value = word
	case field == "client.auth":
		value = "{auth: [" + word + "]}"
	case section == "vars":
		value = "{team: {says: your team, is: " + word + "}}"
	}
	rest := map[string]string{"authorize": "authorize: {url: 'https://forge.example/a'}\n", "token": "token: {url: 'https://forge.example/t'}\n"}
	if _, needsURL := rest[section]; needsURL {
		value = strings.TrimSuffix(value, "}") + ", url: 'https://forge.example/x'}"
		delete(rest, section)
	}
	return []byte(file + rest["authorize"] + rest["token"] + section + ": " + value + "\n")
}

// comments are the doc comments of fields, by type and field name.
func comments(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	note := func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok {
			return true
		}
		fields, ok := spec.Type.(*ast.StructType)
		if !ok {
			return true
		}
		for _, f := range fields.Fields.List {
			for _, name := range f.Names {
				all[spec.Name.Name+"."+name.Name] = strings.Join(strings.Fields(f.Doc.Text()+f.Comment.Text()), " ")
			}
		}
		return false
	}
	for _, file := range []string{"provider.go", "vars.go"} {
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(tree, note)
	}
	return all
}

func schemaOf(t reflect.Type, path string, says map[string]string) map[string]any {
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return map[string]any{"type": "string", "pattern": `^([0-9]+(\.[0-9]+)?(h|m|s))+$`}
	case t.Kind() == reflect.Struct:
		properties := map[string]any{}
		for i := range t.NumField() {
			f := t.Field(i)
			name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
			if name == "-" || name == "" {
				continue
			}
			s := schemaOf(f.Type, strings.TrimPrefix(path+"."+name, "."), says)
			if text := says[t.Name()+"."+f.Name]; text != "" {
				s["description"] = text
			}
			properties[name] = s
		}
		return map[string]any{"type": "object", "additionalProperties": false, "properties": properties}
	case t.Kind() == reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": schemaOf(t.Elem(), path, says)}
	case t.Kind() == reflect.Slice:
		return map[string]any{"type": "array", "items": schemaOf(t.Elem(), path, says)}
	case t.Kind() == reflect.Bool:
		return map[string]any{"type": "boolean"}
	case t.Kind() == reflect.Int:
		return map[string]any{"type": "integer"}
	}
	s := map[string]any{"type": "string"}
	if words := choices[path]; words != nil {
		s["enum"] = words
	}
	return s
}
