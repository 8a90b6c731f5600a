package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"keyturn/backend/api/wire"
	"keyturn/backend/client"
	"keyturn/backend/fault"
	"keyturn/backend/place"
	"keyturn/backend/store"
)

// How long the holder of the data folder may take to say who it is (it may
// have started at the same moment), and to end when it was asked to.
const (
	meeting  = 4 * time.Second
	takeover = 8 * time.Second
)

// errShown ends a start that found another Keyturn and brought its window up.
var errShown = errors.New("another Keyturn has shown its window")

// alone takes the data folder for this process. When another Keyturn has it, a
// desktop asks for that one's window and this start is over, with errShown; a
// program that cannot help says which one runs and what to do.
func alone(ctx context.Context, p place.Places, program string, takeOver bool, out io.Writer) (release func(), err error) {
	release, err = store.Lock(p.Data)
	held, taken := errors.AsType[*store.Held](err)
	if !taken {
		return release, err
	}
	other := client.New(p.Socket)
	if takeOver {
		fmt.Fprintln(out, "Taking over:", held.Error())
		return replace(ctx, other, p.Data)
	}
	holder, err := meet(ctx, other)
	switch {
	case err != nil:
		return nil, fault.Wrap(err, fault.Conflict, "%s It does not answer, though. End it, or start with --take-over, which waits for it to end.", held.Error())
	case program == "headless":
		return nil, fault.New(fault.Conflict, "%s", held.Error())
	case holder.Program != "desktop":
		return nil, fault.New(fault.Conflict, "%s It has no window. Start with --take-over to end it and go on here, or leave it and use the command line.", held.Error())
	}
	if err := other.Open(ctx, ViewConnections); err != nil {
		return nil, fault.Wrap(err, fault.Conflict, "%s %s To end it and go on here, start with --take-over.", held.Error(), fault.MessageOf(err))
	}
	return nil, errShown
}

// meet asks the holder who it is, for as long as a start may take.
func meet(ctx context.Context, other *client.Client) (wire.Health, error) {
	ctx, cancel := context.WithTimeout(ctx, meeting)
	defer cancel()
	for {
		health, err := other.Health(ctx)
		if err == nil || fault.CodeOf(err) != fault.Unreachable {
			return health, err
		}
		if !pause(ctx, 50*time.Millisecond) {
			return health, err
		}
	}
}

// replace asks the holder to end and takes the folder as soon as it is free.
func replace(ctx context.Context, other *client.Client, dir string) (release func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, takeover)
	defer cancel()
	quitErr := other.Quit(ctx)
	for {
		release, err := store.Lock(dir)
		if _, taken := errors.AsType[*store.Held](err); !taken {
			return release, err
		}
		if !pause(ctx, 50*time.Millisecond) {
			return nil, fault.Wrap(quitErr, fault.Conflict, "%s It was asked to end and did not. End that process and start again.", err.Error())
		}
	}
}

// pause waits, and reports whether ctx goes on.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
