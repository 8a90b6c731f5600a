// Package wire is the JSON of the local API, and nothing else: the api package
// serves these shapes, the client reads them, openapi.json and the window's
// types are generated from them. Times are RFC 3339 in UTC; optional members
// are absent, not null. No shape here has room for a refresh token.
package wire

import "time"

// ConnectStart starts an attempt.
type ConnectStart struct {
	Service           string   `json:"service" minLength:"1" maxLength:"2048" doc:"Provider id, or the https address of an MCP server or another protected resource"`
	ClientID          string   `json:"client_id,omitempty" maxLength:"512" doc:"OAuth app; default: the one last updated"`
	ClientSecret      string   `json:"client_secret,omitempty" maxLength:"4096" doc:"Used for this attempt instead of the app's"`
	CallbackTransport string   `json:"callback_transport,omitempty" enum:"loopback,gateway,device,paste" doc:"Default: what works for the provider"`
	RequestedScopes   []string `json:"requested_scopes,omitempty" maxItems:"200" doc:"Replace the provider's defaults"`
	AccountHint       string   `json:"account_hint,omitempty" maxLength:"320" doc:"Account to preselect at the provider"`
	IfNeeded          bool     `json:"if_needed,omitempty" doc:"Do nothing when a connection already covers the request"`
	ChooseAccount     bool     `json:"choose_account,omitempty" doc:"Have the provider ask which account, whatever it remembers"`
	OpenBrowser       bool     `json:"open_browser,omitempty" doc:"Have Keyturn open the browser where it runs, for a caller on another computer"`
}

// ConnectStarted answers ConnectStart.
type ConnectStarted struct {
	Service   string     `json:"service" doc:"Provider id, also where the address of a resource was given"`
	AuthURL   string     `json:"auth_url,omitempty" doc:"Open this in the user's browser; absent when another kind of caller started the attempt that this call joined"`
	State     string     `json:"state,omitempty" doc:"Status handle; not the OAuth state"`
	ExpiresAt *time.Time `json:"expires_at,omitempty"`
	Transport string     `json:"transport,omitempty"`
	UserCode  string     `json:"user_code,omitempty" doc:"Device code only: what the user enters at verification_uri"`
	// VerificationURI is where; auth_url may lead there with the code filled in.
	VerificationURI string `json:"verification_uri,omitempty"`
	Pastes          bool   `json:"pastes,omitempty" doc:"The address of a page that did not load can be pasted"`
	Confirms        bool   `json:"confirms,omitempty" doc:"The code that the browser shows at the end has to be typed here"`
	Joined          bool   `json:"joined,omitempty" doc:"An equal attempt was pending already: do not open a second tab"`
	Browser         string `json:"browser,omitempty" enum:"opened,failed" doc:"Whether Keyturn could open the browser, when it was to do that"`

	AlreadyConnected bool     `json:"already_connected,omitempty"`
	ConnectionID     string   `json:"connection_id,omitempty"`
	AccountInfo      string   `json:"account_info,omitempty"`
	GrantedScopes    []string `json:"granted_scopes,omitempty"`
}

// ConnectStatus is how an attempt stands.
type ConnectStatus struct {
	Status        string    `json:"status" enum:"pending,complete,error"`
	Service       string    `json:"service"`
	Step          string    `json:"step,omitempty" enum:"waiting_for_browser,awaiting_confirmation,exchanging,identifying,saving"`
	AccountInfo   string    `json:"account_info,omitempty"`
	GrantedScopes []string  `json:"granted_scopes,omitempty"`
	MissingScopes []string  `json:"missing_scopes,omitempty" doc:"Asked for and not granted"`
	ConnectionID  string    `json:"connection_id,omitempty"`
	AskedAccount  string    `json:"asked_account,omitempty" doc:"The account that was asked for, when another one approved"`
	Code          string    `json:"code,omitempty"`
	Error         string    `json:"error,omitempty"`
	ExpiresAt     time.Time `json:"expires_at"`
}

