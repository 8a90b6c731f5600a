package hub

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/url"
	"time"
)

const dialTimeout = 5 * time.Second

// inMemory is the NATS server inside this process. It gets no descriptor and no
// WebSocket: the frames end here.
type inMemory struct{ *embedded }

func (b inMemory) open(context.Context, string) (net.Conn, error) { return b.InProcessConn() }

func (b inMemory) begin(app net.Conn, key string) error { return acceptWebSocket(app, key) }

func (b inMemory) up(nats net.Conn, app io.Reader, back *frames) error {
	return unframe(nats, app, back)
}

func (b inMemory) down(app *frames, nats net.Conn) error {
	room := make([]byte, maxHeader+chunk)
	for {
		n, err := nats.Read(room[maxHeader:])
		if n > 0 {
			if err := app.write(opBinary, room, n); err != nil {
				return err
			}
		}
		if err != nil {
			return err
		}
	}
}

// nodes are the WebSocket listeners of a cluster. The handshake goes on to one
// of them, and so does what follows, as it is.
type nodes []node

type node struct {
	address string      // host:port
	tls     *tls.Config // nil: none
}

func parseNodes(urls []string) (nodes, error) {
	var all nodes
	for _, text := range urls {
		u, err := url.Parse(text)
		if err != nil || u.Host == "" || u.Port() == "" || (u.Scheme != "ws" && u.Scheme != "wss") {
			return nil, fmt.Errorf("relay hub: %q is not ws://HOST:PORT or wss://HOST:PORT", text)
		}
		n := node{address: u.Host}
		if u.Scheme == "wss" {
			n.tls = &tls.Config{ServerName: u.Hostname(), MinVersion: tls.VersionTLS12}
		}
		all = append(all, n)
	}
	if len(all) == 0 {
		return nil, errors.New("relay hub: the cluster has no WebSocket addresses")
	}
	return all, nil
}

// open tries the nodes in random order. Only what the handshake needs goes on;
// what else the app or a proxy said is not for them.
func (b nodes) open(ctx context.Context, key string) (net.Conn, error) {
	var lastErr error
	for _, i := range rand.Perm(len(b)) {
		conn, err := b[i].dial(ctx)
		if err == nil {
			_, err = fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: relay\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n\r\n", key)
			if err == nil {
				return conn, nil
			}
			conn.Close()
		}
		lastErr = err
	}
	return nil, lastErr
}

func (n node) dial(ctx context.Context) (net.Conn, error) {
	d := &net.Dialer{Timeout: dialTimeout}
	if n.tls == nil {
		return d.DialContext(ctx, "tcp", n.address)
	}
	return (&tls.Dialer{NetDialer: d, Config: n.tls}).DialContext(ctx, "tcp", n.address)
}

// begin leaves the answer to the handshake to the node.
func (b nodes) begin(net.Conn, string) error { return nil }

func (b nodes) up(nats net.Conn, app io.Reader, _ *frames) error {
	return through(nats, app)
}

func (b nodes) down(app *frames, nats net.Conn) error {
	return through(app.to, nats)
}

// through is io.Copy without its buffer of 32 KiB for each direction of each
// app, and with an end to writing.
func through(to net.Conn, from io.Reader) error {
	b := make([]byte, chunk)
	for {
		n, err := from.Read(b)
		if n > 0 {
			_ = to.SetWriteDeadline(time.Now().Add(stuck))
			if _, err := to.Write(b[:n]); err != nil {
				return err
			}
		}
		if err != nil {
			return err
		}
	}
}
