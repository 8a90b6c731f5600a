package client

import (
	"context"
	"errors"

	"keyturn/backend/api/wire"
	"keyturn/backend/fault"
)

// Connect starts an attempt, or joins the equal one that is pending. An answer
// that gives nothing to follow is an error.
func (c *Client) Connect(ctx context.Context, in wire.ConnectStart) (wire.ConnectStarted, error) {
	var out wire.ConnectStarted
	err := c.post(ctx, "/v1/internal/oauth/connect/start", in, &out)
	if err == nil && !out.AlreadyConnected && (out.State == "" || out.ExpiresAt == nil || out.AuthURL == "" && !out.Joined) {
		err = garbled(errors.New("started without a state or a URL"))
	}
	return out, err
}

// ConnectStatus says how the attempt with this status handle stands.
func (c *Client) ConnectStatus(ctx context.Context, state string) (wire.ConnectStatus, error) {
	var out wire.ConnectStatus
	if !segment(state) {
		return out, unknownState()
	}
	err := c.get(ctx, "/v1/internal/oauth/connect/status/"+state, &out)
	if err == nil && out.Status != "pending" && out.Status != "complete" && out.Status != "error" {
		err = garbled(errors.New("status is none of the three"))
	}
	return out, err
}

// Cancel ends a pending attempt. Cancelling twice is no error.
func (c *Client) Cancel(ctx context.Context, state string) error {
	if !segment(state) {
		return unknownState()
	}
	var out wire.Done
	return c.post(ctx, "/v1/internal/oauth/connect/"+state+"/cancel", nil, &out)
}

// Paste brings the response of an attempt from a page that did not load.
func (c *Client) Paste(ctx context.Context, state, text string) error {
	if !segment(state) {
		return unknownState()
	}
	return c.post(ctx, "/v1/internal/oauth/connect/"+state+"/paste", wire.Paste{Text: text}, &wire.Done{})
}

// Confirm types the code that the browser shows, for an attempt that waits for it.
func (c *Client) Confirm(ctx context.Context, state, code string) error {
	if !segment(state) {
		return unknownState()
	}
	return c.post(ctx, "/v1/internal/oauth/connect/"+state+"/confirm", wire.Confirm{Code: code}, &wire.Done{})
}

// Attempts lists the attempts in progress or just ended.
func (c *Client) Attempts(ctx context.Context) ([]wire.Attempt, error) {
	var out wire.Attempts
	err := c.get(ctx, "/v1/attempts", &out)
	return out.Attempts, err
}

// Connections lists the connections, and says how secrets are sealed.
func (c *Client) Connections(ctx context.Context) (wire.Connections, error) {
	var out wire.Connections
	err := c.get(ctx, "/v1/connections", &out)
	return out, err
}

// Disconnect revokes a grant and forgets it.
func (c *Client) Disconnect(ctx context.Context, in wire.DisconnectRequest) (wire.Disconnected, error) {
	var out wire.Disconnected
	err := c.post(ctx, "/v1/disconnect", in, &out)
	return out, err
}

// Ping tries the token at the provider.
func (c *Client) Ping(ctx context.Context, in wire.PingRequest) (wire.Ping, error) {
	var out wire.Ping
	err := c.post(ctx, "/v1/ping", in, &out)
	return out, err
}

// Token returns a fresh access token.
func (c *Client) Token(ctx context.Context, in wire.TokenRequest) (wire.Token, error) {
	var out wire.Token
	err := c.post(ctx, "/v1/token", in, &out)
	if err == nil && out.Token == "" {
		err = garbled(errors.New("token is missing"))
	}
	return out, err
}

// Providers lists the catalogue and the user's own.
func (c *Client) Providers(ctx context.Context) ([]wire.ProviderSummary, error) {
	var out wire.Providers
	err := c.get(ctx, "/v1/providers", &out)
	return out.Providers, err
}

// MCPServers lists the directory of public MCP servers.
func (c *Client) MCPServers(ctx context.Context) ([]wire.MCPServer, error) {
	var out wire.MCPServers
	err := c.get(ctx, "/v1/mcp-servers", &out)
	return out.Servers, err
}

// Provider returns everything about one provider.
func (c *Client) Provider(ctx context.Context, id string) (wire.Provider, error) {
	var out wire.Provider
	if !segment(id) {
		return out, unknownProvider()
	}
	err := c.get(ctx, "/v1/providers/"+id, &out)
	if err == nil && out.ID == "" {
		err = garbled(errors.New("provider without an id"))
	}
	return out, err
}

// HandOuts holds back tokens from every program, or lets them go on.
func (c *Client) HandOuts(ctx context.Context, paused bool) error {
	return c.post(ctx, "/v1/hand-outs", wire.HandOuts{Paused: paused}, &wire.HandOuts{})
}

