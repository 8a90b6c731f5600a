package api

import (
	"context"
	"slices"

	"keyturn/backend/api/wire"
	"keyturn/backend/fault"
	"keyturn/backend/oauth"
	"keyturn/backend/provider"
)

func (s *Server) listProviders(context.Context, *nothing) (wire.Providers, error) {
	mine := s.mine()
	out := wire.Providers{Providers: []wire.ProviderSummary{}}
	for _, p := range s.o.Providers() {
		out.Providers = append(out.Providers, s.summary(p, mine))
	}
	return out, nil
}

func (s *Server) listMCPServers(context.Context, *nothing) (wire.MCPServers, error) {
	out := wire.MCPServers{Servers: []wire.MCPServer{}}
	known := map[string]string{}
	for _, p := range s.o.OwnProviders() {
		if p.Resource.URL != "" {
			known[p.Resource.URL] = p.ID
		}
	}
	for _, m := range provider.MCPServers() {
		out.Servers = append(out.Servers, wire.MCPServer{Name: m.Name, URL: m.URL, NeedsApp: m.NeedsApp, Provider: known[m.URL]})
	}
	return out, nil
}

func (s *Server) getProvider(_ context.Context, in *named) (wire.Provider, error) {
	return s.wireProvider(s.o.Provider(in.ID))
}

// openConsole opens a page that the catalogue or the user named: the window
// itself can open nothing.
func (s *Server) openConsole(_ context.Context, in *named) (wire.Done, error) {
	p, err := s.o.Provider(in.ID)
	if err != nil {
		return wire.Done{}, err
	}
	if p.Setup.Console == "" {
		return wire.Done{}, fault.New(fault.NotFound, "Keyturn does not know where %s registers OAuth apps.", p.Name)
	}
	return wire.Done{OK: true}, s.opts.Open(p.Setup.Console)
}

func (s *Server) registerProvider(ctx context.Context, in *with[wire.ProviderRegister]) (wire.Provider, error) {
	return s.wireProvider(s.o.RegisterProvider(ctx, provider.Registration(in.Body)))
}

func (s *Server) updateProvider(ctx context.Context, in *namedWith[wire.ProviderRegister]) (wire.Provider, error) {
	if in.Body.ProviderKey != in.ID {
		return wire.Provider{}, badRequest("provider_key is not the provider that the path names; it cannot be changed.")
	}
	return s.wireProvider(s.o.UpdateProvider(ctx, provider.Registration(in.Body)))
}

func (s *Server) previewProvider(ctx context.Context, in *with[wire.ProviderDocument]) (wire.ProviderPreview, error) {
	document := in.Body.Document
	if (document == "") == (in.Body.URL == "") {
		return wire.ProviderPreview{}, badRequest("Give document or url.")
	}
	if in.Body.URL != "" {
		var err error
		if document, err = s.o.ReadProvider(ctx, in.Body.URL); err != nil {
			return wire.ProviderPreview{}, err
		}
	}
	i, err := s.o.PreviewProvider(document)
	if err != nil {
		return wire.ProviderPreview{}, err
	}
	p, err := s.wireProvider(i.Provider, nil)
	return wire.ProviderPreview{Document: i.Document, Provider: p, Approve: i.Approve, SendsTo: orEmpty(i.SendsTo), Replaces: i.Replaces, Warnings: i.Warnings}, err
}

func (s *Server) importProvider(ctx context.Context, in *with[wire.ProviderDocument]) (wire.Provider, error) {
	if in.Body.Document == "" {
		return wire.Provider{}, badRequest("Give the document of a preview.")
	}
	return s.wireProvider(s.o.ImportProvider(ctx, in.Body.Document))
}

func (s *Server) deleteProvider(ctx context.Context, in *namedWith[*wire.ProviderDelete]) (wire.Deleted, error) {
	force := in.Body != nil && in.Body.Force
	if err := s.o.DeleteProvider(ctx, in.ID, force); err != nil {
		return wire.Deleted{}, err
	}
	return wire.Deleted{ID: in.ID}, nil
}

// mine is what the user adds to what a provider's entry says.
type mine struct {
	apps       map[string]bool // by provider id
	favourites []string
	gateway    string
}

func (s *Server) mine() mine {
	m := mine{apps: map[string]bool{}, gateway: s.gateway()}
	for _, a := range s.o.Apps() {
		m.apps[a.Provider] = true
	}
	if f := s.opts.Settings().Favourites; f != nil {
		m.favourites = *f
	}
	return m
}

func (s *Server) summary(p provider.Provider, mine mine) wire.ProviderSummary {
	return wire.ProviderSummary{
		ID:           p.ID,
		Name:         p.Name,
		Category:     p.Category,
		Custom:       p.Custom,
		Ready:        p.Client.ID != "" || mine.apps[p.AppsAt()],
		Popular:      p.Popular,
		Favourite:    slices.Contains(mine.favourites, p.ID),
		NeedsSecret:  p.NeedsSecret(),
		ConsoleURL:   p.Setup.Console,
		RedirectURI:  p.RedirectURI(s.opts.CallbackPort, mine.gateway),
		RedirectNote: p.Redirect.Note,
	}
}

func (s *Server) wireProvider(p provider.Provider, err error) (wire.Provider, error) {
	if err != nil {
		return wire.Provider{}, err
	}
	out := wire.Provider{
		ProviderSummary:    s.summary(p, s.mine()),
		Issuer:             p.Issuer,
		AuthorizationURL:   p.Authorize.URL,
		TokenURL:           p.Token.URL,
		RefreshURL:         p.Token.RefreshURL,
		RevocationURL:      p.Revoke.URL,
		UserinfoURL:        p.Identity.URL,
		TokenAuthMethods:   methods(p.AuthMethods()),
		PKCE:               p.PKCE,
		ScopeSeparator:     p.Scope.Separator,
		Scopes:             scopes(p.Scope),
		CallbackTransports: orEmpty(p.Transports()),
		APIHosts:           orEmpty(p.API.Hosts),
		Steps:              orEmpty(p.Setup.Steps),
		Warnings:           orEmpty(p.Setup.Warnings),
		Extends:            p.Extends,
		Vars:               []wire.ProviderVar{},
		Resource:           p.Resource.URL,
		Evidence:           []wire.Evidence{},
	}
	for _, name := range p.Unfilled() {
		out.Vars = append(out.Vars, wire.ProviderVar{Name: name, Says: p.Vars[name].Says, OneOf: p.Vars[name].OneOf})
	}
	for _, e := range p.Evidence {
		out.Evidence = append(out.Evidence, wire.Evidence(e))
	}
	if out.PKCE == "" {
		out.PKCE = "s256"
	}
	if out.ScopeSeparator == "" {
		out.ScopeSeparator = " "
	}
	return out, nil
}

// scopes lists the default scopes first, in the order in which they are asked
// for, then what else is known.
func scopes(s provider.Scope) []wire.ProviderScope {
	out := []wire.ProviderScope{}
	for _, name := range s.Default {
		out = append(out, wire.ProviderScope{Name: name, Says: says(s, name), Default: true})
	}
	for _, known := range s.Known {
		if !slices.Contains(s.Default, known.Name) {
			out = append(out, wire.ProviderScope{Name: known.Name, Says: known.Says})
		}
	}
	return out
}

func says(s provider.Scope, name string) string {
	for _, known := range s.Known {
		if known.Name == name {
			return known.Says
		}
	}
	return ""
}

func methods(from []oauth.AuthMethod) []string {
	out := []string{}
	for _, m := range from {
		out = append(out, string(m))
	}
	return out
}
