// Package config is the settings file: one small TOML document that the user
// may edit, and that the window and the API write.
//
// It is read strictly: an unknown key, a wrong type or a value out of range is
// an error with its line, and a file that others can write to is refused,
// because it says where Keyturn listens. A file that is not there means the
// usual settings. Save writes the whole file anew: comments of the user's own
// and the order of lines do not survive it.
package config

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/pelletier/go-toml/v2"

	"keyturn/backend/fault"
)

// Settings are what the user can change.
type Settings struct {
	// CallbackPort is the TCP port of the redirect URI for providers that do
	// not accept any port: 1024 to 65535, usually 27419.
	CallbackPort int `toml:"callback_port" comment:"Port of http://127.0.0.1 for providers that insist on one (1024 to 65535). Takes effect at the next start."`
	// Notifications says whether the desktop is told about connects and
	// outages; usually true.
	Notifications bool `toml:"notifications" comment:"Show notifications."`
	// Activity says whether it is recorded what happens to grants and which
	// programs read tokens; usually true.
	Activity bool `toml:"activity" comment:"Record what happens to grants, and which programs read tokens."`
	// Gateway is the address of the gateway for providers that accept https
	// callbacks only; usually none.
	Gateway string `toml:"gateway,omitempty" comment:"Address of a gateway, for providers that accept https callbacks only."`
	// HTTPSLoopback says whether providers that insist on https are sent to
	// https://localhost with a certificate of this install's own, of which the
	// browser warns once; usually false.
	HTTPSLoopback bool `toml:"https_loopback" comment:"For providers that insist on https: take their callbacks on this computer, with a certificate that the browser warns of once."`
	// Favourites are the ids of providers that the tray and the window offer
	// first, in this order; usually none, at most 12.
	Favourites []string `toml:"favourites,omitempty" comment:"Providers that the tray and the window offer first, such as [\"github\", \"linear\"]."`
	// Browser is the id of the browser, or the profile of one, in which pages
	// are opened; usually none, and the system's own is used.
	Browser string `toml:"browser,omitempty" comment:"Where pages are opened, such as \"firefox\" or \"chromium/Profile 1\"; the window lists them."`
	// Language is that of the window, the tray and notifications: one of
	// Languages; usually none, and the system's is used.
	Language string `toml:"language,omitempty" comment:"Language of the window, the tray and notifications: \"de\" or \"en\"."`
	// GatewayListen is where a forwarding gateway reaches Keyturn, while one is
	// enrolled; GatewayCert and GatewayKey are needed unless it is on this machine.
	GatewayListen string `toml:"gateway_listen,omitempty" comment:"host:port where a forwarding gateway reaches Keyturn. Takes effect at the next start."`
	GatewayCert   string `toml:"gateway_cert,omitempty" comment:"Certificate chain for gateway_listen, PEM."`
	GatewayKey    string `toml:"gateway_key,omitempty" comment:"Its private key, PEM."`
	// ClientDocument is the address of a document that describes this client, for
	// authorization servers that take one as client id (OAuth Client ID Metadata
	// Document); usually none, and Keyturn registers itself (RFC 7591).
	ClientDocument string `toml:"client_document,omitempty" comment:"https address of a client metadata document of yours, used as client id where an MCP server takes one."`
}

// Default returns the usual settings. The port lies below every range that
// systems give out by themselves.
func Default() Settings { return Settings{CallbackPort: 27419, Notifications: true, Activity: true} }

const (
	lowestPort  = 1024
	highestPort = 65535
	// MaxFavourites is what the tray has room for.
	MaxFavourites = 12
	maxBrowser    = 200
	maxSize       = 64 << 10
)

// Languages are those that can be chosen (ISO 639-1).
var Languages = []string{"de", "en"}

// Load reads the file at path. What it does not mention is as usual.
func Load(path string) (Settings, error) {
	s := Default()
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return s, nil
	case err != nil:
		return Default(), fault.Wrap(err, fault.BadRequest, "The settings file %q cannot be read. Check that it is a file of yours.", path)
	case !private(info):
		return Default(), fault.New(fault.Forbidden, "The settings file %q is not used, because it is no plain file or others can change it. Make it yours alone: chmod 600 %q", path, path)
	case info.Size() > maxSize:
		return Default(), fault.New(fault.BadRequest, "The settings file %q is too large to be one. Correct it, or remove it for the usual settings.", path)
	}
	data, err := read(path)
	if err != nil {
		return Default(), fault.Wrap(err, fault.BadRequest, "The settings file %q cannot be read. Check that it is a file of yours.", path)
	}
	if err := toml.NewDecoder(bytes.NewReader(data)).DisallowUnknownFields().Decode(&s); err != nil {
		return Default(), unreadable(err, path)
	}
	if err := exact(data, path); err != nil {
		return Default(), err
	}
	if err := s.check(); err != nil {
		return Default(), fault.New(fault.BadRequest, "In the settings file %q: %s", path, err)
	}
	return s, nil
}

// Save writes the file at path so that a reader sees the old one or the new.
func Save(path string, s Settings) error {
	if err := s.check(); err != nil {
		return err
	}
	data, err := toml.Marshal(s)
	if err != nil {
		return fault.Wrap(err, fault.Internal, "The settings could not be written.")
	}
	if err := replace(path, data); err != nil {
		return fault.Wrap(err, fault.DiskFull, "The settings file %q could not be written. See that its folder is yours and that the disk has room.", path)
	}
	return nil
}

