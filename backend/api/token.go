package api

import (
	"context"
	"time"

	"keyturn/backend/activity"
	"keyturn/backend/api/wire"
	"keyturn/backend/orchestrator"
)

func (s *Server) token(ctx context.Context, in *with[wire.TokenRequest]) (wire.Token, error) {
	return s.handOut(ctx, orchestrator.TokenQuery{
		Provider: in.Body.Provider,
		Account:  in.Body.Account,
		ClientID: in.Body.ClientID,
		Scopes:   in.Body.Scopes,
		MinValid: time.Duration(in.Body.MinValidSeconds) * time.Second,
	})
}

func (s *Server) connectionToken(ctx context.Context, in *namedWith[*wire.ConnectionTokenRequest]) (wire.Token, error) {
	q := orchestrator.TokenQuery{ConnectionID: in.ID}
	if in.Body != nil {
		q.Scopes, q.MinValid = in.Body.Scopes, time.Duration(in.Body.MinValidSeconds)*time.Second
	}
	return s.handOut(ctx, q)
}

// handOut is the only place where a secret enters an answer.
func (s *Server) handOut(ctx context.Context, q orchestrator.TokenQuery) (wire.Token, error) {
	t, err := orchestrator.AccessToken{}, s.o.HandsOut()
	if err == nil {
		t, err = s.o.Token(ctx, q)
	}
	s.record(ctx, activity.TokenRead, q, t.ConnectionID, err)
	if err != nil {
		return wire.Token{}, err
	}
	return wire.Token{
		Token:         t.Token.Reveal(),
		TokenType:     t.Type,
		ExpiresAt:     timeOrAbsent(t.Expiry),
		GrantedScopes: orEmpty(t.Granted),
		ConnectionID:  t.ConnectionID,
	}, nil
}
