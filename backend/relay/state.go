package relay

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"strings"
)

// statePrefix is no port in base 36 that a bounced state could begin with: r is 27.
const statePrefix = "r."

const (
	idSize  = ed25519.PublicKeySize
	keySize = 32 // X25519
	tagSize = 16
)

// strict refuses what decodes to the same bytes in a second spelling.
var strict = base64.RawURLEncoding.Strict()

// Route is what a state says about where its callback goes.
type Route struct {
	App   string // id of the app
	key   []byte // one-time X25519 public key of the attempt
	tag   []byte
	state string
}

// IsState reports whether a state asks for the relay. It may still be nonsense.
func IsState(state string) bool { return strings.HasPrefix(state, statePrefix) }

// ParseState reads a state.
func ParseState(state string) (Route, error) {
	rest, ok := strings.CutPrefix(state, statePrefix)
	parts := strings.Split(rest, ".")
	if !ok || len(parts) != 3 {
		return Route{}, errors.New("state: not one of the relay")
	}
	var raw [3][]byte
	for i, size := range []int{idSize, keySize, tagSize} {
		b, err := strict.DecodeString(parts[i])
		// The decoder skips line ends: only both lengths together say there were none.
		if err != nil || len(b) != size || len(parts[i]) != strict.EncodedLen(size) {
			return Route{}, errors.New("state: malformed")
		}
		raw[i] = b
	}
	return Route{App: parts[0], key: raw[1], tag: raw[2], state: state}, nil
}

// Genuine reports whether the state was made by the app that has routeKey, for
// provider. Nobody else can make the gateway wake the app.
func (r Route) Genuine(routeKey []byte, provider string) bool {
	return hmac.Equal(r.tag, stateTag(routeKey, provider, r.key))
}

func makeState(id string, routeKey []byte, provider string, key []byte) string {
	return statePrefix + id + "." + strict.EncodeToString(key) + "." + strict.EncodeToString(stateTag(routeKey, provider, key))
}

func stateTag(routeKey []byte, provider string, key []byte) []byte {
	mac := hmac.New(sha256.New, routeKey)
	mac.Write([]byte("keyturn relay state\x00"))
	mac.Write([]byte(provider))
	mac.Write([]byte{0})
	mac.Write(key)
	return mac.Sum(nil)[:tagSize]
}

// publicKey is the Ed25519 key that an id is.
func publicKey(id string) (ed25519.PublicKey, error) {
	key, err := strict.DecodeString(id)
	if err != nil || len(key) != idSize {
		return nil, errors.New("app id: not a key in base64url")
	}
	return key, nil
}
