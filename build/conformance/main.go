// Program conformance is an MCP client for the conformance suite of the Model
// Context Protocol (npm @modelcontextprotocol/conformance): it connects and gets
// its tokens through the packages of backend/, as the app does, with a browser
// that follows redirects and a store in memory. The suite runs it with the
// address of a server and judges what its servers saw.
//
//	MCP_CONFORMANCE_SCENARIO=auth/… conformance http://localhost:1234/mcp
package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"keyturn/backend/fault"
	"keyturn/backend/oauth"
	"keyturn/backend/orchestrator"
	"keyturn/backend/provider"
	"keyturn/backend/store/storetest"
	"keyturn/backend/transport"
)

// document is the client id that the suite knows a metadata document for.
const document = "https://conformance-test.local/client-metadata.json"

// retries is how often one request asks for more scopes before it gives up.
const retries = 2

// given is what a scenario hands to the client.
type given struct {
	ClientID     string `json:"client_id"`
	ClientSecret string `json:"client_secret"`
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 18*time.Second)
	defer cancel()
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "conformance: give the address of the MCP server")
		os.Exit(2)
	}
	if err := run(ctx, os.Args[len(os.Args)-1]); err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1)
	}
}

// client is an MCP client with a Keyturn of its own.
type client struct {
	core    *orchestrator.Orchestrator
	server  string
	session string
	version string
	token   orchestrator.AccessToken
	wire    *oauth.HTTP
	asked   []string // scopes asked for so far
	n       int
}

func run(ctx context.Context, server string) error {
	catalogue, err := provider.Builtin()
	if err != nil {
		return err
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	loopback := transport.NewLoopback(transport.LoopbackOptions{Log: log})
	wire := oauth.NewHTTP(oauth.HTTPOptions{Log: log})
	core := orchestrator.New(orchestrator.Options{
		Store:          storetest.NewMemory(0),
		Catalogue:      catalogue,
		Transports:     map[string]orchestrator.Transport{"loopback": loopback},
		HTTP:           wire,
		CallbackPort:   freePort(),
		ClientDocument: func() string { return document },
		Log:            log,
	})
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- core.Run(ctx) }()
	defer func() {
		cancel()
		<-ended
		_ = loopback.Close(context.Background())
	}()
	<-core.Ready()

	var has given
	if raw := os.Getenv("MCP_CONFORMANCE_CONTEXT"); raw != "" {
		if err := json.Unmarshal([]byte(raw), &has); err != nil {
			return err
		}
	}
	if has.ClientID != "" {
		if _, err := core.UpsertApp(ctx, server, has.ClientID, oauth.NewSecret(has.ClientSecret), has.ClientSecret == ""); err != nil {
			return err
		}
	}
	c := &client{core: core, wire: wire, server: server, version: cmp.Or(os.Getenv("MCP_CONFORMANCE_PROTOCOL_VERSION"), "2025-11-25")}
	return c.visit(ctx)
}

func freePort() int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 27419
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// visit does what a client does with a server: it says hello, lists the tools
// and calls one.
func (c *client) visit(ctx context.Context) error {
	if c.version < "2026" {
		hello := map[string]any{"protocolVersion": c.version, "capabilities": map[string]any{}, "clientInfo": map[string]any{"name": "keyturn", "version": "1"}}
		if _, err := c.call(ctx, "initialize", hello); err != nil {
			return err
		}
		if err := c.notify(ctx, "notifications/initialized"); err != nil {
			return err
		}
	}
	list, err := c.call(ctx, "tools/list", map[string]any{})
	if err != nil {
		return err
	}
	var tools struct {
		Tools []struct {
			Name string `json:"name"`
		} `json:"tools"`
	}
	if err := json.Unmarshal(list, &tools); err != nil {
		return err
	}
	for _, t := range tools.Tools {
		if _, err := c.call(ctx, "tools/call", map[string]any{"name": t.Name, "arguments": map[string]any{}}); err != nil {
			return err
		}
	}
	return nil
}

