package api

import (
	"context"

	"keyturn/backend/api/wire"
	"keyturn/backend/fault"
)

// addGateway tests a gateway and, when a test callback came home, keeps it.
func (s *Server) addGateway(ctx context.Context, in *with[wire.GatewayAdd]) (wire.Gateway, error) {
	out, err := s.opts.CheckGateway(ctx, in.Body.URL)
	if err != nil {
		return wire.Gateway{}, err
	}
	now := s.opts.Settings()
	now.Gateway = &out.URL
	return out, s.opts.SaveSettings(now)
}

// checkGateway tests the gateway that is set up.
func (s *Server) checkGateway(ctx context.Context, _ *nothing) (wire.Gateway, error) {
	set := s.gateway()
	if set == "" {
		return wire.Gateway{}, fault.New(fault.NotFound, "No gateway is set up. Add one with: keyturn gateway add https://…")
	}
	return s.opts.CheckGateway(ctx, set)
}

func (s *Server) removeGateway(context.Context, *nothing) (wire.Done, error) {
	now, none := s.opts.Settings(), ""
	now.Gateway = &none
	return wire.Done{OK: true}, s.opts.SaveSettings(now)
}

// gateway returns the address of the gateway, or "".
func (s *Server) gateway() string {
	if set := s.opts.Settings().Gateway; set != nil {
		return *set
	}
	return ""
}
