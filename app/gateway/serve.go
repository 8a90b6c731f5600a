package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"fmt"

	"github.com/spf13/cobra"
	"golang.org/x/net/netutil"

	"keyturn/backend/fault"
	"keyturn/backend/gateway"
	"keyturn/backend/oauth"
	"keyturn/backend/relay/hub"
)

// options are what serve can be told.
type options struct {
	state, url, listen, metrics, way string
	cert, key, acmeEmail             string
	acme, behindProxy                bool
	perMinute                        int
	nats, natsWebSockets             []string
	drain                            time.Duration
}

const (
	maxConns      = 4096
	headerTimeout = 5 * time.Second
	writeTimeout  = 35 * time.Second
	idleTimeout   = 60 * time.Second
	// watchEvery is how often enrolments are read again.
	watchEvery = 3 * time.Second
)

func serveCommand() *cobra.Command {
	var o options
	cmd := &cobra.Command{
		Use:   "serve --url URL (--cert FILE --key FILE | --acme | --behind-proxy)",
		Short: "Take callbacks and pass them on",
		Example: `  keyturn-gateway serve --url https://gw.example.com --acme
  keyturn-gateway serve --url https://gw.example.com --cert fullchain.pem --key privkey.pem
  keyturn-gateway serve --url https://gw.example.com --behind-proxy --listen 127.0.0.1:8080 --way relay`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			return o.serve(ctx, slog.New(slog.NewJSONHandler(os.Stderr, nil)), nil)
		},
	}
	stateFlag(cmd, &o.state)
	f := cmd.Flags()
	f.StringVar(&o.url, "url", "", "the https address under which providers know this gateway")
	f.StringVar(&o.listen, "listen", ":443", "address to listen on")
	f.StringVar(&o.way, "way", "bounce", "how callbacks go on: bounce, relay or forward")
	f.StringVar(&o.cert, "cert", "", "certificate chain, PEM; read again when it changes")
	f.StringVar(&o.key, "key", "", "its private key, PEM")
	f.BoolVar(&o.acme, "acme", false, "get the certificate by ACME (tls-alpn-01, needs port 443), accepting the authority's terms")
	f.StringVar(&o.acmeEmail, "acme-email", "", "where the authority may write to")
	f.BoolVar(&o.behindProxy, "behind-proxy", false, "speak plain http to a proxy that has the certificate and sets X-Forwarded-For")
	f.StringVar(&o.metrics, "metrics", "127.0.0.1:9465", "address for Prometheus metrics; empty for none")
	f.IntVar(&o.perMinute, "per-minute", 0, "callbacks that one address may bring in a minute (default 120)")
	f.StringSliceVar(&o.nats, "nats", nil, "relay: nodes of an existing NATS cluster, instead of the server inside")
	f.StringSliceVar(&o.natsWebSockets, "nats-websocket", nil, "relay: WebSocket addresses of the same nodes")
	f.DurationVar(&o.drain, "drain", 15*time.Second, "how long what is under way may take when the gateway stops")
	return cmd
}

// serve runs the gateway until ctx ends. ready, if not nil, is told where it
// listens.
func (o *options) serve(ctx context.Context, log *slog.Logger, ready func(public, metrics net.Addr)) error {
	base, err := gateway.Address(o.url)
	if err != nil {
		return err
	}
	o.url = base
	way, relayHub, err := o.wayOf(log)
	if err != nil {
		return err
	}
	if relayHub != nil {
		defer relayHub.Close()
	}
	certs, err := o.tlsConfig(log)
	if err != nil {
		return err
	}
	var draining atomic.Bool
	isReady := func() bool { return !draining.Load() && (relayHub == nil || relayHub.Ready()) }
	g := gateway.New(gateway.Options{Way: way, Client: o.clientOf(), PerMinute: o.perMinute, Log: log})

	public, err := net.Listen("tcp", o.listen)
	if err != nil {
		return fault.Wrap(err, fault.PortInUse, "The gateway cannot listen on %s: %s.", o.listen, reason(err))
	}
	server := &http.Server{
		Handler:           o.mux(g, relayHub, isReady),
		TLSConfig:         certs,
		ReadHeaderTimeout: headerTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(discardAddresses{log.Handler()}, slog.LevelDebug),
	}
	ended := make(chan error, 2)
	serving := netutil.LimitListener(public, maxConns)
	if certs != nil {
		serving = tls.NewListener(serving, withHTTP(certs))
	}
	go func() { ended <- server.Serve(serving) }()

	numbers, at, err := o.serveMetrics(g, relayHub, ended)
	if err != nil {
		server.Close()
		return err
	}
	log.Info("gateway is ready", "version", version, "url", o.url, "listen", public.Addr().String(), "way", o.way)
	if ready != nil {
		ready(public.Addr(), at)
	}
	if relayHub != nil {
		go o.watch(ctx, relayHub, log)
	}
	select {
	case err = <-ended:
		log.Error("gateway ended by itself", "err", err)
	case <-ctx.Done():
		err = nil
	}
	// What a browser is waiting for is finished; nothing new begins.
	draining.Store(true)
	stopping, cancel := context.WithTimeout(context.Background(), o.drain)
	defer cancel()
	if relayHub != nil {
		relayHub.Drain(stopping)
	}
	if server.Shutdown(stopping) != nil {
		server.Close()
	}
	if numbers != nil {
		numbers.Close()
	}
	log.Info("gateway has stopped")
	return err
}

