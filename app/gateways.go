package app

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"

	"keyturn/backend/api/wire"
	"keyturn/backend/config"
	"keyturn/backend/fault"
	"keyturn/backend/gateway"
	"keyturn/backend/oauth"
	"keyturn/backend/orchestrator"
	"keyturn/backend/relay"
	"keyturn/backend/transport"
)

// enrolmentName is under what the store keeps the enrolment at a gateway.
const enrolmentName = "gateway enrolment"

// relayWait is how long Add and Check wait for the connection to a gateway.
const relayWait = 15 * time.Second

// secrets is what of the store this file needs.
type secrets interface {
	SaveSecret(ctx context.Context, name, text string) error
	Secret(ctx context.Context, name string) (string, error)
	DeleteSecret(ctx context.Context, name string) error
}

// gateways sets up the gateway, and keeps the connection to it where Keyturn is
// enrolled at one. While the store is locked there is no connection: what it
// needs is sealed.
type gateways struct {
	settings *settings
	store    secrets
	log      *slog.Logger
	by       *transport.Gateway // set before anything is asked, like door
	door     http.Handler       // for a gateway that forwards

	work sync.Mutex // one change at a time

	mu      sync.Mutex
	running *relay.Client // nil: not enrolled at a relay, or locked
	listens bool          // a forwarding gateway reaches us
	stop    func()        // of whichever of the two; nil when there is none
}

// forwarding reports whether a gateway forwards to here.
func (g *gateways) forwarding() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.listens
}

// client returns the connection to the gateway, nil when Keyturn is not enrolled.
func (g *gateways) client() *relay.Client {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.running
}

// follow connects while the store is open, and until ctx ends.
func (g *gateways) follow(ctx context.Context, core *orchestrator.Orchestrator) error {
	bell, hush := core.Changes()
	defer hush()
	defer g.connect(nil)
	open := false
	for {
		select {
		case <-core.Ready():
			if now := core.Snapshot().Store == nil; now != open {
				open = now
				g.restore(ctx, open)
			}
		default:
		}
		select {
		case <-bell:
		case <-ctx.Done():
			return nil
		}
	}
}

// restore connects with the enrolment that is kept, or ends the connection.
func (g *gateways) restore(ctx context.Context, open bool) {
	g.work.Lock()
	defer g.work.Unlock()
	if !open {
		g.connect(nil)
		return
	}
	text, err := g.store.Secret(ctx, enrolmentName)
	if err != nil || text == "" {
		if err != nil {
			g.log.Warn("enrolment at the gateway not read", "err", err)
		}
		return
	}
	if e, is := gateway.ParseForwardEnrolment(text); is {
		if err := g.listen(oauth.NewSecret(e.Bearer)); err != nil {
			g.log.Error("no gateway can forward to here", "err", fault.MessageOf(err))
		}
		return
	}
	e, err := relay.ParseEnrolment(text)
	if err != nil {
		g.log.Warn("enrolment at the gateway not understood", "err", err)
		return
	}
	g.connect(relay.NewClient(e, relay.Options{Log: g.log}))
}

// listen lets a forwarding gateway reach us, in the place of what was before.
func (g *gateways) listen(bearer oauth.Secret) error {
	g.connect(nil)
	stop, err := g.listenForGateway(bearer)
	if err != nil {
		return err
	}
	g.mu.Lock()
	g.listens, g.stop = true, stop
	g.mu.Unlock()
	return nil
}

// connect runs c in the place of the one before; nil ends it.
func (g *gateways) connect(c *relay.Client) {
	g.mu.Lock()
	before := g.stop
	g.running, g.listens, g.stop = c, false, nil
	if c != nil {
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			c.Run(ctx)
		}()
		g.stop = func() { cancel(); <-ended }
	}
	g.mu.Unlock()
	if before != nil {
		before()
	}
}