// Attempt is one authorization in progress or just ended, in a list.
type Attempt struct {
	ConnectStatus
	State       string    `json:"state" doc:"Status handle"`
	ServiceName string    `json:"service_name"`
	Transport   string    `json:"transport"`
	StartedAt   time.Time `json:"started_at"`
	StartedBy   string    `json:"started_by" doc:"The kind of caller: local, window, web_ui"`
	UserCode    string    `json:"user_code,omitempty"`
	// VerificationURI is where the user enters the code.
	VerificationURI string `json:"verification_uri,omitempty"`
	Pastes          bool   `json:"pastes,omitempty" doc:"The address of a page that did not load can be pasted"`
	Confirms        bool   `json:"confirms,omitempty" doc:"The code that the browser shows at the end has to be typed here"`
}

// Confirm is the code that the browser shows, typed by the person.
type Confirm struct {
	Code string `json:"code" minLength:"1" maxLength:"64"`
}

// Paste brings a response that the browser could not bring.
type Paste struct {
	Text string `json:"text" minLength:"1" maxLength:"16384" doc:"The address of the page that did not load, its query, or code#state"`
}

// Attempts lists them, oldest first.
type Attempts struct {
	Attempts []Attempt `json:"attempts" nullable:"false"`
}

// Connection is the user's standing grant for one account at one provider.
type Connection struct {
	ID              string     `json:"id"`
	Provider        string     `json:"provider"`
	ProviderName    string     `json:"provider_name"`
	Resource        string     `json:"resource,omitempty" doc:"The address that was connected, such as that of an MCP server"`
	ClientID        string     `json:"client_id"`
	Account         string     `json:"account,omitempty"`
	GrantedScopes   []string   `json:"granted_scopes" nullable:"false"`
	MissingScopes   []string   `json:"missing_scopes,omitempty"`
	Status          string     `json:"status" enum:"connected,retrying,needs_reconnect,revoking"`
	Reason          string     `json:"reason,omitempty" doc:"Code, when not connected"`
	Since           *time.Time `json:"since,omitempty" doc:"When status became what it is"`
	Health          string     `json:"health" doc:"Status, reason and times in words: the same everywhere"`
	Unsaved         bool       `json:"unsaved,omitempty" doc:"The newest token is in memory only: the disk refuses it"`
	ExpiresAt       *time.Time `json:"expires_at,omitempty" doc:"Absent: unknown"`
	HasRefreshToken bool       `json:"has_refresh_token"`
	CreatedAt       time.Time  `json:"created_at"`
	RefreshedAt     *time.Time `json:"refreshed_at,omitempty"`
	LastUsedAt      *time.Time `json:"last_used_at,omitempty"`
	LastUsedBy      string     `json:"last_used_by,omitempty" doc:"The program that used it last, as the system calls it; absent: unknown, or activity is not recorded"`
	NextTryAt       *time.Time `json:"next_try_at,omitempty" doc:"When retrying or revoking"`
	Forecast        *Forecast  `json:"forecast,omitempty" doc:"Absent: nothing is known of a next sign-in"`
}

// Forecast is when the user will likely have to sign in again, and why.
type Forecast struct {
	At     time.Time `json:"at"`
	Reason string    `json:"reason" enum:"refresh_token_ends,no_refresh_token"`
	Says   string    `json:"says" doc:"One sentence"`
	Fix    string    `json:"fix,omitempty" doc:"One sentence: what would put an end to it"`
	Scopes []string  `json:"scopes,omitempty" doc:"Connect with these to fix it"`
}

// Connections lists them, and says how secrets are sealed.
type Connections struct {
	Protector   string       `json:"protector" enum:"keyring,passphrase,key_file"`
	Store       string       `json:"store,omitempty" doc:"Code, when the store is not open"`
	StoreError  string       `json:"store_error,omitempty"`
	Connections []Connection `json:"connections" nullable:"false"`
	Revoking    []Connection `json:"revoking,omitempty" doc:"Disconnected, and waiting for the provider to confirm"`
	Damaged     []Damaged    `json:"damaged,omitempty"`
	Language    string       `json:"language,omitempty" doc:"Of what people read, when the user chose one"`
	Paused      bool         `json:"paused,omitempty" doc:"The user holds hand-outs back: programs get no tokens for now"`
}

