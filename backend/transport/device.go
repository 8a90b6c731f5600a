package transport

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"keyturn/backend/fault"
	"keyturn/backend/oauth"
)

// slowDown is what each slow_down adds to the interval, for good (RFC 8628
// section 3.5); maxPause is how long it is waited between two polls at most, and
// lastWait how long for an answer that nobody asked for any more.
const (
	slowDown = 5 * time.Second
	maxPause = 2 * time.Minute
	lastWait = 4 * time.Second
)

// Device is the way without a browser on this machine (RFC 8628): the user
// enters a code on a page of the provider's, on any device, and we ask until
// that has happened. Nobody can bring a response here, so there is nothing to
// check; what the user has to see to is that the code was not sent by a
// stranger, whose account would then be the one that gets access.
type Device struct {
	http *oauth.HTTP
	log  *slog.Logger
	now  func() time.Time
}

// NewDevice returns the way by device code. now is the wall clock; nil means
// time.Now.
func NewDevice(h *oauth.HTTP, log *slog.Logger, now func() time.Time) *Device {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if now == nil {
		now = time.Now
	}
	return &Device{h, log, func() time.Time { return now().Round(0) }}
}

// Authorize asks for a code, calls show once with it, and returns with the
// token once the user has approved. A token that came before ctx ended is
// returned even so.
func (d *Device) Authorize(ctx context.Context, req oauth.AuthorizationRequest, show func(oauth.Prompt)) (oauth.Reply, error) {
	if ctx.Err() != nil {
		return oauth.Reply{}, endOf(ctx)
	}
	a, err := d.http.StartDevice(ctx, req.Server, req.Client, req.Scopes)
	if err != nil {
		if ctx.Err() != nil {
			return oauth.Reply{}, endOf(ctx)
		}
		return oauth.Reply{}, oauth.Fault(err, req.ProviderName)
	}
	p := oauth.Prompt{URL: a.VerificationURI, UserCode: a.UserCode, VerificationURI: a.VerificationURI, Expires: a.Expires}
	if a.Complete != "" {
		p.URL = a.Complete
	}
	show(p)
	return d.poll(ctx, req, a)
}

// poll asks until there is an answer.
func (d *Device) poll(ctx context.Context, req oauth.AuthorizationRequest, a oauth.DeviceAuthorization) (oauth.Reply, error) {
	interval, pause := a.Interval, a.Interval
	for {
		wait := time.NewTimer(pause)
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return oauth.Reply{}, endOf(ctx)
		}
		// By the wall clock: a laptop that slept has missed the end too, and
		// has one poll to make up for, not many.
		if d.now().After(a.Expires) {
			return oauth.Reply{}, fault.New(fault.Expired, "The code for %s was not entered in time. Start again.", req.ProviderName)
		}
		token, err := d.ask(ctx, req, a.DeviceCode)
		if err == nil {
			return oauth.Reply{Token: &token, Tell: func(oauth.Outcome) {}}, nil
		}
		said, ok := errors.AsType[*oauth.Error](err)
		switch {
		case !ok:
			return oauth.Reply{}, oauth.Fault(err, req.ProviderName)
		case said.Kind == oauth.Refused && said.Code == "authorization_pending":
			pause = interval
		case said.Kind == oauth.Refused && said.Code == "slow_down":
			interval += slowDown
			pause = interval
		case said.Kind == oauth.Outage, said.Kind == oauth.OutcomeUnknown:
			d.log.Info("device poll not answered", "provider", req.ProviderID, "error", said.Error())
			pause = max(min(2*pause, maxPause), said.RetryAfter) // RFC 8628 section 3.5
		default:
			return oauth.Reply{}, oauth.Fault(err, req.ProviderName)
		}
	}
}

// ask polls once. A token is handed out once only, so the answer is waited for
// also when ctx ends meanwhile; but not for long, for Keyturn may be stopping.
func (d *Device) ask(ctx context.Context, req oauth.AuthorizationRequest, code oauth.Secret) (oauth.Token, error) {
	asking, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	defer giveUp()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(lastWait, giveUp) })()
	return d.http.PollDevice(asking, req.Server, req.Client, code)
}
