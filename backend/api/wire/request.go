package wire

import (
	"encoding/json"
	"fmt"
	"strings"
)

// A request goes to POST /v1/request in one of two forms. A simple program
// sends a Request and gets a RequestAnswer, bodies in JSON. Who has much to
// send or to receive puts the RequestHead into the header Keyturn-Request, the
// body into the body, and gets an AnswerHead in the header Keyturn-Response,
// with the provider's body as the body.
const (
	RequestHeader  = "Keyturn-Request"
	ResponseHeader = "Keyturn-Response"
)

// RequestHead is a call to a provider's API, without its body.
type RequestHead struct {
	Provider       string            `json:"provider,omitempty" maxLength:"64" doc:"Whose token to use; needed without connection_id"`
	Account        string            `json:"account,omitempty" maxLength:"320"`
	ClientID       string            `json:"client_id,omitempty" maxLength:"512"`
	ConnectionID   string            `json:"connection_id,omitempty" maxLength:"64" doc:"Settles which, when several match"`
	Method         string            `json:"method,omitempty" maxLength:"32" doc:"Default: GET, or POST with a body"`
	URL            string            `json:"url" minLength:"1" maxLength:"8192" doc:"Its host has to be among the provider's api_hosts"`
	Headers        map[string]string `json:"headers,omitempty" doc:"Not those that are Keyturn's: Authorization, Cookie, Host, Proxy-*, and what is about the connection"`
	Follow         bool              `json:"follow_redirects,omitempty" doc:"Go where redirects point; the token goes along to hosts in api_hosts only"`
	MaxTimeSeconds int               `json:"max_time_seconds,omitempty" minimum:"0" maximum:"86400" doc:"For all of it; default: as long as bytes flow"`
}

// Request is a call with its body: text in body, or anything in body_base64.
type Request struct {
	RequestHead
	Body       *string `json:"body,omitempty"`
	BodyBase64 *string `json:"body_base64,omitempty"`
}

// StreamRequest is a RequestHead in its header.
type StreamRequest struct {
	RequestHead
	Resend bool `json:"resend,omitempty" doc:"The caller can send the body again: a 401 may then be answered with again"`
	Again  bool `json:"again,omitempty" doc:"This is the second time, after an answer with again"`
}

// AnswerHead is what the provider answered, without the body. Whatever the
// status, it is an answer: failures of Keyturn are problem documents.
type AnswerHead struct {
	Status  int                 `json:"status" doc:"HTTP status of the provider's answer"`
	Headers map[string][]string `json:"headers" nullable:"false" doc:"By name in small letters"`
	Note    string              `json:"note,omitempty" doc:"One sentence: what was not done about this status, and why"`
	Code    string              `json:"code,omitempty" doc:"Code of the note, such as needs_reconnect"`
}

// RequestAnswer is an answer with its body: text in body, or, when it is not
// UTF-8, body_base64.
type RequestAnswer struct {
	AnswerHead
	Body       *string `json:"body,omitempty"`
	BodyBase64 *string `json:"body_base64,omitempty"`
	Truncated  bool    `json:"truncated,omitempty" doc:"The body was longer than 8 MiB; this is its beginning"`
}

// StreamAnswer is an AnswerHead in its header.
type StreamAnswer struct {
	AnswerHead
	Again bool `json:"again,omitempty" doc:"The token was refused and has been renewed: send the request once more, with again"`
}

// InHeader writes v as JSON that can be the value of a header: one line of
// ASCII.
func InHeader(v any) (string, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, r := range string(data) {
		switch {
		case r >= 0x10000:
			r -= 0x10000
			fmt.Fprintf(&b, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		case r >= 0x7f:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String(), nil
}
