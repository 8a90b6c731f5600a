package api

import (
	"context"

	"keyturn/backend/api/wire"
	"keyturn/backend/oauth"
	"keyturn/backend/orchestrator"
)

func (s *Server) listApps(context.Context, *nothing) (wire.Apps, error) {
	out := wire.Apps{Apps: []wire.App{}}
	presets := s.presets()
	for _, a := range s.o.Apps() {
		out.Apps = append(out.Apps, wireApp(a, presets))
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
	return wireApp(a, s.presets()), nil
}

func (s *Server) deleteApp(ctx context.Context, in *named) (wire.Deleted, error) {
	if err := s.o.DeleteApp(ctx, in.ID); err != nil {
		return wire.Deleted{}, err
	}
	return wire.Deleted{ID: in.ID}, nil
}

// presets lists the ids of presets by the provider whose OAuth apps serve them.
func (s *Server) presets() map[string][]string {
	by := map[string][]string{}
	for _, p := range s.o.ProviderList() {
		if p.ID != p.AppsAt {
			by[p.AppsAt] = append(by[p.AppsAt], p.ID)
		}
	}
	return by
}

func wireApp(a orchestrator.App, presets map[string][]string) wire.App {
	return wire.App{
		Serves:          presets[a.Provider],
		ID:              a.ID,
		Provider:        a.Provider,
		ClientID:        a.Client.ID,
		HasClientSecret: !a.Client.Secret.IsZero(),
		CreatedAt:       a.Created.UTC(),
		UpdatedAt:       a.Updated.UTC(),
	}
}
