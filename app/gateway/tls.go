package main

import (
	"crypto/tls"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/crypto/acme/autocert"

	"keyturn/backend/fault"
)

// certificate reads a certificate from files, and again when they change: what
// renews it need not know of us.
type certificate struct {
	cert, key string
	log       *slog.Logger

	mu     sync.Mutex
	loaded *tls.Certificate
	of     [2]time.Time // when the files were last changed
	looked time.Time
}

// lookAgain is how often it is looked whether the files have changed.
const lookAgain = 10 * time.Second

func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.loaded != nil && time.Since(c.looked) < lookAgain {
		return c.loaded, nil
	}
	c.looked = time.Now()
	var of [2]time.Time
	for i, path := range []string{c.cert, c.key} {
		if info, err := os.Stat(path); err == nil {
			of[i] = info.ModTime()
		}
	}
	if c.loaded != nil && of == c.of {
		return c.loaded, nil
	}
	fresh, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		if c.loaded == nil {
			return nil, fault.Wrap(err, fault.BadRequest, "The certificate and its key cannot be used: check %s and %s.", c.cert, c.key)
		}
		c.log.Error("certificate not renewed", "err", err)
		return c.loaded, nil // half written, or wrong: the old one still serves
	}
	c.loaded, c.of = &fresh, of
	c.log.Info("certificate loaded", "file", c.cert)
	return c.loaded, nil
}

// tlsConfig returns how the gateway proves who it is, nil behind a proxy.
func (o *options) tlsConfig(log *slog.Logger) (*tls.Config, error) {
	switch {
	case o.behindProxy:
		return nil, nil
	case o.acme:
		u, err := url.Parse(o.url)
		if err != nil {
			return nil, err
		}
		m := &autocert.Manager{
			Prompt:     autocert.AcceptTOS,
			HostPolicy: autocert.HostWhitelist(u.Hostname()),
			Cache:      autocert.DirCache(filepath.Join(o.state, "acme")),
			Email:      o.acmeEmail,
		}
		c := m.TLSConfig()
		c.MinVersion = tls.VersionTLS12
		return c, nil
	case o.cert != "" && o.key != "":
		c := &certificate{cert: o.cert, key: o.key, log: log}
		if _, err := c.get(nil); err != nil {
			return nil, err
		}
		return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.get}, nil
	}
	return nil, fault.New(fault.BadRequest, "Say where the certificate comes from: --cert and --key, --acme, or --behind-proxy when a proxy in front has it.")
}
