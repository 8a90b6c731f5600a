package app

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"strings"
	"time"

	"keyturn/backend/fault"
	"keyturn/backend/oauth"
)

// The listener for a forwarding gateway exists only while one is enrolled. It
// has one door, that of the principal gateway, which may call one route.

// forwardDoor lets in whoever has the bearer of the enrolment. What is compared
// are hashes: neither length nor place of a difference tells anything.
func forwardDoor(bearer oauth.Secret, door http.Handler) http.Handler {
	want := sha256.Sum256([]byte(bearer.Reveal()))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		given, found := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		got := sha256.Sum256([]byte(given))
		if !found || len(r.Header["Authorization"]) != 1 || subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
			w.Header().Set("WWW-Authenticate", "Bearer")
			w.Header().Set("Cache-Control", "no-store")
			http.Error(w, "The bearer of the enrolment is missing or wrong.", http.StatusUnauthorized)
			return
		}
		r.Header.Del("Authorization")
		door.ServeHTTP(w, r)
	})
}

// listenForGateway serves door on the address of the settings until stop.
func (g *gateways) listenForGateway(bearer oauth.Secret) (stop func(), err error) {
	now := g.settings.all()
	if now.GatewayListen == "" {
		return nil, fault.New(fault.BadRequest, "Say first where the gateway reaches Keyturn: set gateway_listen in the settings file, such as 0.0.0.0:8443 with gateway_cert and gateway_key, and start Keyturn again.")
	}
	l, err := net.Listen("tcp", now.GatewayListen)
	if err != nil {
		return nil, fault.Wrap(err, fault.PortInUse, "Keyturn cannot listen on %s for the gateway. Choose another gateway_listen in the settings file.", now.GatewayListen)
	}
	if now.GatewayCert != "" {
		pair, err := tls.LoadX509KeyPair(now.GatewayCert, now.GatewayKey)
		if err != nil {
			l.Close()
			return nil, fault.Wrap(err, fault.BadRequest, "The certificate for gateway_listen cannot be used: check gateway_cert and gateway_key.")
		}
		l = tls.NewListener(l, &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}})
	}
	server := &http.Server{
		Handler:           forwardDoor(bearer, g.door),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      40 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    8 << 10,

		DisableGeneralOptionsHandler: true,
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			g.log.Error("listener for the gateway ended", "err", err)
		}
	}()
	g.log.Info("a gateway may forward callbacks to here", "listen", l.Addr().String())
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if server.Shutdown(ctx) != nil {
			server.Close()
		}
		<-ended
	}, nil
}

// Forwarded implements api.Gateways.
func (g *gateways) Forwarded(ctx context.Context, provider, state string, r oauth.AuthorizationResponse) (oauth.Outcome, error) {
	return g.by.Forwarded(ctx, provider, state, r)
}
