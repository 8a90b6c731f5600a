package transport_test

import (
	"context"
	"net/http"
	"net/url"
	"testing"

	"keyturn/backend/fault"
	"keyturn/backend/oauth"
	"keyturn/backend/transport"
	"keyturn/backend/transport/transporttest"
)

// A gateway that forwards is a transport like the others.
func TestForwardKeepsWhatTransportsHaveToKeep(t *testing.T) {
	transporttest.Run(t, func(t *testing.T) transporttest.Subject {
		l, _ := newLoopback(t)
		g := transport.NewGateway(l, func() string { return "https://gw.example" }, nil, http.DefaultClient)
		g.Forwards(func() bool { return true })
		return transporttest.Subject{
			Transport: g,
			Respond: func(p oauth.Prompt, response url.Values) error {
				state, r, err := oauth.ParseAuthorizationResponse(response.Encode())
				if err != nil {
					return nil // the gateway answers that itself
				}
				ctx, cancel := context.WithCancel(t.Context())
				cancel() // it does not wait for the outcome
				_, err = g.Forwarded(ctx, "acme", state, r)
				if fault.CodeOf(err) == fault.StateUnknown {
					return nil
				}
				return nil
			},
			Close: func() { _ = l.Close(context.Background()) },
		}
	})
}

func TestAForwardedResponseIsAnsweredWithItsOutcome(t *testing.T) {
	l, _ := newLoopback(t)
	g := transport.NewGateway(l, func() string { return "https://gw.example" }, nil, http.DefaultClient)
	g.Forwards(func() bool { return true })
	a := transporttest.Start(t, g, transporttest.Request())
	if a.Prompt.RedirectURI != "https://gw.example/oauth/callback/acme" {
		t.Errorf("%s", a.Prompt.RedirectURI)
	}
	go func() {
		e := a.Wait(t)
		if e.Reply.Response.Code.Reveal() != "c" {
			t.Error("another response was taken")
		}
		e.Reply.Tell(oauth.Outcome{OK: true, Provider: "Acme", Account: "ada"})
	}()
	// RFC 9700 section 4.4: the response of another server, with the state of this attempt.
	if _, err := g.Forwarded(t.Context(), "other", a.State, oauth.AuthorizationResponse{Code: oauth.NewSecret("mixed")}); fault.CodeOf(err) != fault.StateUnknown {
		t.Errorf("on the path of another provider: %v", err)
	}
	o, err := g.Forwarded(t.Context(), "acme", a.State, oauth.AuthorizationResponse{Code: oauth.NewSecret("c")})
	if err != nil || !o.OK || o.Account != "ada" {
		t.Errorf("%+v %v", o, err)
	}
	if _, err := g.Forwarded(t.Context(), "acme", a.State, oauth.AuthorizationResponse{Code: oauth.NewSecret("c")}); fault.CodeOf(err) != fault.StateUnknown {
		t.Errorf("a second time: %v", err)
	}
}
