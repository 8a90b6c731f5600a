package hub

import (
	"crypto/ed25519"
	"io"
	"net"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
)

// Spy connects to the NATS server inside as somebody who may do everything,
// which is what an operator of a cluster can.
func (h *Hub) Spy(t testing.TB) *nats.Conn {
	t.Helper()
	pair, err := nkeys.CreateUser()
	if err != nil {
		t.Fatal(err)
	}
	public, _ := pair.PublicKey()
	token, err := h.keys.admit(jwt.NewUserClaims(public))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := nats.Connect("", nats.InProcessServer(h.server), nats.UserJWT(func() (string, error) { return token, nil }, pair.Sign))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	return conn
}

// SetPatience sets how long one try waits for its answer.
func (h *Hub) SetPatience(d time.Duration) { h.patient = d }

// Codes is the secret that makes confirmation codes.
func (k *Keys) Codes() []byte { return k.codes }

// SignWith gives the hub another signing key than its enrolments pin.
func (k *Keys) SignWith(other *Keys) *Keys {
	c := *k
	c.signing = other.signing
	return &c
}

// SigningKey is what apps pin the public half of.
func (h *Hub) SigningKey() ed25519.PrivateKey { return h.keys.signing }

// Unframe is unframe, with what it answers on its own written to back.
func Unframe(to io.Writer, from io.Reader, back net.Conn) error {
	return unframe(to, from, &frames{to: back})
}