// providerID is the shape of a provider's id; one that is not known (any more)
// is passed over where it would be shown.
var providerID = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,63}$`)

func (s Settings) check() error {
	if s.CallbackPort < lowestPort || s.CallbackPort > highestPort {
		return fault.New(fault.BadRequest, "callback_port must be a port from %d to %d.", lowestPort, highestPort)
	}
	if len(s.Browser) > maxBrowser || strings.ContainsFunc(s.Browser, unicode.IsControl) {
		return fault.New(fault.BadRequest, "browser has to be the id of a browser that the window lists.")
	}
	if s.Language != "" && !slices.Contains(Languages, s.Language) {
		return fault.New(fault.BadRequest, "language must be one of these: %s.", strings.Join(Languages, ", "))
	}
	if len(s.Favourites) > MaxFavourites {
		return fault.New(fault.BadRequest, "favourites can be %d providers at most.", MaxFavourites)
	}
	for _, id := range s.Favourites {
		if !providerID.MatchString(id) {
			return fault.New(fault.BadRequest, "favourites must be ids of providers, as \"keyturn providers list\" shows them; %q is none.", id)
		}
	}
	if err := s.checkListen(); err != nil {
		return err
	}
	if err := s.checkDocument(); err != nil {
		return err
	}
	if s.Gateway != "" {
		clean, err := GatewayURL(s.Gateway)
		if err == nil && clean != s.Gateway {
			err = fault.New(fault.BadRequest, "gateway must be written %q.", clean)
		}
		return err
	}
	return nil
}

// checkListen: what is reached from elsewhere is reached over TLS.
func (s Settings) checkListen() error {
	if s.GatewayListen == "" {
		return nil
	}
	host, port, err := net.SplitHostPort(s.GatewayListen)
	if err != nil || port == "" {
		return fault.New(fault.BadRequest, "gateway_listen must look like 0.0.0.0:8443 or 127.0.0.1:8443.")
	}
	ip := net.ParseIP(host)
	if local := ip != nil && ip.IsLoopback(); !local && (s.GatewayCert == "" || s.GatewayKey == "") {
		return fault.New(fault.BadRequest, "gateway_listen on an address that others can reach needs gateway_cert, gateway_key and client_document.")
	}
	return nil
}

// checkDocument: a client id that is an address has a path and nothing that
// could be read in two ways (OAuth Client ID Metadata Document section 3).
func (s Settings) checkDocument() error {
	if s.ClientDocument == "" {
		return nil
	}
	u, err := url.Parse(s.ClientDocument)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || strings.Trim(u.Path, "/") == "" || u.User != nil || u.Fragment != "" || u.RawQuery != "" ||
		strings.Contains(u.Path, "/.") || len(s.ClientDocument) > 512 {
		return fault.New(fault.BadRequest, "client_document must be an https address with a path, such as https://example.com/keyturn.json.")
	}
	return nil
}

// GatewayURL returns the address of a gateway as it is kept: https, or http on
// this machine, with a host and maybe a port, and nothing else.
func GatewayURL(written string) (string, error) {
	u, err := url.Parse(strings.TrimRight(strings.TrimSpace(written), "/"))
	host := ""
	if err == nil {
		host = strings.ToLower(u.Host)
	}
	switch name := strings.Trim(strings.ToLower(hostname(u)), "[]"); {
	case err != nil || name == "" || u.Path != "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.User != nil || u.Opaque != "" || strings.HasSuffix(host, ":"):
		return "", fault.New(fault.BadRequest, "The address of a gateway looks like https://gateway.example.com, without a path.")
	case strings.EqualFold(u.Scheme, "https"):
	case strings.EqualFold(u.Scheme, "http") && (name == "localhost" || name == "127.0.0.1" || name == "::1"):
	default:
		return "", fault.New(fault.BadRequest, "The address of a gateway begins with https://. Only one on this computer may use http.")
	}
	for i := range len(host) {
		if c := host[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`"'<>\\^`+"`{|}%@", c) >= 0 {
			return "", fault.New(fault.BadRequest, "The host of the gateway has a character that does not belong there.")
		}
	}
	return strings.ToLower(u.Scheme) + "://" + host, nil
}

func hostname(u *url.URL) string {
	if u == nil {
		return ""
	}
	return u.Hostname()
}

// exact refuses a setting in other letters: the decoder takes it for ours, but
// TOML keys are case-sensitive, and two spellings would be two values.
func exact(data []byte, path string) error {
	var written map[string]any
	if err := toml.Unmarshal(data, &written); err != nil {
		return unreadable(err, path)
	}
	for name := range written {
		if name != strings.ToLower(name) {
			return fault.New(fault.BadRequest, "The settings file %q names the setting %q, which does not exist. Settings are written in small letters.", path, name)
		}
	}
	return nil
}

// unreadable says where the file stops to be understood.
func unreadable(err error, path string) error {
	if unknown, ok := errors.AsType[*toml.StrictMissingError](err); ok {
		first := unknown.Errors[0]
		line, _ := first.Position()
		return fault.Wrap(err, fault.BadRequest, "Line %d of the settings file %q names the setting %q, which does not exist. Correct or remove it. The settings are callback_port, notifications, activity, gateway, https_loopback, gateway_listen, gateway_cert and gateway_key.", line, path, strings.Join(first.Key(), "."))
	}
	if bad, ok := errors.AsType[*toml.DecodeError](err); ok {
		line, _ := bad.Position()
		return fault.Wrap(err, fault.BadRequest, "Line %d of the settings file %q is not understood. Correct or remove it.", line, path)
	}
	return fault.Wrap(err, fault.BadRequest, "The settings file %q is not understood. Correct it, or remove it for the usual settings.", path)
}

// read reads no more than a settings file can hold, whatever the file has
// become since it was looked at.
func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxSize))
}

func replace(path string, data []byte) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".config-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if _, err = f.Write(data); err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