// withHTTP offers HTTP/1.1 only: the relay's connections are WebSockets of it,
// and a callback gains nothing from another version.
func withHTTP(c *tls.Config) *tls.Config {
	c = c.Clone()
	if !slices.Contains(c.NextProtos, "http/1.1") {
		c.NextProtos = append(c.NextProtos, "http/1.1")
	}
	c.NextProtos = slices.DeleteFunc(c.NextProtos, func(p string) bool { return p == "h2" })
	return c
}

func (o *options) mux(g http.Handler, relayHub *hub.Hub, isReady func() bool) http.Handler {
	var apps http.Handler
	if relayHub != nil {
		apps = relayHub.Handler()
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch path, _, _ := strings.Cut(r.RequestURI, "?"); {
		case path == "/healthz", path == "/readyz" && isReady():
			fmt.Fprintln(w, "ok")
		case path == "/readyz":
			http.Error(w, "not ready", http.StatusServiceUnavailable)
		case path == relayPath && apps != nil:
			apps.ServeHTTP(w, r)
		default:
			if certs := o.behindProxy; !certs {
				w.Header().Set("Strict-Transport-Security", "max-age=31536000")
			}
			g.ServeHTTP(w, r)
		}
	})
}

// wayOf builds the way that was asked for.
func (o *options) wayOf(log *slog.Logger) (gateway.Way, *hub.Hub, error) {
	all, err := folder(o.state).enrolments()
	if err != nil {
		return nil, nil, err
	}
	switch o.way {
	case "bounce":
		return gateway.Bounce{}, nil, nil
	case "forward":
		alive := slices.DeleteFunc(all, func(e enrolled) bool { return e.Revoked || e.Way != "forward" })
		if len(alive) != 1 {
			return nil, nil, fault.New(fault.NotFound, "Nobody is enrolled to forward to. Enrol one with: keyturn-gateway enrol --name NAME --url URL --app URL")
		}
		f, err := gateway.NewForward(alive[0].App, oauth.NewSecret(alive[0].Bearer), &http.Client{Timeout: 20 * time.Second})
		return f, nil, err
	case "relay":
		keys, err := folder(o.state).keys(true)
		if err != nil {
			return nil, nil, err
		}
		opts := hub.Options{Keys: keys, Revoked: revoked(all), Log: log}
		if len(o.nats) > 0 {
			opts.Cluster = &hub.Cluster{Servers: o.nats, WebSockets: o.natsWebSockets}
		}
		h, err := hub.NewHub(opts)
		if err != nil {
			return nil, nil, err
		}
		return relayed{h}, h, nil
	}
	return nil, nil, fault.New(fault.BadRequest, "%q is no way to pass callbacks on. Use bounce, relay or forward.", o.way)
}

func revoked(all []enrolled) (ids []string) {
	for _, e := range all {
		if e.Revoked && e.Way == "relay" {
			ids = append(ids, e.ID)
		}
	}
	return ids
}

// watch tells the hub who was revoked meanwhile.
func (o *options) watch(ctx context.Context, h *hub.Hub, log *slog.Logger) {
	told := map[string]bool{}
	for tick := time.NewTicker(watchEvery); ; {
		select {
		case <-ctx.Done():
			tick.Stop()
			return
		case <-tick.C:
		}
		all, err := folder(o.state).enrolments()
		if err != nil {
			log.Warn("enrolments not read", "err", fault.MessageOf(err))
			continue
		}
		for _, id := range revoked(all) {
			if told[id] {
				continue
			}
			if err := h.Revoke(id); err != nil {
				log.Warn("revocation not told to the relay", "id", id, "err", err)
				continue
			}
			told[id] = true
			log.Info("enrolment revoked", "id", id)
		}
	}
}

// clientOf says whose request it is. Behind a proxy that is the last address
// which the proxy itself has written: what stands before it a client may have.
func (o *options) clientOf() func(*http.Request) string {
	if !o.behindProxy {
		return nil
	}
	return func(r *http.Request) string {
		all := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
		return cmp.Or(strings.TrimSpace(all[len(all)-1]), r.RemoteAddr)
	}
}

// serveMetrics listens for Prometheus, apart from the public address.
func (o *options) serveMetrics(g *gateway.Gateway, h *hub.Hub, ended chan<- error) (*http.Server, net.Addr, error) {
	if o.metrics == "" {
		return nil, nil, nil
	}
	l, err := net.Listen("tcp", o.metrics)
	if err != nil {
		return nil, nil, fault.Wrap(err, fault.PortInUse, "The metrics cannot listen on %s: %s. Choose another address with --metrics, or none.", o.metrics, reason(err))
	}
	s := &http.Server{ReadHeaderTimeout: headerTimeout, WriteTimeout: writeTimeout, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/metrics" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		g.WriteMetrics(w)
		if h != nil {
			st := h.Stats()
			fmt.Fprintf(w, "# TYPE keyturn_gateway_relay_apps gauge\nkeyturn_gateway_relay_apps %d\n", st.Apps)
		}
	})}
	go func() { ended <- s.Serve(l) }()
	return s, l.Addr(), nil
}

// reason is the last word of a network error, which names no secrets.
func reason(err error) string {
	var sys syscall.Errno
	if errors.As(err, &sys) {
		return sys.Error()
	}
	return "the address is not usable"
}

// discardAddresses keeps net/http's complaints, which may quote requests, out
// of the log.
type discardAddresses struct{ slog.Handler }

func (d discardAddresses) Handle(ctx context.Context, r slog.Record) error {
	return d.Handler.Handle(ctx, slog.NewRecord(r.Time, r.Level, "a connection was not understood", r.PC))
}