// BrowserUI asks for a link into the browser UI.
func (c *Client) BrowserUI(ctx context.Context) (wire.BrowserUI, error) {
	var out wire.BrowserUI
	err := c.post(ctx, "/v1/internal/ui", nil, &out)
	return out, err
}

// PreviewProvider reads a provider file and says what it would do.
func (c *Client) PreviewProvider(ctx context.Context, in wire.ProviderDocument) (wire.ProviderPreview, error) {
	var out wire.ProviderPreview
	err := c.post(ctx, "/v1/provider-files/preview", in, &out)
	return out, err
}

// ImportProvider keeps the provider that a file describes.
func (c *Client) ImportProvider(ctx context.Context, document string) (wire.Provider, error) {
	var out wire.Provider
	err := c.post(ctx, "/v1/provider-files/import", wire.ProviderDocument{Document: document}, &out)
	return out, err
}

// RegisterProvider adds a provider of the user's own.
func (c *Client) RegisterProvider(ctx context.Context, in wire.ProviderRegister) (wire.Provider, error) {
	var out wire.Provider
	err := c.post(ctx, "/v1/providers", in, &out)
	return out, err
}

// UpdateProvider changes a provider of the user's own.
func (c *Client) UpdateProvider(ctx context.Context, id string, in wire.ProviderRegister) (wire.Provider, error) {
	var out wire.Provider
	if !segment(id) {
		return out, unknownProvider()
	}
	in.ProviderKey = id
	err := c.post(ctx, "/v1/providers/"+id, in, &out)
	return out, err
}

// DeleteProvider forgets a provider of the user's own; force takes its
// connections and apps along.
func (c *Client) DeleteProvider(ctx context.Context, id string, force bool) (wire.Deleted, error) {
	var out wire.Deleted
	if !segment(id) {
		return out, unknownProvider()
	}
	err := c.post(ctx, "/v1/providers/"+id+"/delete", wire.ProviderDelete{Force: force}, &out)
	return out, err
}

// Apps lists the OAuth apps.
func (c *Client) Apps(ctx context.Context) ([]wire.App, error) {
	var out wire.Apps
	err := c.get(ctx, "/v1/apps", &out)
	return out.Apps, err
}

// UpsertApp registers or changes an OAuth app.
func (c *Client) UpsertApp(ctx context.Context, in wire.AppUpsert) (wire.App, error) {
	var out wire.App
	err := c.post(ctx, "/v1/apps", in, &out)
	return out, err
}

// DeleteApp forgets an OAuth app.
func (c *Client) DeleteApp(ctx context.Context, id string) (wire.Deleted, error) {
	var out wire.Deleted
	if !segment(id) {
		return out, fault.New(fault.UnknownApp, "There is no such OAuth app. keyturn apps list shows those there are.")
	}
	err := c.post(ctx, "/v1/apps/"+id+"/delete", nil, &out)
	return out, err
}

// Settings returns what the user can change.
func (c *Client) Settings(ctx context.Context) (wire.Settings, error) {
	var out wire.Settings
	err := c.get(ctx, "/v1/settings", &out)
	return out, err
}

// SaveSettings changes the settings and returns them.
func (c *Client) SaveSettings(ctx context.Context, in wire.Settings) (wire.Settings, error) {
	var out wire.Settings
	err := c.post(ctx, "/v1/settings", in, &out)
	return out, err
}

// Health asks whether Keyturn is there, and which.
func (c *Client) Health(ctx context.Context) (wire.Health, error) {
	var out wire.Health
	err := c.get(ctx, "/v1/health", &out)
	return out, err
}

// Diagnosis is what Keyturn finds when it looks at itself.
func (c *Client) Diagnosis(ctx context.Context) ([]wire.Check, error) {
	var out wire.Diagnosis
	err := c.get(ctx, "/v1/diagnosis", &out)
	return out.Checks, err
}

// Open shows the window; view may be empty.
func (c *Client) Open(ctx context.Context, view string) error {
	var out wire.Done
	return c.post(ctx, "/v1/internal/open", wire.Open{View: view}, &out)
}

// Quit ends Keyturn.
func (c *Client) Quit(ctx context.Context) error {
	var out wire.Done
	return c.post(ctx, "/v1/internal/quit", nil, &out)
}

// segment reports whether id can be part of a path: the API has one spelling
// for each route and escapes nothing.
func segment(id string) bool {
	if id == "" || len(id) > 64 {
		return false
	}
	for i := 0; i < len(id); i++ {
		switch c := id[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '_', c == '-':
		default:
			return false
		}
	}
	return true
}

func unknownState() error {
	return fault.New(fault.StateUnknown, "There is no such authorization, or it ended a while ago.")
}

func unknownProvider() error {
	return fault.New(fault.UnknownProvider, "There is no provider of this name. A provider's id is made of small letters, digits, - and _.")
}