// HandOuts says whether programs get tokens.
type HandOuts struct {
	Paused bool `json:"paused"`
}

// Damaged is a stored row that failed its integrity check; it is kept.
type Damaged struct {
	Kind     string `json:"kind"`
	ID       string `json:"id"`
	Provider string `json:"provider,omitempty"`
	Account  string `json:"account,omitempty"`
}

// TokenRequest asks for a fresh access token.
type TokenRequest struct {
	Provider        string   `json:"provider" minLength:"1" maxLength:"64"`
	Account         string   `json:"account,omitempty" maxLength:"320"`
	ClientID        string   `json:"client_id,omitempty" maxLength:"512"`
	Scopes          []string `json:"scopes,omitempty" maxItems:"200" doc:"All of these must be granted"`
	MinValidSeconds int      `json:"min_valid_seconds,omitempty" minimum:"0" maximum:"31536000"`
}

// ConnectionTokenRequest asks the same of one connection.
type ConnectionTokenRequest struct {
	Scopes          []string `json:"scopes,omitempty" maxItems:"200"`
	MinValidSeconds int      `json:"min_valid_seconds,omitempty" minimum:"0" maximum:"31536000"`
}

// Token is an access token.
type Token struct {
	Token         string     `json:"token"`
	TokenType     string     `json:"token_type"`
	ExpiresAt     *time.Time `json:"expires_at,omitempty" doc:"Absent: unknown"`
	GrantedScopes []string   `json:"granted_scopes" nullable:"false"`
	ConnectionID  string     `json:"connection_id"`
}

// PingRequest names a connection to try, as a person would.
type PingRequest struct {
	Provider string `json:"provider" minLength:"1" maxLength:"64"`
	Account  string `json:"account,omitempty" maxLength:"320"`
	ClientID string `json:"client_id,omitempty" maxLength:"512"`
}

// Ping says whether the token works at the provider.
type Ping struct {
	OK       bool   `json:"ok"`
	Provider string `json:"provider"`
	Account  string `json:"account,omitempty"`
	Status   int    `json:"status" doc:"HTTP status of the provider's answer; 0: none came"`
}

// DisconnectRequest names a connection to end, as a person would.
type DisconnectRequest struct {
	Provider     string `json:"provider" minLength:"1" maxLength:"64"`
	Account      string `json:"account,omitempty" maxLength:"320"`
	ClientID     string `json:"client_id,omitempty" maxLength:"512"`
	ConnectionID string `json:"connection_id,omitempty" maxLength:"64" doc:"Settles which, when several match"`
}

// Disconnected says what became of the grant.
type Disconnected struct {
	Provider     string `json:"provider"`
	ConnectionID string `json:"connection_id"`
	Revoked      bool   `json:"revoked" doc:"The provider confirmed that the grant is gone"`
	Pending      bool   `json:"revocation_pending,omitempty" doc:"The provider could not be asked; Keyturn goes on trying"`
}

// App is an OAuth app. Its secret never leaves the process.
type App struct {
	ID              string    `json:"id"`
	Provider        string    `json:"provider"`
	Serves          []string  `json:"serves,omitempty" doc:"Presets of the provider that it serves too"`
	ClientID        string    `json:"client_id"`
	HasClientSecret bool      `json:"has_client_secret"`
	CreatedAt       time.Time `json:"created_at"`
	UpdatedAt       time.Time `json:"updated_at"`
}

// Apps lists them.
type Apps struct {
	Apps []App `json:"apps" nullable:"false"`
}

