package demo

import "net/http"

// metadata is the server's description of itself (RFC 8414 section 2, OpenID
// Connect Discovery 1.0 section 3).
func (s *Server) metadata(w http.ResponseWriter, r *http.Request) {
	names := make([]string, len(scopes))
	for i, sc := range scopes {
		names[i] = sc.name
	}
	at := func(path string) string { return s.opts.Issuer + path }
	m := map[string]any{
		"issuer":                                s.opts.Issuer,
		"authorization_endpoint":                at("/authorize"),
		"token_endpoint":                        at("/token"),
		"device_authorization_endpoint":         at("/device_authorization"),
		"revocation_endpoint":                   at("/revoke"),
		"userinfo_endpoint":                     at("/userinfo"),
		"jwks_uri":                              at("/jwks"),
		"scopes_supported":                      names,
		"response_types_supported":              []string{"code"},
		"response_modes_supported":              []string{"query"},
		"grant_types_supported":                 []string{"authorization_code", "refresh_token", deviceGrant},
		"subject_types_supported":               []string{"public"},
		"id_token_signing_alg_values_supported": []string{s.opts.SigningAlg},
		"token_endpoint_auth_methods_supported": []string{"none", "client_secret_basic", "client_secret_post"},
	}
	if !s.opts.Quirks.NoIss {
		m["authorization_response_iss_parameter_supported"] = true
	}
	if !s.opts.Quirks.NoPKCE {
		m["code_challenge_methods_supported"] = []string{"S256"}
	}
	writeJSON(w, "", http.StatusOK, m)
}
