// Package request uses a grant: it makes a call to a provider's API with an
// access token that whoever asked for the call never sees.
//
// The rules it keeps:
//
//   - The token goes to the hosts that the provider's entry names and to no
//     other, over https (http only where the entry allows it on this computer).
//     That is decided on the address as written, before anything is sent, and
//     again for every redirect; package oauth looks at each address that is
//     dialled.
//   - A redirect is an answer like another. Only when asked are they followed:
//     never to a lower scheme, and to a host that is not allowed only without
//     the token, the body and what the caller added, and the token does not
//     come back after that.
//   - A 401 is worth one renewal and one more try, when the body can be sent
//     again. Callers that get a 401 with the same token share the renewal.
//   - Bodies flow; none is held. Nothing is stored: no cookie, no answer.
//   - Errors and logs hold the host at most: no path, no query, no header.
package request

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"keyturn/backend/fault"
	"keyturn/backend/oauth"
	"keyturn/backend/orchestrator"
	"keyturn/backend/provider"
)

// Grants hands out access tokens: the orchestrator.
type Grants interface {
	Provider(id string) (provider.Provider, error)
	Connection(id string) (orchestrator.Connection, error)
	Token(ctx context.Context, q orchestrator.TokenQuery) (orchestrator.AccessToken, error)
	// Renew returns a token that is newer than the one of a generation.
	Renew(ctx context.Context, connectionID string, generation uint64) (orchestrator.AccessToken, error)
}

// Call is one request as somebody wants it made.
type Call struct {
	// Grant names the connection, as for a token.
	Grant  orchestrator.TokenQuery
	Method string // "" means GET, or POST with a body
	URL    string
	Header map[string]string
	Body   *Body // nil: none
	// Follow goes where redirects point.
	Follow bool
	// Resend: the caller can send the body again, should that be needed. A 401
	// is then answered with Answer.Again instead of an excuse.
	Resend bool
	// Again: this is the second time, after Answer.Again. There is no third.
	Again bool
	// MaxTime is how long all of it may take; 0 means as long as bytes flow.
	MaxTime time.Duration
}

// Answer is what the provider answered. Body is to be read and closed; an
// error while it is read means that it is not whole.
type Answer struct {
	Status int
	Header http.Header
	Body   io.ReadCloser
	Length int64 // of Body; -1: not known
	// Connection is whose token was used, and Host where it went first.
	Connection orchestrator.Connection
	Host       string
	// Note says in one sentence what Keyturn did not do about this status, and
	// Code why, when that has a code; both are usually empty.
	Note string
	Code fault.Code
	// Again: the token has been renewed and the body is gone. Send it again.
	Again bool
}

const (
	// stall is how long nothing may move in either direction.
	stall        = 10 * time.Minute
	maxRedirects = 10
)

// Sender makes calls. Its methods may be called from any goroutine.
type Sender struct {
	grants Grants
	http   *oauth.HTTP
}

// New returns a Sender.
func New(grants Grants, http *oauth.HTTP) *Sender {
	return &Sender{grants: grants, http: http}
}

// Do makes the call. The error is a *fault.Error, or the context's own when
// the caller gave up; any answer of the provider is an Answer.
func (s *Sender) Do(ctx context.Context, c Call) (*Answer, error) {
	p, err := s.provider(c.Grant)
	if err != nil {
		return nil, err
	}
	target, err := p.APIAddress(c.URL)
	if err != nil {
		return nil, err
	}
	t := trip{s: s, call: c, provider: p, server: p.APIServer(), url: target, body: c.Body}
	if t.method, err = methodOf(c); err != nil {
		return nil, err
	}
	if t.header, err = headerOf(c.Header); err != nil {
		return nil, err
	}
	if t.token, err = s.grants.Token(ctx, c.Grant); err != nil {
		return nil, err
	}
	t.watch = watching(ctx, c.MaxTime)
	a, err := t.do()
	if err != nil {
		t.watch.end()
		return nil, err
	}
	a.Host = target.Host
	a.Connection, _ = s.grants.Connection(t.token.ConnectionID) // gone meanwhile: the zero one
	return a, nil
}

// provider returns the entry that says where the token of a grant may go.
func (s *Sender) provider(q orchestrator.TokenQuery) (provider.Provider, error) {
	if q.ConnectionID == "" {
		return s.grants.Provider(q.Provider)
	}
	c, err := s.grants.Connection(q.ConnectionID)
	if err != nil {
		return provider.Provider{}, err
	}
	if q.Provider != "" && q.Provider != c.Provider {
		return provider.Provider{}, fault.New(fault.BadRequest, "The connection %s is one of %s, not of the provider that was named.", c.ID, c.ProviderName)
	}
	return s.grants.Provider(c.Provider)
}

// trip is a call on its way, from the first request to the answer that counts.
type trip struct {
	s        *Sender
	call     Call
	provider provider.Provider
	server   oauth.Server
	watch    *watch

	method string
	url    *url.URL
	header http.Header // the caller's
	body   *Body
	token  orchestrator.AccessToken

	away    bool // a redirect has led to a host that gets no token
	renewed bool
	nonce   bool // a nonce was asked for already
	hops    int
}

