package relay

import (
	"crypto/ed25519"
	"encoding/json"
	"log/slog"
	"net"
	"net/url"
	"strings"

	"keyturn/backend/fault"
	"keyturn/backend/strictjson"
)

// tokenPrefix names the shape, for people and for scanners of secrets.
const tokenPrefix = "keyturn-relay-1."

// maxToken is the longest enrolment text that is read, in bytes.
const maxToken = 8 << 10

// Enrolment makes one app known to one gateway and the gateway known to the
// app. It is a secret: who has it receives the app's callbacks, though without
// the attempt's own key nobody can read them. It prints as [redacted].
type Enrolment struct {
	Name    string            // what the gateway's owner calls the app
	ID      string            // the app's public key in base64url: its address on the relay
	URLs    []string          // https addresses of the gateway's relay path, tried in turn
	Gateway ed25519.PublicKey // signs what the gateway sends; pinned

	seed  []byte // the app's Ed25519 key, RFC 8032 section 5.1.5
	route []byte // makes the tag in states
	jwt   string // lets the app subscribe to its own subject, and no other
}

// enrolmentText is the JSON inside a token.
type enrolmentText struct {
	Name    string   `json:"name"`
	URLs    []string `json:"urls"`
	Gateway []byte   `json:"gateway"`
	Seed    []byte   `json:"seed"`
	Route   []byte   `json:"route"`
	JWT     string   `json:"jwt"`
}

// NewEnrolment puts an enrolment together; the gateway's hub does, once for
// each app. The app's id follows from seed.
func NewEnrolment(name string, urls []string, gateway ed25519.PublicKey, seed, route []byte, jwt string) (Enrolment, error) {
	return enrolmentText{Name: name, URLs: urls, Gateway: gateway, Seed: seed, Route: route, JWT: jwt}.check()
}

// Token returns the enrolment as one line of text, for ParseEnrolment.
func (e Enrolment) Token() string {
	data, err := json.Marshal(enrolmentText{e.Name, e.URLs, e.Gateway, e.seed, e.route, e.jwt})
	if err != nil {
		panic(err) // strings and bytes always marshal
	}
	return tokenPrefix + strict.EncodeToString(data)
}

// ParseEnrolment reads what Token wrote. The error is a *fault.Error.
func ParseEnrolment(token string) (Enrolment, error) {
	bad := func() (Enrolment, error) {
		return Enrolment{}, fault.New(fault.BadRequest, "This is not an enrolment of a Keyturn gateway. Copy the whole line that the gateway printed.")
	}
	text, ok := strings.CutPrefix(strings.TrimSpace(token), tokenPrefix)
	if !ok || len(text) > maxToken {
		return bad()
	}
	data, err := strict.DecodeString(text)
	if err != nil || strictjson.Check(data) != nil {
		return bad()
	}
	var t enrolmentText
	if json.Unmarshal(data, &t) != nil {
		return bad()
	}
	return t.check()
}

func (t enrolmentText) check() (Enrolment, error) {
	if len(t.Gateway) != ed25519.PublicKeySize || len(t.Seed) != ed25519.SeedSize || len(t.Route) != 32 || t.JWT == "" || len(t.URLs) == 0 {
		return Enrolment{}, fault.New(fault.BadRequest, "The enrolment is not complete. Ask the gateway for a new one.")
	}
	for _, text := range t.URLs {
		if !usable(text) {
			return Enrolment{}, fault.New(fault.BadRequest, "The enrolment names a gateway address that is not https. Ask the gateway for a new one.")
		}
	}
	key := ed25519.NewKeyFromSeed(t.Seed)
	return Enrolment{
		Name: t.Name, ID: strict.EncodeToString(key.Public().(ed25519.PublicKey)), URLs: t.URLs,
		Gateway: t.Gateway, seed: t.Seed, route: t.Route, jwt: t.JWT,
	}, nil
}

// usable reports whether an address is https, or http on this very machine.
func usable(address string) bool {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return false
	}
	if u.Scheme == "http" {
		ip := net.ParseIP(u.Hostname())
		return ip != nil && ip.IsLoopback()
	}
	return u.Scheme == "https"
}

// key is the app's signing key.
func (e Enrolment) key() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(e.seed) }

func (e Enrolment) String() string       { return "[redacted]" }
func (e Enrolment) GoString() string     { return "[redacted]" }
func (e Enrolment) LogValue() slog.Value { return slog.StringValue("[redacted]") }
