package provider

import (
	"fmt"
	"slices"

	"keyturn/backend/fault"
	"keyturn/backend/oauth"
)

// AppsAt returns the id of the provider whose OAuth apps serve p, and whose
// redirect URI they have: its own, or that of the entry which a preset of the
// catalogue begins with. Who has registered an app at Google need not register
// one for Gmail.
func (p Provider) AppsAt() string {
	if p.Extends != "" && !p.Custom {
		return p.Extends
	}
	return p.ID
}

// Server returns the provider as the wire protocol needs to know it.
func (p Provider) Server() oauth.Server {
	return oauth.Server{
		Issuer:       p.Issuer,
		IssParameter: p.IssParameter,
		JWKSURL:      p.JWKSURL,
		Authorize: oauth.AuthorizationEndpoint{
			URL:          p.Authorize.URL,
			Params:       p.Authorize.Params,
			Choose:       p.choose(),
			ScopeParam:   p.Authorize.ScopeParam,
			ResponseMode: p.Authorize.ResponseMode,
			PushedURL:    p.Authorize.PushedURL,
		},
		Device: oauth.DeviceEndpoint{URL: p.Device.URL, Params: p.Device.Params},
		Token: oauth.TokenEndpoint{
			URL:           p.Token.URL,
			RefreshURL:    p.Token.RefreshURL,
			JSON:          p.Token.Body == "json",
			Params:        p.Token.Params,
			RefreshParams: p.Token.RefreshParams,

			RefreshWithAccess: p.Refresh.With == "access_token",
			Headers:           p.Token.Headers,
			Response: oauth.TokenResponseShape{
				Root:            p.Token.Response.Root,
				OKField:         p.Token.Response.OKField,
				Form:            p.Token.Response.Form,
				AnyContentType:  p.Token.Response.AnyContentType,
				NoTokenType:     p.Token.Response.NoTokenType,
				ScopeSeparator:  p.Token.Response.ScopeSeparator,
				DefaultLifetime: p.Token.Response.ExpiresDefault,
			},
		},
		Revoke: oauth.RevocationEndpoint{
			URL:        p.Revoke.URL,
			Method:     p.Revoke.Method,
			Auth:       p.Revoke.Auth,
			JSON:       p.Revoke.Body == "json",
			Body:       p.Revoke.Params,
			AccessOnly: p.Revoke.AccessOnly,
		},
		Identity: oauth.Identity{
			URL:     p.Identity.URL,
			Method:  p.Identity.Method,
			Headers: p.Identity.Headers,
			Body:    p.Identity.Body,
			OKField: p.Identity.OKField,
			Paths:   p.Identity.Paths,
			IDPath:  p.Identity.ID,
			Format:  p.Identity.Format,
		},
		DPoP:              p.Token.DPoP,
		Assertion:         oauth.Assertion{Issuer: p.Client.Assertion.Issuer, Audience: p.Client.Assertion.Audience, KeyID: p.Client.Assertion.KeyID},
		IDParam:           p.Client.IDParam,
		SecretParam:       p.Client.SecretParam,
		ScopeSeparator:    p.Scope.Separator,
		AllowLoopbackHTTP: p.AllowLoopbackHTTP,
		TrustedHosts:      p.TrustedHosts,
		UntypedIssuer:     p.Resource.URL != "",
		Resource:          p.Resource.Indicator,
	}
}

// choose is what has the provider ask which account is meant.
func (p Provider) choose() map[string]string {
	if p.Authorize.Choose == nil && p.Issuer != "" {
		return map[string]string{"prompt": "select_account"} // OpenID Connect Core 3.1.2.1
	}
	return p.Authorize.Choose
}

// ownRefreshParams are the parameters of a refresh that an entry has no say
// in. Where the access token is exchanged, the grant type is the provider's own.
func (p Provider) ownRefreshParams() []string {
	if p.Refresh.With != "access_token" {
		return ownTokenParams
	}
	own := slices.DeleteFunc(slices.Clone(ownTokenParams), func(name string) bool { return name == "grant_type" })
	return append(own, "access_token")
}

// methods maps what a file says to the registered names (RFC 7591 section 2).
var methods = map[string]oauth.AuthMethod{
	"none":  oauth.AuthNone,
	"post":  oauth.AuthPost,
	"basic": oauth.AuthBasic,

	"key":    oauth.AuthKey,
	"signed": oauth.AuthSigned,
}

