package oauth

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/textproto"
	"net/url"
	"time"
)

// Exchange spends an authorization code (RFC 6749 section 4.1.3, RFC 7636
// section 4.5). The code is sent once, whatever happens: when the error is of
// kind OutcomeUnknown it may have been used up, and a second use makes a
// careful server revoke the grant. A server that asks for a nonce has not used
// it (RFC 9449 section 8) and gets it a second time, not a third.
func (h *HTTP) Exchange(ctx context.Context, s Server, c Client, code Secret, redirectURI string, verifier Secret) (Token, error) {
	fields := map[string]string{}
	maps.Copy(fields, s.Token.Params)
	fields["grant_type"] = "authorization_code"
	fields["code"] = code.Reveal()
	if redirectURI != "" {
		fields["redirect_uri"] = redirectURI
	}
	fields["code_verifier"] = verifier.Reveal()
	if s.Resource != "" {
		fields["resource"] = s.Resource
	}
	return h.token(ctx, opExchange, s, c, s.Token.URL, fields)
}

// Refresh uses a refresh token (RFC 6749 section 6), once; at a server with
// RefreshWithAccess the access token. A zero Refresh in the result means that
// the server kept the old one.
func (h *HTTP) Refresh(ctx context.Context, s Server, c Client, refresh Secret) (Token, error) {
	fields := map[string]string{"grant_type": "refresh_token"}
	name := "refresh_token"
	if s.Token.RefreshWithAccess {
		name = "access_token"
	}
	maps.Copy(fields, s.Token.Params)
	maps.Copy(fields, s.Token.RefreshParams)
	fields[name] = refresh.Reveal()
	if s.Resource != "" {
		fields["resource"] = s.Resource
	}
	endpoint := s.Token.RefreshURL
	if endpoint == "" {
		endpoint = s.Token.URL
	}
	return h.token(ctx, opRefresh, s, c, endpoint, fields)
}

func (h *HTTP) token(ctx context.Context, op string, s Server, c Client, endpoint string, fields map[string]string) (Token, error) {
	a, err := h.ask(ctx, op, s, c, endpoint, fields, s.Token.JSON)
	if err != nil {
		return Token{}, err
	}
	h.warnAboutClock(op, a)
	t, odd, failed := readToken(op, s, c, a)
	for _, what := range odd {
		h.log.Warn("token response: "+what, "op", op)
	}
	if failed != nil {
		return Token{}, failed
	}
	return t, nil
}

// ask makes an authenticated request of the client to the authorization server,
// with a proof of its key where it has one. A server that refuses the proof for
// want of a nonce, which it gives, gets the request once more.
func (h *HTTP) ask(ctx context.Context, op string, s Server, c Client, endpoint string, fields map[string]string, asJSON bool) (answer, error) {
	for again := false; ; again = true {
		own, header := maps.Clone(fields), customHeader(s.Token.Headers)
		if err := h.authenticate(s, c, own, header); err != nil {
			return answer{}, err
		}
		if !c.Key.IsZero() {
			made, err := proof(c.Key, http.MethodPost, endpoint, h.nonces.of(endpoint), Secret{}, h.now())
			if err != nil {
				return answer{}, err
			}
			header.Set(typeDPoP, made)
		}
		body, contentType := encode(own, asJSON)
		header.Set("Content-Type", contentType)
		a, failed := h.do(ctx, call{op: op, server: s, method: http.MethodPost, url: endpoint, header: header, body: body, limit: maxBody})
		if failed != nil {
			return answer{}, failed
		}
		h.nonces.note(endpoint, a.header)
		if again || c.Key.IsZero() || !wantsNonce(a) {
			return a, nil
		}
	}
}

// wantsNonce reports whether an authorization server refused a proof for want
// of a nonce that it has just given (RFC 9449 section 8).
func wantsNonce(a answer) bool {
	top, _ := object(a.body)
	return fitNonce(a.header.Get("DPoP-Nonce")) && errorMember(top["error"]) == "use_dpop_nonce"
}

// authenticate adds the client's credentials (RFC 6749 section 2.3.1) in the
// one way that the client is registered with.
func (h *HTTP) authenticate(s Server, c Client, fields map[string]string, header http.Header) error {
	id, secret := cmp.Or(s.IDParam, "client_id"), cmp.Or(s.SecretParam, "client_secret")
	switch c.Auth {
	case AuthNone:
		fields[id] = c.ID
	case AuthPost:
		fields[id] = c.ID
		if !c.Secret.IsZero() {
			fields[secret] = c.Secret.Reveal()
		}
	case AuthBasic:
		header.Set("Authorization", basic(c))
	case AuthKey, AuthSigned:
		made, err := assert(s, c, h.now())
		if err != nil {
			return err
		}
		fields[id] = c.ID
		if c.Auth == AuthSigned {
			fields[secret] = made
			return nil
		}
		fields["client_assertion_type"], fields["client_assertion"] = assertionType, made
	default:
		return fmt.Errorf("client authentication method %q is not spoken here", string(c.Auth))
	}
	return nil
}

// basic form-encodes id and secret before they go into Basic (RFC 6749 section 2.3.1).
func basic(c Client) string {
	pair := url.QueryEscape(c.ID) + ":" + url.QueryEscape(c.Secret.Reveal())
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(pair))
}

func encode(fields map[string]string, asJSON bool) (body []byte, contentType string) {
	if asJSON {
		body, _ = json.Marshal(fields) // a map of strings always marshals
		return body, "application/json"
	}
	form := url.Values{}
	for name, value := range fields {
		form.Set(name, value)
	}
	return []byte(form.Encode()), "application/x-www-form-urlencoded"
}

// customHeader copies a server's own headers without those that are ours to
// set, and without Idempotency-Key, which makes net/http send a request twice.
func customHeader(headers map[string]string) http.Header {
	header := http.Header{}
	for name, value := range headers {
		switch name = textproto.CanonicalMIMEHeaderKey(name); name {
		case "Authorization", "Content-Length", "Host", "Connection", "Transfer-Encoding", "Cookie",
			"Expect", "Proxy-Authorization", "Idempotency-Key", "X-Idempotency-Key":
		default:
			header.Set(name, value)
		}
	}
	return header
}

// maxSkew is how far the server's clock may be from ours without a warning.
const maxSkew = 5 * time.Minute

// warnAboutClock compares the Date of an answer with our clock. Ours is used;
// when it is the wrong one, ID tokens and certificates will be refused.
func (h *HTTP) warnAboutClock(op string, a answer) {
	date, err := http.ParseTime(a.header.Get("Date"))
	if err != nil {
		return
	}
	if skew := date.Sub(a.asked); skew.Abs() > maxSkew {
		h.log.Warn("the server's clock and this computer's differ", "op", op, "by", skew.Round(time.Second))
	}
}
