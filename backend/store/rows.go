package store

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"time"

	"keyturn/backend/fault"
	"keyturn/backend/oauth"
	"keyturn/backend/orchestrator"
	"keyturn/backend/provider"
	"keyturn/backend/text"
)

// connectionBody is the sealed part of a connection. Tokens are bytes: JSON
// text would change those that are not valid UTF-8.
type connectionBody struct {
	AccountID     string    `json:"account_id"`
	Account       string    `json:"account"`
	Requested     []string  `json:"requested"` // null and [] say different things
	Granted       []string  `json:"granted"`
	Access        []byte    `json:"access,omitempty"`
	Refresh       []byte    `json:"refresh,omitempty"`
	ID            []byte    `json:"id,omitempty"`
	Key           []byte    `json:"key,omitempty"`
	Type          string    `json:"type"`
	Scopes        []string  `json:"scopes"`
	Expiry        time.Time `json:"expiry,omitzero"`
	RefreshExpiry time.Time `json:"refresh_expiry,omitzero"`
	Status        string    `json:"status"`
	Reason        string    `json:"reason,omitempty"`
	Since         time.Time `json:"since,omitzero"`
	RefreshSent   time.Time `json:"refresh_sent,omitzero"`
	Created       time.Time `json:"created,omitzero"`
	Authorized    time.Time `json:"authorized,omitzero"`
	Refreshed     time.Time `json:"refreshed,omitzero"`
}

// appBody is the sealed part of an OAuth app.
type appBody struct {
	Auth    string    `json:"auth"`
	Secret  []byte    `json:"secret,omitempty"`
	Created time.Time `json:"created,omitzero"`
	Updated time.Time `json:"updated,omitzero"`
	Issuer  string    `json:"issuer,omitempty"`
	Dynamic bool      `json:"dynamic,omitempty"`
	// Management of a dynamic registration (RFC 7592).
	ManagementURL   string    `json:"management_url,omitempty"`
	ManagementToken []byte    `json:"management_token,omitempty"`
	Ends            time.Time `json:"ends,omitzero"`
}

// bodyOfConnection and bodyOfApp are what is sealed of a row.
func bodyOfConnection(r orchestrator.Record) connectionBody {
	return connectionBody{
		AccountID:     r.Account.ID,
		Account:       r.Account.Label,
		Requested:     r.Requested,
		Granted:       r.Granted,
		Access:        []byte(r.Token.Access.Reveal()),
		Refresh:       []byte(r.Token.Refresh.Reveal()),
		ID:            []byte(r.Token.ID.Reveal()),
		Key:           []byte(r.Token.Key.Reveal()),
		Type:          r.Token.Type,
		Scopes:        r.Token.Scopes,
		Expiry:        wall(r.Token.Expiry),
		RefreshExpiry: wall(r.Token.RefreshExpiry),
		Status:        string(r.Status),
		Reason:        string(r.Reason),
		Since:         wall(r.Since),
		RefreshSent:   wall(r.RefreshSent),
		Created:       wall(r.Created),
		Authorized:    wall(r.Authorized),
		Refreshed:     wall(r.Refreshed),
	}
}

func bodyOfApp(a orchestrator.App) appBody {
	return appBody{
		Auth:    string(a.Client.Auth),
		Secret:  []byte(a.Client.Secret.Reveal()),
		Created: wall(a.Created),
		Updated: wall(a.Updated),

		Issuer:          a.Issuer,
		Dynamic:         a.Dynamic,
		ManagementURL:   a.Management.URL,
		ManagementToken: []byte(a.Management.Token.Reveal()),
		Ends:            wall(a.Ends),
	}
}

func connectionBinding(r orchestrator.Record) binding {
	return binding{
		kind: "connection", id: r.ID, provider: r.Provider,
		origin: r.Origin, issuer: r.Issuer, clientID: r.ClientID, generation: r.Generation,
	}
}

func appBinding(a orchestrator.App) binding {
	return binding{kind: "app", id: a.ID, provider: a.Provider, clientID: a.Client.ID}
}

func providerBinding(id, definition string) binding {
	return binding{kind: "provider", id: id, provider: id, plain: definition}
}

