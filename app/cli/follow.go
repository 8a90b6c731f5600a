package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"keyturn/backend/api/wire"
	"keyturn/backend/fault"
)

const (
	quick = 250 * time.Millisecond // between two looks at first
	calm  = time.Second            // and after the first seconds

	// grace is how long a result stays readable after an attempt expired:
	// nobody gives up before the app has had its say.
	grace = 60 * time.Second
	// parting is how long a cancellation may take.
	parting = 3 * time.Second
)

// overtime is inside this program only: --timeout has passed.
const overtime fault.Code = "overtime"

// follow looks at the attempt until it is over, ctx ends, timeout (unless 0)
// has passed, or Keyturn has not answered until long after the attempt must
// have expired. Not being reached is no verdict: the attempt may be well.
func (w waiting) follow(ctx context.Context, timeout time.Duration) (wire.ConnectStatus, error) {
	began := time.Now()
	deadline := w.started.ExpiresAt.Add(grace)
	step, unanswered := "", 0
	for {
		status, err := w.app.ConnectStatus(ctx, w.started.State)
		switch {
		case ctx.Err() != nil:
			return wire.ConnectStatus{}, ctx.Err()
		case fault.CodeOf(err) == fault.Unreachable:
			if unanswered++; unanswered == 8 {
				w.k.note("Keyturn does not answer. Still trying.")
			}
		case err != nil:
			return wire.ConnectStatus{}, err
		case status.Status != "pending":
			return status, verdict(status)
		default:
			unanswered = 0
			deadline = status.ExpiresAt.Add(grace)
			if status.Step != step {
				step = status.Step
				w.progress(step)
			}
		}
		if timeout > 0 && time.Since(began) >= timeout {
			return wire.ConnectStatus{}, fault.New(overtime, "")
		}
		// Round drops the monotonic clock: a laptop that slept has missed the
		// deadline too.
		if time.Now().Round(0).After(deadline) {
			return wire.ConnectStatus{}, fault.New(fault.Expired, "The authorization was not finished in time. Start again.")
		}
		pause := quick
		if time.Since(began) > 10*time.Second {
			pause = calm
		}
		if timeout > 0 {
			pause = min(pause, max(timeout-time.Since(began), 0))
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
}

// verdict is the error of an attempt that ended, nil when it is complete.
func verdict(status wire.ConnectStatus) error {
	switch {
	case status.Status == "complete":
		return nil
	case status.Code == "" || status.Error == "":
		return fault.New(fault.Internal, "The authorization failed, and Keyturn does not say why. keyturn doctor may.")
	}
	return fault.New(fault.Code(status.Code), "%s", status.Error)
}

// abandon cancels the attempt in Keyturn, and asks once more: what was
// approved at the last moment is connected, whatever was pressed. An attempt
// that somebody else started stays.
func (w waiting) abandon(hurry context.Context, status wire.ConnectStatus, err error) (wire.ConnectStatus, error) {
	why := fault.New(fault.Cancelled, "Cancelled.")
	if fault.CodeOf(err) == overtime {
		why = fault.New(fault.Expired, "The authorization was not finished in the time given by --timeout. It was cancelled.")
	}
	if w.started.Joined {
		w.k.note("The authorization goes on: this command had only joined it. To cancel it: keyturn cancel %s", w.started.State)
		return status, fault.New(why.Code, "Stopped waiting.")
	}
	ctx, done := context.WithTimeout(hurry, parting)
	defer done()
	if failed := w.app.Cancel(ctx, w.started.State); failed != nil {
		return status, fault.Wrap(failed, why.Code, "Stopped waiting, but Keyturn did not confirm that the authorization is cancelled.")
	}
	if last, err := w.app.ConnectStatus(ctx, w.started.State); err == nil && last.Status == "complete" {
		return last, nil
	}
	return status, why
}

// progress says how far it is to somebody who watches.
func (w waiting) progress(step string) {
	if !w.k.terminal || w.k.json {
		return
	}
	switch step {
	case "waiting_for_browser":
		w.k.note("Waiting for you to approve in the browser. Ctrl-C cancels.")
	case "awaiting_confirmation":
		w.k.note("The answer has come. Type the code that the browser shows.")
	case "exchanging":
		w.k.note("Approved. Fetching the token.")
	case "identifying":
		w.k.note("Asking which account it is.")
	case "saving":
		w.k.note("Saving.")
	}
}

// interrupts returns a context that ends with the first Ctrl-C (or request to
// terminate), and one that ends with the second.
func interrupts() (first, second context.Context, release func()) {
	first, stop := context.WithCancel(context.Background())
	second, hurry := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} {
		if !signal.Ignored(s) { // a shell's background job, nohup
			signal.Notify(signals, s)
		}
	}
	go func() {
		for range signals {
			if first.Err() != nil {
				hurry()
			}
			stop()
		}
	}()
	return first, second, func() {
		signal.Stop(signals)
		close(signals)
		stop()
		hurry()
	}
}

// interruptedOr is err, or that the user pressed Ctrl-C twice.
func interruptedOr(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fault.New(fault.Cancelled, "Stopped. The authorization may have been started: keyturn status shows it.")
	}
	return err
}
