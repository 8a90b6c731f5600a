package hub

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"keyturn/backend/relay"
)

// keysPrefix names the shape, for people and for scanners of secrets.
const keysPrefix = "keyturn-gateway-keys-1."

// Keys are everything secret about a gateway, made from one random text: what
// signs its messages, what admits apps to its NATS account, what tells genuine
// states, what makes confirmation codes. All replicas have the same. Whoever
// has them is the gateway. They print as [redacted].
type Keys struct {
	root  []byte // 32 random bytes
	codes []byte // makes confirmation codes
	route []byte // makes the key in every enrolment that makes the tags in states

	signing   ed25519.PrivateKey
	operator  nkeys.KeyPair // of the account, where the servers are our own
	account   nkeys.KeyPair // signs the users, which are the apps and the hubs
	accountID string        // public key of the account itself
	borrowed  bool          // account is a signing key of somebody else's account
}

// NewKeys makes the keys of a new gateway.
func NewKeys() *Keys {
	root := make([]byte, 32)
	rand.Read(root)
	return derive(root)
}

// ParseKeys reads what Text wrote.
func ParseKeys(text string) (*Keys, error) {
	encoded, ok := strings.CutPrefix(strings.TrimSpace(text), keysPrefix)
	root, err := base64.RawURLEncoding.DecodeString(encoded)
	if !ok || err != nil || len(root) != 32 {
		return nil, errors.New("relay keys: malformed")
	}
	return derive(root), nil
}

// Text returns the keys as one line, to be kept where only the gateway reads.
func (k *Keys) Text() string { return keysPrefix + base64.RawURLEncoding.EncodeToString(k.root) }

// Public is the key that apps pin.
func (k *Keys) Public() ed25519.PublicKey { return k.signing.Public().(ed25519.PublicKey) }

// InAccount returns the same keys for a NATS account of somebody else: account
// is its public key ("A…"), seed that of the account or of one of its signing
// keys ("SA…").
func (k *Keys) InAccount(account, seed string) (*Keys, error) {
	pair, err := nkeys.FromSeed([]byte(seed))
	if err != nil || !nkeys.IsValidPublicAccountKey(account) {
		return nil, errors.New("relay keys: not an account and its seed")
	}
	public, err := pair.PublicKey()
	if err != nil || !nkeys.IsValidPublicAccountKey(public) {
		return nil, errors.New("relay keys: the seed is not one of an account")
	}
	other := *k
	other.account, other.accountID, other.borrowed = pair, account, true
	return &other, nil
}

func derive(root []byte) *Keys {
	part := func(name string) []byte {
		b, err := hkdf.Expand(sha256.New, root, "keyturn relay 1 "+name, 32)
		if err != nil {
			panic(err) // 32 bytes are never too many
		}
		return b
	}
	pair := func(prefix nkeys.PrefixByte, name string) nkeys.KeyPair {
		p, err := nkeys.FromRawSeed(prefix, part(name))
		if err != nil {
			panic(err) // the seed has the right length
		}
		return p
	}
	k := &Keys{
		root:     root,
		codes:    part("codes"),
		route:    part("routes"),
		signing:  ed25519.NewKeyFromSeed(part("signing")),
		operator: pair(nkeys.PrefixByteOperator, "operator"),
		account:  pair(nkeys.PrefixByteAccount, "account"),
	}
	k.accountID, _ = k.account.PublicKey()
	return k
}

// routeKey is the key for the tags of one app.
func (k *Keys) routeKey(app string) []byte {
	b, err := hkdf.Expand(sha256.New, k.route, app, 32)
	if err != nil {
		panic(err)
	}
	return b
}

// Enrol makes a new app known. name is what the gateway's owner calls it, urls
// are the https addresses of the gateway's relay path. It needs no connection
// and leaves nothing behind: the enrolment is all there is.
func (k *Keys) Enrol(name string, urls ...string) (relay.Enrolment, error) {
	seed := make([]byte, ed25519.SeedSize)
	rand.Read(seed)
	id := base64.RawURLEncoding.EncodeToString(ed25519.NewKeyFromSeed(seed).Public().(ed25519.PublicKey))
	pair, err := nkeys.FromRawSeed(nkeys.PrefixByteUser, seed)
	if err != nil {
		return relay.Enrolment{}, err
	}
	user, err := pair.PublicKey()
	if err != nil {
		return relay.Enrolment{}, err
	}
	claims := jwt.NewUserClaims(user)
	claims.Sub.Allow.Add(relay.Subject(id))
	claims.Pub.Deny.Add(">")
	claims.Resp = &jwt.ResponsePermission{MaxMsgs: 1, Expires: time.Minute}
	claims.Limits.Subs = 2
	claims.Limits.Payload = 1024 // an answer has 83 bytes
	claims.AllowedConnectionTypes.Add(jwt.ConnectionTypeWebsocket, jwt.ConnectionTypeInProcess)
	token, err := k.admit(claims)
	if err != nil {
		return relay.Enrolment{}, err
	}
	return relay.NewEnrolment(name, urls, k.Public(), seed, k.routeKey(id), token)
}

// admit signs a user of the account.
func (k *Keys) admit(claims *jwt.UserClaims) (string, error) {
	if k.borrowed {
		claims.IssuerAccount = k.accountID
	}
	return claims.Encode(k.account)
}

func (k *Keys) String() string       { return "[redacted]" }
func (k *Keys) GoString() string     { return "[redacted]" }
func (k *Keys) LogValue() slog.Value { return slog.StringValue("[redacted]") }
