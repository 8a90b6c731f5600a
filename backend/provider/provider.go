// Package provider is the catalogue: what each authorization server needs, as
// data, and the user's own additions.
//
// A provider is one YAML file. A quirk is a field, with a default that follows
// the RFCs; there is no code for any one provider, here or elsewhere. Files
// are read strictly: an unknown field is an error with its line.
package provider

import "time"

// Provider is one authorization server, with what we know about it.
type Provider struct {
	ID   string `yaml:"id" json:"id"` // ^[a-z0-9][a-z0-9_-]{0,63}$; last element of the callback path
	Name string `yaml:"name" json:"name"`
	// Extends names the entry that this one begins with: what is said here
	// replaces what is said there. A preset is made of it: another name, other
	// scopes, the same server.
	Extends string `yaml:"extends,omitempty" json:"extends,omitempty"`
	// Vars are the parts that differ from user to user.
	Vars     map[string]Var `yaml:"vars,omitempty" json:"vars,omitempty"`
	Category string         `yaml:"category,omitempty" json:"category,omitempty"`
	// Popular entries are offered before others where there is no room for all.
	Popular bool `yaml:"popular,omitempty" json:"popular,omitempty"`
	// Custom is set by the loader, never by a file: registered by the user.
	Custom bool `yaml:"-" json:"custom,omitempty"`

	Issuer string `yaml:"issuer,omitempty" json:"issuer,omitempty"`
	// IssParameter: authorization responses carry iss (RFC 9207).
	IssParameter bool   `yaml:"iss_parameter,omitempty" json:"iss_parameter,omitempty"`
	JWKSURL      string `yaml:"jwks_url,omitempty" json:"jwks_url,omitempty"`

	Authorize Authorize `yaml:"authorize" json:"authorize"`
	Scope     Scope     `yaml:"scope,omitempty" json:"scope,omitzero"`
	PKCE      string    `yaml:"pkce,omitempty" json:"pkce,omitempty"` // "s256" (default) or "unverified": sent, but the provider does not document it
	Client    Client    `yaml:"client,omitempty" json:"client,omitzero"`
	Device    Device    `yaml:"device,omitempty" json:"device,omitzero"`
	Token     Token     `yaml:"token" json:"token"`
	Refresh   Refresh   `yaml:"refresh,omitempty" json:"refresh,omitzero"`
	Revoke    Revoke    `yaml:"revoke,omitempty" json:"revoke,omitzero"`
	Redirect  Redirect  `yaml:"redirect,omitempty" json:"redirect,omitzero"`
	Identity  Identity  `yaml:"identity,omitempty" json:"identity,omitzero"`
	API       API       `yaml:"api,omitempty" json:"api,omitzero"`
	Setup     Setup     `yaml:"setup,omitempty" json:"setup,omitzero"`

	// Resource is what the tokens are for, where that is one server: an MCP
	// server, for example. Never set by a file.
	Resource Resource `yaml:"-" json:"resource,omitzero"`

	// HostedBy names an authorization server inside this program that has to
	// listen while the provider is in use.
	HostedBy string `yaml:"hosted_by,omitempty" json:"hosted_by,omitempty"`
	// AllowLoopbackHTTP permits http for endpoints on a loopback host.
	AllowLoopbackHTTP bool `yaml:"allow_loopback_http,omitempty" json:"allow_loopback_http,omitempty"`
	// TrustedHosts are hosts that the user typed when registering: they may be
	// in a private network. Never set by a file.
	TrustedHosts []string `yaml:"-" json:"trusted_hosts,omitempty"`

	Evidence []Evidence `yaml:"evidence,omitempty" json:"evidence,omitempty"`
}

// Resource is a protected resource (RFC 9728) whose authorization server was
// found by its address.
type Resource struct {
	URL       string `yaml:"-" json:"url,omitempty"`
	Indicator string `yaml:"-" json:"indicator,omitempty"` // RFC 8707 section 2; "" where the resource does not describe itself
}

