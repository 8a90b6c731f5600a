package orchestrator

import (
	"context"
	"time"

	"keyturn/backend/fault"
	"keyturn/backend/oauth"
	"keyturn/backend/provider"
)

// A Transport carries one authorization from prompt to authorization response.
type Transport interface {
	// Authorize gets ready to receive the response (a listener is bound, for
	// example), calls show exactly once with the prompt, and returns with the
	// one genuine response or when ctx ends. What a stranger sends is answered
	// and otherwise ignored. An error is a *fault.Error; when show was not
	// called, nothing was started.
	Authorize(ctx context.Context, req oauth.AuthorizationRequest, show func(oauth.Prompt)) (oauth.Reply, error)
}

// A Transport that needs something set up says whether it is.
type readier interface {
	// Ready returns nil, or a *fault.Error that says what to do first.
	Ready() error
}

// A Store keeps what must survive a restart. A method that returns nil has put
// its change where a power cut cannot reach it. Errors are *fault.Error with
// StoreLocked, StoreDamaged or DiskFull where that is what happened.
type Store interface {
	// Load returns everything; it is called again after StoreLocked.
	Load(ctx context.Context) (Contents, error)
	// Check reports whether a connection could be saved now: unlocked, writable, room on the disk.
	Check(ctx context.Context) error
	SaveConnection(ctx context.Context, r Record) error
	DeleteConnection(ctx context.Context, id string) error
	SaveApp(ctx context.Context, a App) error
	DeleteApp(ctx context.Context, id string) error
	SaveProvider(ctx context.Context, p provider.Provider) error
	DeleteProvider(ctx context.Context, id string) error
	// Protector names what guards the sealing key: "keyring", "passphrase" or
	// "key_file".
	Protector() string
}

// Contents is what a Store holds.
type Contents struct {
	Connections []Record
	Apps        []App
	Providers   []provider.Provider
	// Damaged lists rows that could not be opened. They are kept, never overwritten.
	Damaged []Damaged
}

// Damaged is a row that failed its integrity check.
type Damaged struct {
	Kind     string // "connection", "app" or "provider"
	ID       string
	Provider string
	Account  string // label, when the row still says
}

// App is an OAuth app: the user's client registration at a provider. There is
// one per provider and client id.
type App struct {
	ID       string // "app_" and 16 hex digits
	Provider string
	Client   oauth.Client
	Created  time.Time
	Updated  time.Time
	// Issuer is the authorization server that the client is registered with,
	// for a provider that was found by the address of its resource: what such a
	// provider says may change, and a registration is good at one server only.
	Issuer string
	// Dynamic: Keyturn registered the client itself (RFC 7591), or presents the
	// document that describes it.
	Dynamic bool
	// Management deletes a dynamic registration; Ends is when it ends.
	Management oauth.Management
	Ends       time.Time
}

// Record is a connection as it is kept between runs, secrets included.
type Record struct {
	ID       string // "con_" and 16 hex digits
	Provider string
	ClientID string
	// Origin and Issuer say whom the secrets belong to: the origin of the
	// token endpoint and the issuer at the time of the grant. They are never
	// sent anywhere else, whatever the provider's entry says later.
	Origin string
	Issuer string

	Account   oauth.Account
	Requested []string // scopes asked for
	Granted   []string // scopes granted

	Token      oauth.Token
	Generation uint64 // counts the tokens of this connection

	Status Status
	Reason fault.Code // why not Connected
	Since  time.Time  // when it became so
	// RefreshSent is the journal of a refresh: set before the refresh token of
	// this Generation is sent, cleared with the answer.
	RefreshSent time.Time

	Created    time.Time
	Authorized time.Time // when the user last approved
	Refreshed  time.Time // when the current token was issued
}

// Status is where the user's grant stands.
type Status string

// The states of a connection. An authorization in progress is not among them:
// it stands beside it as an Attempt, so that a user who is asked again and
// says no keeps what was granted. Revoking is not either: what was
// disconnected is no connection, but its tokens are kept until the provider
// has confirmed that they are dead.
const (
	Connected      Status = "connected"
	Retrying       Status = "retrying"
	NeedsReconnect Status = "needs_reconnect"
	Revoking       Status = "revoking"
)

// Connection is what anyone may see of a Record.
type Connection struct {
	ID           string
	Provider     string
	ProviderName string
	Resource     string // the address that was connected, where it was one
	ClientID     string
	Account      string
	Granted      []string
	Missing      []string // asked for and not granted
	Status       Status
	Reason       fault.Code
	Since        time.Time // when Status became what it is
	// Health is Status with its reason and times in one sentence without a
	// full stop: the same words wherever it is shown.
	Health          string
	Unsaved         bool      // the newest token is in memory only: the disk refuses it
	Expiry          time.Time // zero: unknown
	HasRefreshToken bool
	Created         time.Time
	Refreshed       time.Time
	LastUsed        time.Time // last hand-out in this run; zero: none
	NextTry         time.Time // when Retrying or Revoking
	Forecast        Forecast
}