// SaveConnection implements orchestrator.Store.
func (s *Store) SaveConnection(ctx context.Context, r orchestrator.Record) error {
	return s.save(ctx, row{"connection", r.ID}, connectionBinding(r), bodyOfConnection(r),
		`INSERT INTO connections (id, provider, account, client_id, origin, issuer, generation, sealed) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET provider = excluded.provider, account = excluded.account, client_id = excluded.client_id,
			origin = excluded.origin, issuer = excluded.issuer, generation = excluded.generation, sealed = excluded.sealed`,
		r.ID, r.Provider, r.Account.Label, r.ClientID, r.Origin, r.Issuer, int64(r.Generation))
}

// DeleteConnection implements orchestrator.Store. What is gone already is no error.
func (s *Store) DeleteConnection(ctx context.Context, id string) error {
	return s.remove(ctx, "connection", "connections", id)
}

// SaveApp implements orchestrator.Store.
func (s *Store) SaveApp(ctx context.Context, a orchestrator.App) error {
	return s.save(ctx, row{"app", a.ID}, appBinding(a), bodyOfApp(a),
		`INSERT INTO apps (id, provider, client_id, sealed) VALUES (?, ?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET provider = excluded.provider, client_id = excluded.client_id, sealed = excluded.sealed`,
		a.ID, a.Provider, a.Client.ID)
}

// DeleteApp implements orchestrator.Store. What is gone already is no error.
func (s *Store) DeleteApp(ctx context.Context, id string) error {
	return s.remove(ctx, "app", "apps", id)
}

// SaveProvider implements orchestrator.Store.
func (s *Store) SaveProvider(ctx context.Context, p provider.Provider) error {
	definition, err := json.Marshal(p)
	if err != nil {
		return failure(fmt.Errorf("provider %s: %w", p.ID, err), s.path)
	}
	// There is nothing secret in it. But it says where secrets are sent, so a
	// changed one must not open.
	return s.save(ctx, row{"provider", p.ID}, providerBinding(p.ID, string(definition)), struct{}{},
		`INSERT INTO providers (id, definition, sealed) VALUES (?, ?, ?)
		ON CONFLICT (id) DO UPDATE SET definition = excluded.definition, sealed = excluded.sealed`,
		p.ID, string(definition))
}

// DeleteProvider implements orchestrator.Store. What is gone already is no error.
func (s *Store) DeleteProvider(ctx context.Context, id string) error {
	return s.remove(ctx, "provider", "providers", id)
}

// save seals body for b and runs statement with args and the sealed body.
func (s *Store) save(ctx context.Context, at row, b binding, body any, statement string, args ...any) error {
	value, err := json.Marshal(body)
	if err != nil {
		return failure(fmt.Errorf("%s %s: %w", at.kind, at.id, err), s.path)
	}
	defer clear(value)
	return s.do(ctx, unlockPatience, func(ctx context.Context) error {
		if s.damaged[at] {
			return fault.New(fault.StoreDamaged, "What is saved of this %s is damaged and is kept as it is. Delete it first.", at.kind)
		}
		_, err := s.db.ExecContext(ctx, statement, append(args, s.key.seal(b, value))...)
		return failure(err, s.path)
	})
}

// Load implements orchestrator.Store. When the key is locked or lost, it says
// so and names in Damaged the rows that cannot be opened for now.
func (s *Store) Load(ctx context.Context) (orchestrator.Contents, error) {
	var c orchestrator.Contents
	err := s.do(ctx, 0, func(ctx context.Context) (err error) {
		c, err = s.read(ctx, s.key)
		clear(s.damaged)
		for _, d := range c.Damaged {
			s.damaged[row{d.Kind, d.ID}] = true
			s.log.Warn("damaged row kept", "kind", d.Kind, "id", d.ID)
		}
		return err
	})
	if fault.CodeOf(err) != fault.StoreLocked {
		return c, err
	}
	if s.take(ctx) == nil {
		defer s.give()
		if s.db != nil {
			c, _ = s.read(context.WithoutCancel(ctx), nil)
		}
	}
	return c, err
}