// Authorize is the authorization endpoint.
type Authorize struct {
	URL    string            `yaml:"url" json:"url"`
	Params map[string]string `yaml:"params,omitempty" json:"params,omitempty"` // {account} is the account hint
	// Choose replaces params when the user is to choose an account; with an
	// issuer it is {prompt: select_account} unless the file says otherwise.
	Choose     map[string]string `yaml:"choose,omitempty" json:"choose,omitempty"`
	ScopeParam string            `yaml:"scope_param,omitempty" json:"scope_param,omitempty"`
	// PushedURL takes the parameters of authorization requests (RFC 9126).
	PushedURL string `yaml:"pushed_url,omitempty" json:"pushed_url,omitempty"`
	// ResponseMode is how a response is asked for: "" (the provider's own
	// default), "query" or "form_post".
	ResponseMode string `yaml:"response_mode,omitempty" json:"response_mode,omitempty"`
}

// Scope says how scopes are asked for.
type Scope struct {
	Separator string      `yaml:"separator,omitempty" json:"separator,omitempty"`
	Default   []string    `yaml:"default,omitempty" json:"default,omitempty"`
	Known     []ScopeInfo `yaml:"known,omitempty" json:"known,omitempty"`
	// Unlisted are scopes that a token response does not list although they
	// were granted: Granted adds them.
	Unlisted []string `yaml:"unlisted,omitempty" json:"unlisted,omitempty"`
}

// ScopeInfo is a scope and one human sentence.
type ScopeInfo struct {
	Name string `yaml:"name" json:"name"`
	Says string `yaml:"says" json:"says"`
}

// Client says how an OAuth app authenticates.
type Client struct {
	// Auth lists the accepted methods, preferred first: "none", "post", "basic",
	// and with a private key in the place of the secret "key" (private_key_jwt)
	// and "signed" (a client secret that the client signs, as at Apple). With a
	// secret the first that uses one is taken, without a secret "none"; when
	// "none" is not listed a secret is required. Default: [none, post].
	Auth []string `yaml:"auth,omitempty" json:"auth,omitempty"`
	// Assertion is what the client signs, where it departs from RFC 7523.
	Assertion Assertion `yaml:"assertion,omitempty" json:"assertion,omitzero"`
	// IDParam and SecretParam are the provider's own names for client_id and
	// client_secret.
	IDParam     string `yaml:"id_param,omitempty" json:"id_param,omitempty"`
	SecretParam string `yaml:"secret_param,omitempty" json:"secret_param,omitempty"`
	// ID is a client id that needs no registration (the demo).
	ID string `yaml:"id,omitempty" json:"id,omitempty"`
}

// Assertion is a statement that a client signs to authenticate (RFC 7523
// section 3).
type Assertion struct {
	Issuer   string `yaml:"issuer,omitempty" json:"issuer,omitempty"`     // default: the client id
	Audience string `yaml:"audience,omitempty" json:"audience,omitempty"` // default: the provider's issuer
	KeyID    string `yaml:"key_id,omitempty" json:"key_id,omitempty"`     // default: the one in the key, if any
}

// Device is the device authorization endpoint (RFC 8628 section 3.1).
type Device struct {
	URL    string            `yaml:"url,omitempty" json:"url,omitempty"`
	Params map[string]string `yaml:"params,omitempty" json:"params,omitempty"`
}

// Token is the token endpoint.
type Token struct {
	URL           string            `yaml:"url" json:"url"`
	RefreshURL    string            `yaml:"refresh_url,omitempty" json:"refresh_url,omitempty"`
	Body          string            `yaml:"body,omitempty" json:"body,omitempty"` // "form" (default) or "json"
	Params        map[string]string `yaml:"params,omitempty" json:"params,omitempty"`
	RefreshParams map[string]string `yaml:"refresh_params,omitempty" json:"refresh_params,omitempty"`
	Headers       map[string]string `yaml:"headers,omitempty" json:"headers,omitempty"`
	// DPoP binds the tokens to a key that never leaves Keyturn (RFC 9449).
	DPoP     bool     `yaml:"dpop,omitempty" json:"dpop,omitempty"`
	Response Response `yaml:"response,omitempty" json:"response,omitzero"`
}

// Response says how token responses depart from RFC 6749 section 5.1.
type Response struct {
	Root           string        `yaml:"root,omitempty" json:"root,omitempty"`
	OKField        string        `yaml:"ok_field,omitempty" json:"ok_field,omitempty"`
	Form           bool          `yaml:"form,omitempty" json:"form,omitempty"`
	AnyContentType bool          `yaml:"any_content_type,omitempty" json:"any_content_type,omitempty"`
	ScopeSeparator string        `yaml:"scope_separator,omitempty" json:"scope_separator,omitempty"` // between granted scopes; "" means as in Scope
	NoTokenType    bool          `yaml:"no_token_type,omitempty" json:"no_token_type,omitempty"`
	ExpiresDefault time.Duration `yaml:"expires_default,omitempty" json:"expires_default,omitempty"`
}

