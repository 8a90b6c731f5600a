package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"keyturn/backend/api/wire"
)

// latency is how long everything takes at the other end: nothing does in no
// time.
const latency = 5 * time.Millisecond

// fakeApp is a Keyturn as far as the command line can see: the routes of the
// local API on a socket, a few providers, and a person at the browser who does
// what the test says. It remembers everything it was asked.
type fakeApp struct {
	socket string
	server *http.Server

	mu          sync.Mutex
	bell        chan struct{} // closed and replaced when something changes
	asked       []string      // "POST /v1/token {…}"
	person      string        // what becomes of the next attempt
	drop        int           // so many looks at the status get no answer
	all         string        // answers everything: "problem", "html", "half"
	token       string
	pinged      int
	store       string
	attempts    []wire.Attempt
	connections []wire.Connection
	apps        []wire.App
	custom      []wire.ProviderSummary
	checks      []wire.Check
	happened    []wire.Event // oldest first
	notRecorded bool
	gateway     string
	host        string   // where it runs
	ways        []string // of demo
}

func newFakeApp(socket string) *fakeApp {
	return &fakeApp{
		socket: socket,
		bell:   make(chan struct{}),
		person: "approves",
		token:  "token-of-ada",
		pinged: 200,
		checks: []wire.Check{{Name: "store", Status: "ok", Says: "The store is open."}},
	}
}

// start listens; stop makes it go away, with everything it had in memory.
func (a *fakeApp) start() error {
	if err := os.MkdirAll(filepath.Dir(a.socket), 0o700); err != nil {
		return err
	}
	os.Remove(a.socket)
	l, err := net.Listen("unix", a.socket)
	if err != nil {
		return err
	}
	a.server = &http.Server{Handler: a}
	go a.server.Serve(l)
	return os.Chmod(a.socket, 0o600)
}

func (a *fakeApp) stop() {
	if a.server != nil {
		a.server.Close()
		a.server = nil
	}
}

func (a *fakeApp) ringLocked() {
	close(a.bell)
	a.bell = make(chan struct{})
}

// changed runs change and rings.
func (a *fakeApp) changed(change func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	change()
	a.ringLocked()
}

// wasAsked reports whether a request matches pattern.
func (a *fakeApp) wasAsked(pattern *regexp.Regexp) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.ContainsFunc(a.asked, pattern.MatchString)
}

var (
	anExpiry = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	aMoment  = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
)

// connectionAs is a connection of demo.
func connectionAs(account string) wire.Connection {
	return wire.Connection{ID: "con_" + regexp.MustCompile(`[^a-z]`).ReplaceAllString(account, ""), Provider: "demo", ProviderName: "Demo", ClientID: "keyturn-demo",
		Account: account, GrantedScopes: []string{"read", "write"}, Status: "connected", Health: "connected", ExpiresAt: &anExpiry, HasRefreshToken: true, CreatedAt: aMoment}
}

func (a *fakeApp) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	time.Sleep(latency)
	a.mu.Lock()
	a.asked = append(a.asked, strings.TrimSpace(r.Method+" "+r.URL.RequestURI()+" "+r.Header.Get(wire.RequestHeader)+string(body)))
	all, person := a.all, a.person
	a.mu.Unlock()
	if person == "never-hears" && strings.HasSuffix(r.URL.Path, "/cancel") {
		<-r.Context().Done()
		return
	}
	switch all {
	case "problem":
		problem(w, 503, "store_locked", "The store is locked. Unlock your keyring.")
		return
	case "html":
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, "<html>raw body</html>")
		return
	case "half":
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, `{"ok":true,"raw body":`)
		return
	}
	if r.URL.Path == "/v1/request" {
		a.request(w, r, body)
		return
	}
	if r.URL.Path == "/v1/events" {
		a.events(w, r)
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.routeLocked(w, r.Method, strings.Split(strings.TrimPrefix(r.URL.Path, "/v1/"), "/"), r.URL.Query(), body)
}

