package provider_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"keyturn/backend/demo"
	"keyturn/backend/oauth"
	"keyturn/backend/provider"
)

// fact is what is known of a provider from elsewhere than its entry, in the
// words of the sources: testdata/facts.tsv.
type fact struct{ id, separator, auth, body, redirect string }

func facts(t *testing.T) (all []fact) {
	t.Helper()
	data, err := os.ReadFile("testdata/facts.tsv")
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range strings.Split(strings.TrimSpace(string(data)), "\n") {
		if f := strings.Split(line, "\t"); i > 0 {
			all = append(all, fact{f[0], f[1], f[2], f[3], f[4]})
		}
	}
	return all
}

// picky is a token endpoint that takes only what the facts say. It notes what
// it was given otherwise.
type picky struct {
	*demo.Server
	fact
	wrong []string
}

func (p *picky) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Path == "/token" || r.URL.Path == "/refresh" {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		isJSON := strings.HasPrefix(r.Header.Get("Content-Type"), "application/json")
		how := "none"
		switch {
		case r.Header.Get("Authorization") != "":
			how = "basic"
		case strings.Contains(string(body), "client_secret"):
			how = "post"
		}
		if !strings.Contains(p.auth, how) && p.auth != "signed" {
			p.wrong = append(p.wrong, "the client authenticates by "+how+", the provider takes: "+p.auth)
		}
		if isJSON != (p.body == "json") && isJSON != strings.Contains(p.body, "json") {
			p.wrong = append(p.wrong, "the body is "+r.Header.Get("Content-Type")+", the provider takes: "+p.body)
		}
		if p.body == "json" && !isJSON {
			p.wrong = append(p.wrong, "the body is a form, the provider takes JSON")
		}
	}
	return p.Server.RoundTrip(r)
}

// steps of a connection, as far as it came.
type steps struct{ authorize, exchange, identity, refresh, revoke bool }

func (s steps) String() string {
	mark := map[bool]string{true: "yes", false: "–"}
	return fmt.Sprintf("%-10s%-10s%-10s%-10s%s", mark[s.authorize], mark[s.exchange], mark[s.identity], mark[s.refresh], mark[s.revoke])
}

// walk connects by an entry to a server that is set up from the facts.
func walk(t *testing.T, p provider.Provider, f fact) (s steps, wrong []string, err error) {
	secret, verify := secretFor(t, p)
	auth, err := p.AuthFor(secret)
	if err != nil {
		return s, nil, err
	}
	quirks := quirksOf(p) // what the facts are silent about
	quirks.ScopeSeparator, quirks.JSONBody = "", f.body == "json"
	if strings.HasPrefix(f.separator, ",") {
		quirks.ScopeSeparator = ","
	}
	if strings.Contains(f.body, "|") || strings.Contains(f.body, "form accepted") {
		quirks.JSONBody = p.Token.Body == "json" // it takes either
	}
	redirect := p.RedirectURI(27419, "")
	as := &picky{fact: f, Server: demo.New(demo.Options{
		Quirks: quirks, KeepRefresh: p.Refresh.Rotation == "never",
		Clients:  []demo.Client{{ID: "app", Secret: secret.Reveal(), Verify: verify, RedirectURIs: []string{redirect}}},
		Identity: func(a demo.Account) any { return answerFor(p, a) },
	})}
	server, h := moved(p, as.Issuer()).Server(), oauth.NewHTTP(oauth.HTTPOptions{Transport: as})
	c := oauth.Client{ID: "app", Secret: secret, Auth: auth}
	if p.RedirectRule(27419).Port == 0 {
		redirect = strings.Replace(redirect, "/oauth", ":40123/oauth", 1)
	}
	ctx, verifier := context.Background(), oauth.NewVerifier()
	prompt, err := oauth.AuthorizationURL(oauth.AuthorizationRequest{
		Server: server, Client: c, Scopes: []string{"profile", "email"}, State: oauth.NewState(), Verifier: verifier, ProviderID: p.ID}, redirect)
	if err != nil {
		return s, as.wrong, err
	}
	back, err := url.Parse(as.Approve(prompt, "ada"))
	if err != nil {
		return s, as.wrong, err
	}
	_, response, err := oauth.ParseAuthorizationResponse(back.RawQuery)
	if err != nil || response.Code.IsZero() {
		return s, as.wrong, fmt.Errorf("no code: %s %v", response.Error, err)
	}
	s.authorize = true
	token, err := h.Exchange(ctx, server, c, response.Code, redirect, verifier)
	if err != nil {
		return s, as.wrong, err
	}
	s.exchange = true
	if !slices.Equal(token.Scopes, []string{"profile", "email"}) {
		return s, as.wrong, fmt.Errorf("granted %q", token.Scopes)
	}
	if p.Identity.URL != "" {
		who, err := h.Identify(ctx, server, token, nil)
		if err != nil || who.ID == "" {
			return s, as.wrong, fmt.Errorf("identity: %+v %v", who, err)
		}
		s.identity = true
	}
	token, err = h.Refresh(ctx, server, c, token.Refresh)
	if err != nil {
		return s, as.wrong, err
	}
	s.refresh = true
	if p.Revoke.URL != "" {
		gone, hint := token.Access, "access_token"
		if !p.Revoke.AccessOnly && !token.Refresh.IsZero() {
			gone, hint = token.Refresh, "refresh_token"
		}
		if err := h.Revoke(ctx, server, c, gone, hint); err != nil {
			return s, as.wrong, err
		}
		s.revoke = true
	}
	return s, as.wrong, nil
}

