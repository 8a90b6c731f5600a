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
	Relay       bool   `json:"relay,omitempty" doc:"Callbacks come over a connection that Keyturn holds"`
}
