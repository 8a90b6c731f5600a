package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"

	"keyturn/backend/api"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	if *update {
		must(t, os.MkdirAll(filepath.Dir(name), 0o755))
		must(t, os.WriteFile(name, got, 0o644))
		return
	}
	want, err := os.ReadFile(name)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s is stale (%v): run go test ./backend/api -update and read the diff\ngot:\n%s", name, err, got)
	}
}

// ended is the context of a request whose caller has hung up, so that a stream
// ends after its first event.
func ended() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// TestAccessMatrix (RP-02) calls every route as every kind of caller, in process and
// over the socket. Columns are doors; the rows come from the mux itself.
func TestAccessMatrix(t *testing.T) {
	w := newWorld(t, setup{})
	client, _ := w.serve(t)
	var b bytes.Buffer
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprint(table, "route\tsocket")
	for _, p := range api.Principals() {
		fmt.Fprintf(table, "\t%s", p)
	}
	fmt.Fprintln(table)
	for _, pattern := range patternsIn(t, w.Mux()) {
		method, path, _ := strings.Cut(pattern, " ")
		fmt.Fprintf(table, "%s\t%s", pattern, verdictOverSocket(t, client, method, concrete(path)))
		for _, p := range api.Principals() {
			r := httptest.NewRequestWithContext(ended(), method, concrete(path), nil)
			rec := httptest.NewRecorder()
			w.Door(p).ServeHTTP(rec, r)
			fmt.Fprintf(table, "\t%s", verdict(t, rec.Result()))
		}
		fmt.Fprintln(table)
	}
	table.Flush()
	golden(t, "testdata/access.golden", b.Bytes())
}

// verdict tells a refusal by the table from everything else, which includes
// what a handler refuses.
func verdict(t *testing.T, answer *http.Response) string {
	t.Helper()
	if answer.StatusCode < 400 {
		return "allow"
	}
	var problem struct{ Code, Detail string }
	if err := json.NewDecoder(answer.Body).Decode(&problem); err != nil {
		t.Fatal(err)
	}
	switch {
	case problem.Code == "forbidden" && answer.StatusCode == 403:
		return "403"
	case problem.Detail == "There is no such route.", answer.StatusCode == 405:
		return fmt.Sprint(answer.StatusCode)
	}
	return "allow"
}

func verdictOverSocket(t *testing.T, c *http.Client, method, path string) string {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, "http://keyturn"+path, nil)
	must(t, err)
	answer, err := c.Do(r)
	must(t, err)
	defer answer.Body.Close()
	return verdict(t, answer)
}

// patternsIn walks the routing tree of a mux: what a dependency may have added
// is in there, whatever our table says.
func patternsIn(t *testing.T, mux *http.ServeMux) []string {
	t.Helper()
	var found []string
	seen := map[uintptr]bool{}
	var walk func(v reflect.Value)
	walk = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.Pointer:
			if v.IsNil() || seen[v.Pointer()] {
				return
			}
			seen[v.Pointer()] = true
			if v.Type().String() == "*http.pattern" {
				found = append(found, v.Elem().FieldByName("str").String())
				return
			}
			walk(v.Elem())
		case reflect.Struct:
			for i := range v.NumField() {
				walk(v.Field(i))
			}
		case reflect.Slice, reflect.Array:
			for i := range v.Len() {
				walk(v.Index(i))
			}
		case reflect.Map:
			for i := v.MapRange(); i.Next(); {
				walk(i.Value())
			}
		}
	}
	walk(reflect.ValueOf(mux).Elem())
	slices.Sort(found)
	return slices.Compact(found)
}