// Forecast is what is known of the next time that the user will have to sign
// in. The zero Forecast knows of none.
type Forecast struct {
	At     time.Time
	Reason fault.Code // RefreshTokenEnds or NoRefreshToken
	Says   string     // one sentence
	Fix    string     // one sentence: what would put an end to it; "" when nothing would
	// Scopes are what to connect with to fix it; nil when that is not the way.
	Scopes []string
}

// AttemptStatus is how an attempt stands.
type AttemptStatus string

// The states of an attempt; Complete and Error are final.
const (
	Pending  AttemptStatus = "pending"
	Complete AttemptStatus = "complete"
	Error    AttemptStatus = "error"
)

// Step is how far a pending attempt has come.
type Step string

// The steps, in order.
const (
	WaitingForBrowser Step = "waiting_for_browser"
	// AwaitingConfirmation: a response has come that the user has to confirm
	// with the code which the browser shows.
	AwaitingConfirmation Step = "awaiting_confirmation"
	Exchanging           Step = "exchanging"
	Identifying          Step = "identifying"
	Saving               Step = "saving"
)

// Attempt is what may be seen of one authorization in progress or just ended.
type Attempt struct {
	Handle       string // the status handle; not the OAuth state
	Provider     string
	ProviderName string
	Transport    string
	Starter      string // the principal that started it
	Status       AttemptStatus
	Step         Step // while Pending
	// URL is the authorization URL. It is for whoever started the attempt and
	// for the user's own tray and window, never for the status of the API.
	URL string
	// UserCode is what the user enters at VerificationURI; both are "" unless
	// the attempt goes by device code.
	UserCode        string
	VerificationURI string
	Pastes          bool // Paste can bring the response
	Confirms        bool // Confirm has to take a code before the response counts

	Started      time.Time
	Expires      time.Time // when a pending attempt expires; when a result is forgotten
	ConnectionID string    // when Complete
	Account      string    // when Complete
	Granted      []string  // when Complete
	Missing      []string  // when Complete: asked for and not granted
	// Asked is the account that was asked for, when another one approved.
	Asked   string
	Code    fault.Code
	Message string // the sentence, when Error
}

// Snapshot is everything a listener may want to show, at one moment.
type Snapshot struct {
	Connections []Connection // by provider name, then account
	Attempts    []Attempt    // oldest first
	// Revoking lists what was disconnected and waits for its provider.
	Revoking  []Connection
	Protector string
	// Store is nil when the store is open, else why not (StoreLocked, StoreDamaged).
	Store   error
	Damaged []Damaged
	Paused  bool // programs get no tokens for now
}

// ConnectRequest asks for a connection.
type ConnectRequest struct {
	Provider  string
	ClientID  string       // "" means the app last updated
	Secret    oauth.Secret // overrides the app's for this attempt; usually zero
	Scopes    []string     // nil means the provider's default
	Account   string       // hint
	Choose    bool         // have the provider ask which account, whatever it remembers
	Transport string       // "" means the provider's best
	// Challenge is how the resource asked for a token, where Provider is the
	// address of one and the caller has asked it; nil: Keyturn asks it.
	Challenge *oauth.Challenge
	IfNeeded  bool   // a connection that covers the request is enough
	Starter   string // the principal that asks
}

// Started is the answer to a ConnectRequest: an attempt, or a connection that
// already covers it.
type Started struct {
	Attempt Attempt
	Joined  bool // an equal attempt was pending already
	// Existing is set instead when IfNeeded found a connection.
	Existing *Connection
}

// TokenQuery asks for an access token. ConnectionID, or Provider with the rest.
type TokenQuery struct {
	ConnectionID string
	Provider     string
	Account      string
	ClientID     string
	Scopes       []string      // must all be granted
	MinValid     time.Duration // at least this long, capped at what the provider issues
}

// AccessToken is what a program gets. Never a refresh token.
type AccessToken struct {
	Token oauth.Secret
	// Key is what the token is bound to (RFC 9449); zero: a bearer token. It is
	// for requests that Keyturn makes, and is handed to nobody.
	Key          oauth.Secret
	Type         string
	Expiry       time.Time // zero: unknown
	Granted      []string
	ConnectionID string
	Generation   uint64 // for Renew
}

// Disconnected is what became of a grant.
type Disconnected struct {
	Connection
	Revoked bool // the provider confirmed
	Pending bool // it could not be asked: Keyturn goes on trying
}

// Pinged is the answer to a ping.
type Pinged struct {
	OK       bool
	Status   int // HTTP status; 0 when nothing answered
	Account  string
	Provider string
}
