package api

import (
	"context"

	"keyturn/backend/api/wire"
	"keyturn/backend/fault"
)

// Gateways is what the program can do with gateways.
type Gateways interface {
	// Add tests a gateway and uses it from now on.
	Add(ctx context.Context, in wire.GatewayAdd) (wire.Gateway, error)
	// Check tests the gateway in use; fault.NotFound without one.
	Check(ctx context.Context) (wire.Gateway, error)
	Remove(ctx context.Context) error
}

func (s *Server) addGateway(ctx context.Context, in *with[wire.GatewayAdd]) (wire.Gateway, error) {
	if (in.Body.URL == "") == (in.Body.Enrolment == "") {
		return wire.Gateway{}, fault.New(fault.BadRequest, "Give the address of a gateway, or what keyturn-gateway enrol printed.")
	}
	return s.opts.Gateways.Add(ctx, in.Body)
}

func (s *Server) checkGateway(ctx context.Context, _ *nothing) (wire.Gateway, error) {
	return s.opts.Gateways.Check(ctx)
}

func (s *Server) removeGateway(ctx context.Context, _ *nothing) (wire.Done, error) {
	return wire.Done{OK: true}, s.opts.Gateways.Remove(ctx)
}

// gateway returns the address of the gateway, or "".
func (s *Server) gateway() string {
	if set := s.opts.Settings().Gateway; set != nil {
		return *set
	}
	return ""
}
