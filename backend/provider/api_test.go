package provider_test

import (
	"slices"
	"strings"
	"testing"

	"keyturn/backend/fault"
	"keyturn/backend/provider"
)

func TestAPIHostsAreNarrow(t *testing.T) {
	entry := func(host string) error {
		_, err := provider.FromRegistration(provider.Registration{
			ProviderKey: "own", AuthURL: "https://own.example/a", TokenURL: "https://own.example/t", APIHosts: []string{host},
		}, nil)
		return err
	}
	for _, host := range []string{"api.own.example", "*.own.example", "*.googleapis.com", "own.example:8443", "10.0.0.7", "127.0.0.1:27420", "localhost:8080"} {
		if err := entry(host); err != nil {
			t.Errorf("%s: %v", host, err)
		}
	}
	for _, host := range []string{"", "*", "*.", "*.com", "*.co.uk", "*.*.own.example", "api.*.example", "*own.example", "API.own.example", "own.example.", "own.example:", "own.example:0", "own.example:65536",
		"own.example/x", "https://own.example", "a@own.example", "*.0.0.1", "*.1", "*.localhost", "ówn.example", "own.example\n"} {
		if err := entry(host); fault.CodeOf(err) != fault.BadRequest || !strings.Contains(err.Error(), "api_hosts[0]") {
			t.Errorf("%q: %v", host, err)
		}
	}
}

func TestOnlyHostsThatTheUserNamedMayBeInAPrivateNetwork(t *testing.T) {
	p := provider.Provider{ID: "own", TrustedHosts: []string{"id.corp.example"}, API: provider.API{Hosts: []string{"git.corp.example:8443", "*.corp.example"}}}
	if got := p.APIServer().TrustedHosts; !slices.Equal(got, []string{"id.corp.example"}) {
		t.Errorf("of the catalogue: %q", got)
	}
	p.Custom = true
	if got := p.APIServer().TrustedHosts; !slices.Equal(got, []string{"id.corp.example", "git.corp.example"}) {
		t.Errorf("of the user's own: %q", got)
	}
	if len(p.TrustedHosts) != 1 {
		t.Errorf("the entry itself has changed: %q", p.TrustedHosts)
	}
}

func TestWhatIsNotAllowedSaysWhatIs(t *testing.T) {
	p := provider.Provider{ID: "own", Name: "Own", API: provider.API{Hosts: []string{"api.own.example", "*.own.example"}}}
	if _, err := p.APIAddress("https://evil.example/?q=secret"); !strings.HasSuffix(err.Error(), "They go to api.own.example, *.own.example only.") || strings.Contains(err.Error(), "secret") {
		t.Error(err)
	}
	p.API.Hosts = nil
	if _, err := p.APIAddress("https://api.own.example/"); !strings.HasSuffix(err.Error(), "keyturn providers update own --api-hosts api.own.example") {
		t.Error(err)
	}
}
