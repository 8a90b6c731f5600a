package api

import (
	"context"
	"path/filepath"

	"keyturn/backend/api/wire"
	"keyturn/backend/orchestrator"
)

func (s *Server) lockStore(ctx context.Context, _ *nothing) (wire.Done, error) {
	if err := s.o.Lock(ctx); err != nil {
		return wire.Done{}, err
	}
	s.opts.Locked()
	return wire.Done{OK: true}, nil
}

func (s *Server) setHandOuts(_ context.Context, in *with[wire.HandOuts]) (wire.HandOuts, error) {
	s.o.Pause(in.Body.Paused)
	return in.Body, nil
}

func (s *Server) unlockStore(ctx context.Context, in *with[wire.Unlock]) (wire.Done, error) {
	var words []byte
	if in.Body.Passphrase != "" {
		words = []byte(in.Body.Passphrase)
	}
	return wire.Done{OK: true}, s.o.Unlock(ctx, words)
}

func (s *Server) changeProtector(ctx context.Context, in *with[wire.ProtectorChange]) (wire.ProtectorChanged, error) {
	if in.Body.KeyFile != "" && !filepath.IsAbs(in.Body.KeyFile) {
		return wire.ProtectorChanged{}, badRequest("key_file must be an absolute path.")
	}
	came, err := s.o.ChangeProtector(ctx, orchestrator.Protection{
		Kind:       in.Body.Protector,
		KeyFile:    in.Body.KeyFile,
		Passphrase: []byte(in.Body.Passphrase),
	})
	if err != nil {
		return wire.ProtectorChanged{}, err
	}
	out := wire.ProtectorChanged{Protector: in.Body.Protector, Says: came.Says}
	for _, d := range came.Damaged {
		out.Damaged = append(out.Damaged, wire.Damaged(d))
	}
	return out, nil
}
