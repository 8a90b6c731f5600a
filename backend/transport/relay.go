package transport

import (
	"context"
	"errors"
	"time"

	"keyturn/backend/fault"
	"keyturn/backend/oauth"
	"keyturn/backend/relay"
)

// relayPatience is how long an attempt waits for the connection to the gateway.
const relayPatience = 8 * time.Second

// authorizeByRelay is Authorize for an app that no browser can reach: the
// gateway delivers the response over the connection that the app holds, and the
// user types the code that the browser shows (package relay).
func (g *Gateway) authorizeByRelay(ctx context.Context, r *relay.Client, req oauth.AuthorizationRequest, show func(oauth.Prompt)) (oauth.Reply, error) {
	if ctx.Err() != nil {
		return oauth.Reply{}, endOf(ctx)
	}
	waiting, cancel := context.WithTimeout(ctx, relayPatience)
	defer cancel()
	if err := r.Ready(waiting); err != nil {
		if ctx.Err() != nil {
			return oauth.Reply{}, endOf(ctx)
		}
		return oauth.Reply{}, oauth.Fault(err, req.ProviderName)
	}
	a, err := r.Expect(req.ProviderID)
	if err != nil {
		return oauth.Reply{}, oauth.Fault(err, req.ProviderName)
	}
	defer a.Cancel()
	req.State = oauth.NewSecret(a.State())
	redirectURI := g.base() + callbackPath + req.ProviderID
	authURL, err := req.PromptURL(ctx, redirectURI)
	if err != nil {
		return oauth.Reply{}, oauth.Fault(err, req.ProviderName)
	}
	over := make(chan error, 1)
	show(oauth.Prompt{URL: authURL, RedirectURI: redirectURI, Held: a.Held(), Confirm: func(code string) error {
		err := a.Confirm(code)
		if errors.Is(err, relay.ErrOver) {
			select {
			case over <- err:
			default:
			}
		}
		return err
	}})
	reply := func(r oauth.AuthorizationResponse) (oauth.Reply, error) {
		return oauth.Reply{Response: r, Tell: func(oauth.Outcome) {}}, nil
	}
	select {
	case response := <-a.Response():
		return reply(response)
	case err := <-over:
		select {
		case response := <-a.Response(): // it went out at the same moment
			return reply(response)
		default:
			return oauth.Reply{}, fault.Wrap(err, fault.Denied, "The code was wrong too often, so nothing was connected. Start again from Keyturn.")
		}
	case <-ctx.Done():
		a.Cancel()
		select {
		case response := <-a.Response():
			return reply(response)
		default:
			return oauth.Reply{}, endOf(ctx)
		}
	}
}