func (t *trip) do() (*Answer, error) {
	for {
		resp, err := t.send()
		if err != nil {
			return nil, t.failure(err)
		}
		a := &Answer{Status: resp.StatusCode, Header: resp.Header, Length: resp.ContentLength}
		if t.method == http.MethodHead {
			a.Length = 0
		}
		a.Body = &inflow{body: resp.Body, trip: t}
		more := false
		switch {
		case !t.away && !t.nonce && !t.token.Key.IsZero() && oauth.WantsNonce(resp):
			t.nonce = true
			more = t.repeat(a)
		case resp.StatusCode == http.StatusUnauthorized && !t.away:
			more = t.renew(a)
		case resp.StatusCode == http.StatusForbidden && !t.away:
			t.wantsMore(a)
		case t.call.Follow && resp.Header.Get("Location") != "" && redirects[resp.StatusCode]:
			more = t.follow(a, resp.Header.Get("Location"))
		}
		if !more {
			return a, nil
		}
		resp.Body.Close()
		if t.body != nil && !t.body.ready(t.watch.ctx) {
			return nil, t.failure(errSpent)
		}
	}
}

var errSpent = errors.New("body was read meanwhile")

// send makes one request.
func (t *trip) send() (*http.Response, error) {
	req := (&http.Request{
		Method: t.method, URL: t.url, Host: t.url.Host, Header: t.header.Clone(),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}).WithContext(t.watch.ctx)
	if t.body != nil {
		req.Body, req.ContentLength = t.body.open(t.watch)
	}
	if !t.away {
		if err := t.s.http.Present(req, t.token.Token, t.token.Key); err != nil {
			return nil, err
		}
	}
	return t.s.http.Resource(req, t.server)
}

// plainScope: what a server names ends up in a command that people paste.
var plainScope = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}$`)

// wantsMore says in a which scopes would help, where its server does (RFC 6750
// section 3.1, insufficient_scope). Only the user can grant them.
func (t *trip) wantsMore(a *Answer) {
	c, _ := oauth.ChallengeOf(a.Header)
	if c.Error != "insufficient_scope" {
		return
	}
	a.Code = fault.ScopeInsufficient
	a.Note = fmt.Sprintf("The connection to %s does not include what this request needs.", t.provider.Name)
	var lacks []string
	for _, s := range c.Scopes {
		if !slices.Contains(t.token.Granted, s) && plainScope.MatchString(s) && len(lacks) < 8 {
			lacks = append(lacks, s)
		}
	}
	if len(lacks) > 0 {
		a.Note = fmt.Sprintf("The connection to %s does not include %s. Ask for it with: keyturn connect %s --add-scopes %s",
			t.provider.Name, strings.Join(lacks, ", "), t.provider.ID, strings.Join(lacks, ","))
	}
}

// repeat reports whether the request of a can be made again as it is, which is
// what its server asks for (RFC 9449 section 9).
func (t *trip) repeat(a *Answer) bool {
	if t.body == nil || t.body.again() {
		return true
	}
	a.Again = t.call.Resend && !t.call.Again
	return false
}

// renew replaces the token that got the 401 in a, and reports whether the
// request can be made again with it.
func (t *trip) renew(a *Answer) bool {
	if t.renewed || t.call.Again {
		a.Note = fmt.Sprintf("%s refuses a fresh token as well, so the token is probably not the reason.", t.provider.Name)
		return false
	}
	fresh, err := t.s.grants.Renew(t.watch.ctx, t.token.ConnectionID, t.token.Generation)
	switch {
	case err != nil:
		a.Note, a.Code = fault.MessageOf(err), fault.CodeOf(err)
		return false
	case fresh.Generation == t.token.Generation:
		a.Note = "The token could not be renewed, or was just a moment ago, so the request was not made again."
		return false
	case t.body == nil || t.body.again():
		t.token, t.renewed = fresh, true
		return true
	case t.call.Resend:
		a.Again = true
		return false
	}
	a.Note = "The token has been renewed, but the body was sent already and cannot be sent a second time. Make the request again."
	return false
}

// failure tells people why there is no answer.
func (t *trip) failure(err error) error {
	host := t.url.Hostname()
	switch cause := context.Cause(t.watch.ctx); {
	case cause == errStalled:
		return fault.Wrap(err, fault.ProviderUnavailable, "Nothing moved between Keyturn and %s for %d minutes, so the request was given up.", host, stall/time.Minute)
	case cause == errTooLong:
		return fault.Wrap(err, fault.ProviderUnavailable, "%s took longer than %s, so the request was given up.", host, t.call.MaxTime)
	case cause != nil:
		return cause
	}
	if wire, ok := errors.AsType[*oauth.Error](err); ok && !wire.Unsent {
		return fault.Wrap(err, fault.ProviderUnavailable, "%s did not answer. The request may have reached it all the same.", host)
	}
	return oauth.Fault(err, host)
}

// cutOff tells why the body of an answer ends before its end.
func (t *trip) cutOff(err error) error {
	if context.Cause(t.watch.ctx) != nil {
		return t.failure(err)
	}
	return fault.Wrap(err, fault.ProviderUnavailable, "The answer of %s was cut off.", t.url.Hostname())
}