// AppUpsert registers or changes an OAuth app. Without client_secret and
// without no_client_secret, a secret that is already there stays.
type AppUpsert struct {
	Provider       string `json:"provider" minLength:"1" maxLength:"2048"`
	ClientID       string `json:"client_id" minLength:"1" maxLength:"512"`
	ClientSecret   string `json:"client_secret,omitempty" maxLength:"4096"`
	NoClientSecret bool   `json:"no_client_secret,omitempty" doc:"A public client: forget any secret"`
}

// ProviderSummary is one line of the catalogue.
type ProviderSummary struct {
	ID           string `json:"id"`
	Name         string `json:"name"`
	Category     string `json:"category,omitempty"`
	Custom       bool   `json:"custom,omitempty" doc:"Registered by the user"`
	Ready        bool   `json:"ready" doc:"An OAuth app is there, or none is needed"`
	Popular      bool   `json:"popular,omitempty" doc:"Offered before others where there is no room for all"`
	Favourite    bool   `json:"favourite,omitempty" doc:"Offered first, by the user's settings"`
	NeedsSecret  bool   `json:"needs_secret,omitempty"`
	ConsoleURL   string `json:"console_url,omitempty" doc:"Where to register an OAuth app"`
	RedirectURI  string `json:"redirect_uri,omitempty" doc:"The exact redirect URI to register"`
	RedirectNote string `json:"redirect_note,omitempty"`
}

// Providers lists the catalogue and the user's own.
type Providers struct {
	Providers []ProviderSummary `json:"providers" nullable:"false"`
}

// ProviderScope is a scope and one human sentence.
type ProviderScope struct {
	Name    string `json:"name"`
	Says    string `json:"says,omitempty"`
	Default bool   `json:"default,omitempty"`
}

// Provider is everything about one provider.
type Provider struct {
	ProviderSummary
	Issuer             string          `json:"issuer,omitempty"`
	AuthorizationURL   string          `json:"authorization_url"`
	TokenURL           string          `json:"token_url"`
	RefreshURL         string          `json:"refresh_url,omitempty"`
	RevocationURL      string          `json:"revocation_url,omitempty"`
	UserinfoURL        string          `json:"userinfo_url,omitempty"`
	TokenAuthMethods   []string        `json:"token_auth_methods" nullable:"false"`
	PKCE               string          `json:"pkce"`
	ScopeSeparator     string          `json:"scope_separator"`
	Scopes             []ProviderScope `json:"scopes" nullable:"false"`
	CallbackTransports []string        `json:"callback_transports" nullable:"false"`
	APIHosts           []string        `json:"api_hosts" nullable:"false"`
	Steps              []string        `json:"steps" nullable:"false" doc:"How to register an OAuth app"`
	Warnings           []string        `json:"warnings" nullable:"false"`
	Extends            string          `json:"extends,omitempty" doc:"The entry of the catalogue that this one begins with"`
	Vars               []ProviderVar   `json:"vars" nullable:"false" doc:"What has to be known first: register your own with extends and vars"`
	Resource           string          `json:"resource,omitempty" doc:"The address that it was found by, such as that of an MCP server"`
	Evidence           []Evidence      `json:"evidence" nullable:"false" doc:"Where the entry was read"`
}

// MCPServers is the directory of public MCP servers.
type MCPServers struct {
	Servers []MCPServer `json:"servers" nullable:"false"`
}

// MCPServer is a public MCP server. To connect it, start an authorization with
// its address as the service.
type MCPServer struct {
	Name     string `json:"name"`
	URL      string `json:"url"`
	NeedsApp bool   `json:"needs_app,omitempty" doc:"It registers no clients by itself: an OAuth app has to be added"`
	Provider string `json:"provider,omitempty" doc:"The provider that it became when it was connected"`
}

// ProviderVar is a part of an entry that differs from user to user.
type ProviderVar struct {
	Name  string   `json:"name"`
	Says  string   `json:"says"`
	OneOf []string `json:"one_of,omitempty"`
}

// Evidence is where a fact was read, and what could not be verified.
type Evidence struct {
	URL        string `json:"url"`
	Seen       string `json:"seen" doc:"Day, such as 2026-01-31"`
	Unverified string `json:"unverified,omitempty"`
}

