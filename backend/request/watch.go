package request

import (
	"context"
	"errors"
	"io"
	"time"
)

var (
	errStalled = errors.New("nothing moved")
	errTooLong = errors.New("took too long")
)

// watch ends a call when it takes too long, or when nothing moves any more.
type watch struct {
	ctx    context.Context
	timer  *time.Timer
	cancel []func()
}

func watching(ctx context.Context, maxTime time.Duration) *watch {
	w := &watch{}
	if maxTime > 0 {
		limited, cancel := context.WithTimeoutCause(ctx, maxTime, errTooLong)
		ctx, w.cancel = limited, append(w.cancel, cancel)
	}
	watched, cancel := context.WithCancelCause(ctx)
	w.ctx = watched
	w.timer = time.AfterFunc(stall, func() { cancel(errStalled) })
	w.cancel = append(w.cancel, func() { cancel(context.Canceled) })
	return w
}

// moved says that bytes did.
func (w *watch) moved() { w.timer.Reset(stall) }

func (w *watch) end() {
	w.timer.Stop()
	for _, cancel := range w.cancel {
		cancel()
	}
}

// inflow is the body of an answer.
type inflow struct {
	body io.ReadCloser
	trip *trip
}

func (f *inflow) Read(p []byte) (int, error) {
	n, err := f.body.Read(p)
	if n > 0 {
		f.trip.watch.moved()
	}
	if err != nil && err != io.EOF {
		err = f.trip.cutOff(err)
	}
	return n, err
}

func (f *inflow) Close() error {
	err := f.body.Close()
	f.trip.watch.end()
	return err
}
