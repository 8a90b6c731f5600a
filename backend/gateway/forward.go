package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"keyturn/backend/fault"
	"keyturn/backend/oauth"
	"keyturn/backend/page"
	"keyturn/backend/strictjson"
)

// Forwarded is what a forwarding gateway posts to the app: state, and a code or
// an error (RFC 6749 section 4.1.2), and iss where it came (RFC 9207).
type Forwarded struct {
	Provider string  `json:"provider"` // whose callback path it came to
	State    string  `json:"state"`
	Code     string  `json:"code,omitempty"`
	Error    string  `json:"error,omitempty"`
	Iss      *string `json:"iss,omitempty"`
}

// Outcome is the app's answer, with status 200, once the attempt has ended.
type Outcome struct {
	OK       bool     `json:"ok"`
	Provider string   `json:"provider"`
	Account  string   `json:"account,omitempty"`
	Scopes   []string `json:"scopes,omitempty"`
	Missing  []string `json:"missing,omitempty"`
	Asked    string   `json:"asked,omitempty"` // the account that was asked for, when it is another
	Code     string   `json:"code,omitempty"`
	Message  string   `json:"message,omitempty"`
}

const (
	forwardPath = "/v1/internal/oauth/callback"
	maxAnswer   = 64 << 10
	// replayLife is how long a state is remembered: longer than any attempt
	// lasts. maxReplays bounds the memory; the oldest goes first.
	replayLife = 20 * time.Minute
	maxReplays = 10_000
)

// Forward posts callbacks to one app that it can reach. It is for a gateway with
// one user: what a second one consents to would end in the app of the first,
// who may have talked him into it (session fixation). PKCE does not help there,
// because the app that started the attempt has the verifier.
type Forward struct {
	app    *url.URL
	bearer oauth.Secret
	client *http.Client
	once   *replays
}

// NewForward forwards to the app at an https address (http on this machine),
// with the bearer of its enrolment. The client must not follow redirects.
func NewForward(app string, bearer oauth.Secret, client *http.Client) (*Forward, error) {
	if err := oauth.ValidEndpoint(app, true); err != nil {
		return nil, err
	}
	u, err := url.Parse(strings.TrimRight(app, "/") + forwardPath)
	if err != nil {
		return nil, fault.New(fault.BadRequest, "The address of the app is not a URL.")
	}
	own := *client
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Forward{app: u, bearer: bearer, client: &own, once: newReplays(replayLife, maxReplays)}, nil
}

// Deliver implements Way. A state goes to the app once. When the app cannot have
// acted on it (no connection, 5xx, a bearer that it does not take) the same
// state may come again; any other answer was the app's last word.
func (f *Forward) Deliver(ctx context.Context, c Callback) Answer {
	if !f.once.take(c.State, time.Now()) {
		return refused(http.StatusConflict, "used", usedUp)
	}
	status, body, err := f.post(ctx, c)
	switch {
	case err != nil, status >= 500, status == http.StatusUnauthorized, status == http.StatusForbidden:
		f.once.giveBack(c.State)
		why := "unreachable"
		if err == nil && status < 500 {
			why = "not accepted by the app"
		}
		return Answer{Status: http.StatusBadGateway, Page: notReachable, Outcome: why}
	case status != http.StatusOK:
		return refused(http.StatusBadRequest, "unknown to the app", notForUs)
	}
	out, err := readOutcome(body)
	if err != nil {
		return Answer{Status: http.StatusBadGateway, Page: notReachable, Outcome: "answer of the app not understood"}
	}
	return Answer{Status: http.StatusOK, Page: page.Outcome(out, c.Provider), Outcome: "delivered"}
}

func (f *Forward) post(ctx context.Context, c Callback) (status int, body []byte, err error) {
	out := Forwarded{Provider: c.Provider, State: c.State, Code: c.Response.Code.Reveal(), Error: c.Response.Error, Iss: c.Response.Iss}
	sent, err := json.Marshal(out)
	if err != nil {
		return 0, nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, f.app.String(), bytes.NewReader(sent))
	if err != nil {
		return 0, nil, err
	}
	r.GetBody = nil // sent once
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+f.bearer.Reveal())
	res, err := f.client.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer res.Body.Close()
	body, err = io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err == nil && len(body) > maxAnswer {
		err = errors.New("gateway: the app's answer is too long")
	}
	return res.StatusCode, body, err
}

// readOutcome reads the app's answer. The app is the user's own, yet what it
// says goes onto a page: page.Outcome cleans every word of it.
func readOutcome(body []byte) (oauth.Outcome, error) {
	if _, err := strictjson.Object(body); err != nil {
		return oauth.Outcome{}, err
	}
	var o Outcome
	if err := json.Unmarshal(body, &o); err != nil {
		return oauth.Outcome{}, err
	}
	return oauth.Outcome(o), nil
}
