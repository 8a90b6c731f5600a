package api

import (
	"context"
	"path/filepath"

	"keyturn/backend/activity"
	"keyturn/backend/api/wire"
	"keyturn/backend/bundle"
	"keyturn/backend/orchestrator"
)

// exportAll writes the file here, not at the caller's: refresh tokens leave
// this process sealed or not at all, and a move forgets nothing before the
// file is on the disk.
func (s *Server) exportAll(ctx context.Context, in *with[wire.Export]) (wire.Exported, error) {
	if !filepath.IsAbs(in.Body.Path) {
		return wire.Exported{}, badRequest("path must be an absolute path.")
	}
	words := []byte(in.Body.Passphrase)
	defer clear(words)
	came, err := s.o.Export(ctx, in.Body.Move, func(c orchestrator.Contents) error {
		file, err := bundle.Seal(words, c)
		if err != nil {
			return err
		}
		return bundle.Write(in.Body.Path, file)
	})
	if err != nil {
		return wire.Exported{}, err
	}
	s.record(ctx, activity.Exported, orchestrator.TokenQuery{}, "", nil)
	return wire.Exported{
		Path: in.Body.Path, Connections: moved(came.Connections), Apps: came.Apps, Providers: came.Providers,
		Moved: in.Body.Move, Rotating: moved(came.Rotating), Kept: moved(came.Kept),
	}, nil
}

func (s *Server) importAll(ctx context.Context, in *with[wire.Import]) (wire.Imported, error) {
	if !filepath.IsAbs(in.Body.Path) {
		return wire.Imported{}, badRequest("path must be an absolute path.")
	}
	words := []byte(in.Body.Passphrase)
	defer clear(words)
	file, err := bundle.Read(in.Body.Path)
	if err != nil {
		return wire.Imported{}, err
	}
	contents, err := bundle.Open(words, file)
	if err != nil {
		return wire.Imported{}, err
	}
	came, err := s.o.Import(ctx, contents, in.Body.Replace)
	if came.Any() { // also when an error came after that: the problem says both
		s.record(ctx, activity.Imported, orchestrator.TokenQuery{}, "", nil)
	}
	if err != nil {
		return wire.Imported{}, err
	}
	out := wire.Imported{Connections: moved(came.Connections), Apps: came.Apps, Providers: came.Providers}
	for _, skipped := range came.Skipped {
		out.Skipped = append(out.Skipped, wire.Skipped(skipped))
	}
	return out, nil
}

func moved(all []orchestrator.Connection) []wire.Moved {
	out := make([]wire.Moved, 0, len(all)) // never null in the answer
	for _, c := range all {
		out = append(out, wire.Moved{ID: c.ID, Provider: c.Provider, Account: c.Account})
	}
	return out
}