func (a *fakeApp) routeLocked(w http.ResponseWriter, method string, path []string, query url.Values, body []byte) {
	id := ""
	if len(path) > 1 {
		id = path[1]
	}
	switch route := method + " " + path[0]; {
	case route == "GET health":
		reply(w, wire.Health{OK: true, Version: version, PID: 7, Program: "headless", Host: a.host})
	case route == "GET diagnosis":
		reply(w, wire.Diagnosis{Checks: a.checks})
	case route == "GET attempts":
		reply(w, wire.Attempts{Attempts: a.attempts})
	case route == "GET activity":
		a.activityLocked(w, query)
	case route == "GET connections":
		out := wire.Connections{Protector: "keyring", Store: a.store, Connections: a.connections}
		if a.store != "" {
			out.StoreError = "The keyring is locked."
		}
		reply(w, out)
	case route == "GET apps":
		reply(w, wire.Apps{Apps: a.apps})
	case route == "POST apps" && id == "":
		var in wire.AppUpsert
		json.Unmarshal(body, &in)
		app := wire.App{ID: "app_1", Provider: in.Provider, ClientID: in.ClientID, HasClientSecret: in.ClientSecret != "", CreatedAt: aMoment, UpdatedAt: aMoment}
		a.apps = append(a.apps, app)
		reply(w, app)
	case route == "POST apps":
		reply(w, wire.Deleted{ID: id})
	case route == "POST gateway" && id == "remove":
		a.gateway = ""
		reply(w, wire.Done{OK: true})
	case route == "POST gateway":
		var in wire.GatewayAdd
		json.Unmarshal(body, &in)
		if in.Enrolment != "" {
			reply(w, wire.Gateway{URL: "https://gateway.example", RedirectURI: "https://gateway.example/oauth/callback/{provider}", CameHomeMS: 17, Relay: true})
			return
		}
		if in.URL == "" {
			in.URL = a.gateway
		}
		if in.URL == "" {
			problem(w, 404, "not_found", "No gateway is set up.")
			return
		}
		a.gateway = in.URL
		reply(w, wire.Gateway{URL: in.URL, RedirectURI: in.URL + "/oauth/callback/{provider}", CameHomeMS: 41})
	case route == "GET providers" && id == "":
		reply(w, wire.Providers{Providers: append([]wire.ProviderSummary{demo, github}, a.custom...)})
	case route == "POST providers" && id == "":
		var in wire.ProviderRegister
		json.Unmarshal(body, &in)
		p := wire.ProviderSummary{ID: in.ProviderKey, Name: in.DisplayName, Custom: true, RedirectURI: "http://127.0.0.1:27419/oauth/callback/" + in.ProviderKey}
		a.custom = append(a.custom, p)
		reply(w, wire.Provider{ProviderSummary: p})
	case route == "POST hand-outs":
		var in wire.HandOuts
		json.Unmarshal(body, &in)
		reply(w, in)
	case path[0] == "internal" && id == "ui":
		reply(w, wire.BrowserUI{URL: "http://127.0.0.1:40123/#enter=once", ExpiresAt: anExpiry})
	case route == "POST provider-files" && id == "preview":
		var in wire.ProviderDocument
		json.Unmarshal(body, &in)
		p := wire.ProviderSummary{ID: "forge", Name: "Forge", Custom: true, RedirectURI: "http://127.0.0.1:27419/oauth/callback/forge"}
		reply(w, wire.ProviderPreview{Document: in.Document, Provider: wire.Provider{ProviderSummary: p}, Approve: "https://forge.example",
			SendsTo: []string{"https://forge.example", "https://evil.example"}, Warnings: []string{"What comes of it would go to another owner's evil.example."}})
	case route == "POST provider-files":
		a.custom = append(a.custom, wire.ProviderSummary{ID: "forge", Name: "Forge", Custom: true})
		reply(w, wire.Provider{ProviderSummary: a.custom[len(a.custom)-1]})
	case path[0] == "providers" && id != "demo" && id != "github" && !slices.ContainsFunc(a.custom, func(p wire.ProviderSummary) bool { return p.ID == id }):
		problem(w, 404, "unknown_provider", "There is no provider "+id+". Did you mean demo?")
	case route == "GET providers", route == "POST providers" && len(path) == 2:
		p := demo
		p.ID = id
		reply(w, wire.Provider{ProviderSummary: p, CallbackTransports: a.ways, AuthorizationURL: "https://demo.example/authorize", TokenURL: "https://demo.example/token",
			TokenAuthMethods: []string{"none"}, Scopes: []wire.ProviderScope{{Name: "read", Says: "Read your notes.", Default: true}}, Steps: []string{"Open the console."}})
	case route == "GET mcp-servers":
		reply(w, wire.MCPServers{Servers: []wire.MCPServer{{Name: "Demo", URL: "https://mcp.demo.example/mcp"}}})
	case route == "POST providers":
		reply(w, wire.Deleted{ID: id})
	case route == "POST token":
		a.tokenLocked(w, body)
	case route == "POST ping":
		reply(w, wire.Ping{OK: a.pinged == 200, Provider: "demo", Account: "ada@example.com", Status: a.pinged})
	case route == "POST disconnect":
		if len(a.connections) == 0 {
			problem(w, 404, "not_connected", "demo is not connected.")
			return
		}
		c := a.connections[0]
		a.connections = a.connections[1:]
		a.ringLocked()
		reply(w, wire.Disconnected{Provider: "demo", ConnectionID: c.ID, Revoked: true})
	case route == "POST export":
		var in wire.Export
		json.Unmarshal(body, &in)
		out := wire.Exported{Path: in.Path, Connections: []wire.Moved{{ID: "con_1", Provider: "demo", Account: "ada"}}, Apps: 2, Providers: 1, Moved: in.Move}
		out.Rotating = out.Connections
		reply(w, out)
	case route == "POST import":
		var in wire.Import
		json.Unmarshal(body, &in)
		if in.Passphrase != "correct horse battery" {
			problem(w, 409, "wrong_passphrase", "The passphrase does not open this file.")
			return
		}
		reply(w, wire.Imported{Connections: []wire.Moved{{ID: "con_1", Provider: "demo", Account: "ada"}},
			Skipped: []wire.Skipped{{Kind: "app", Provider: "github", Name: "Iv1", Says: "It is there already."}}})
	case route == "POST store" && id == "lock":
		a.store = "store_locked"
		reply(w, wire.Done{OK: true})
	case route == "POST store" && id == "unlock":
		a.store = ""
		reply(w, wire.Done{OK: true})
	case route == "POST store" && id == "protector":
		var in wire.ProtectorChange
		json.Unmarshal(body, &in)
		if in.Protector == "keyring" {
			problem(w, 409, "conflict", "That is what guards the key already.")
			return
		}
		reply(w, wire.ProtectorChanged{Protector: in.Protector, Says: []string{"KEYTURN_KEY_FILE is set: unset it before Keyturn starts again."}})
	case route == "POST internal" && (id == "open" || id == "quit"):
		reply(w, wire.Done{OK: true})
	case path[0] == "internal" && len(path) == 5 && path[4] == "cancel":
		a.cancelLocked(path[3])
		reply(w, wire.Done{OK: true})
	case path[0] == "internal" && len(path) == 5 && path[4] == "confirm":
		reply(w, wire.Done{OK: true})
	case path[0] == "internal" && len(path) == 5 && path[4] == "paste":
		var in wire.Paste
		json.Unmarshal(body, &in)
		if !strings.Contains(in.Text, "code=") {
			problem(w, 400, "bad_request", "There is no code in that.")
			return
		}
		a.person = "approves"
		a.endLocked(path[3])
		a.ringLocked()
		reply(w, wire.Done{OK: true})
	case path[0] == "internal" && path[3] == "start":
		a.startLocked(w, body)
	case path[0] == "internal" && path[3] == "status":
		a.statusLocked(w, path[4])
	default:
		problem(w, 404, "not_found", "There is no such route.")
	}
}

