package transport_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"keyturn/backend/fault"
	"keyturn/backend/oauth"
	"keyturn/backend/transport"
	"keyturn/backend/transport/transporttest"
)

func TestACallbackOverHTTPSOnThisComputer(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	l := transport.NewLoopback(transport.LoopbackOptions{Certificate: func() (*tls.Certificate, error) { return transport.Certificate(dir) }})
	defer l.Close(context.Background())
	req := transporttest.Request()
	req.Redirect = oauth.RedirectRule{Localhost: true, HTTPS: true}
	a := transporttest.Start(t, l, req)
	if !strings.HasPrefix(a.Prompt.RedirectURI, "https://localhost:") {
		t.Fatal(a.Prompt.RedirectURI)
	}
	pair, err := transport.Certificate(dir)
	if err != nil {
		t.Fatal(err)
	}
	trust := x509.NewCertPool()
	trust.AddCert(pair.Leaf)
	browser := &http.Client{CheckRedirect: noFollow.CheckRedirect, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trust}}}
	defer browser.CloseIdleConnections()

	// Not over http, not by the other name, not with another state.
	plain := "http" + strings.TrimPrefix(a.Prompt.RedirectURI, "https")
	if res, err := noFollow.Get(plain + "?code=the-code&state=" + a.State); err == nil {
		res.Body.Close()
		if res.StatusCode == http.StatusSeeOther {
			t.Error("http was answered")
		}
	}
	for _, address := range []string{
		strings.Replace(a.Prompt.RedirectURI, "localhost", "127.0.0.1", 1) + "?code=the-code&state=" + a.State,
		a.Prompt.RedirectURI + "?code=the-code&state=" + strings.Repeat("A", 43),
	} {
		res, err := browser.Get(address)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode < 400 {
			t.Errorf("%s: %d", address, res.StatusCode)
		}
		a.StillPending(t)
	}
	res, err := browser.Get(a.Prompt.RedirectURI + "?code=the-code&state=" + a.State)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if e := a.Wait(t); e.Err != nil || e.Reply.Response.Code.Reveal() != "the-code" {
		t.Errorf("%+v", e)
	}
	if l.Stats().UnknownUser != 0 && l.Stats().Delivered != 1 {
		t.Errorf("%s", l.Stats())
	}
}

func TestHTTPSHasToBeSwitchedOn(t *testing.T) {
	l, _ := newLoopback(t)
	req := transporttest.Request()
	req.Redirect = oauth.RedirectRule{HTTPS: true}
	if _, err := l.Authorize(t.Context(), req, func(oauth.Prompt) { t.Error("shown") }); fault.CodeOf(err) != fault.BadRequest {
		t.Error(err)
	}
}

func TestACertificateIsKeptAndIsNoAuthority(t *testing.T) {
	dir := t.TempDir()
	first, err := transport.Certificate(dir)
	if err != nil {
		t.Fatal(err)
	}
	again, err := transport.Certificate(dir)
	if err != nil || !bytes.Equal(first.Certificate[0], again.Certificate[0]) {
		t.Errorf("another one: %v", err)
	}
	if first.Leaf.IsCA || first.Leaf.KeyUsage&x509.KeyUsageCertSign != 0 || len(first.Leaf.DNSNames) != 1 {
		t.Errorf("%+v", first.Leaf)
	}
	path := filepath.Join(dir, "localhost.pem")
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
	if err := os.WriteFile(path, []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	if fresh, err := transport.Certificate(dir); err != nil || bytes.Equal(fresh.Certificate[0], first.Certificate[0]) {
		t.Errorf("a damaged one: %v", err)
	}
}
