package client

import (
	"bufio"
	"context"
	"errors"
	"io"
	"strings"
	"time"
)

// Events calls changed each time Keyturn says that something may have changed,
// which it also says at the beginning; what changed is there to read. It
// returns when ctx ends, with its error, or when Keyturn ends the stream: then
// with Unreachable, and the caller may come again.
func (c *Client) Events(ctx context.Context, changed func()) error {
	opening, opened := context.WithTimeout(ctx, limit)
	defer opened()
	r, err := c.send(opening, "GET", "/v1/events", nil)
	if err != nil {
		return err
	}
	defer r.close()
	if r.status != 200 {
		data, err := r.read()
		if err != nil {
			return r.fault(err)
		}
		return problem(r, data)
	}
	if !r.is("text/event-stream") {
		return garbled(errors.New("events are not an event stream"))
	}
	// From here on the stream lives as long as the caller wants it.
	r.stop()
	r.ctx = ctx
	r.conn.SetDeadline(time.Time{})
	r.stop = context.AfterFunc(ctx, func() { r.conn.SetDeadline(time.Unix(1, 0)) })

	return r.fault(events(r.body, changed))
}

// events reads an event stream (HTML Living Standard section 9.2.6) and calls
// changed for each event of that name.
func events(body io.Reader, changed func()) error {
	in := bufio.NewReader(body)
	name := ""
	for {
		line, err := readLine(in)
		switch {
		case err != nil:
			return err
		case line == "":
			if name == "changed" {
				changed()
			}
			name = ""
		case strings.HasPrefix(line, "event:"):
			name = strings.TrimSpace(strings.TrimPrefix(line, "event:"))
		}
	}
}
