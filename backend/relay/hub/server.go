package hub

import (
	"encoding/base64"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"

	"keyturn/backend/relay"
)

// pingEvery finds connections whose other end vanished, after three of it.
const pingEvery = time.Minute

// operatorClaims and accountClaims are what a server must know to admit whom
// these keys enrolled.
func (k *Keys) operatorClaims() (*jwt.OperatorClaims, error) {
	public, err := k.operator.PublicKey()
	if err != nil {
		return nil, err
	}
	claims := jwt.NewOperatorClaims(public)
	claims.Name = "keyturn-gateway"
	text, err := claims.Encode(k.operator)
	if err != nil {
		return nil, err
	}
	return jwt.DecodeOperatorClaims(text)
}

// accountClaims leaves out the apps that are revoked.
func (k *Keys) accountClaims(revoked []string) (text string, claims *jwt.AccountClaims, err error) {
	claims = jwt.NewAccountClaims(k.accountID)
	claims.Name = "keyturn"
	for _, id := range revoked {
		user, err := userOf(id)
		if err != nil {
			return "", nil, err
		}
		claims.Revoke(user)
	}
	text, err = claims.Encode(k.operator)
	return text, claims, err
}

// userOf is the NATS name of an app: its key in another spelling.
func userOf(id string) (string, error) {
	key, err := base64.RawURLEncoding.DecodeString(id)
	if err != nil || len(key) != 32 {
		return "", errors.New("relay hub: not the id of an app")
	}
	user, err := nkeys.Encode(nkeys.PrefixByteUser, key)
	return string(user), err
}

// NodeConfig returns the part of a NATS server's configuration that makes it
// admit this gateway's hubs and apps: for a cluster that is run for the gateway
// alone. A cluster with an operator of its own takes InAccount instead.
func (k *Keys) NodeConfig() (string, error) {
	operator, err := k.operatorClaims()
	if err != nil {
		return "", err
	}
	operatorText, err := operator.Encode(k.operator)
	if err != nil {
		return "", err
	}
	account, _, err := k.accountClaims(nil)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("operator: %s\nresolver: MEMORY\nresolver_preload: {\n  %s: %s\n}\n", operatorText, k.accountID, account), nil
}

// embedded is a NATS server inside this process. It listens nowhere: the hub
// connects to it in memory, and so does the hub's Handler for each app.
type embedded struct {
	*server.Server
	keys *Keys
}

func startEmbedded(k *Keys, maxApps int, revoked []string) (*embedded, error) {
	operator, err := k.operatorClaims()
	if err != nil {
		return nil, err
	}
	account, _, err := k.accountClaims(revoked)
	if err != nil {
		return nil, err
	}
	resolver := &server.MemAccResolver{}
	if err := resolver.Store(k.accountID, account); err != nil {
		return nil, err
	}
	s, err := server.NewServer(&server.Options{
		ServerName:       "keyturn-gateway",
		DontListen:       true,
		NoLog:            true,
		NoSigs:           true,
		MaxConn:          maxApps + 16, // and the hub itself
		MaxPayload:       relay.MaxMessage,
		MaxPending:       64 * relay.MaxMessage, // of one app, before it is thrown out
		PingInterval:     pingEvery,
		WriteDeadline:    5 * time.Second,
		TrustedOperators: []*jwt.OperatorClaims{operator},
		AccountResolver:  resolver,
	})
	if err != nil {
		return nil, err
	}
	go s.Start()
	if !s.ReadyForConnections(10 * time.Second) {
		s.Shutdown()
		return nil, errors.New("relay hub: the NATS server did not start")
	}
	return &embedded{Server: s, keys: k}, nil
}

// revoke throws these apps out and keeps them out.
func (e *embedded) revoke(ids []string) error {
	_, claims, err := e.keys.accountClaims(ids)
	if err != nil {
		return err
	}
	account, err := e.LookupAccount(e.keys.accountID)
	if err != nil {
		return err
	}
	e.UpdateAccountClaims(account, claims)
	return nil
}