// Each entry connects to, refreshes at and leaves a server that was set up from
// the facts and not from the entry. go test -v shows the table.
func TestEveryEntryAgreesWithTheFacts(t *testing.T) {
	t.Logf("%-28s%-10s%-10s%-10s%-10s%s", "entry", "authorize", "exchange", "identity", "refresh", "revoke")
	all := facts(t)
	for _, f := range all {
		p, ok := builtin(t).Lookup(f.id)
		if !ok {
			t.Errorf("%s is not in the catalogue", f.id)
			continue
		}
		s, wrong, err := walk(t, p, f)
		t.Logf("%-28s%s", f.id, s)
		if err != nil || len(wrong) > 0 {
			t.Errorf("%s: %v %v", f.id, err, wrong)
		}
		rule := p.RedirectRule(27419)
		https := strings.HasPrefix(f.redirect, "https_only") || strings.HasPrefix(f.redirect, "custom")
		except := strings.Contains(f.redirect, "localhost") || strings.Contains(f.redirect, "PKCE") // for some apps
		if https && !except && !rule.HTTPS || !https && rule.HTTPS {
			t.Errorf("%s: https %v, the provider: %s", f.id, rule.HTTPS, f.redirect)
		}
		if strings.HasPrefix(f.redirect, "loopback_fixed_port") && rule.Port == 0 {
			t.Errorf("%s: any port, the provider: %s", f.id, f.redirect)
		}
	}
	if len(all) < 235 {
		t.Errorf("facts of %d entries", len(all))
	}
}

// What an entry says of its server matters: without it the same server refuses,
// or hears something that it does not understand.
func TestEachQuirkMatters(t *testing.T) {
	for id, forget := range map[string]func(*provider.Provider){
		"strava":   func(p *provider.Provider) { p.Scope.Separator = "" },
		"zendesk":  func(p *provider.Provider) { p.Token.Body = "" },
		"figma":    func(p *provider.Provider) { p.Client.Auth = []string{"post"} },
		"box":      func(p *provider.Provider) { p.Client.Auth = []string{"basic"} },
		"supabase": func(p *provider.Provider) { p.Client.Auth = []string{"none"} },
	} {
		p, ok := builtin(t).Lookup(id)
		if !ok {
			t.Errorf("no entry %s", id)
			continue
		}
		if len(p.Vars) > 0 {
			p, _ = p.With(map[string]string{"subdomain": "acme"}, false)
		}
		for _, f := range facts(t) {
			if f.id != id {
				continue
			}
			if _, wrong, err := walk(t, p, f); err != nil || wrong != nil {
				t.Errorf("%s as it is: %v %v", id, err, wrong)
			}
			forget(&p)
			if s, wrong, err := walk(t, p, f); err == nil && wrong == nil {
				t.Errorf("%s: %v without the quirk, too", id, s)
			}
		}
	}
}
