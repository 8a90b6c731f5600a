package relay

import (
	"context"
	"crypto/ed25519"
	"net"
	"net/url"
)

// Receive gives the client one message, as its connection does.
func (c *Client) Receive(frame []byte) []byte { return c.receive(frame) }

// Link is what SetDial's func returns.
type Link = link

// SetDial puts another kind of connection under Run.
func (c *Client) SetDial(dial func(ctx context.Context, url string, receive func([]byte) []byte) (Link, error)) {
	c.dial = dial
}

// Sign replaces the signature of a message that was changed.
func Sign(frame []byte, app string, gateway ed25519.PrivateKey) []byte {
	body := frame[: len(frame)-ed25519.SignatureSize : len(frame)-ed25519.SignatureSize]
	return append(body, ed25519.Sign(gateway, signed(aboutDelivery, app, body))...)
}

// AnswerWith is makeAnswer.
func AnswerWith(id MessageID, v Verdict, app ed25519.PrivateKey) []byte {
	return makeAnswer(id, v, app)
}

// ThroughProxy is throughProxy.
func ThroughProxy(ctx context.Context, proxy *url.URL, address string) (net.Conn, error) {
	return throughProxy(ctx, proxy, address)
}
