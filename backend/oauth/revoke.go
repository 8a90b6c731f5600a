package oauth

import (
	"context"
	"maps"
	"net/http"
	"net/url"
	"strings"
)

// Revoke tells the server that a token is no longer needed (RFC 7009 section
// 2.1). hint is "refresh_token" or "access_token". nil means that the server
// confirmed; a server confirms tokens that it does not know, too (section 2.2).
// No secret goes into a URL: what wants one there is refused here, unsent.
func (h *HTTP) Revoke(ctx context.Context, s Server, c Client, token Secret, hint string) error {
	endpoint := s.Revoke
	unsent := func(reason string) error {
		return &Error{Op: opRevoke, Kind: Refused, Unsent: true, reason: reason}
	}
	method := endpoint.Method
	if method == "" {
		method = http.MethodPost
	}
	switch {
	case endpoint.URL == "":
		return unsent("the server has no revocation endpoint")
	case token.IsZero():
		return unsent("there is no token")
	case endpoint.AccessOnly && hint == "refresh_token":
		return unsent("the endpoint takes access tokens only")
	case method != http.MethodPost && method != http.MethodDelete:
		return unsent("the endpoint wants the token in its URL")
	}

	header := http.Header{}
	fields := revocationFields(endpoint, c, token, hint)
	switch endpoint.Auth {
	case "":
		own := map[string]string{}
		if err := h.authenticate(s, c, own, header); err != nil {
			return err
		}
		maps.Copy(own, fields) // what the server's template says comes over it
		fields = own
	case "basic":
		header.Set("Authorization", basic(c))
	case "bearer":
		header.Set("Authorization", "Bearer "+token.Reveal())
	case "none":
	default:
		return unsent("the endpoint's way to authenticate is not spoken here")
	}
	var body []byte
	if len(fields) > 0 {
		var contentType string
		body, contentType = encode(fields, endpoint.JSON)
		header.Set("Content-Type", contentType)
	}
	a, failed := h.do(ctx, call{
		op: opRevoke, server: s, method: method, header: header, body: body, limit: maxBody,
		url: strings.ReplaceAll(endpoint.URL, "{client_id}", url.PathEscape(c.ID)),
	})
	if failed != nil {
		return failed
	}
	top, _ := object(a.body)
	code := errorMember(top["error"])
	if a.status < 200 || a.status > 299 {
		return judge(opRevoke, a, code)
	}
	if code != "" || string(top["ok"]) == "false" {
		return &Error{Op: opRevoke, Status: a.status, Kind: Refused, Code: code}
	}
	return nil
}

// revocationFields fills the endpoint's template, each placeholder literally
// and once: what a token holds is never a placeholder itself.
func revocationFields(endpoint RevocationEndpoint, c Client, token Secret, hint string) map[string]string {
	if endpoint.Body == nil {
		if endpoint.Auth == "bearer" {
			return nil
		}
		fields := map[string]string{"token": token.Reveal()}
		if hint != "" {
			fields["token_type_hint"] = hint
		}
		return fields
	}
	fill := strings.NewReplacer("{token}", token.Reveal(), "{client_id}", c.ID, "{client_secret}", c.Secret.Reveal())
	fields := make(map[string]string, len(endpoint.Body))
	for name, value := range endpoint.Body {
		fields[name] = fill.Replace(value)
	}
	return fields
}
