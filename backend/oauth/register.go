package oauth

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"keyturn/backend/fault"
)

// ClientMetadata is what a client says of itself when it registers (RFC 7591
// section 2).
type ClientMetadata struct {
	Name         string
	RedirectURIs []string
	Scopes       []string   // nil: says nothing
	Auth         AuthMethod // how it would like to authenticate
}

// Registration is a client as an authorization server registered it (RFC 7591
// section 3.2.1), and what manages it (RFC 7592 section 3).
type Registration struct {
	Client Client
	Management
	// Ends is when the client secret expires; zero: never.
	Ends time.Time
}

// Management reads, changes and deletes a registration; zero where the server
// does not offer that.
type Management struct {
	URL   string
	Token Secret
}

// Register registers a client (RFC 7591 section 3.1): a native application
// that uses code and refresh token. Errors are *fault.Error.
func (h *HTTP) Register(ctx context.Context, s Server, endpoint string, m ClientMetadata) (Registration, error) {
	document := map[string]any{
		"client_name":                m.Name,
		"redirect_uris":              m.RedirectURIs,
		"grant_types":                []string{"authorization_code", "refresh_token"},
		"response_types":             []string{"code"},
		"token_endpoint_auth_method": string(m.Auth),
		"application_type":           "native",
	}
	if len(m.Scopes) > 0 {
		document["scope"] = strings.Join(m.Scopes, " ")
	}
	body, err := json.Marshal(document)
	if err != nil {
		return Registration{}, err
	}
	header := http.Header{"Content-Type": {"application/json"}}
	a, failed := h.do(ctx, call{op: opRegister, server: s, method: http.MethodPost, url: endpoint, header: header, body: body, limit: maxBody})
	if failed != nil {
		return Registration{}, registrationFault(failed, endpoint)
	}
	r, failed := readRegistration(s, m.Auth, a)
	if failed != nil {
		return Registration{}, registrationFault(failed, endpoint)
	}
	return r, nil
}

func registrationFault(failed *Error, endpoint string) error {
	host := hostOf(endpoint)
	switch {
	case failed.Kind == Refused && failed.Code != "":
		return fault.Wrap(failed, fault.RegistrationFailed, "%s does not let Keyturn register itself (%s). Register an OAuth app there and add it with: keyturn apps upsert", host, failed.Code)
	case failed.Kind == Refused:
		return fault.Wrap(failed, fault.RegistrationFailed, "%s does not let Keyturn register itself. Register an OAuth app there and add it with: keyturn apps upsert", host)
	}
	return fault.Wrap(failed, fault.RegistrationFailed, "%s", fault.MessageOf(Fault(failed, host)))
}

// readRegistration reads a client information response.
func readRegistration(s Server, wanted AuthMethod, a answer) (r Registration, failed *Error) {
	top, reason := object(a.body)
	code := errorCode(TokenResponseShape{}, top)
	if a.status != http.StatusCreated && a.status != http.StatusOK {
		return r, judge(opRegister, a, code)
	}
	malformed := func(reason string) (Registration, *Error) {
		return Registration{}, &Error{Op: opRegister, Status: a.status, Kind: Malformed, reason: reason}
	}
	if top == nil {
		return malformed(reason)
	}
	id, ok := jsonString(top["client_id"])
	if !ok || !isVSCHAR(id) || id == "" || len(id) > 2048 {
		return malformed("no usable client_id")
	}
	r.Client = Client{ID: id, Auth: wanted}
	if !absent(top["client_secret"]) {
		if r.Client.Secret, ok = tokenField(top, "client_secret"); !ok {
			return malformed("client_secret is nothing that can be sent")
		}
	}
	if method, ok := jsonString(top["token_endpoint_auth_method"]); ok {
		r.Client.Auth = AuthMethod(method)
	}
	if !slices.Contains([]AuthMethod{AuthNone, AuthPost, AuthBasic}, r.Client.Auth) {
		return malformed("token_endpoint_auth_method is none that is spoken here")
	}
	if r.Client.Auth != AuthNone && r.Client.Secret.IsZero() {
		return malformed("a client secret is asked for and not given")
	}
	if r.Client.Auth == AuthNone {
		r.Client.Secret = Secret{}
	}
	var ends float64
	if json.Unmarshal(top["client_secret_expires_at"], &ends) == nil && ends > 0 && ends < 1<<40 {
		r.Ends = time.Unix(int64(ends), 0).UTC()
	}
	// Whoever can change the registration can have codes sent elsewhere: its
	// token goes to the server that issued it, and nowhere else.
	where, ok1 := jsonString(top["registration_client_uri"])
	token, ok2 := tokenField(top, "registration_access_token")
	if ok1 && ok2 && !token.IsZero() && ValidEndpoint(where, s.AllowLoopbackHTTP) == nil {
		r.URL, r.Token = where, token
	}
	return r, nil
}

// Unregister deletes a registration (RFC 7592 section 2.3). One that is gone
// already is no error.
func (h *HTTP) Unregister(ctx context.Context, s Server, r Management) error {
	if r.URL == "" {
		return nil
	}
	header := http.Header{"Authorization": {"Bearer " + r.Token.Reveal()}}
	a, failed := h.do(ctx, call{op: opRegister, server: s, method: http.MethodDelete, url: r.URL, header: header, limit: maxBody})
	if failed != nil {
		return failed
	}
	switch a.status {
	case http.StatusOK, http.StatusNoContent, http.StatusUnauthorized, http.StatusNotFound:
		return nil
	}
	return judge(opRegister, a, "")
}
