package bundle

import (
	"time"

	"keyturn/backend/fault"
	"keyturn/backend/oauth"
	"keyturn/backend/orchestrator"
	"keyturn/backend/provider"
)

// A document with another version is another document: members are never added
// to one that is out in the world.
const (
	formatName    = "keyturn export"
	formatVersion = 1
)

type document struct {
	Format      string              `json:"format"`
	Version     int                 `json:"version"`
	Providers   []provider.Provider `json:"providers"`
	Apps        []app               `json:"apps"`
	Connections []connection        `json:"connections"`
}

// app is an OAuth app. Secrets are bytes: JSON text would change those that
// are not valid UTF-8.
type app struct {
	ID       string    `json:"id"`
	Provider string    `json:"provider"`
	ClientID string    `json:"client_id"`
	Auth     string    `json:"auth"`
	Secret   []byte    `json:"secret,omitempty"`
	Created  time.Time `json:"created,omitzero"`
	Updated  time.Time `json:"updated,omitzero"`
	Issuer   string    `json:"issuer,omitempty"`
	Dynamic  bool      `json:"dynamic,omitempty"`

	ManagementURL   string    `json:"management_url,omitempty"`
	ManagementToken []byte    `json:"management_token,omitempty"`
	Ends            time.Time `json:"ends,omitzero"`
}

type connection struct {
	ID            string    `json:"id"`
	Provider      string    `json:"provider"`
	ClientID      string    `json:"client_id"`
	Origin        string    `json:"origin"`
	Issuer        string    `json:"issuer"`
	AccountID     string    `json:"account_id"`
	Account       string    `json:"account"`
	Requested     []string  `json:"requested"` // null and [] say different things
	Granted       []string  `json:"granted"`
	Access        []byte    `json:"access,omitempty"`
	Refresh       []byte    `json:"refresh,omitempty"`
	Key           []byte    `json:"key,omitempty"`
	Type          string    `json:"type"`
	Scopes        []string  `json:"scopes"`
	Expiry        time.Time `json:"expiry,omitzero"`
	RefreshExpiry time.Time `json:"refresh_expiry,omitzero"`
	Generation    uint64    `json:"generation"`
	Status        string    `json:"status"`
	Reason        string    `json:"reason,omitempty"`
	Since         time.Time `json:"since,omitzero"`
	RefreshSent   time.Time `json:"refresh_sent,omitzero"`
	Created       time.Time `json:"created,omitzero"`
	Authorized    time.Time `json:"authorized,omitzero"`
	Refreshed     time.Time `json:"refreshed,omitzero"`
}

func documentOf(c orchestrator.Contents) document {
	d := document{Format: formatName, Version: formatVersion, Providers: c.Providers}
	for _, a := range c.Apps {
		d.Apps = append(d.Apps, app{
			ID: a.ID, Provider: a.Provider, ClientID: a.Client.ID, Auth: string(a.Client.Auth),
			Secret: []byte(a.Client.Secret.Reveal()), Created: a.Created.UTC(), Updated: a.Updated.UTC(),
			Issuer: a.Issuer, Dynamic: a.Dynamic, Ends: a.Ends.UTC(), ManagementURL: a.Management.URL, ManagementToken: []byte(a.Management.Token.Reveal()),
		})
	}
	for _, r := range c.Connections {
		d.Connections = append(d.Connections, connection{
			ID: r.ID, Provider: r.Provider, ClientID: r.ClientID, Origin: r.Origin, Issuer: r.Issuer,
			AccountID: r.Account.ID, Account: r.Account.Label, Requested: r.Requested, Granted: r.Granted,
			Access: []byte(r.Token.Access.Reveal()), Refresh: []byte(r.Token.Refresh.Reveal()), Key: []byte(r.Token.Key.Reveal()),
			Type: r.Token.Type, Scopes: r.Token.Scopes,
			Expiry: r.Token.Expiry.UTC(), RefreshExpiry: r.Token.RefreshExpiry.UTC(),
			Generation: r.Generation, Status: string(r.Status), Reason: string(r.Reason), Since: r.Since.UTC(),
			RefreshSent: r.RefreshSent.UTC(), Created: r.Created.UTC(), Authorized: r.Authorized.UTC(), Refreshed: r.Refreshed.UTC(),
		})
	}
	return d
}

func (d *document) contents() (c orchestrator.Contents) {
	c.Providers = d.Providers
	for _, a := range d.Apps {
		c.Apps = append(c.Apps, orchestrator.App{
			ID: a.ID, Provider: a.Provider,
			Client:  oauth.Client{ID: a.ClientID, Auth: oauth.AuthMethod(a.Auth), Secret: oauth.NewSecret(string(a.Secret))},
			Created: a.Created, Updated: a.Updated, Issuer: a.Issuer, Dynamic: a.Dynamic, Ends: a.Ends,
			Management: oauth.Management{URL: a.ManagementURL, Token: oauth.NewSecret(string(a.ManagementToken))},
		})
		clear(a.Secret)
		clear(a.ManagementToken)
	}
	for _, r := range d.Connections {
		c.Connections = append(c.Connections, orchestrator.Record{
			ID: r.ID, Provider: r.Provider, ClientID: r.ClientID, Origin: r.Origin, Issuer: r.Issuer,
			Account: oauth.Account{ID: r.AccountID, Label: r.Account}, Requested: r.Requested, Granted: r.Granted,
			Token: oauth.Token{
				Access: oauth.NewSecret(string(r.Access)), Refresh: oauth.NewSecret(string(r.Refresh)), Key: oauth.NewSecret(string(r.Key)),
				Type: r.Type, Scopes: r.Scopes, Expiry: r.Expiry, RefreshExpiry: r.RefreshExpiry,
			},
			Generation: r.Generation, Status: orchestrator.Status(r.Status), Reason: fault.Code(r.Reason), Since: r.Since,
			RefreshSent: r.RefreshSent, Created: r.Created, Authorized: r.Authorized, Refreshed: r.Refreshed,
		})
		clear(r.Access)
		clear(r.Refresh)
		clear(r.Key)
	}
	return c
}