func TestNothingIsOnTheMuxThatIsNotInTheTable(t *testing.T) {
	w := newWorld(t, setup{})
	var table []string
	for _, row := range api.Table() {
		table = append(table, row.Method+" "+row.Path)
	}
	slices.Sort(table)
	if mux := patternsIn(t, w.Mux()); !slices.Equal(mux, table) {
		t.Errorf("RP-07 the mux has\n%s\nthe table has\n%s", strings.Join(mux, "\n"), strings.Join(table, "\n"))
	}
	t.Run("RP-07 a route that a dependency adds is not served", func(t *testing.T) {
		w.Mux().HandleFunc("GET /v1/debug", func(http.ResponseWriter, *http.Request) { t.Error("reached") })
		if got := len(patternsIn(t, w.Mux())); got != len(table)+1 {
			t.Fatalf("the walk sees %d patterns, want %d", got, len(table)+1)
		}
		for _, p := range api.Principals() {
			rec := httptest.NewRecorder()
			w.Door(p).ServeHTTP(rec, httptest.NewRequestWithContext(ended(), "GET", "/v1/debug", nil))
			if rec.Code != http.StatusNotFound {
				t.Errorf("%v: %d", p, rec.Code)
			}
		}
	})
	t.Run("RP-07 huma's own routes are off", func(t *testing.T) {
		for _, path := range []string{"/docs", "/openapi.json", "/openapi.yaml", "/openapi-3.0.json", "/schemas/Token.json", "/schemas/token", "/debug/pprof/", "/debug/vars", "/"} {
			rec := httptest.NewRecorder()
			w.Door(api.Local).ServeHTTP(rec, httptest.NewRequestWithContext(ended(), "GET", path, nil))
			if rec.Code != http.StatusNotFound {
				t.Errorf("%s: %d", path, rec.Code)
			}
		}
	})
}

func TestARouteWithoutAccessCannotBeBuilt(t *testing.T) {
	defer func() {
		if v := fmt.Sprint(recover()); !strings.Contains(v, "GET /v1/forgotten does not say who may call it") {
			t.Errorf("RP-01 recovered %q", v)
		}
	}()
	api.NewWithARouteForNobody(api.Options{}, "GET", "/v1/forgotten")
	t.Error("RP-01 it was built")
}

func TestRoutesAreSorted(t *testing.T) {
	rows := api.Table()
	if !slices.IsSortedFunc(rows, func(a, b api.Row) int {
		return strings.Compare(a.Path+" "+a.Method, b.Path+" "+b.Method)
	}) {
		t.Error("the table is not sorted by path, then method")
	}
	for i, row := range rows[1:] {
		if row.Path == rows[i].Path && row.Method == rows[i].Method {
			t.Errorf("%s %s is there twice", row.Method, row.Path)
		}
	}
}

func TestTheGatewayMayCallOneRouteAndNobodyAny(t *testing.T) {
	w := newWorld(t, setup{})
	for _, p := range []api.Principal{api.Gateway, api.Principals()[0], 77} {
		for _, row := range api.Table() {
			if p == api.Gateway && row.Path == "/v1/internal/oauth/callback" {
				continue
			}
			r := httptest.NewRequestWithContext(ended(), row.Method, concrete(row.Path), nil)
			if answer := checked(t, w.Server, p, r); answer.StatusCode != http.StatusForbidden {
				t.Errorf("RP-05, RP-10 %v %s %s: %d, want 403", p, row.Method, row.Path, answer.StatusCode)
			}
		}
	}
	if w.quits > 0 || len(w.shown) > 0 {
		t.Error("something happened")
	}
}

