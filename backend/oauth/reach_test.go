package oauth_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"keyturn/backend/demo/evilas"
	"keyturn/backend/fault"
	"keyturn/backend/oauth"
)

// A name that leads inward and has an honest certificate: only the address
// gives it away.
func TestANameThatLeadsInwardIsNotConnectedTo(t *testing.T) { // DI-14, TE-46
	as := evilas.New(t, evilas.Config{TLS: true})
	inward := strings.Replace(as.URL(), "127.0.0.1", "localhost", 1)
	h := oauth.NewHTTP(oauth.HTTPOptions{RootCAs: as.RootCAs()})
	server := serverAt(inward)
	server.Issuer, server.AllowLoopbackHTTP = "https://idp.example", false

	_, err := h.Exchange(t.Context(), server, public, oauth.NewSecret("code"), redirectURI, oauth.NewVerifier())
	if e := failure(t, err); e.Kind != oauth.Outage || !e.Unsent {
		t.Errorf("exchange: %v", e)
	}
	if f := oauth.Fault(err, "Evil"); f.Code != fault.ProviderUnavailable || !strings.Contains(f.Message, "private network") {
		t.Errorf("fault %v", f)
	}
	if _, err := h.VerifyIDToken(t.Context(), server, public, oauth.NewSecret(as.SignIDToken(as.Claims("public", "", ""))), oauth.Secret{}); err == nil {
		t.Error("jwks fetched")
	}
	if n := len(as.Connections()); n != 0 {
		t.Fatalf("%d connections", n)
	}

	server.TrustedHosts = []string{"localhost"} // the user typed it
	verifier := oauth.NewVerifier()
	code := as.NewCode("public", redirectURI, verifier.Reveal(), "")
	if _, err := h.Exchange(t.Context(), server, public, oauth.NewSecret(code), redirectURI, verifier); err != nil {
		t.Errorf("a host that the user typed: %v", err)
	}
}

// net/http reads the environment once, so the client runs in a process of its own.
func TestAProxySeesConnectAndNoMore(t *testing.T) { // TE-34, DI-16
	if target := os.Getenv("KEYTURN_TEST_TARGET"); target != "" {
		h := oauth.NewHTTP(oauth.HTTPOptions{})
		h.Exchange(t.Context(), serverAt(target), public, oauth.NewSecret("canary-code"), redirectURI, oauth.NewSecret("canary-verifier"))
		return
	}
	run := func(proxy, target string) {
		t.Helper()
		cmd := exec.Command(os.Args[0], "-test.run=^TestAProxySeesConnectAndNoMore$")
		cmd.Env = append(os.Environ(), "KEYTURN_TEST_TARGET="+target, "HTTPS_PROXY="+proxy, "HTTP_PROXY="+proxy, "https_proxy="+proxy, "http_proxy="+proxy, "NO_PROXY=", "no_proxy=")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	proxy := evilas.New(t, evilas.Config{})

	run(proxy.URL(), "https://as.invalid")
	connections := proxy.Connections()
	if len(connections) != 1 || !strings.HasPrefix(string(connections[0].Received), "CONNECT as.invalid:443 ") || proxy.Saw("canary") {
		t.Errorf("the proxy saw %q", connections)
	}
	as := evilas.New(t, evilas.Config{}) // plain http goes straight to it
	run(proxy.URL(), as.URL())
	if !as.Saw("canary-code") || proxy.Saw("canary") || len(proxy.Connections()) != 1 {
		t.Errorf("plain http went through the proxy: %q", proxy.Connections())
	}
}
