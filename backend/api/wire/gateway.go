package wire

// GatewayAdd names a gateway.
type GatewayAdd struct {
	URL string `json:"url,omitempty" maxLength:"300" doc:"https://host, maybe with a port; or enrolment"`
	// Enrolment is a line that keyturn-gateway enrol printed. It is a secret.
	Enrolment string `json:"enrolment,omitempty" maxLength:"4096" doc:"What keyturn-gateway enrol printed, for an app that no browser can reach"`
}

// Gateway is how a gateway answered a test callback.
type Gateway struct {
	URL string `json:"url"`
	// RedirectURI is what providers are told.
	RedirectURI string `json:"redirect_uri" doc:"What to register with providers that accept https only; {provider} stands for the provider's id"`
	CameHomeMS  int64  `json:"came_home_ms" doc:"How long the test callback took, in milliseconds; by relay how long the connection took"`
	Forward     bool   `json:"forward,omitempty" doc:"The gateway posts callbacks to here; only a connect shows whether it can"`
	Relay       bool   `json:"relay,omitempty" doc:"Callbacks come over a connection that Keyturn holds"`
}

// Forwarded is an authorization response that a forwarding gateway brings: state
// and a code or an error, and iss where it came.
type Forwarded struct {
	Provider string  `json:"provider,omitempty" maxLength:"64" doc:"Whose callback path it came to: a response to an attempt at another provider is refused (RFC 9700 section 4.4)"`
	State    string  `json:"state" minLength:"1" maxLength:"1024"`
	Code     string  `json:"code,omitempty" maxLength:"8192"`
	Error    string  `json:"error,omitempty" maxLength:"8192"`
	Iss      *string `json:"iss,omitempty" maxLength:"2048"`
}

// Outcome is what became of the attempt, for the page that the gateway shows.
type Outcome struct {
	OK       bool     `json:"ok"`
	Provider string   `json:"provider"`
	Account  string   `json:"account,omitempty"`
	Scopes   []string `json:"scopes,omitempty"`
	Missing  []string `json:"missing,omitempty"`
	Asked    string   `json:"asked,omitempty" doc:"The account that was asked for, when it is another"`
	Code     string   `json:"code,omitempty"`
	Message  string   `json:"message,omitempty"`
}
