package api

import (
	"context"
	"net/url"

	"keyturn/backend/api/wire"
	"keyturn/backend/fault"
	"keyturn/backend/oauth"
)

// Gateways is what the program can do with gateways.
type Gateways interface {
	// Add tests a gateway and uses it from now on.
	Add(ctx context.Context, in wire.GatewayAdd) (wire.Gateway, error)
	// Check tests the gateway in use; fault.NotFound without one.
	Check(ctx context.Context) (wire.Gateway, error)
	Remove(ctx context.Context) error
	// Forwarded takes a response that a forwarding gateway brought; provider is
	// whose callback path it came to, "" when the gateway does not say.
	Forwarded(ctx context.Context, provider, state string, r oauth.AuthorizationResponse) (oauth.Outcome, error)
}

// forwardedCallback reads the response as strictly as the callback endpoint
// reads its query: by the same parser.
func (s *Server) forwardedCallback(ctx context.Context, in *with[wire.Forwarded]) (wire.Outcome, error) {
	query := url.Values{"state": {in.Body.State}}
	for name, value := range map[string]string{"code": in.Body.Code, "error": in.Body.Error} {
		if value != "" {
			query.Set(name, value)
		}
	}
	if in.Body.Iss != nil {
		query.Set("iss", *in.Body.Iss)
	}
	state, response, err := oauth.ParseAuthorizationResponse(query.Encode())
	if err != nil {
		return wire.Outcome{}, badRequest("This is no authorization response: it has a state, and a code or an error.")
	}
	o, err := s.opts.Gateways.Forwarded(ctx, in.Body.Provider, state, response)
	return wire.Outcome(o), err
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
