package orchestrator_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"keyturn/backend/demo/evilas"
	"keyturn/backend/fault"
	"keyturn/backend/oauth"
	"keyturn/backend/orchestrator"
	"keyturn/backend/provider"
	"keyturn/backend/store/storetest"
)

// notes is an MCP server that leaves tokens to an authorization server.
type notes struct {
	*httptest.Server
	issuer atomic.Pointer[string]
}

func (n *notes) address() string { return n.URL + "/mcp" }

// newNotes starts the server and an orchestrator beside it, over real sockets.
func newNotes(t *testing.T, as *evilas.Server) (*world, *notes) {
	t.Helper()
	n := &notes{}
	at := as.URL()
	n.issuer.Store(&at)
	n.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/.well-known/oauth-protected-resource") {
			w.Header().Set("WWW-Authenticate", `Bearer scope="read"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"resource": n.address(), "resource_name": "Notes", "authorization_servers": []string{*n.issuer.Load()}})
	}))
	t.Cleanup(n.Close)
	catalogue, err := provider.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, store: storetest.NewMemory(0), browser: &browser{waiting: map[string]*tab{}}}
	w.Orchestrator = orchestrator.New(orchestrator.Options{
		Store: w.store, Catalogue: catalogue, HTTP: oauth.NewHTTP(oauth.HTTPOptions{}), CallbackPort: 27419,
		Transports: map[string]orchestrator.Transport{"loopback": w.browser},
	})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	<-w.Ready()
	return w, n
}

// registers has an authorization server register clients under an id.
func registers(as *evilas.Server, id string) {
	m := as.Metadata()
	m["registration_endpoint"] = as.URL() + "/register"
	document, _ := json.Marshal(m)
	for range 8 {
		as.Script("/.well-known/oauth-authorization-server", evilas.JSON(string(document)))
	}
	step := evilas.JSON(fmt.Sprintf(`{"client_id":%q,"registration_client_uri":%q,"registration_access_token":"rat-%s"}`, id, as.URL()+"/register/"+id, id))
	step.Status = http.StatusCreated
	as.Script("/register", step)
}

func (w *world) connectTo(as *evilas.Server, address string) orchestrator.Connection {
	w.t.Helper()
	s, err := w.Connect(w.t.Context(), orchestrator.ConnectRequest{Provider: address, Starter: "local"})
	if err != nil {
		w.t.Fatal(err)
	}
	if out := w.page(as.Consent(w.t, s.Attempt.URL).String()); !out.OK {
		w.t.Fatalf("not connected: %+v", out)
	}
	v, err := w.Attempt(s.Attempt.Handle)
	if err != nil {
		w.t.Fatal(err)
	}
	c, err := w.Connection(v.ConnectionID)
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

func TestAnMCPServerIsConnectedByItsAddress(t *testing.T) {
	as := evilas.New(t, evilas.Config{Clients: map[string]string{"dyn": ""}})
	registers(as, "dyn")
	w, n := newNotes(t, as)
	c := w.connectTo(as, n.address())
	if c.ProviderName != "Notes" || c.ClientID != "dyn" || fmt.Sprint(c.Granted) != "[read]" {
		t.Errorf("%+v", c)
	}
	p, err := w.Provider(n.address())
	if err != nil || !p.Custom || p.Category != "mcp" || p.Issuer != as.URL() || p.Resource.Indicator != n.address() {
		t.Errorf("%+v %v", p, err)
	}
	if !as.Saw(fmt.Sprintf("redirect_uris\":[\"http://127.0.0.1:27419/oauth/callback/%s\"]", p.ID)) {
		t.Error("the redirect URI was not registered")
	}
	// Programs ask for it by the same address, however it is spelled.
	for _, spelled := range []string{n.address(), strings.Replace(n.address(), "http://", "HTTP://", 1), p.ID} {
		if _, err := w.Token(t.Context(), orchestrator.TokenQuery{Provider: spelled}); err != nil {
			t.Errorf("%s: %v", spelled, err)
		}
	}
	// A second connect registers nothing anew, and is the same connection.
	if again := w.connectTo(as, n.address()); again.ID != c.ID {
		t.Errorf("a second connection: %+v", again)
	}
	if got := len(as.Requests("/register")); got != 1 {
		t.Errorf("%d registrations", got)
	}
	// The token goes to that server and to none of its neighbours.
	if _, err := p.APIAddress(n.address()); err != nil {
		t.Error(err)
	}
	if _, err := p.APIAddress(as.URL() + "/mcp"); fault.CodeOf(err) != fault.HostNotAllowed {
		t.Error(err)
	}
}

func TestAServerThatInsistsOnPushedRequests(t *testing.T) { // RFC 9126
	as := evilas.New(t, evilas.Config{Pushed: true})
	w, n := newNotes(t, as)
	if _, err := w.UpsertApp(t.Context(), n.address(), "public", oauth.Secret{}, true); err != nil {
		t.Fatal(err)
	}
	s, err := w.Connect(t.Context(), orchestrator.ConnectRequest{Provider: n.address(), Starter: "local"})
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(s.Attempt.URL, "state=") || !strings.Contains(s.Attempt.URL, "request_uri=urn") {
		t.Errorf("the browser is told %s", s.Attempt.URL)
	}
	if out := w.page(as.Consent(t, s.Attempt.URL).String()); !out.OK {
		t.Fatalf("%+v", out)
	}
}

func TestAResourceThatMovesToAnotherServer(t *testing.T) { // DI-25, R-29
	old := evilas.New(t, evilas.Config{Clients: map[string]string{"dyn-old": ""}})
	next := evilas.New(t, evilas.Config{Clients: map[string]string{"dyn-new": ""}})
	registers(old, "dyn-old")
	registers(next, "dyn-new")
	w, n := newNotes(t, old)
	first := w.connectTo(old, n.address())
	token, err := w.Token(t.Context(), orchestrator.TokenQuery{ConnectionID: first.ID})
	if err != nil {
		t.Fatal(err)
	}
	at := next.URL()
	n.issuer.Store(&at)
	second := w.connectTo(next, n.address())
	if second.ID == first.ID || second.ClientID != "dyn-new" {
		t.Errorf("%+v", second)
	}
	for _, secret := range []string{"dyn-old", "rat-dyn-old", token.Token.Reveal()} {
		if next.Saw(secret) {
			t.Errorf("the new server was told %s of the old one", secret)
		}
	}
	if c, err := w.Connection(first.ID); err != nil || c.Status != orchestrator.NeedsReconnect || c.Reason != fault.ConfigChanged {
		t.Errorf("the old connection: %+v %v", c, err)
	}
}

func TestAClientOfTheUsersComesFirst(t *testing.T) {
	as := evilas.New(t, evilas.Config{})
	w, n := newNotes(t, as)
	// The server registers nobody: the error says what to do, and where.
	_, err := w.Connect(t.Context(), orchestrator.ConnectRequest{Provider: n.address(), Starter: "local"})
	if fault.CodeOf(err) != fault.NoApp || !strings.Contains(fault.MessageOf(err), as.URL()) || !strings.Contains(fault.MessageOf(err), "apps upsert --provider") {
		t.Fatal(err)
	}
	if _, err := w.UpsertApp(t.Context(), n.address(), "public", oauth.Secret{}, true); err != nil {
		t.Fatal(err)
	}
	registers(as, "dyn")
	if c := w.connectTo(as, n.address()); c.ClientID != "public" || len(as.Requests("/register")) != 0 {
		t.Errorf("%+v", c)
	}
}

func TestARegistrationIsDeletedWithItsApp(t *testing.T) { // RFC 7592 section 2.3
	as := evilas.New(t, evilas.Config{Clients: map[string]string{"dyn": ""}})
	registers(as, "dyn")
	w, n := newNotes(t, as)
	c := w.connectTo(as, n.address())
	if _, err := w.Disconnect(t.Context(), c.ID); err != nil {
		t.Fatal(err)
	}
	as.Script("/register/dyn", evilas.Step{Status: http.StatusNoContent})
	if err := w.DeleteApp(t.Context(), w.Apps()[0].ID); err != nil {
		t.Fatal(err)
	}
	for end := time.Now().Add(5 * time.Second); !as.Saw("Bearer rat-dyn"); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the registration was not deleted")
		}
	}
}

func TestAResourceNobodyIsAt(t *testing.T) {
	w, n := newNotes(t, evilas.New(t, evilas.Config{}))
	address := n.address()
	n.Close()
	for typed, want := range map[string]fault.Code{
		address: fault.DiscoveryFailed, "ftp://x/y": fault.BadRequest, "https://u:p@x/": fault.BadRequest, "http://mcp.example/mcp": fault.BadRequest, "https://": fault.BadRequest,
	} {
		if _, err := w.Connect(t.Context(), orchestrator.ConnectRequest{Provider: typed, Starter: "local"}); fault.CodeOf(err) != want {
			t.Errorf("%s: %v", typed, err)
		}
	}
	if _, err := w.Token(t.Context(), orchestrator.TokenQuery{Provider: address}); fault.CodeOf(err) != fault.UnknownProvider {
		t.Error(err)
	}
}
