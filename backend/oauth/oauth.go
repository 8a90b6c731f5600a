// Package oauth speaks OAuth 2 to one authorization server: authorization
// URLs, PKCE, code exchange, refresh, revocation, discovery, ID tokens,
// identity. It keeps no state and stores nothing.
//
// It is strict about what it reads, because every byte of a response may be
// hostile, and forgiving only where a Server says that this authorization
// server departs from the RFCs. What a Server does not name does not happen:
// client authentication is never guessed (a second try would spend the code
// twice), redirects are never followed (they would carry the code elsewhere).
//
// The calls are made with net/http alone. golang.org/x/oauth2 is not used: it
// follows redirects with the code in hand, sends a code twice when a connection
// drops, takes a lifetime of 0 for eternity, and knows no JSON requests, nested
// answers or errors with status 200. ID tokens are verified with go-jose.
//
// Every failed call is an *Error, which says what is known of it (Kind, Unsent);
// Fault turns it into a sentence for people.
//
// The messages are named as in their RFCs: authorization request and response
// (RFC 6749 section 4.1.1, 4.1.2; iss: RFC 9207), token response (section
// 5.1), error response (section 5.2), PKCE (RFC 7636), revocation (RFC 7009),
// metadata (RFC 8414, OpenID Connect Discovery 1.0).
package oauth

import (
	"context"
	"net/url"
	"time"
)

// AuthMethod is how a client authenticates at the token endpoint
// (token_endpoint_auth_method, RFC 7591 section 2).
type AuthMethod string

// The methods spoken here. There is no automatic choice.
const (
	AuthNone  AuthMethod = "none"                // public client: client_id in the body
	AuthPost  AuthMethod = "client_secret_post"  // client_id and client_secret in the body
	AuthBasic AuthMethod = "client_secret_basic" // RFC 6749 section 2.3.1, form-encoded before Basic
	// AuthKey signs an assertion (OpenID Connect Core section 9); the secret is the private key.
	AuthKey AuthMethod = "private_key_jwt"
	// AuthSigned sends an assertion as the client_secret (Apple); no registered name.
	AuthSigned AuthMethod = "signed_client_secret"
)

// Client is the OAuth app: a client registration (RFC 6749 section 2).
type Client struct {
	ID     string
	Secret Secret
	Auth   AuthMethod
	// Key is what the tokens of one connection are bound to (NewKey; RFC 9449);
	// zero: they are bearer tokens.
	Key Secret
}

// Server is one authorization server as this package needs to know it. It is
// plain data, copied and frozen into each attempt.
type Server struct {
	// Issuer identifies the server (RFC 8414 section 2), "" when it has no identifier.
	Issuer string
	// IssParameter says that authorization responses carry iss (RFC 9207 section 3).
	IssParameter bool

	// JWKSURL holds the keys that sign ID tokens; "" means ID tokens are not used.
	JWKSURL string

	Authorize AuthorizationEndpoint
	Device    DeviceEndpoint
	Token     TokenEndpoint
	Revoke    RevocationEndpoint
	Identity  Identity

	// ScopeSeparator joins scopes in requests; "" means a space.
	ScopeSeparator string
	// AllowLoopbackHTTP permits http for endpoints on a loopback host. Every
	// other endpoint is https, without exception.
	AllowLoopbackHTTP bool
	// UntypedIssuer says that a document named the issuer: its host may not lead
	// into a private network unless it is among TrustedHosts.
	UntypedIssuer bool
	// Resource is sent as the resource parameter of authorization, token and
	// refresh requests (RFC 8707 section 2); "" for none.
	Resource string
	// DPoP: tokens are to be bound to a key (RFC 9449).
	DPoP bool
	// Assertion is for AuthKey and AuthSigned.
	Assertion Assertion
	// IDParam and SecretParam are the server's own names for client_id and
	// client_secret; "" means these.
	IDParam, SecretParam string
	// TrustedHosts are host names that the user typed. They may lead into a
	// private network, as may the issuer's own host; every other name has to
	// lead to public addresses.
	TrustedHosts []string
}

