package api

import (
	"context"
	"net"
	"sync"
	"time"

	"keyturn/backend/activity"
	"keyturn/backend/api/wire"
	"keyturn/backend/fault"
	"keyturn/backend/orchestrator"
	"keyturn/backend/socket"
)

// activityQuery is what GET /v1/activity can be asked for.
type activityQuery struct {
	ConnectionID string    `query:"connection_id" maxLength:"64" doc:"Only of this connection"`
	Provider     string    `query:"provider" maxLength:"64" doc:"Only of this provider"`
	Since        time.Time `query:"since" doc:"Only what happened then or later"`
	Limit        int       `query:"limit" minimum:"1" maximum:"2000" default:"200" doc:"At most so many, the newest"`
}

func (s *Server) listActivity(_ context.Context, in *activityQuery) (wire.Activity, error) {
	out := wire.Activity{Recording: s.recording(), Activity: []wire.Event{}}
	for _, e := range s.activity.Recent(activity.Query{
		ConnectionID: in.ConnectionID, Provider: in.Provider, Since: in.Since, Limit: in.Limit,
	}) {
		out.Activity = append(out.Activity, wire.Event{
			ID:           e.ID,
			At:           e.At,
			Until:        timeOrAbsent(e.Until),
			Kind:         string(e.Kind),
			ConnectionID: e.ConnectionID,
			Provider:     e.Provider,
			ProviderName: s.nameOf(e.Provider),
			Account:      e.Account,
			Principal:    e.Principal,
			Program:      e.Program,
			PID:          e.PID,
			Code:         e.Code,
			Count:        e.Count,
		})
	}
	return out, nil
}

func (s *Server) recording() bool {
	on := s.opts.Settings().Activity
	return on == nil || *on
}

// nameOf is how people call a provider; one that is gone is called by its id.
func (s *Server) nameOf(providerID string) string {
	if p, err := s.o.Provider(providerID); err == nil {
		return p.Name
	}
	return providerID
}

// record writes down that a program had the token of a connection, or what
// kept it from having one. It is on the way of every token: what is alike an
// event of the last minute is counted and no more is asked.
func (s *Server) record(ctx context.Context, kind activity.Kind, q orchestrator.TokenQuery, connectionID string, err error) {
	if s.activity == nil || ctx.Err() != nil && err != nil {
		return // nobody is there any more
	}
	who := callerOf(ctx)
	e := activity.Event{At: time.Now(), Kind: kind, ConnectionID: connectionID, Principal: Local.String(), Program: who.Name, PID: who.PID}
	if p := principalOf(ctx); p != nobody { // the quick ways are for local programs alone
		e.Principal = p.String()
	}
	if err != nil {
		e.Code, e.Provider, e.Account = string(fault.CodeOf(err)), q.Provider, q.Account
		if c, err := s.asked(q); err == nil {
			e.ConnectionID, e.Provider, e.Account = c.ID, c.Provider, c.Account
		}
	}
	if s.activity.Again(e) {
		return
	}
	if c, gone := s.o.Connection(connectionID); err == nil && gone == nil {
		e.Provider, e.Account = c.Provider, c.Account
	}
	s.activity.Add(e)
}

// asked returns the connection that a query is about, if there is one.
func (s *Server) asked(q orchestrator.TokenQuery) (orchestrator.Connection, error) {
	if q.ConnectionID != "" {
		return s.o.Connection(q.ConnectionID)
	}
	return s.o.Find(q.Provider, q.Account, q.ClientID)
}

// caller is the program at the other end of a connection. Its name is looked
// up when it first matters, and while it waits for its answer: a moment later
// it may be gone.
type caller struct {
	conn    net.Conn
	look    sync.Once
	process socket.Process
}

type callerKey struct{}

func withCaller(ctx context.Context, conn net.Conn) context.Context {
	return context.WithValue(ctx, callerKey{}, &caller{conn: conn})
}

// callerOf names the program that made a request; the zero Process when it
// came from none.
func callerOf(ctx context.Context) socket.Process {
	c, _ := ctx.Value(callerKey{}).(*caller)
	if c == nil {
		return socket.Process{}
	}
	c.look.Do(func() { c.process = socket.Peer(c.conn) })
	return c.process
}
