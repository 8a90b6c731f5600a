// Package api serves the orchestrator over HTTP from one table.
//
// The table (routes.go) is the API, the access policy and the OpenAPI document
// at once. A door decides who is calling; the table decides what they may do;
// handlers contain no permission checks. What is not in the table does not
// exist (404), what is not for the caller is refused (403), and a row that
// does not say whom it is for cannot be built.
//
// Requests are read strictly: canonical paths, exact methods, no query but
// where the table has one, bodies of at most 64 KiB that are one JSON object
// with known members, each once. Answers are JSON and never cached; failures
// are problem documents (RFC 9457) with a stable code. Only the token routes, which are for local programs
// alone, have an answer that holds a secret. One route streams: a call to a
// provider's API may be as large as it likes (request_stream.go).
package api

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"keyturn/backend/activity"
	"keyturn/backend/api/wire"
	"keyturn/backend/orchestrator"
	"keyturn/backend/request"
)

// Options are the parts a Server is built from. All are required but Show.
type Options struct {
	Orchestrator *orchestrator.Orchestrator
	Requests     *request.Sender
	Version      string
	Program      string // "desktop" or "headless"
	CallbackPort int
	// Open opens the user's browser, for connects that the window starts.
	Open func(url string) error
	// Browsers are those that can be chosen.
	Browsers func() []wire.Browser
	// Show brings the window up; nil where there is none. Its error has a code.
	Show func(view string) error
	Quit func()
	// Locked hears that the store has been locked.
	Locked func()
	// BrowserUI makes a link into the browser UI, and says until when it is good.
	BrowserUI func() (address string, expires time.Time, err error)
	// Diagnose looks at everything that has to be in order.
	Diagnose func(ctx context.Context) []wire.Check
	// Activity is where it is recorded who reads tokens; may be nil.
	Activity     *activity.Log
	Settings     func() wire.Settings
	SaveSettings func(wire.Settings) error
	Gateways     Gateways
	Log          *slog.Logger
}

// Server is the API of one process; its doors share it.
type Server struct {
	opts     Options
	o        *orchestrator.Orchestrator
	activity *activity.Log
	log      *slog.Logger
	mux      *http.ServeMux // private; nothing but the table is in it
	rows     map[string]row // by the pattern in mux
	openapi  func() []byte  // the document, made when first asked for
	streams  atomic.Int32   // open event streams
	// requests counts calls to providers in progress.
	requests atomic.Int32
	doc      *huma.OpenAPI
}

// row is what a door has to know about a route.
type row struct {
	route
	takesBody bool
	query     []string // the parameters it takes
}

// New builds the mux and the document from the table. It panics when a row
// has no access policy: such a program must not start.
func New(opts Options) *Server { return build(opts, routes()) }

func build(opts Options, table []route) *Server {
	s := &Server{
		opts:     opts,
		o:        opts.Orchestrator,
		activity: opts.Activity,
		log:      opts.Log,
		mux:      http.NewServeMux(),
		rows:     make(map[string]row, len(table)),
	}
	// Not huma.DefaultConfig: it adds routes of its own (documentation with
	// scripts from elsewhere, schemas) and a $schema member to every answer.
	api := humago.New(s.mux, huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info:    &huma.Info{Title: "Keyturn", Version: "1", Description: "The local API of Keyturn."},
			Components: &huma.Components{
				Schemas: huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer),
			},
		},
		Formats: map[string]huma.Format{
			"application/json":         huma.DefaultJSONFormat,
			"application/problem+json": huma.DefaultJSONFormat,
		},
		DefaultFormat: "application/json",
	})
	for _, r := range table {
		if r.access == 0 {
			panic(fmt.Sprintf("api: %s %s does not say who may call it", r.method, r.path))
		}
		op := huma.Operation{
			OperationID: r.name,
			Method:      r.method,
			Path:        r.path,
			Summary:     r.summary,
			Responses:   map[string]*huma.Response{},
			// The door has read the body. A deadline from huma would now end
			// slow work: net/http is reading on, to notice who hangs up.
			BodyReadTimeout: -1,
			Extensions:      map[string]any{"x-access": r.access.names()},
		}
		r.register(s, api, &op)
		said := documented(api.OpenAPI(), r)
		s.rows[r.method+" "+r.path] = row{route: r, takesBody: said.RequestBody != nil, query: queryOf(said)}
	}
	s.doc = api.OpenAPI()
	s.openapi = sync.OnceValue(s.document)
	return s
}

// documented returns what the document says about a route.
func documented(doc *huma.OpenAPI, r route) *huma.Operation {
	item := doc.Paths[r.path]
	if r.method == http.MethodGet {
		return item.Get
	}
	return item.Post
}

// queryOf lists the parameters that a route takes in its query.
func queryOf(op *huma.Operation) []string {
	var names []string
	for _, p := range op.Parameters {
		if p.In == "query" {
			names = append(names, p.Name)
		}
	}
	return names
}
