package hub

import (
	"context"
	"errors"
	"net/url"
	"time"

	"github.com/nats-io/nats.go"

	"keyturn/backend/oauth"
	"keyturn/backend/relay"
)

const (
	// patience is how long Deliver goes on when NATS itself is in trouble: a
	// node that died is replaced within it. An app that is not there is known
	// at once.
	patience = 8 * time.Second
	// again is the pause before another try.
	again = 150 * time.Millisecond
)

// Receipt says what became of a delivered callback.
type Receipt struct {
	// Code is what the person types into the app, as the page shows it
	// ("K7QM-2D4X"). It is empty when the response was an error: then there is
	// nothing to confirm.
	Code string
	Took time.Duration // to the app and back
}

// forwarded are the parameters that go to the app. Others mean nothing to it.
var forwarded = []string{"state", "code", "error", "iss"}

// Deliver passes the parameters of one callback on to the app whose state they
// carry, and returns once the app has taken them. It may be called again with the same
// parameters and then says the same. The error is or wraps one of relay's:
// ErrUnreachable, ErrUnknown, ErrRefused or ErrClock.
func (h *Hub) Deliver(ctx context.Context, provider string, params url.Values) (Receipt, error) {
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		return Receipt{}, relay.ErrUnreachable
	}
	h.work.Add(1)
	h.mu.Unlock()
	defer h.work.Done()
	start := time.Now()
	r, err := h.deliver(ctx, provider, params)
	r.Took = time.Since(start)
	h.counts.add(err)
	if err != nil {
		h.log.Info("callback not relayed", "reason", err, "took", r.Took.Round(time.Millisecond))
		return Receipt{}, err
	}
	h.log.Info("callback relayed", "took", r.Took.Round(time.Millisecond))
	return r, nil
}

func (h *Hub) deliver(ctx context.Context, provider string, params url.Values) (Receipt, error) {
	query := url.Values{}
	for _, name := range forwarded {
		if values, ok := params[name]; ok {
			query[name] = values
		}
	}
	encoded := query.Encode()
	state, response, err := oauth.ParseAuthorizationResponse(encoded)
	if err != nil {
		return Receipt{}, relay.ErrRefused
	}
	route, err := relay.ParseState(state)
	if err != nil || !route.Genuine(h.keys.routeKey(route.App), provider) || h.isRevoked(route.App) {
		return Receipt{}, relay.ErrUnknown
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		d := relay.NewDelivery(route, provider, encoded, response.Error == "", h.keys.codes)
		err := h.ask(ctx, route, d)
		switch {
		case err == nil:
			return Receipt{Code: relay.ShowCode(d.Code)}, nil
		case !errors.Is(err, errTryAgain):
			return Receipt{}, err
		}
		select {
		case <-time.After(again):
		case <-ctx.Done():
			return Receipt{}, relay.ErrUnreachable
		}
	}
}

// errTryAgain: NATS did not carry the question or the answer. The app may have
// taken the callback; it takes the same one twice without harm.
var errTryAgain = errors.New("relay hub: no answer")

// ask sends one message and returns what the app answers.
func (h *Hub) ask(ctx context.Context, route relay.Route, d relay.Delivery) error {
	frame, err := d.Seal(route, h.keys.signing)
	if err != nil {
		return relay.ErrRefused
	}
	ctx, cancel := context.WithTimeout(ctx, h.patient)
	defer cancel()
	reply, err := h.conn.RequestWithContext(ctx, relay.Subject(route.App), frame)
	switch {
	case errors.Is(err, nats.ErrNoResponders), errors.Is(err, nats.ErrConnectionClosed): // the latter: this hub is closing
		return relay.ErrUnreachable
	case err != nil:
		return errTryAgain
	}
	verdict, err := relay.ParseAnswer(reply.Data, d.ID, route.App)
	if err != nil {
		h.counts.forged.Add(1)
		h.log.Warn("an answer was dropped", "reason", err)
		return errTryAgain
	}
	return verdict.Err()
}

func (h *Hub) isRevoked(id string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.revoked[id]
}
