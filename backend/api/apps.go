package api

import (
	"context"

	"keyturn/backend/api/wire"
	"keyturn/backend/oauth"
	"keyturn/backend/orchestrator"
)

func (s *Server) listApps(context.Context, *nothing) (wire.Apps, error) {
	out := wire.Apps{Apps: []wire.App{}}
	for _, a := range s.o.Apps() {
		out.Apps = append(out.Apps, s.wireApp(a))
	}
	return out, nil
}

func (s *Server) upsertApp(ctx context.Context, in *with[wire.AppUpsert]) (wire.App, error) {
	if in.Body.NoClientSecret && in.Body.ClientSecret != "" {
		return wire.App{}, badRequest("client_secret and no_client_secret exclude each other.")
	}
	a, err := s.o.UpsertApp(ctx, in.Body.Provider, in.Body.ClientID, oauth.NewSecret(in.Body.ClientSecret), in.Body.NoClientSecret)
	if err != nil {
		return wire.App{}, err
	}
	return s.wireApp(a), nil
}

func (s *Server) deleteApp(ctx context.Context, in *named) (wire.Deleted, error) {
	if err := s.o.DeleteApp(ctx, in.ID); err != nil {
		return wire.Deleted{}, err
	}
	return wire.Deleted{ID: in.ID}, nil
}

func (s *Server) wireApp(a orchestrator.App) wire.App {
	var serves []string
	for _, p := range s.o.ProviderList() {
		if p.AppsAt == a.Provider && p.ID != a.Provider {
			serves = append(serves, p.ID)
		}
	}
	return wire.App{
		Serves:          serves,
		ID:              a.ID,
		Provider:        a.Provider,
		ClientID:        a.Client.ID,
		HasClientSecret: !a.Client.Secret.IsZero(),
		CreatedAt:       a.Created.UTC(),
		UpdatedAt:       a.Updated.UTC(),
	}
}
