package transport

import (
	"context"
	"crypto/sha256"
	"sync"

	"keyturn/backend/fault"
	"keyturn/backend/oauth"
)

// forwards are the attempts whose responses a gateway posts to here. The
// gateway has proved who it is before it gets this far.
type forwards struct {
	mu      sync.Mutex
	waiting map[digest]*forwarded
}

// forwarded is one of them.
type forwarded struct {
	provider string
	response chan oauth.AuthorizationResponse // of one
	told     chan struct{}                    // closed once outcome is set
	telling  sync.Once
	outcome  oauth.Outcome
}

// authorizeByForward is Authorize for an app that a gateway reaches.
func (g *Gateway) authorizeByForward(ctx context.Context, req oauth.AuthorizationRequest, show func(oauth.Prompt)) (oauth.Reply, error) {
	if ctx.Err() != nil {
		return oauth.Reply{}, endOf(ctx)
	}
	redirectURI := g.base() + callbackPath + req.ProviderID
	authURL, err := req.PromptURL(ctx, redirectURI)
	if err != nil {
		return oauth.Reply{}, oauth.Fault(err, req.ProviderName)
	}
	key := digest(sha256.Sum256([]byte(req.State.Reveal())))
	f := &forwarded{provider: req.ProviderID, response: make(chan oauth.AuthorizationResponse, 1), told: make(chan struct{})}
	g.forwards.mu.Lock()
	g.forwards.waiting[key] = f
	g.forwards.mu.Unlock()
	// Whoever takes it out of the map has the attempt.
	take := func() bool {
		g.forwards.mu.Lock()
		defer g.forwards.mu.Unlock()
		there := g.forwards.waiting[key] == f
		if there {
			delete(g.forwards.waiting, key)
		}
		return there
	}
	reply := func(r oauth.AuthorizationResponse) (oauth.Reply, error) {
		return oauth.Reply{Response: r, Tell: func(o oauth.Outcome) {
			f.telling.Do(func() { f.outcome = o; close(f.told) })
		}}, nil
	}
	show(oauth.Prompt{URL: authURL, RedirectURI: redirectURI})
	select {
	case r := <-f.response:
		return reply(r)
	case <-ctx.Done():
		if take() {
			return oauth.Reply{}, endOf(ctx)
		}
		return reply(<-f.response)
	}
}

// Forwarded takes a response that the gateway posted, once, and returns what
// became of the attempt. fault.StateUnknown when no attempt at that provider
// waits for it; a gateway that does not say the provider passes "".
func (g *Gateway) Forwarded(ctx context.Context, provider, state string, r oauth.AuthorizationResponse) (oauth.Outcome, error) {
	key := digest(sha256.Sum256([]byte(state)))
	g.forwards.mu.Lock()
	f := g.forwards.waiting[key]
	here := f != nil && (provider == "" || provider == f.provider)
	if here {
		delete(g.forwards.waiting, key)
	}
	g.forwards.mu.Unlock()
	if !here {
		return oauth.Outcome{}, fault.New(fault.StateUnknown, "No attempt waits for this response.")
	}
	f.response <- r
	select {
	case <-f.told:
		return f.outcome, nil
	case <-ctx.Done():
		return oauth.Outcome{}, ctx.Err()
	}
}
