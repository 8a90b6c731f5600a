package relay

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"
)

const (
	dialTimeout = 15 * time.Second
	// pingEvery is less than the minute after which ordinary proxies and address
	// translators forget a connection that says nothing.
	pingEvery = 30 * time.Second
)

// natsLink is the connection to a relay: NATS inside a WebSocket, which goes
// through what lets a browser through.
type natsLink struct {
	conn *nats.Conn
	gone chan struct{}
}

func (l natsLink) Gone() <-chan struct{} { return l.gone }
func (l natsLink) Close()                { l.conn.Close() }

// dialNATS connects to address once and subscribes the app to its own subject.
// Connecting again is Run's business: the library's own way would start afresh
// after each connection that held for a second.
func (c *Client) dialNATS(ctx context.Context, address string, receive func([]byte) []byte) (link, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, errors.New("relay: the gateway's address is malformed")
	}
	options := []nats.Option{
		nats.Name("keyturn"),
		nats.NoReconnect(),
		nats.Timeout(dialTimeout),
		nats.PingInterval(pingEvery),
		nats.MaxPingsOutstanding(2),
		nats.IgnoreDiscoveredServers(), // the gateway's address is the only one we were given
		nats.SkipHostLookup(),          // the dialer's business, or the proxy's
		nats.SetCustomDialer(dialer{ctx: ctx, to: u}),
		nats.UserJWT(
			func() (string, error) { return c.enrolment.jwt, nil },
			func(nonce []byte) ([]byte, error) { return c.sign(nonce) },
		),
	}
	gone := make(chan struct{})
	options = append(options, nats.ClosedHandler(func(*nats.Conn) { close(gone) }))
	switch u.Scheme {
	case "https":
		u.Scheme = "wss"
		config := &tls.Config{}
		if c.tls != nil {
			config = c.tls.Clone()
		}
		config.MinVersion = max(config.MinVersion, tls.VersionTLS12)
		options = append(options, nats.Secure(config))
	default:
		u.Scheme = "ws"
	}
	refused := make(chan error, 1)
	options = append(options, nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
		select {
		case refused <- err:
		default:
		}
	}))
	conn, err := nats.Connect(u.String(), options...)
	switch {
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthRevoked), errors.Is(err, nats.ErrAuthExpired):
		return nil, ErrNotEnrolled
	case err != nil:
		return nil, fmt.Errorf("relay: %w", err)
	}
	l := natsLink{conn: conn, gone: gone}
	sub, err := conn.Subscribe(Subject(c.enrolment.ID), func(m *nats.Msg) {
		if answer := receive(m.Data); answer != nil && m.Reply != "" {
			m.Respond(answer)
		}
	})
	if err == nil {
		// A flood costs the messages above this, not memory.
		err = sub.SetPendingLimits(256, 256*MaxMessage)
	}
	if err == nil {
		err = conn.FlushTimeout(dialTimeout)
	}
	if err == nil {
		select {
		case err = <-refused:
		default:
		}
	}
	if err != nil {
		l.Close()
		return nil, fmt.Errorf("relay: %w", err)
	}
	return l, nil
}

// sign answers the relay's challenge with the app's key.
func (c *Client) sign(nonce []byte) ([]byte, error) {
	pair, err := nkeys.FromRawSeed(nkeys.PrefixByteUser, c.enrolment.seed)
	if err != nil {
		return nil, err
	}
	defer pair.Wipe()
	return pair.Sign(nonce)
}

// dialer opens the TCP connection, through the proxy that HTTPS_PROXY names if
// there is one.
type dialer struct {
	ctx context.Context
	to  *url.URL
}

func (d dialer) Dial(network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(d.ctx, dialTimeout)
	defer cancel()
	to := *d.to
	to.Scheme = strings.Replace(to.Scheme, "ws", "http", 1)
	proxy, err := http.ProxyFromEnvironment(&http.Request{URL: &to})
	if err != nil {
		return nil, err
	}
	if proxy == nil {
		return new(net.Dialer).DialContext(ctx, network, withPort(address, d.to.Scheme))
	}
	return throughProxy(ctx, proxy, withPort(address, d.to.Scheme))
}

// throughProxy asks an HTTP proxy for a tunnel to address (RFC 9110 section 9.3.6).
func throughProxy(ctx context.Context, proxy *url.URL, address string) (net.Conn, error) {
	if proxy.Scheme != "http" {
		return nil, fmt.Errorf("relay: a proxy of the kind %q is not supported", proxy.Scheme)
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", withPort(proxy.Host, "http"))
	if err != nil {
		return nil, err
	}
	if deadline, ok := ctx.Deadline(); ok {
		conn.SetDeadline(deadline)
	}
	ask := &http.Request{Method: http.MethodConnect, URL: &url.URL{Opaque: address}, Host: address, Header: http.Header{}}
	if proxy.User != nil {
		password, _ := proxy.User.Password()
		ask.Header.Set("Proxy-Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(proxy.User.Username()+":"+password)))
	}
	answer, err := func() (*http.Response, error) {
		if err := ask.Write(conn); err != nil {
			return nil, err
		}
		// In a tunnel we speak first, so nothing of it can be in this buffer.
		return http.ReadResponse(bufio.NewReader(conn), ask)
	}()
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("relay: the proxy answered %d", answer.StatusCode)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	conn.SetDeadline(time.Time{})
	return conn, nil
}

// withPort adds the port that a scheme implies.
func withPort(host, scheme string) string {
	if _, _, err := net.SplitHostPort(host); err == nil {
		return host
	}
	port := "443"
	if scheme == "http" || scheme == "ws" {
		port = "80"
	}
	return net.JoinHostPort(strings.Trim(host, "[]"), port)
}
