package backend_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// allowed is the drawing in doc.go as a table: package → the packages of ours
// that its non-test files may import, and do. A package that is not named here
// fails, and so does an arrow that nobody uses.
var allowed = map[string][]string{
	"backend":                         {},
	"backend/fault":                   {},
	"backend/text":                    {},
	"backend/strictjson":              {},
	"backend/place":                   {},
	"backend/socket":                  {},
	"backend/api/wire":                {},
	"backend/activity":                {"text"},
	"backend/config":                  {"fault"},
	"backend/oauth":                   {"fault", "text", "strictjson"},
	"backend/provider":                {"oauth", "fault", "text"},
	"backend/orchestrator":            {"provider", "oauth", "fault", "activity"},
	"backend/transport":               {"oauth", "fault", "text", "page", "relay"},
	"backend/transport/transporttest": {"oauth", "fault"},
	"backend/store":                   {"orchestrator", "provider", "oauth", "fault", "text"},
	"backend/store/storetest":         {"orchestrator", "provider", "oauth", "fault"},
	"backend/page":                    {"oauth", "fault", "text"},
	"backend/gateway":                 {"oauth", "page", "fault", "strictjson"},
	"backend/bundle":                  {"orchestrator", "provider", "oauth", "fault", "strictjson"},
	"backend/webui":                   {"fault"},
	"backend/api":                     {"api/wire", "request", "bundle", "orchestrator", "provider", "oauth", "fault", "text", "strictjson", "activity", "socket"},
	"backend/request":                 {"orchestrator", "provider", "oauth", "fault", "text"},
	"backend/client":                  {"api/wire", "socket", "fault"},
	"backend/relay":                   {"oauth", "fault", "strictjson"},
	"backend/relay/hub":               {"relay", "oauth"},
	"backend/demo":                    {"text", "fault"},
	"backend/demo/evilas":             {},
	"app/open":                        {"fault"},
	"app/texts":                       {"fault", "orchestrator"},
	"app/cli":                         {"app/open", "client", "api/wire", "place", "fault", "text"},
}

// onlyIn lists imports that belong to one place.
var onlyIn = map[string]string{
	"github.com/wailsapp/wails":      "app",
	"fyne.io/systray":                "app",
	"github.com/pkg/browser":         "app/open",
	"modernc.org/sqlite":             "backend/store",
	"github.com/zalando/go-keyring":  "backend/store",
	"github.com/danielgtaylor/huma":  "backend/api",
	"github.com/nats-io/nats-server": "backend/relay/hub", // never in the app
	"golang.org/x/oauth2":            "nowhere",           // see the oauth package
	"net/http/pprof":                 "nowhere",
	"expvar":                         "nowhere",
}

// yardstick is the blank program that the desktop's memory is compared with.
const yardstick = "app/bench/blank"

func TestImportsPointDown(t *testing.T) {
	docs := map[string]int{}
	used := map[string]map[string]bool{}
	root := ".."
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			switch d.Name() {
			case "node_modules", ".git", "testdata", ".dev", "dist", "tools", "bin":
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		rel, _ := filepath.Rel(root, name)
		pkg := path.Dir(filepath.ToSlash(rel))
		src, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, src, parser.ImportsOnly|parser.ParseComments)
		if err != nil {
			return err
		}
		if file.Doc != nil && strings.HasPrefix(file.Doc.Text(), "Package ") || file.Name.Name == "main" && file.Doc != nil {
			docs[pkg]++
		} else if _, seen := docs[pkg]; !seen {
			docs[pkg] = 0
		}
		for _, spec := range file.Imports {
			imported := strings.Trim(spec.Path.Value, `"`)
			for prefix, home := range onlyIn {
				if strings.HasPrefix(imported, prefix) && pkg != home && pkg != yardstick {
					t.Errorf("%s imports %s, which belongs to %s", rel, imported, home)
				}
			}
			ours, ok := strings.CutPrefix(imported, "keyturn/")
			if !ok {
				continue
			}
			may, listed := allowed[pkg]
			if !listed {
				continue // app and main may import everything; new packages are caught below
			}
			ours = strings.TrimPrefix(ours, "backend/")
			if used[pkg] == nil {
				used[pkg] = map[string]bool{}
			}
			used[pkg][ours] = true
			if !slices.Contains(may, ours) {
				t.Errorf("%s imports %s: the drawing in doc.go has no such arrow", rel, imported)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for pkg, may := range allowed {
		if _, there := docs[pkg]; !there {
			t.Errorf("%s is in the table and is no package", pkg)
		}
		for _, ours := range may {
			if !used[pkg][ours] {
				t.Errorf("%s does not import %s: take the arrow out of the table", pkg, ours)
			}
		}
	}
	for pkg, n := range docs {
		if _, listed := allowed[pkg]; !listed && strings.HasPrefix(pkg, "backend/") {
			t.Errorf("%s is not in the drawing: add it to doc.go and to this table", pkg)
		}
		if n != 1 {
			t.Errorf("%s has %d package comments, want one", pkg, n)
		}
	}
}
