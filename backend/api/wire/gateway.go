package wire

// GatewayAdd names a gateway.
type GatewayAdd struct {
	URL string `json:"url" minLength:"1" maxLength:"300" doc:"https://host, maybe with a port"`
}

// Gateway is how a gateway answered a test callback.
type Gateway struct {
	URL string `json:"url"`
	// RedirectURI is what providers are told.
	RedirectURI string `json:"redirect_uri" doc:"What to register with providers that accept https only; {provider} stands for the provider's id"`
	CameHomeMS  int64  `json:"came_home_ms" doc:"How long the test callback took, in milliseconds"`
}