// ProviderRegister adds a provider of the user's own: by issuer (its metadata
// is fetched), or by authorization and token endpoint.
type ProviderRegister struct {
	ProviderKey           string            `json:"provider_key" minLength:"1" maxLength:"64"`
	DisplayName           string            `json:"display_name,omitempty" maxLength:"80"`
	Issuer                string            `json:"issuer,omitempty" maxLength:"2048"`
	AuthURL               string            `json:"auth_url,omitempty" maxLength:"2048"`
	TokenURL              string            `json:"token_url,omitempty" maxLength:"2048"`
	RefreshURL            string            `json:"refresh_url,omitempty" maxLength:"2048"`
	RevokeURL             string            `json:"revoke_url,omitempty" maxLength:"2048"`
	RevokeMethod          string            `json:"revoke_method,omitempty" enum:"POST,DELETE,GET"`
	RevokeAuth            string            `json:"revoke_auth,omitempty" enum:"client,basic,bearer,none"`
	RevokeBody            map[string]string `json:"revoke_body,omitempty"`
	UserinfoURL           string            `json:"userinfo_url,omitempty" maxLength:"2048"`
	IdentityURL           string            `json:"identity_url,omitempty" maxLength:"2048"`
	IdentityMethod        string            `json:"identity_method,omitempty" enum:"GET,POST"`
	IdentityHeaders       map[string]string `json:"identity_headers,omitempty"`
	IdentityBody          string            `json:"identity_body,omitempty" maxLength:"4096"`
	IdentityOKField       string            `json:"identity_ok_field,omitempty" maxLength:"128"`
	IdentityResponsePaths []string          `json:"identity_response_paths,omitempty" maxItems:"16"`
	IdentityFormat        string            `json:"identity_format,omitempty" maxLength:"256"`
	Scopes                []string          `json:"scopes,omitempty" maxItems:"200" doc:"Default scopes"`
	ScopeSeparator        string            `json:"scope_separator,omitempty" maxLength:"4"`
	TokenAuthMethod       string            `json:"token_auth_method,omitempty" enum:"none,client_secret_post,client_secret_basic,private_key_jwt"`
	DPoP                  bool              `json:"dpop,omitempty" doc:"Bind the tokens to a key that never leaves Keyturn (RFC 9449): only requests that Keyturn makes can use them"`
	TokenBodyFormat       string            `json:"token_body_format,omitempty" enum:"form,json"`
	TokenResponseRoot     string            `json:"token_response_root,omitempty" maxLength:"128"`
	AuthorizeParams       map[string]string `json:"authorize_params,omitempty"`
	TokenParams           map[string]string `json:"token_params,omitempty"`
	APIHosts              []string          `json:"api_hosts,omitempty" maxItems:"50"`
	CallbackPort          int               `json:"callback_port,omitempty" minimum:"0" maximum:"65535"`
	RedirectHost          string            `json:"redirect_host,omitempty" enum:"127.0.0.1,localhost"`
	ConsoleURL            string            `json:"console_url,omitempty" maxLength:"2048"`
	IssParameter          bool              `json:"iss_parameter,omitempty" doc:"Authorization responses carry iss (RFC 9207)"`
	AllowLoopbackHTTP     bool              `json:"allow_http_loopback,omitempty" doc:"Permit http endpoints on loopback hosts"`
	Extends               string            `json:"extends,omitempty" maxLength:"64" doc:"Begin with this entry of the catalogue"`
	Vars                  map[string]string `json:"vars,omitempty" doc:"Values of its variables, such as subdomain"`
}

// ProviderDocument is a provider file: its text, or the address of it.
type ProviderDocument struct {
	Document string `json:"document,omitempty" maxLength:"262144" doc:"YAML, one provider"`
	URL      string `json:"url,omitempty" maxLength:"2048" doc:"Where to read it, instead of document; for a preview only"`
}

