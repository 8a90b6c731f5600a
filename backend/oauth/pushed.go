package oauth

import (
	"context"
	"net/http"
	"net/url"
	"strings"
)

// maxRequestURI is the longest request_uri; they are a few dozen characters.
const maxRequestURI = 2048

// PromptURL is the URL that the user opens. Where the server takes pushed
// authorization requests (RFC 9126) the parameters go to it directly, under the
// client's authentication, and the URL says no more than which request it is.
// Errors are *fault.Error.
func (r AuthorizationRequest) PromptURL(ctx context.Context, redirectURI string) (string, error) {
	full, err := AuthorizationURL(r, redirectURI)
	if err != nil || r.Push == nil {
		return full, err
	}
	u, err := url.Parse(full)
	if err != nil {
		return "", err
	}
	requestURI, err := r.Push(ctx, u.Query())
	if err != nil {
		return "", Fault(err, r.ProviderName)
	}
	u.RawQuery = url.Values{"client_id": {r.Client.ID}, "request_uri": {requestURI}}.Encode()
	return u.String(), nil
}

// Push pushes the parameters of an authorization request (RFC 9126 section 2.1)
// and returns the request_uri that stands for them.
func (h *HTTP) Push(ctx context.Context, s Server, c Client, params url.Values) (requestURI string, err error) {
	fields := map[string]string{}
	for name, values := range params {
		fields[name] = values[0]
	}
	a, err := h.ask(ctx, opPushed, s, c, s.Authorize.PushedURL, fields, false)
	if err != nil {
		return "", err
	}
	requestURI, failed := readPushed(a)
	if failed != nil {
		return "", failed
	}
	return requestURI, nil
}

// readPushed reads the answer (RFC 9126 section 2.2).
func readPushed(a answer) (string, *Error) {
	top, reason := object(a.body)
	if a.status != http.StatusCreated && a.status != http.StatusOK {
		return "", judge(opPushed, a, errorCode(TokenResponseShape{}, top))
	}
	if top == nil {
		return "", &Error{Op: opPushed, Status: a.status, Kind: Malformed, reason: reason}
	}
	uri, ok := jsonString(top["request_uri"])
	if !ok || uri == "" || len(uri) > maxRequestURI || !isVSCHAR(uri) || strings.Contains(uri, " ") {
		return "", &Error{Op: opPushed, Status: a.status, Kind: Malformed, reason: "no usable request_uri"}
	}
	return uri, nil
}
