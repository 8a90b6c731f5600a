package api

import (
	"context"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
)

// A route is one operation. The table below is the whole API: the mux, the
// access policy and the OpenAPI document are made from it and from nothing
// else.
type route struct {
	method, path string
	access       access // the zero value is nobody, and refuses to be built
	name         string // operationId
	summary      string
	binding
}

// A binding connects a route to its handler.
type binding struct {
	// register puts the route on the mux and into the document.
	register func(s *Server, api huma.API, op *huma.Operation)
	// quick, when there is one, answers what it can without huma, and reports
	// whether it did. It is called where the mux would be, after every check.
	quick func(s *Server, w http.ResponseWriter, r *http.Request, body []byte) bool
	// streams: a request with its call in the header is handed to quick with
	// its body unread.
	streams bool
	// maxBody is how long a body in JSON may be; 0 means 64 KiB.
	maxBody int64
}

// routes returns the table, sorted by path, then method.
func routes() []route {
	return []route{
		{"GET", "/v1/activity", user, "listActivity", "List what happened to grants, and which programs read tokens", typed((*Server).listActivity)},
		{"GET", "/v1/apps", user, "listApps", "List the OAuth apps", typed((*Server).listApps)},
		{"POST", "/v1/apps", user, "upsertApp", "Register an OAuth app, or change one", typed((*Server).upsertApp)},
		{"POST", "/v1/apps/{id}/delete", user, "deleteApp", "Forget an OAuth app", typed((*Server).deleteApp)},
		{"GET", "/v1/attempts", user, "listAttempts", "List authorizations in progress and just ended", typed((*Server).listAttempts)},
		{"POST", "/v1/attempts/{state}/open", windowOnly, "openAttempt", "Open the page of an authorization in progress again", typed((*Server).openAttempt)},
		{"GET", "/v1/browsers", user, "listBrowsers", "List the browsers in which pages can be opened", typed((*Server).listBrowsers)},
		{"GET", "/v1/connections", user, "listConnections", "List the connections", typed((*Server).listConnections)},
		{"GET", "/v1/connections/{id}", user, "getConnection", "Read one connection", typed((*Server).getConnection)},
		{"POST", "/v1/connections/{id}/disconnect", user, "disconnect", "Revoke a grant, then forget it", typed((*Server).disconnect)},
		{"POST", "/v1/connections/{id}/ping", user, "ping", "Ask the provider whether the token works", typed((*Server).ping)},
		{"POST", "/v1/connections/{id}/token", localOnly, "connectionToken", "Read a fresh access token of a connection", typed((*Server).connectionToken)},
		{"GET", "/v1/diagnosis", user, "diagnose", "Check everything that has to be in order", typed((*Server).diagnose)},
		{"POST", "/v1/disconnect", user, "disconnectByAccount", "Revoke the grant of a provider and account, then forget it", typed((*Server).disconnectByAccount)},
		{"GET", "/v1/events", user, "events", "Hear that something changed, as server-sent events", raw((*Server).events, describeEvents)},
		{"POST", "/v1/export", localOnly, "exportAll", "Write everything into one sealed file, to move to another computer", typed((*Server).exportAll)},
		{"POST", "/v1/gateway", user, "addGateway", "Test a gateway, and use it from now on", typed((*Server).addGateway)},
		{"POST", "/v1/gateway/check", user, "checkGateway", "Send a test callback through the gateway", typed((*Server).checkGateway)},
		{"POST", "/v1/gateway/remove", user, "removeGateway", "Use no gateway from now on", typed((*Server).removeGateway)},
		{"POST", "/v1/hand-outs", user, "setHandOuts", "Hold back tokens from every program, or let them go on", typed((*Server).setHandOuts)},
		{"GET", "/v1/health", user, "health", "Ask whether Keyturn runs, and which", typed((*Server).health)},
		{"POST", "/v1/import", localOnly, "importAll", "Take what exportAll wrote", typed((*Server).importAll)},
		{"POST", "/v1/internal/oauth/callback", gatewayOnly, "forwardedCallback", "Bring an authorization response; the answer is what became of it", typed((*Server).forwardedCallback)},
		{"POST", "/v1/internal/oauth/connect/start", user, "startConnect", "Start an authorization, or join an equal one", typed((*Server).startConnect)},
		{"GET", "/v1/internal/oauth/connect/status/{state}", user, "connectStatus", "Read how an authorization stands", typed((*Server).connectStatus)},
		{"POST", "/v1/internal/oauth/connect/{state}/cancel", user, "cancelConnect", "Cancel an authorization; ending an ended one is no error", typed((*Server).cancelConnect)},
		{"POST", "/v1/internal/oauth/connect/{state}/confirm", user, "confirmResponse", "Confirm a response with the code that the browser shows", typed((*Server).confirmResponse)},
		{"POST", "/v1/internal/oauth/connect/{state}/paste", user, "pasteResponse", "Bring the response from a page that did not load", typed((*Server).pasteResponse)},
		{"POST", "/v1/internal/oauth/connect/{state}/restart", person, "restartConnect", "End an authorization and start it anew", typed((*Server).restartConnect)},
		{"POST", "/v1/internal/open", localOnly, "open", "Show the window", typed((*Server).open)},
		{"POST", "/v1/internal/quit", localOrWindow, "quit", "End Keyturn", typed((*Server).quit)},
		{"POST", "/v1/internal/ui", localOnly, "openBrowserUI", "Make a link into the browser UI, good once and for a minute", typed((*Server).openBrowserUI)},
		{"GET", "/v1/mcp-servers", user, "listMCPServers", "List public MCP servers; each is connected by its address", typed((*Server).listMCPServers)},
		{"GET", "/v1/openapi.json", user, "openapi", "Read this document", raw((*Server).serveDocument, describeDocument)},
		{"POST", "/v1/ping", user, "pingByAccount", "Ask a provider whether the token of an account works", typed((*Server).pingByAccount)},
		{"POST", "/v1/provider-files/import", user, "importProvider", "Keep the provider that a file describes", typed((*Server).importProvider)},
		{"POST", "/v1/provider-files/preview", user, "previewProvider", "Read a provider file and say what it would do", typed((*Server).previewProvider)},
		{"GET", "/v1/providers", user, "listProviders", "List the catalogue and the user's own providers", typed((*Server).listProviders)},
		{"POST", "/v1/providers", user, "registerProvider", "Add a provider of the user's own", typed((*Server).registerProvider)},
		{"GET", "/v1/providers/{id}", user, "getProvider", "Read one provider", typed((*Server).getProvider)},
		{"POST", "/v1/providers/{id}", user, "updateProvider", "Change a provider of the user's own: absent members stay as they are", typed((*Server).updateProvider)},
		{"POST", "/v1/providers/{id}/console", windowOnly, "openConsole", "Open the page where an OAuth app is registered", typed((*Server).openConsole)},
		{"POST", "/v1/providers/{id}/delete", user, "deleteProvider", "Forget a provider of the user's own", typed((*Server).deleteProvider)},
		{"POST", "/v1/request", localOnly, "request", "Call a provider's API with the token of an account", typed((*Server).request).or((*Server).streamRequest).streamed("/v1/request").upTo(maxCallJSON)},
		{"GET", "/v1/settings", user, "getSettings", "Read the settings", typed((*Server).getSettings)},
		{"POST", "/v1/settings", user, "saveSettings", "Change the settings", typed((*Server).saveSettings)},
		{"POST", "/v1/store/lock", user, "lockStore", "Forget every token and the key to them", typed((*Server).lockStore)},
		{"POST", "/v1/store/protector", localOnly, "changeProtector", "Change what guards the key", typed((*Server).changeProtector)},
		{"POST", "/v1/store/unlock", user, "unlockStore", "Get the key again", typed((*Server).unlockStore)},
		{"POST", "/v1/token", localOnly, "token", "Read a fresh access token", typed((*Server).token).or((*Server).quickToken)},
	}
}