// Add implements api.Gateways.
func (g *gateways) Add(ctx context.Context, in wire.GatewayAdd) (wire.Gateway, error) {
	g.work.Lock()
	defer g.work.Unlock()
	if in.Enrolment != "" {
		return g.enrol(ctx, in.Enrolment)
	}
	base, err := config.GatewayURL(in.URL)
	if err != nil {
		return wire.Gateway{}, err
	}
	took, err := g.by.Check(ctx, base)
	if err != nil {
		return wire.Gateway{}, err
	}
	if err := g.store.DeleteSecret(ctx, enrolmentName); err != nil {
		return wire.Gateway{}, err
	}
	g.connect(nil)
	return answerOf(base, took, false), g.keep(base)
}

// enrol connects with an enrolment, and keeps it when that works.
func (g *gateways) enrol(ctx context.Context, text string) (wire.Gateway, error) {
	if e, is := gateway.ParseForwardEnrolment(text); is {
		if err := g.listen(oauth.NewSecret(e.Bearer)); err != nil {
			return wire.Gateway{}, err
		}
		if err := g.store.SaveSecret(ctx, enrolmentName, text); err != nil {
			g.connect(nil)
			return wire.Gateway{}, err
		}
		out := answerOf(e.Gateway, 0, false)
		out.Forward = true
		return out, g.keep(e.Gateway)
	}
	e, err := relay.ParseEnrolment(text)
	if err != nil {
		return wire.Gateway{}, err
	}
	if len(e.URLs) == 0 {
		return wire.Gateway{}, fault.New(fault.BadRequest, "The enrolment names no gateway. Make another with: keyturn-gateway enrol")
	}
	u, err := url.Parse(e.URLs[0])
	if err != nil {
		return wire.Gateway{}, fault.New(fault.BadRequest, "The enrolment names no address. Make another with: keyturn-gateway enrol")
	}
	base, err := config.GatewayURL(u.Scheme + "://" + u.Host)
	if err != nil {
		return wire.Gateway{}, err
	}
	client := relay.NewClient(e, relay.Options{Log: g.log})
	g.connect(client)
	begun := time.Now()
	waiting, cancel := context.WithTimeout(ctx, relayWait)
	defer cancel()
	err = client.Ready(waiting)
	if err == nil {
		err = g.store.SaveSecret(ctx, enrolmentName, text)
	}
	if err != nil {
		g.connect(nil)
		return wire.Gateway{}, err
	}
	return answerOf(base, time.Since(begun), true), g.keep(base)
}

// Check implements api.Gateways.
func (g *gateways) Check(ctx context.Context) (wire.Gateway, error) {
	base := g.settings.gateway()
	if base == "" {
		return wire.Gateway{}, fault.New(fault.NotFound, "No gateway is set up. Add one with: keyturn gateway add https://…")
	}
	if client := g.client(); client != nil {
		begun := time.Now()
		waiting, cancel := context.WithTimeout(ctx, relayWait)
		defer cancel()
		err := client.Ready(waiting)
		return answerOf(base, time.Since(begun), true), err
	}
	if g.forwarding() { // only the gateway can try that way
		out := answerOf(base, 0, false)
		out.Forward = true
		return out, nil
	}
	took, err := g.by.Check(ctx, base)
	return answerOf(base, took, false), err
}

// Remove implements api.Gateways.
func (g *gateways) Remove(ctx context.Context) error {
	g.work.Lock()
	defer g.work.Unlock()
	if err := g.store.DeleteSecret(ctx, enrolmentName); err != nil {
		return err
	}
	g.connect(nil)
	return g.keep("")
}

func (g *gateways) keep(base string) error {
	now := g.settings.get()
	now.Gateway = &base
	return g.settings.save(now)
}

func answerOf(base string, took time.Duration, byRelay bool) wire.Gateway {
	return wire.Gateway{URL: base, RedirectURI: base + "/oauth/callback/{provider}", CameHomeMS: took.Milliseconds(), Relay: byRelay}
}