// read reads all rows. Those that k does not open are damaged; without a key
// that is all of them.
func (s *Store) read(ctx context.Context, k *key) (c orchestrator.Contents, err error) {
	err = s.each(ctx, "SELECT id, provider, account, client_id, origin, issuer, generation, sealed FROM connections ORDER BY id", func(v []any) {
		r := orchestrator.Record{
			ID: str(v[0]), Provider: str(v[1]), ClientID: str(v[3]),
			Origin: str(v[4]), Issuer: str(v[5]), Generation: uint64(number(v[6])),
		}
		var body connectionBody
		if !opens(k, connectionBinding(r), v[7], &body) {
			c.Damaged = append(c.Damaged, orchestrator.Damaged{
				Kind: "connection", ID: name(r.ID), Provider: name(r.Provider), Account: text.Clean(str(v[2]), 200),
			})
			return
		}
		c.Connections = append(c.Connections, body.fill(r))
	})
	if err != nil {
		return orchestrator.Contents{}, err
	}
	err = s.each(ctx, "SELECT id, provider, client_id, sealed FROM apps ORDER BY id", func(v []any) {
		a := orchestrator.App{ID: str(v[0]), Provider: str(v[1]), Client: oauth.Client{ID: str(v[2])}}
		var body appBody
		if !opens(k, appBinding(a), v[3], &body) {
			c.Damaged = append(c.Damaged, orchestrator.Damaged{Kind: "app", ID: name(a.ID), Provider: name(a.Provider)})
			return
		}
		a.Client.Auth, a.Client.Secret = oauth.AuthMethod(body.Auth), oauth.NewSecret(string(body.Secret))
		a.Created, a.Updated = body.Created, body.Updated
		a.Issuer, a.Dynamic, a.Ends = body.Issuer, body.Dynamic, body.Ends
		a.Management = oauth.Management{URL: body.ManagementURL, Token: oauth.NewSecret(string(body.ManagementToken))}
		clear(body.Secret)
		clear(body.ManagementToken)
		c.Apps = append(c.Apps, a)
	})
	if err != nil {
		return orchestrator.Contents{}, err
	}
	err = s.each(ctx, "SELECT id, definition, sealed FROM providers ORDER BY id", func(v []any) {
		id, definition := str(v[0]), str(v[1])
		var p provider.Provider
		if !opens(k, providerBinding(id, definition), v[2], &struct{}{}) || json.Unmarshal([]byte(definition), &p) != nil {
			c.Damaged = append(c.Damaged, orchestrator.Damaged{Kind: "provider", ID: name(id), Provider: name(id)})
			return
		}
		p.Custom = true
		c.Providers = append(c.Providers, p)
	})
	if err != nil {
		return orchestrator.Contents{}, err
	}
	return c, nil
}

// each calls do with the columns of each row of a query. A damaged row may
// hold values of any type.
func (s *Store) each(ctx context.Context, query string, do func(columns []any)) error {
	rows, err := s.db.QueryContext(ctx, query)
	if err != nil {
		return failure(err, s.path)
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		return failure(err, s.path)
	}
	values, into := make([]any, len(names)), make([]any, len(names))
	for i := range values {
		into[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(into...); err != nil {
			return failure(err, s.path)
		}
		do(values)
	}
	return failure(rows.Err(), s.path)
}

// opens unseals what was sealed for b into body.
func opens(k *key, b binding, sealed any, body any) bool {
	blob, ok := sealed.([]byte)
	if !ok || k == nil {
		return false
	}
	value, err := k.open(b, blob)
	if err != nil {
		return false
	}
	defer clear(value)
	return json.Unmarshal(value, body) == nil
}

func (b *connectionBody) fill(r orchestrator.Record) orchestrator.Record {
	r.Account = oauth.Account{ID: b.AccountID, Label: b.Account}
	r.Requested, r.Granted = b.Requested, b.Granted
	r.Token = oauth.Token{
		Access:        oauth.NewSecret(string(b.Access)),
		Refresh:       oauth.NewSecret(string(b.Refresh)),
		ID:            oauth.NewSecret(string(b.ID)),
		Key:           oauth.NewSecret(string(b.Key)),
		Type:          b.Type,
		Scopes:        b.Scopes,
		Expiry:        b.Expiry,
		RefreshExpiry: b.RefreshExpiry,
	}
	r.Status, r.Reason = orchestrator.Status(b.Status), fault.Code(b.Reason)
	r.Since, r.RefreshSent = b.Since, b.RefreshSent
	r.Created, r.Authorized, r.Refreshed = b.Created, b.Authorized, b.Refreshed
	for _, secret := range [][]byte{b.Access, b.Refresh, b.ID, b.Key} {
		clear(secret)
	}
	return r
}

func str(v any) string {
	s, _ := v.(string)
	return s
}

func number(v any) int64 {
	n, _ := v.(int64)
	return n
}

var plainID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// name makes an identifier from a damaged row fit to show.
func name(id string) string {
	if plainID.MatchString(id) {
		return id
	}
	return text.Clean(id, 64)
}

// wall is what is kept of a time: the wall clock in UTC.
func wall(t time.Time) time.Time { return t.Round(0).UTC() }
