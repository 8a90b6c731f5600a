package orchestrator

import (
	"context"
	"slices"
	"strings"

	"keyturn/backend/fault"
	"keyturn/backend/oauth"
	"keyturn/backend/provider"
)

// ProviderImport is what a provider file would do, to be shown before it does.
type ProviderImport struct {
	Document string // what Provider was read from
	Provider provider.Provider
	// Approve is the origin where the user approves; SendsTo are those that are
	// sent codes, tokens or client secrets, in the order of a connect.
	Approve  string
	SendsTo  []string
	Replaces bool // a provider of the user's own has the id
	Warnings []string
}

// ReadProvider fetches a provider file.
func (o *Orchestrator) ReadProvider(ctx context.Context, address string) (string, error) {
	data, err := o.http.Document(ctx, address, provider.MaxFile)
	return string(data), err
}

// PreviewProvider reads a provider file and changes nothing. What it returns
// may be shown; ImportProvider takes its Document.
func (o *Orchestrator) PreviewProvider(document string) (ProviderImport, error) {
	p, err := provider.Parse("the file", []byte(document))
	if err == nil {
		err = p.ErrUnfilled()
	}
	switch {
	case err != nil:
		return ProviderImport{}, err
	case p.HostedBy != "":
		return ProviderImport{}, fault.New(fault.BadRequest, "hosted_by is for what comes with Keyturn.")
	}
	known, taken := o.catalogue.Lookup(p.ID)
	switch {
	case taken && !known.Custom && known.ErrUnfilled() == nil:
		return ProviderImport{}, fault.New(fault.Conflict, "%s comes with Keyturn and cannot be replaced. Give the file another id.", known.Name)
	case taken && o.isFromFile(p.ID):
		return ProviderImport{}, errFromFile(known)
	}
	p.Custom = true
	i := ProviderImport{Document: document, Provider: p, Approve: oauth.Origin(p.Authorize.URL), Replaces: taken && known.Custom}
	for _, u := range p.SentTo() {
		if origin := oauth.Origin(u); origin != "" && !slices.Contains(i.SendsTo, origin) {
			i.SendsTo = append(i.SendsTo, origin)
		}
	}
	for _, host := range p.API.Hosts {
		if origin := "https://" + host; !slices.Contains(i.SendsTo, origin) {
			i.SendsTo = append(i.SendsTo, origin)
		}
	}
	if foreign := p.Foreign(); len(foreign) > 0 {
		i.Warnings = append(i.Warnings, "You would approve at "+strings.TrimPrefix(i.Approve, "https://")+", and what comes of it would go to another owner's "+foreign[0]+". Import this only if you know why.")
	}
	if p.AllowLoopbackHTTP {
		i.Warnings = append(i.Warnings, "It may call programs on this computer without encryption.")
	}
	return i, nil
}

// ImportProvider keeps the provider that a file describes, in the place of one
// of the user's own with the same id. Connections whose tokens belong to other
// addresses need to be reconnected; their tokens are sent nowhere.
func (o *Orchestrator) ImportProvider(ctx context.Context, document string) (provider.Provider, error) {
	if err := o.open(ctx); err != nil {
		return provider.Provider{}, err
	}
	i, err := o.PreviewProvider(document)
	if err != nil {
		return provider.Provider{}, err
	}
	if err := o.saveProvider(ctx, i.Provider); err != nil {
		return provider.Provider{}, err
	}
	o.moved(i.Provider)
	return i.Provider, nil
}