// AuthorizationEndpoint (RFC 6749 section 3.1).
type AuthorizationEndpoint struct {
	URL string
	// Params are sent as they are, before the standard parameters, which win.
	// Values may hold {account}: it becomes the account hint, and a parameter
	// whose value is then empty is left out.
	Params map[string]string
	// Choose are sent, over Params, when the user is to choose an account
	// (prompt=select_account, OpenID Connect Core 3.1.2.1).
	Choose map[string]string
	// ScopeParam is the parameter that carries the scopes; "" means "scope".
	ScopeParam string
	// ResponseMode is how a response is to be sent: "" says nothing about it,
	// "form_post" asks for a POST (OAuth 2.0 Form Post Response Mode).
	ResponseMode string
	// PushedURL takes the parameters instead (RFC 9126); "" where there is none.
	PushedURL string
}

// DeviceEndpoint is the device authorization endpoint (RFC 8628 section 3.1). A
// zero URL means that the server has none.
type DeviceEndpoint struct {
	URL string
	// Params are added to the request.
	Params map[string]string
}

// TokenEndpoint (RFC 6749 section 3.2).
type TokenEndpoint struct {
	URL string
	// RefreshURL is used for refresh instead of URL when it is not empty.
	RefreshURL string
	// JSON sends the request body as JSON instead of a form.
	JSON bool
	// Params are added to code exchange and refresh; RefreshParams to refresh only.
	Params, RefreshParams map[string]string
	// RefreshWithAccess presents a live access token instead of a refresh
	// token, under the name access_token; the grant_type is in RefreshParams.
	RefreshWithAccess bool
	// Headers are added to both.
	Headers  map[string]string
	Response TokenResponseShape
}

// TokenResponseShape says where a server departs from RFC 6749 section 5.1.
type TokenResponseShape struct {
	// Root is the dotted path of the object that holds the fields, such as
	// "authed_user"; "" is the top. A root that is absent falls back to the top;
	// errors are always at the top.
	Root string
	// OKField names a top-level boolean that is false in an error answered
	// with status 200 (Slack); the error code is then in "error".
	OKField string
	// Form accepts application/x-www-form-urlencoded answers too.
	Form bool
	// AnyContentType accepts JSON under another content type.
	AnyContentType bool
	// NoTokenType reads a missing token_type, or one that is the server's own
	// word (Slack's "user"), as Bearer.
	NoTokenType bool
	// ScopeSeparator stands between granted scopes where that is another than
	// between requested ones (GitHub); "" means the same.
	ScopeSeparator string
	// DefaultLifetime stands in for a missing expires_in; 0 means unknown.
	DefaultLifetime time.Duration
}

// RevocationEndpoint (RFC 7009), or what a server has in its place. A zero URL
// means that the server has none.
type RevocationEndpoint struct {
	URL    string // may hold {client_id}
	Method string // "" means POST
	// Auth: "" authenticates the client as at the token endpoint (RFC 7009
	// section 2.1); "basic" always uses Basic; "bearer" presents the token
	// itself; "none" sends no authentication.
	Auth string
	// JSON sends the body as JSON instead of a form.
	JSON bool
	// Body replaces the RFC 7009 parameters: values may hold {token},
	// {client_id}, {client_secret}. nil means token and token_type_hint, or no
	// body at all when Auth is "bearer".
	Body map[string]string
	// AccessOnly: the endpoint takes access tokens only.
	AccessOnly bool
}

// Identity says how to learn whose account a token is for. A zero Identity
// with an ID token in the response uses the ID token.
type Identity struct {
	// URL of the userinfo endpoint (OpenID Connect Core 5.3) or the provider's
	// own identity call; "" means the ID token only.
	URL     string
	Method  string // "" means GET
	Headers map[string]string
	// Body is sent as it is when not empty.
	Body string
	// OKField names a top-level field that must be true (Slack's "ok").
	OKField string
	// Paths are dotted paths into the answer, tried in order for the label;
	// nil means email, preferred_username, login, name, sub.
	Paths []string
	// IDPath is the dotted path of the identifier that never changes; "" means
	// "sub", then "id", then the label.
	IDPath string
	// Format, when not empty, builds the label from {path} references, such as "@{login}".
	Format string
}