// call makes a request, and connects or asks for more when the server says so.
func (c *client) call(ctx context.Context, method string, params map[string]any) (json.RawMessage, error) {
	c.n++
	// Since 2026-07-28 each request says what the first one used to say.
	params["_meta"] = map[string]any{
		"io.modelcontextprotocol/protocolVersion":    c.version,
		"io.modelcontextprotocol/clientInfo":         map[string]any{"name": "keyturn", "version": "1"},
		"io.modelcontextprotocol/clientCapabilities": map[string]any{},
	}
	body, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": c.n, "method": method, "params": params})
	if err != nil {
		return nil, err
	}
	name, _ := params["name"].(string)
	for try := 0; ; try++ {
		res, err := c.post(ctx, method, name, body)
		if err != nil {
			return nil, err
		}
		switch res.StatusCode {
		case http.StatusUnauthorized, http.StatusForbidden:
			challenge, _ := oauth.ChallengeOf(res.Header)
			res.Body.Close()
			if try == 0 && oauth.WantsNonce(res) {
				continue
			}
			if try == retries || res.StatusCode == http.StatusForbidden && challenge.Error != "insufficient_scope" {
				return nil, fmt.Errorf("%s: %d", method, res.StatusCode)
			}
			if err := c.connect(ctx, res.StatusCode, challenge); err != nil {
				return nil, err
			}
		default:
			defer res.Body.Close()
			return result(res)
		}
	}
}

func (c *client) notify(ctx context.Context, method string) error {
	body, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "method": method})
	if err != nil {
		return err
	}
	res, err := c.post(ctx, method, "", body)
	if err == nil {
		res.Body.Close()
	}
	return err
}

func (c *client) post(ctx context.Context, method, name string, body []byte) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, c.server, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "application/json, text/event-stream")
	r.Header.Set("MCP-Protocol-Version", c.version)
	r.Header.Set("Mcp-Method", method)
	if name != "" {
		r.Header.Set("Mcp-Name", name)
	}
	if c.session != "" {
		r.Header.Set("Mcp-Session-Id", c.session)
	}
	if !c.token.Token.IsZero() {
		if err := c.wire.Present(r, c.token.Token, c.token.Key); err != nil {
			return nil, err
		}
	}
	res, err := c.wire.Resource(r, oauth.Server{AllowLoopbackHTTP: true})
	if err == nil && res.Header.Get("Mcp-Session-Id") != "" {
		c.session = res.Header.Get("Mcp-Session-Id")
	}
	return res, err
}

// result reads a JSON-RPC result, as JSON or as the first event of a stream.
func result(res *http.Response) (json.RawMessage, error) {
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	if strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") {
		for line := range strings.SplitSeq(string(body), "\n") {
			if data, ok := strings.CutPrefix(line, "data:"); ok && strings.TrimSpace(data) != "" {
				body = []byte(data)
			}
		}
	}
	var answer struct {
		Result json.RawMessage `json:"result"`
		Error  json.RawMessage `json:"error"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("status %d: %w", res.StatusCode, err)
	}
	if answer.Error != nil {
		return nil, fmt.Errorf("status %d: %s", res.StatusCode, answer.Error)
	}
	return answer.Result, nil
}

// connect obtains a token through Keyturn; after a 403 one with more scopes.
func (c *client) connect(ctx context.Context, status int, challenge oauth.Challenge) error {
	r := orchestrator.ConnectRequest{Provider: c.server, Challenge: &challenge, Starter: "local"}
	if status == http.StatusForbidden {
		r.Scopes = slices.Clone(c.asked)
		for _, s := range challenge.Scopes {
			if !slices.Contains(r.Scopes, s) {
				r.Scopes = append(r.Scopes, s)
			}
		}
	}
	started, err := c.core.Connect(ctx, r)
	if err != nil {
		return err
	}
	res, err := http.Get(started.Attempt.URL) // a browser whose user has approved before
	if err != nil {
		return err
	}
	res.Body.Close()
	for {
		a, err := c.core.Attempt(started.Attempt.Handle)
		switch {
		case err != nil:
			return err
		case a.Status == orchestrator.Error:
			return fault.New(a.Code, "%s", a.Message)
		case a.Status == orchestrator.Complete:
			t, err := c.core.Token(ctx, orchestrator.TokenQuery{ConnectionID: a.ConnectionID})
			if err != nil {
				return err
			}
			c.token, c.asked = t, a.Granted
			return nil
		case ctx.Err() != nil:
			return errors.Join(ctx.Err())
		}
		time.Sleep(5 * time.Millisecond)
	}
}