var (
	demo   = wire.ProviderSummary{ID: "demo", Name: "Demo", Ready: true, RedirectURI: "http://127.0.0.1:27419/oauth/callback/demo"}
	github = wire.ProviderSummary{ID: "github", Name: "GitHub", Category: "code"}
)

// activityLocked lists what fits the query, newest first.
func (a *fakeApp) activityLocked(w http.ResponseWriter, query url.Values) {
	out := wire.Activity{Recording: !a.notRecorded, Activity: []wire.Event{}}
	limit, err := strconv.Atoi(query.Get("limit"))
	if err != nil {
		problem(w, 400, "bad_request", "The request is not valid.")
		return
	}
	since, _ := time.Parse(time.RFC3339, query.Get("since"))
	for _, e := range slices.Backward(a.happened) {
		if (query.Get("provider") == "" || query.Get("provider") == e.Provider) && !e.At.Before(since) && len(out.Activity) < limit {
			out.Activity = append(out.Activity, e)
		}
	}
	reply(w, out)
}

func (a *fakeApp) tokenLocked(w http.ResponseWriter, body []byte) {
	var in wire.TokenRequest
	json.Unmarshal(body, &in)
	switch {
	case in.Provider != "demo" || len(a.connections) == 0:
		problem(w, 404, "not_connected", in.Provider+" is not connected.")
	case len(a.connections) > 1 && in.Account == "":
		problem(w, 409, "ambiguous", "demo has several accounts: ada@example.com, grace@example.com. Name one.")
	default:
		reply(w, wire.Token{Token: a.token, TokenType: "Bearer", ExpiresAt: &anExpiry, GrantedScopes: []string{"read"}, ConnectionID: "con_1"})
	}
}