// Account is whose grant it is.
type Account struct {
	ID    string // what the provider never changes; never shown
	Label string // what people know themselves by; cleaned
}

// AuthorizationRequest is one authorization request in the making (RFC 6749
// section 4.1.1). The transport knows the redirect URI and completes it.
type AuthorizationRequest struct {
	Server      Server
	Client      Client
	Scopes      []string
	State       Secret
	Verifier    Secret // PKCE code_verifier; always S256
	Nonce       Secret // OpenID Connect; sent only when "openid" is among the scopes
	AccountHint string // login_hint or the server's own parameter
	Choose      bool   // have the user choose an account
	// ProviderID is the last element of the callback path, ProviderName what
	// people call it.
	ProviderID   string
	ProviderName string
	// Redirect says which redirect URIs the provider accepts.
	Redirect RedirectRule
	// Push hands the parameters to the server and returns what stands for them;
	// nil: they are in the URL.
	Push func(ctx context.Context, params url.Values) (requestURI string, err error)
}

// RedirectRule says which loopback redirect URI an authorization server accepts.
type RedirectRule struct {
	// Port is the port of the redirect URI; 0 means any free port (RFC 8252 section 7.3).
	Port int
	// Localhost uses the name localhost instead of 127.0.0.1.
	Localhost bool
	// HTTPS is for servers that insist on it, also on this machine.
	HTTPS bool
}

// Prompt is what the user must act on: the URL to open.
type Prompt struct {
	URL         string
	RedirectURI string
	// UserCode is to be entered at VerificationURI (RFC 8628 section 3.3), for
	// which there is time until Expires. All are zero where nothing is entered.
	UserCode        string
	VerificationURI string
	Expires         time.Time
	// Paste takes the response out of what a person copied from the address bar
	// of a page that did not load. It is nil where nothing comes back that way.
	// A *fault.Error says what is wrong with a text, which changes nothing.
	Paste func(text string) error
	// Held is closed once a response has come that the user has to confirm with
	// the code that the browser shows there; Confirm takes what was typed, and
	// its *fault.Error says what was wrong. Both are nil where nothing is
	// confirmed.
	Held    <-chan struct{}
	Confirm func(code string) error
}

// AuthorizationResponse is what came back (RFC 6749 section 4.1.2): a code or
// an error, never both. State has been matched already.
type AuthorizationResponse struct {
	Code  Secret
	Error string // RFC 6749 section 4.1.2.1; "other" when it is not one of its characters
	Iss   *string
}

// Reply is a genuine authorization response, and the way to tell the user who
// waits at the other end (a browser tab) how it went on.
type Reply struct {
	Response AuthorizationResponse
	// Token is there where the server gave a token at once: nothing is left to
	// be exchanged (RFC 8628 section 3.5).
	Token *Token
	// Tell is never nil. It may be called once, from any goroutine, and does
	// not block.
	Tell func(Outcome)
}

// Token is a token response (RFC 6749 section 5.1).
type Token struct {
	Access  Secret
	Refresh Secret // zero: none was issued
	ID      Secret // zero: none was issued
	Type    string // "Bearer" or "DPoP"
	Key     Secret // what Access is bound to when Type is "DPoP"
	// Scopes granted; nil means the response did not say, which means as
	// requested (RFC 6749 section 5.1).
	Scopes []string
	// Expiry is the wall-clock time in UTC, without a monotonic reading; zero
	// means unknown, which is not for ever.
	Expiry time.Time
	// RefreshExpiry is when the refresh token ends, if the server said so.
	RefreshExpiry time.Time
}

// Outcome is how an attempt ended, as the last page tells it. Texts are clean.
type Outcome struct {
	OK       bool
	Provider string // display name
	Account  string
	Scopes   []string // granted
	Missing  []string // asked for and not granted
	Asked    string   // the account that was asked for, when it is another one
	Code     string   // fault code when not OK
	Message  string   // sentence when not OK
}
