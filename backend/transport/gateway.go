package transport

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"keyturn/backend/fault"
	"keyturn/backend/oauth"
	"keyturn/backend/relay"
)

// gatewayPath is where a gateway sends the browser. It is not the callback
// path, so that no response comes by another way than its attempt chose.
const gatewayPath = "/gw/"

// Gateway is the way for providers that accept https redirect URIs only. The
// provider is told an address at a gateway, which sends the browser on to this
// machine: to the port that the state begins with, in base 36. The gateway
// stores nothing, and an attempt that a stranger started ends in the machine of
// whoever consented, where nobody waits for it; PKCE alone would be satisfied
// there. Past the redirect everything is as in Loopback, checks included.
type Gateway struct {
	loopback *Loopback
	client   *http.Client // for Check
	base     func() string
	relay    func() *relay.Client
	forwards forwards
	forward  func() bool
}

// NewGateway returns the way by the gateway whose https address, without a path,
// base returns at the time of each attempt; "" means that there is none. The
// client speaks to that gateway, and is asked by Check only. An app that is
// enrolled at it has a relay; nil, or a nil client, is one that is not.
func NewGateway(l *Loopback, base func() string, enrolled func() *relay.Client, client *http.Client) *Gateway {
	asking := *client
	asking.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	if enrolled == nil {
		enrolled = func() *relay.Client { return nil }
	}
	return &Gateway{
		loopback: l, base: base, relay: enrolled, client: &asking,
		forwards: forwards{waiting: map[digest]*forwarded{}},
		forward:  func() bool { return false },
	}
}

// Forwards tells the Gateway how to learn whether the gateway forwards to here.
// It is called before anything else.
func (g *Gateway) Forwards(here func() bool) { g.forward = here }

// Ready says whether a gateway is set up.
func (g *Gateway) Ready() error {
	if g.base() == "" {
		return fault.New(fault.BadRequest, "No gateway is set up. Add one with: keyturn gateway add https://…")
	}
	return nil
}

// Authorize is described at Loopback.Authorize.
func (g *Gateway) Authorize(ctx context.Context, req oauth.AuthorizationRequest, show func(oauth.Prompt)) (oauth.Reply, error) {
	if err := g.Ready(); err != nil {
		return oauth.Reply{}, err
	}
	if r := g.relay(); r != nil {
		return g.authorizeByRelay(ctx, r, req, show)
	}
	if g.forward() {
		return g.authorizeByForward(ctx, req, show)
	}
	req.Redirect = oauth.RedirectRule{} // the provider sees the gateway's address only
	return g.loopback.authorize(ctx, req, bounced{g.base(), req.ProviderID}, show)
}

// bounced: the provider sends the browser to a gateway, which sends it here.
type bounced struct{ base, provider string }

func (b bounced) landing(on *listener) string {
	return "http://" + on.name(false) + gatewayPath + b.provider
}
func (b bounced) posted() bool                 { return false } // the gateway reads the form
func (b bounced) redirectURI(*listener) string { return b.base + callbackPath + b.provider }
func (b bounced) state(on *listener, random oauth.Secret) oauth.Secret {
	return oauth.NewSecret(strconv.FormatInt(int64(on.port), 36) + "." + random.Reveal())
}

// checkID is the provider that Check plays. No catalogue can hold it twice: a
// check never gets further than the listener.
const checkID = "keyturn-check"

// checkLimit is how long a check may take.
const checkLimit = 20 * time.Second

// Check sends a test callback through the gateway at base, as a browser would,
// and returns how long it took to come home. Nothing is authorized by it.
func (g *Gateway) Check(ctx context.Context, base string) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, checkLimit)
	defer cancel()
	req := oauth.AuthorizationRequest{
		Server:     oauth.Server{Authorize: oauth.AuthorizationEndpoint{URL: base + "/"}, AllowLoopbackHTTP: true},
		Client:     oauth.Client{ID: checkID, Auth: oauth.AuthNone},
		State:      oauth.NewState(),
		Verifier:   oauth.NewVerifier(),
		Nonce:      oauth.NewNonce(),
		ProviderID: checkID,
	}
	home := make(chan error, 1)
	prompts := make(chan oauth.Prompt, 1)
	var begun time.Time
	go func() {
		reply, err := g.loopback.authorize(ctx, req, bounced{base, checkID}, func(p oauth.Prompt) { prompts <- p })
		if err == nil {
			reply.Tell(oauth.Outcome{OK: true, Provider: "The gateway"})
		}
		home <- err
	}()
	select {
	case p := <-prompts:
		begun = time.Now()
		if err := g.send(ctx, p); err != nil {
			cancel()
			<-home
			return 0, err
		}
	case err := <-home:
		return 0, err
	}
	if err := <-home; err != nil {
		return 0, fault.Wrap(err, fault.GatewayUnreachable, "The test callback did not come home. See that %s is a gateway of Keyturn's that passes callbacks on to the browser.", base)
	}
	return time.Since(begun), nil
}

// send plays the browser: the gateway's address first, then wherever that sends
// it, which has to be our own listener.
func (g *Gateway) send(ctx context.Context, p oauth.Prompt) error {
	u, err := url.Parse(p.URL)
	if err != nil {
		return err
	}
	query := url.Values{"code": {"check"}, "state": {u.Query().Get("state")}}
	res, err := g.get(ctx, p.RedirectURI+"?"+query.Encode())
	if err != nil {
		return fault.Wrap(err, fault.GatewayUnreachable, "The gateway does not answer. Check its address and that it runs.")
	}
	to := res.Header.Get("Location")
	port, _, _ := strings.Cut(query.Get("state"), ".")
	ours, _ := strconv.ParseInt(port, 36, 32)
	if res.StatusCode != http.StatusSeeOther || !strings.HasPrefix(to, "http://127.0.0.1:"+strconv.FormatInt(ours, 10)+gatewayPath+checkID+"?") {
		return fault.New(fault.GatewayUnreachable, "What answers there is no gateway of Keyturn's (status %d). Check its address.", res.StatusCode)
	}
	if _, err := g.get(ctx, to); err != nil {
		return fault.Wrap(err, fault.GatewayUnreachable, "The gateway sent the test callback to a port where nobody waits for it. Check that it runs the same version.")
	}
	return nil
}

func (g *Gateway) get(ctx context.Context, address string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	res, err := g.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	_, _ = io.CopyN(io.Discard, res.Body, 64<<10)
	return res, nil
}