// AuthMethods lists how an OAuth app may authenticate, preferred first.
func (p Provider) AuthMethods() []oauth.AuthMethod {
	auth := p.Client.Auth
	if len(auth) == 0 {
		auth = []string{"none", "post"}
	}
	list := make([]oauth.AuthMethod, len(auth))
	for i, a := range auth {
		list[i] = methods[a]
	}
	return list
}

// NeedsSecret reports whether an OAuth app without a client secret is of no use.
func (p Provider) NeedsSecret() bool {
	return !slices.Contains(p.AuthMethods(), oauth.AuthNone)
}

// AuthFor returns how an OAuth app authenticates: with a secret by the first
// method that it is fit for, without by "none". Where a client secret is never
// used, one that is there anyway is not sent: some servers refuse it.
func (p Provider) AuthFor(secret oauth.Secret) (oauth.AuthMethod, error) {
	list := p.AuthMethods()
	if !secret.IsZero() {
		signs, asksForKey := oauth.IsPrivateKey(secret), false
		for _, m := range list {
			switch {
			case m == oauth.AuthNone:
			case m != oauth.AuthKey && m != oauth.AuthSigned:
				return m, nil
			case signs:
				return m, nil
			default:
				asksForKey = true
			}
		}
		if asksForKey {
			return "", fault.New(fault.BadRequest, "%s wants a private key in the place of a client secret: the whole file, PEM or a JSON Web Key.", p.Name)
		}
	}
	if slices.Contains(list, oauth.AuthNone) {
		return oauth.AuthNone, nil
	}
	return "", fault.New(fault.ClientSecretRequired,
		"%s needs a client secret. Add it to the OAuth app and connect again.", p.Name)
}

// RedirectRule says which redirect URI an attempt uses. callbackPort is the
// install's own, for providers that accept only a registered port.
func (p Provider) RedirectRule(callbackPort int) oauth.RedirectRule {
	rule := oauth.RedirectRule{Localhost: p.Redirect.Host == "localhost"}
	switch p.Redirect.Rule {
	case "https": // as far as this machine can have it, on the port below
		rule = oauth.RedirectRule{Port: callbackPort - 1, Localhost: p.Redirect.Host != "127.0.0.1", HTTPS: true}
	case "fixed_port":
		rule.Port = callbackPort
		if p.Redirect.Port != 0 {
			rule.Port = p.Redirect.Port
		}
	}
	return rule
}

// RedirectURI returns the URI to register with an OAuth app. Where any port
// works (RFC 8252 section 7.3) it has none. For a provider that insists on
// https it is one at the gateway; without one, an address of this machine that
// the user copies from the browser.
func (p Provider) RedirectURI(callbackPort int, gateway string) string {
	if p.Redirect.Rule == "https" && gateway != "" {
		return gateway + "/oauth/callback/" + p.AppsAt()
	}
	scheme, host := "http", "127.0.0.1"
	rule := p.RedirectRule(callbackPort)
	if rule.HTTPS {
		scheme = "https"
	}
	if rule.Localhost {
		host = "localhost"
	}
	if rule.Port != 0 {
		host = fmt.Sprintf("%s:%d", host, rule.Port)
	}
	return scheme + "://" + host + "/oauth/callback/" + p.AppsAt()
}

// Granted returns the scopes that a token response grants: what it lists, and
// of what was asked for those that the provider never lists. nil means as
// asked (RFC 6749 section 5.1).
func (p Provider) Granted(asked, listed []string) []string {
	if listed == nil {
		return nil
	}
	granted := slices.Clone(listed)
	for _, s := range p.Scope.Unlisted {
		if slices.Contains(asked, s) && !slices.Contains(granted, s) {
			granted = append(granted, s)
		}
	}
	return granted
}

// Transports names the callback transports that can work, best first.
func (p Provider) Transports() []string {
	works := []string{"loopback", "gateway"}
	if p.Redirect.Rule == "https" {
		works = []string{"gateway", "loopback"} // the latter where https on this machine is switched on
	}
	if p.Device.URL != "" {
		works = append(works, "device")
	}
	return append(works, "paste")
}
