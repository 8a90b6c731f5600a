package provider_test

import (
	"fmt"
	"strings"
	"testing"

	"keyturn/backend/fault"
	"keyturn/backend/provider"
)

func TestAnEntryIsFilledIn(t *testing.T) {
	p, err := provider.FromRegistration(provider.Registration{ProviderKey: "work", Extends: "zendesk", Vars: map[string]string{"subdomain": "acme"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if p.ID != "work" || p.Name != "Zendesk (acme)" || !p.Custom || p.Token.URL != "https://acme.zendesk.com/oauth/tokens" || fmt.Sprint(p.API.Hosts) != "[acme.zendesk.com]" || len(p.Vars) != 0 {
		t.Errorf("%+v", p)
	}
	// A server of the user's own may be in a private network: its host was typed.
	p, err = provider.FromRegistration(provider.Registration{ProviderKey: "kc", Extends: "keycloak", Vars: map[string]string{"base_url": "https://id.lan:8443/auth", "realm": "home"}}, nil)
	if err != nil || p.Token.URL != "https://id.lan:8443/auth/realms/home/protocol/openid-connect/token" || fmt.Sprint(p.TrustedHosts) != "[id.lan]" {
		t.Errorf("%+v %v", p, err)
	}
	// The first value is as good as any other.
	if gh := lookup(t, "salesforce"); !strings.HasPrefix(gh.Token.URL, "https://login.salesforce.com/") || gh.ErrUnfilled() != nil {
		t.Errorf("defaults: %+v", gh.Token)
	}
}

func TestAValueCannotLeaveItsPlace(t *testing.T) {
	for _, c := range []struct{ id, name, value string }{
		{"zendesk", "subdomain", "evil.example/#"}, {"zendesk", "subdomain", "evil.example?"}, {"zendesk", "subdomain", "a@b"},
		{"zendesk", "subdomain", "a/b"}, {"zendesk", "subdomain", "a..b"}, {"zendesk", "subdomain", `a"b`}, {"zendesk", "subdomain", "a\\b"},
		{"zendesk", "subdomain", ""}, {"zendesk", "subdomain", "{realm}"}, {"zendesk", "subdomain", "-a"}, {"zendesk", "subdomain", strings.Repeat("a", 200)},
		{"keycloak", "base_url", "http://id.example"}, {"keycloak", "base_url", "https://id.example/a?b"}, {"keycloak", "base_url", "https://u:p@id.example"},
		{"keycloak", "base_url", "https://id.example/../x"}, {"keycloak", "base_url", "javascript:alert(1)"}, {"keycloak", "base_url", "https://2130706433"},
		{"okta", "domain", "acme.okta.com/x"}, {"okta", "domain", "acme.okta.com:x"}, {"okta", "domain", "Acme.okta.com"},
		{"exact-online", "tld", "evil"}, {"zendesk", "realm", "x"}, {"box", "subdomain", "x"},
	} {
		vars := map[string]string{c.name: c.value}
		if c.id == "keycloak" {
			vars["realm"] = "home"
		}
		p, err := provider.FromRegistration(provider.Registration{ProviderKey: "work", Extends: c.id, Vars: vars}, nil)
		if fault.CodeOf(err) != fault.BadRequest {
			t.Errorf("%s=%q: %v %v", c.name, c.value, p.Token.URL, err)
		}
	}
}

func TestAnEntryThatIsNotFilledInSaysWhatIsMissing(t *testing.T) {
	err := lookup(t, "zendesk").ErrUnfilled()
	if fault.CodeOf(err) != fault.BadRequest || !strings.Contains(fault.MessageOf(err), "--extends zendesk --var subdomain=") {
		t.Error(err)
	}
	if _, err := provider.FromRegistration(provider.Registration{ProviderKey: "work", Extends: "zendesk"}, nil); err == nil {
		t.Error("registered without its subdomain")
	}
	if _, err := provider.FromRegistration(provider.Registration{ProviderKey: "work", Extends: "nobody"}, nil); fault.CodeOf(err) != fault.BadRequest {
		t.Error(err)
	}
}

func TestTheIDOfATemplateMayBeTaken(t *testing.T) {
	c := builtin(t)
	own, err := provider.FromRegistration(provider.Registration{ProviderKey: "zendesk", Extends: "zendesk", Vars: map[string]string{"subdomain": "acme"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Put(own); err != nil {
		t.Fatal(err)
	}
	if p, _ := c.Lookup("zendesk"); !p.Custom || p.ErrUnfilled() != nil {
		t.Errorf("%+v", p)
	}
	listed := 0
	for _, l := range c.List() {
		if l.ID == "zendesk" {
			listed++
		}
	}
	if err := c.Delete("zendesk"); err != nil || listed != 1 {
		t.Errorf("listed %d times, %v", listed, err)
	}
	if p, ok := c.Lookup("zendesk"); !ok || p.Custom {
		t.Error("the template has gone with it")
	}
	// One that can be connected as it is keeps its id.
	for _, id := range []string{"github", "salesforce", "gmail"} {
		if _, err := provider.FromRegistration(provider.Registration{ProviderKey: id, AuthURL: "https://a.example/a", TokenURL: "https://a.example/t"}, nil); fault.CodeOf(err) != fault.Conflict {
			t.Errorf("%s: %v", id, err)
		}
	}
}

func TestAPresetIsItsServerWithOtherScopes(t *testing.T) {
	google, gmail := lookup(t, "google"), lookup(t, "gmail")
	if gmail.Name != "Gmail" || gmail.Token.URL != google.Token.URL || gmail.Issuer != google.Issuer || gmail.Authorize.Params["access_type"] != "offline" {
		t.Errorf("%+v", gmail)
	}
	if !strings.Contains(fmt.Sprint(gmail.Scope.Default), "gmail.readonly") || strings.Contains(fmt.Sprint(google.Scope.Default), "gmail") {
		t.Errorf("%v, %v", gmail.Scope.Default, google.Scope.Default)
	}
	if len(gmail.Setup.Steps) == 0 {
		t.Error("the steps of the server are missing")
	}
}