// The shapes of requests, as huma reads them.
type (
	nothing struct{}
	named   struct {
		ID string `path:"id" pattern:"^[a-z0-9_-]{1,64}$"`
	}
	ofAttempt struct {
		State string `path:"state" pattern:"^[a-z0-9_-]{1,64}$" doc:"Status handle"`
	}
	ofAttemptWith[B any] struct {
		State string `path:"state" pattern:"^[a-z0-9_-]{1,64}$" doc:"Status handle"`
		Body  B
	}
	with[B any] struct {
		Body B
	}
	namedWith[B any] struct {
		ID   string `path:"id" pattern:"^[a-z0-9_-]{1,64}$"`
		Body B
	}
)

// typed binds a handler whose request and answer are Go types.
func typed[I, O any](handle func(*Server, context.Context, *I) (O, error)) binding {
	type answered struct{ Body O }
	return binding{register: func(s *Server, api huma.API, op *huma.Operation) {
		huma.Register(api, *op, func(ctx context.Context, in *I) (*answered, error) {
			out, err := handle(s, ctx, in)
			if err != nil {
				return nil, s.fail(ctx, op.OperationID, err)
			}
			return &answered{out}, nil
		})
	}}
}

// or adds the quick way to a binding.
func (b binding) or(quick func(*Server, http.ResponseWriter, *http.Request, []byte) bool) binding {
	b.quick = quick
	return b
}

// upTo allows bodies of another length.
func (b binding) upTo(n int64) binding {
	b.maxBody = n
	return b
}

// raw binds a handler that writes its own answer, which describe puts into the
// document.
func raw(handle func(*Server, http.ResponseWriter, *http.Request) error, describe func(*huma.Operation)) binding {
	return binding{register: func(s *Server, api huma.API, op *huma.Operation) {
		describe(op)
		op.Responses["default"] = &huma.Response{
			Description: "Error",
			Content: map[string]*huma.MediaType{"application/problem+json": {
				Schema: api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[problem](), true, "Problem"),
			}},
		}
		api.OpenAPI().AddOperation(op)
		api.Adapter().Handle(op, func(ctx huma.Context) {
			r, w := humago.Unwrap(ctx)
			if err := handle(s, w, r); err != nil {
				s.fail(r.Context(), op.OperationID, err).write(w)
			}
		})
	}}
}