// TestOtherSpellingsOfAPathDoNotExist: an id can hold anything but what a
// canonical path is made of, so every other spelling of a route is no route.
func TestOtherSpellingsOfAPathDoNotExist(t *testing.T) {
	w := newWorld(t, setup{})
	spell := map[string]func(string) string{
		"upper case":       strings.ToUpper,
		"double slash":     func(p string) string { return "/" + p },
		"inner slashes":    func(p string) string { return strings.Replace(p, "/v1/", "/v1//", 1) },
		"trailing slash":   func(p string) string { return p + "/" },
		"dot":              func(p string) string { return strings.Replace(p, "/v1/", "/v1/./", 1) },
		"dot dot":          func(p string) string { return strings.Replace(p, "/v1/", "/v1/x/../", 1) },
		"encoded slash":    func(p string) string { return strings.Replace(p, "/v1/", "/v1%2f", 1) },
		"encoded letter":   func(p string) string { return strings.Replace(p, "/v1/", "/%761/", 1) },
		"matrix parameter": func(p string) string { return p + ";x=1" },
		"encoded NUL":      func(p string) string { return p + "%00" },
		"space":            func(p string) string { return p + "%20" },
		"backslash":        func(p string) string { return strings.Replace(p, "/v1/", "/v1%5c", 1) },
	}
	for name, spelled := range spell {
		t.Run("RP-08 "+name, func(t *testing.T) {
			for _, row := range api.Table() {
				for _, p := range api.Principals() {
					r := httptest.NewRequestWithContext(ended(), row.Method, "http://keyturn"+spelled(concrete(row.Path)), nil)
					answer := checked(t, w.Server, p, r)
					if answer.StatusCode != http.StatusNotFound || answer.Header.Get("Location") != "" {
						t.Errorf("%v %s: %d %s", p, r.URL, answer.StatusCode, answer.Header.Get("Location"))
					}
				}
			}
		})
	}
	t.Run("E20 ids", func(t *testing.T) {
		for _, id := range []string{"..%2f..%2fx", "%2e%2e", "a.b", "Ä", "x%00", strings.Repeat("a", 65), "{id}"} {
			r := httptest.NewRequestWithContext(ended(), "GET", "http://keyturn/v1/connections/"+id, nil)
			if answer := checked(t, w.Server, api.Local, r); answer.StatusCode != http.StatusNotFound {
				t.Errorf("%s: %d", id, answer.StatusCode)
			}
		}
	})
}

func TestMethodsAreExact(t *testing.T) {
	w := newWorld(t, setup{})
	has := map[string][]string{}
	for _, row := range api.Table() {
		has[row.Path] = append(has[row.Path], row.Method)
	}
	for path, methods := range has {
		for _, method := range []string{"HEAD", "GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "get", "PROPFIND"} {
			if slices.Contains(methods, method) {
				continue
			}
			for _, p := range []api.Principal{api.Local, api.Window} {
				rec := httptest.NewRecorder()
				w.Door(p).ServeHTTP(rec, httptest.NewRequestWithContext(ended(), method, concrete(path), nil))
				if rec.Code != http.StatusMethodNotAllowed || rec.Header().Get("Allow") != strings.Join(methods, ", ") {
					t.Errorf("TK-02 %v %s %s: %d, Allow %q", p, method, path, rec.Code, rec.Header().Get("Allow"))
				}
			}
		}
	}
}

func TestTheDocumentIsTheTable(t *testing.T) {
	w := newWorld(t, setup{})
	golden(t, "openapi.json", w.OpenAPI())
	if bytes.Contains(w.OpenAPI(), []byte("$schema")) {
		t.Error("answers have a $schema member")
	}
	documented := 0
	for _, item := range w.Document().Paths {
		for _, op := range []any{item.Get, item.Post, item.Put, item.Patch, item.Delete, item.Head, item.Options, item.Trace} {
			if !reflect.ValueOf(op).IsNil() {
				documented++
			}
		}
	}
	for _, row := range api.Table() {
		op := operation(w.Document(), row.Method, row.Path)
		if op == nil {
			t.Errorf("%s %s is not documented", row.Method, row.Path)
			continue
		}
		if !reflect.DeepEqual(op.Extensions["x-access"], row.Admits) {
			t.Errorf("%s %s: the document says %v, the table %v", row.Method, row.Path, op.Extensions["x-access"], row.Admits)
		}
	}
	if documented != len(api.Table()) {
		t.Errorf("%d operations are documented, the table has %d", documented, len(api.Table()))
	}
	answer := checked(t, w.Server, api.Local, httptest.NewRequestWithContext(ended(), "GET", "/v1/openapi.json", nil))
	if served, _ := io.ReadAll(answer.Body); !bytes.Equal(served, w.OpenAPI()) {
		t.Error("what is served is not what is checked in")
	}
}
