package main

import (
	"context"
	"errors"
	"net/http"
	"net/url"

	"keyturn/backend/gateway"
	"keyturn/backend/page"
	"keyturn/backend/relay"
	"keyturn/backend/relay/hub"
)

// relayed is a gateway.Way: what is for an enrolled app goes over the hub, the
// rest is bounced.
type relayed struct{ hub *hub.Hub }

func (r relayed) Deliver(ctx context.Context, c gateway.Callback) gateway.Answer {
	if !relay.IsState(c.State) {
		return gateway.Bounce{}.Deliver(ctx, c)
	}
	params := url.Values{"state": {c.State}}
	if c.Response.Error != "" {
		params.Set("error", c.Response.Error)
	} else {
		params.Set("code", c.Response.Code.Reveal())
	}
	if c.Response.Iss != nil {
		params.Set("iss", *c.Response.Iss)
	}
	receipt, err := r.hub.Deliver(ctx, c.Provider, params)
	switch {
	case err == nil && receipt.Code == "":
		return gateway.Answer{Status: http.StatusOK, Outcome: "relayed", Page: page.Page{
			Tone: page.Idle, State: "Passed on", Heading: "Your Keyturn knows",
			Text: "It was not approved, and your Keyturn has been told.", Hint: page.CloseTab,
		}}
	case err == nil:
		return gateway.Answer{Status: http.StatusOK, Outcome: "relayed", Page: page.Page{
			Tone: page.Working, State: "One step left", Heading: "Type this code into your Keyturn",
			Text: "It asks for the code now. Give it to nobody: whoever has it gets access to the account that you have just approved.",
			Code: receipt.Code, Hint: "Nothing is connected before that. If you did not start this yourself, close this tab.",
		}}
	case errors.Is(err, relay.ErrUnreachable):
		return gateway.Unreachable("relay: unreachable")
	case errors.Is(err, relay.ErrClock):
		return gateway.Answer{Status: http.StatusBadGateway, Outcome: "relay: clock", Page: page.Page{
			Tone: page.Bad, State: "Clocks differ", Heading: "A clock is wrong",
			Text: "The clocks of this gateway and of your Keyturn differ by more than five minutes. Correct them, and start again.", Hint: page.CloseTab,
		}}
	case errors.Is(err, relay.ErrUnknown):
		return gateway.NotForUs("relay: unknown")
	}
	return gateway.NotForUs("relay: refused")
}