// ProviderPreview is what a provider file would do. To import it, send its
// document back.
type ProviderPreview struct {
	Document string   `json:"document"`
	Provider Provider `json:"provider"`
	Approve  string   `json:"approve" doc:"The origin where the user approves"`
	SendsTo  []string `json:"sends_to" nullable:"false" doc:"Origins that are sent codes, tokens or client secrets"`
	Replaces bool     `json:"replaces,omitempty" doc:"A provider of the user's own has this id and would be replaced"`
	Warnings []string `json:"warnings,omitempty"`
}

// ProviderDelete says what to do with what still uses the provider.
type ProviderDelete struct {
	Force bool `json:"force,omitempty" doc:"Disconnect its connections and forget its apps first"`
}

// Deleted answers the delete of a provider or an app.
type Deleted struct {
	ID string `json:"id"`
}

// BrowserUI is a way into the browser UI.
type BrowserUI struct {
	URL       string    `json:"url" doc:"Open this in a browser of the user's: it is good once"`
	ExpiresAt time.Time `json:"expires_at"`
}

// Health is what anyone on the socket may ask.
type Health struct {
	OK      bool   `json:"ok"`
	Version string `json:"version"`
	PID     int    `json:"pid"`
	Program string `json:"program" enum:"desktop,headless"`
	Host    string `json:"host,omitempty" doc:"The computer that Keyturn runs on: a socket can be forwarded"`
}

// Diagnosis is what doctor prints.
type Diagnosis struct {
	Checks []Check `json:"checks" nullable:"false"`
}

// Check is one thing looked at.
type Check struct {
	Name   string `json:"name"`
	Status string `json:"status" enum:"ok,missing,failed"`
	Says   string `json:"says" doc:"One sentence: what is, and what to do"`
}

// Settings are what the user can change.
type Settings struct {
	CallbackPort  int       `json:"callback_port" minimum:"1024" maximum:"65535"`
	Notifications bool      `json:"notifications"`
	Activity      *bool     `json:"activity,omitempty" doc:"Record what happens to grants and which programs read tokens; absent in a change: as it is"`
	Gateway       *string   `json:"gateway,omitempty" maxLength:"300" doc:"Address of the gateway, empty when there is none; absent in a change: as it is. POST /v1/gateway tests it first"`
	HTTPSLoopback *bool     `json:"https_loopback,omitempty" doc:"Take callbacks of providers that insist on https on this computer; absent in a change: as it is"`
	Favourites    *[]string `json:"favourites,omitempty" maxItems:"12" doc:"Ids of providers that are offered first, in this order; absent in a change: as they are"`
	Browser       *string   `json:"browser,omitempty" maxLength:"200" doc:"Id of the browser in which pages are opened (GET /v1/browsers), empty for the system's own; absent in a change: as it is"`
	Language      *string   `json:"language,omitempty" enum:",de,en" doc:"Of the window, the tray and notifications; empty for the system's; absent in a change: as it is"`
	Autostart     *bool     `json:"autostart,omitempty" doc:"Start when the user logs in; absent where this build cannot arrange it, and in a change: as it is"`
}

// Browsers are those that can be chosen, by name; none where the system alone
// decides.
type Browsers struct {
	Browsers []Browser `json:"browsers" nullable:"false"`
}

// Browser is a browser, or a profile of one.
type Browser struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Open shows the window.
type Open struct {
	View string `json:"view,omitempty" maxLength:"64" pattern:"^[a-z0-9/_-]*$" doc:"Where to, such as connect/github; default: where it was"`
}

// Problem is every answer that is not a success (RFC 9457,
// application/problem+json).
type Problem struct {
	Type   string `json:"type,omitempty" doc:"Absent: about:blank, the status says it"`
	Title  string `json:"title" doc:"The words of the status"`
	Status int    `json:"status"`
	Detail string `json:"detail" doc:"One sentence for people: what happened, what to do next"`
	Code   string `json:"code" doc:"Stable, for programs"`
}

// Done answers an action that has nothing to say.
type Done struct {
	OK bool `json:"ok"`
}