func (a *fakeApp) startLocked(w http.ResponseWriter, body []byte) {
	var in wire.ConnectStart
	json.Unmarshal(body, &in)
	if in.Service != "demo" {
		problem(w, 404, "unknown_provider", "There is no provider "+in.Service+". Did you mean demo?")
		return
	}
	if in.IfNeeded && len(a.connections) > 0 {
		c := a.connections[0]
		reply(w, wire.ConnectStarted{AlreadyConnected: true, ConnectionID: c.ID, AccountInfo: c.Account, GrantedScopes: c.GrantedScopes})
		return
	}
	for _, t := range a.attempts {
		if t.Status == "pending" {
			out := wire.ConnectStarted{
				AuthURL: authURL(t.State), State: t.State, ExpiresAt: &t.ExpiresAt, Transport: t.Transport, Joined: true,
				UserCode: t.UserCode, VerificationURI: t.VerificationURI,
			}
			if t.UserCode != "" {
				out.AuthURL = codeURL
			}
			reply(w, out)
			return
		}
	}
	state := fmt.Sprintf("handle%d", len(a.attempts)+1)
	ends := time.Now().Add(5 * time.Minute).UTC()
	if a.person == "expired-long-ago" {
		ends = time.Now().Add(-2 * time.Minute).UTC()
	}
	a.attempts = append(a.attempts, wire.Attempt{
		ConnectStatus: wire.ConnectStatus{Status: "pending", Service: "demo", Step: "waiting_for_browser", ExpiresAt: ends},
		State:         state, ServiceName: "Demo", Transport: "loopback", StartedAt: time.Now().UTC(),
	})
	a.ringLocked()
	out := wire.ConnectStarted{AuthURL: authURL(state), State: state, ExpiresAt: &ends, Transport: "loopback"}
	switch in.CallbackTransport {
	case "device":
		out.Transport, out.UserCode, out.VerificationURI = "device", "WDJB-MJHT", "https://demo.example/device"
		out.AuthURL = codeURL
		t := &a.attempts[len(a.attempts)-1]
		t.Transport, t.UserCode, t.VerificationURI = out.Transport, out.UserCode, out.VerificationURI
	case "paste":
		out.Transport, out.Pastes = "paste", true
	}
	if in.OpenBrowser {
		out.Browser = "opened"
	}
	switch a.person {
	case "gets-no-link":
		out.AuthURL = ""
	case "gets-a-strange-link":
		out.AuthURL = "https://demo.example/\x1b[2J"
	case "gets-a-strange-page":
		out.VerificationURI = "https://demo.example/\x1b[2J"
	case "approves", "denies":
		time.AfterFunc(5*latency, func() { a.changed(func() { a.endLocked(state) }) })
	}
	reply(w, out)
}

// codeURL leads to the page with the code filled in.
const codeURL = "https://demo.example/device?user_code=WDJB-MJHT"

func authURL(state string) string {
	return "https://demo.example/authorize?redirect_uri=http%3A%2F%2F127.0.0.1%3A27419%2Foauth%2Fcallback%2Fdemo&state=oauth-" + state
}

// endLocked is the person's answer at the provider.
func (a *fakeApp) endLocked(state string) {
	for i := range a.attempts {
		t := &a.attempts[i]
		if t.State != state || t.Status != "pending" {
			continue
		}
		t.Step = ""
		if a.person == "denies" {
			t.Status, t.Code, t.Error = "error", "denied", "You said no at Demo. Nothing was connected."
			return
		}
		c := connectionAs("ada@example.com")
		a.connections = append(a.connections, c)
		t.Status, t.AccountInfo, t.GrantedScopes, t.ConnectionID = "complete", c.Account, c.GrantedScopes, c.ID
		t.MissingScopes = []string{"admin"}
	}
}

func (a *fakeApp) cancelLocked(state string) {
	for i := range a.attempts {
		if t := &a.attempts[i]; t.State == state && t.Status == "pending" {
			if a.person == "approves-at-the-last-moment" {
				a.endLocked(state)
				return
			}
			t.Status, t.Step, t.Code, t.Error = "error", "", "cancelled", "The authorization was cancelled."
		}
	}
	a.ringLocked()
}

func (a *fakeApp) statusLocked(w http.ResponseWriter, state string) {
	if a.drop > 0 {
		a.drop--
		panic(http.ErrAbortHandler) // closes the connection without an answer
	}
	for _, t := range a.attempts {
		if t.State == state {
			reply(w, t.ConnectStatus)
			return
		}
	}
	problem(w, 404, "state_unknown", "This authorization is not known any more. Start again.")
}

func (a *fakeApp) events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	for {
		a.mu.Lock()
		bell := a.bell
		a.mu.Unlock()
		io.WriteString(w, "event: changed\ndata: {}\n\n")
		w.(http.Flusher).Flush()
		select {
		case <-bell:
		case <-r.Context().Done():
			return
		}
	}
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(v)
}

func problem(w http.ResponseWriter, status int, code, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(wire.Problem{Title: http.StatusText(status), Status: status, Detail: detail, Code: code})
}

var fakeOAuthApp = wire.App{ID: "app_1", Provider: "github", ClientID: "Iv1", CreatedAt: aMoment, UpdatedAt: aMoment}
