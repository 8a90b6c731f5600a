package api

import (
	"context"
	"time"

	"keyturn/backend/activity"
	"keyturn/backend/api/wire"
	"keyturn/backend/fault"
	"keyturn/backend/orchestrator"
)

func (s *Server) listConnections(context.Context, *nothing) (wire.Connections, error) {
	now := s.o.Snapshot()
	out := wire.Connections{Protector: now.Protector, Connections: []wire.Connection{}, Paused: now.Paused}
	if language := s.opts.Settings().Language; language != nil {
		out.Language = *language
	}
	if now.Store != nil {
		out.Store, out.StoreError = string(fault.CodeOf(now.Store)), fault.MessageOf(now.Store)
	}
	reads := s.activity.LastReads()
	for _, c := range now.Connections {
		out.Connections = append(out.Connections, used(wireConnection(c), reads[c.ID]))
	}
	for _, c := range now.Revoking {
		out.Revoking = append(out.Revoking, wireConnection(c))
	}
	for _, d := range now.Damaged {
		out.Damaged = append(out.Damaged, wire.Damaged(d))
	}
	return out, nil
}

func (s *Server) getConnection(_ context.Context, in *named) (wire.Connection, error) {
	c, err := s.o.Connection(in.ID)
	if err != nil {
		return wire.Connection{}, err
	}
	return used(wireConnection(c), s.activity.LastReads()[c.ID]), nil
}

// used adds who used a connection last, and when, also before this run.
func used(c wire.Connection, read activity.Event) wire.Connection {
	at := read.At
	if read.Until.After(at) {
		at = read.Until
	}
	if c.LastUsedAt == nil {
		c.LastUsedAt = timeOrAbsent(at)
	}
	c.LastUsedBy = read.Program
	return c
}

func (s *Server) ping(ctx context.Context, in *named) (wire.Ping, error) {
	p, err := s.o.Ping(ctx, in.ID)
	if err != nil {
		return wire.Ping{}, err
	}
	return wire.Ping{OK: p.OK, Provider: p.Provider, Account: p.Account, Status: p.Status}, nil
}

func (s *Server) pingByAccount(ctx context.Context, in *with[wire.PingRequest]) (wire.Ping, error) {
	c, err := s.o.Find(in.Body.Provider, in.Body.Account, in.Body.ClientID)
	if err != nil {
		return wire.Ping{}, err
	}
	return s.ping(ctx, &named{c.ID})
}

func (s *Server) disconnect(ctx context.Context, in *named) (wire.Disconnected, error) {
	d, err := s.o.Disconnect(ctx, in.ID)
	if err != nil {
		return wire.Disconnected{}, err
	}
	return wire.Disconnected{Provider: d.Provider, ConnectionID: d.ID, Revoked: d.Revoked, Pending: d.Pending}, nil
}

func (s *Server) disconnectByAccount(ctx context.Context, in *with[wire.DisconnectRequest]) (wire.Disconnected, error) {
	find := func() (orchestrator.Connection, error) {
		return s.o.Find(in.Body.Provider, in.Body.Account, in.Body.ClientID)
	}
	if id := in.Body.ConnectionID; id != "" {
		find = func() (orchestrator.Connection, error) { return s.o.Connection(id) }
	}
	c, err := find()
	if err != nil {
		return wire.Disconnected{}, err
	}
	if c.Provider != in.Body.Provider {
		return wire.Disconnected{}, badRequest("The connection %s is one of %s.", c.ID, c.ProviderName)
	}
	return s.disconnect(ctx, &named{c.ID})
}

func wireConnection(c orchestrator.Connection) wire.Connection {
	return wire.Connection{
		ID:              c.ID,
		Provider:        c.Provider,
		ProviderName:    c.ProviderName,
		Resource:        c.Resource,
		ClientID:        c.ClientID,
		Account:         c.Account,
		GrantedScopes:   orEmpty(c.Granted),
		MissingScopes:   c.Missing,
		Status:          string(c.Status),
		Reason:          string(c.Reason),
		Since:           timeOrAbsent(c.Since),
		Health:          c.Health,
		Unsaved:         c.Unsaved,
		ExpiresAt:       timeOrAbsent(c.Expiry),
		HasRefreshToken: c.HasRefreshToken,
		CreatedAt:       c.Created.UTC(),
		RefreshedAt:     timeOrAbsent(c.Refreshed),
		LastUsedAt:      timeOrAbsent(c.LastUsed),
		NextTryAt:       timeOrAbsent(c.NextTry),
		Forecast:        wireForecast(c.Forecast),
	}
}

func wireForecast(f orchestrator.Forecast) *wire.Forecast {
	if f.At.IsZero() {
		return nil
	}
	return &wire.Forecast{At: f.At.UTC(), Reason: string(f.Reason), Says: f.Says, Fix: f.Fix, Scopes: f.Scopes}
}

func timeOrAbsent(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func orEmpty(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}