// Refresh says what to expect of refresh tokens.
type Refresh struct {
	// Rotation says whether a refresh ends the refresh token that it used:
	// "never", "always", "sometimes", or "" when we do not know.
	Rotation string `yaml:"rotation,omitempty" json:"rotation,omitempty"`
	// With names what a refresh presents: "refresh_token" (default), or
	// "access_token" where a live access token is exchanged for a newer one.
	// The grant_type of the latter is in token.refresh_params.
	With string `yaml:"with,omitempty" json:"with,omitempty"`
	// MinAge is how old an access token must be before it can be renewed.
	MinAge time.Duration `yaml:"min_age,omitempty" json:"min_age,omitempty"`
	// Lifetime is how long a refresh token lasts where responses do not say.
	// With Sliding it counts from the last refresh, else from the approval.
	Lifetime time.Duration `yaml:"lifetime,omitempty" json:"lifetime,omitempty"`
	Sliding  bool          `yaml:"sliding,omitempty" json:"sliding,omitempty"`
	// Testing is how long an approval lasts while the OAuth app is in the
	// provider's test mode, which no response tells.
	Testing time.Duration `yaml:"testing,omitempty" json:"testing,omitempty"`
	// Scope must be granted for a refresh token to be issued.
	Scope string `yaml:"scope,omitempty" json:"scope,omitempty"`
	// Advice is one sentence on how else to be given a refresh token.
	Advice string `yaml:"advice,omitempty" json:"advice,omitempty"`
}

// Revoke is the revocation endpoint or what stands in for it.
type Revoke struct {
	URL        string            `yaml:"url,omitempty" json:"url,omitempty"`
	Method     string            `yaml:"method,omitempty" json:"method,omitempty"`
	Auth       string            `yaml:"auth,omitempty" json:"auth,omitempty"` // "", "basic", "bearer", "none"
	Body       string            `yaml:"body,omitempty" json:"body,omitempty"` // "form" (default) or "json"
	Params     map[string]string `yaml:"params,omitempty" json:"params,omitempty"`
	AccessOnly bool              `yaml:"access_only,omitempty" json:"access_only,omitempty"`
}

// Redirect says which loopback redirect URI works.
type Redirect struct {
	// Rule: "any_port" (default, RFC 8252 section 7.3), "fixed_port" (the
	// install's callback port), or "https" (no loopback at all: a gateway).
	Rule string `yaml:"rule,omitempty" json:"rule,omitempty"`
	Host string `yaml:"host,omitempty" json:"host,omitempty"` // "127.0.0.1" (default) or "localhost"
	Port int    `yaml:"port,omitempty" json:"port,omitempty"` // with fixed_port: this one instead of the install's
	Note string `yaml:"note,omitempty" json:"note,omitempty"` // what to know when registering it
}

// Identity says how to learn the account.
type Identity struct {
	URL     string            `yaml:"url,omitempty" json:"url,omitempty"`
	Method  string            `yaml:"method,omitempty" json:"method,omitempty"`
	Headers map[string]string `yaml:"headers,omitempty" json:"headers,omitempty"`
	Body    string            `yaml:"body,omitempty" json:"body,omitempty"`
	OKField string            `yaml:"ok_field,omitempty" json:"ok_field,omitempty"`
	Paths   []string          `yaml:"paths,omitempty" json:"paths,omitempty"`
	ID      string            `yaml:"id,omitempty" json:"id,omitempty"`
	Format  string            `yaml:"format,omitempty" json:"format,omitempty"`
}

// Setup tells the user how to register an OAuth app.
type Setup struct {
	Console  string   `yaml:"console,omitempty" json:"console,omitempty"`
	Steps    []string `yaml:"steps,omitempty" json:"steps,omitempty"`
	Warnings []string `yaml:"warnings,omitempty" json:"warnings,omitempty"`
}

// Evidence is where a fact was read.
type Evidence struct {
	URL        string `yaml:"url" json:"url"`
	Seen       string `yaml:"seen" json:"seen"` // 2006-01-02
	Unverified string `yaml:"unverified,omitempty" json:"unverified,omitempty"`
}
