package api

import (
	"io"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"keyturn/backend/fault"
)

const (
	// heartbeat keeps a stream from looking dead, and finds out when it is.
	heartbeat = 15 * time.Second
	// eventTimeout is how long a listener may leave an event unread.
	eventTimeout = 10 * time.Second
	maxStreams   = 32
)

// events rings: once at the start, then at least once after every change.
// What changed is not said; listeners read the lists again.
func (s *Server) events(w http.ResponseWriter, r *http.Request) error {
	if s.streams.Add(1) > maxStreams {
		s.streams.Add(-1)
		return fault.New(fault.RateLimited, "%d programs listen for changes already. Close one first.", maxStreams)
	}
	defer s.streams.Add(-1)
	bell, stop := s.o.Changes()
	defer stop()
	recorded, hush := s.activity.Changes()
	defer hush()
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()

	w.Header().Set("Content-Type", "text/event-stream")
	say := func(line string) error {
		c := http.NewResponseController(w)
		c.SetWriteDeadline(time.Now().Add(eventTimeout))
		if _, err := io.WriteString(w, line+"\n\n"); err != nil {
			return err
		}
		return c.Flush()
	}
	line := "event: changed\ndata: {}"
	for {
		if say(line) != nil {
			return nil // the listener is gone
		}
		select {
		case <-bell:
			line = "event: changed\ndata: {}"
		case <-recorded:
			line = "event: changed\ndata: {}"
		case <-tick.C:
			line = ": still here"
		case <-stopping(r.Context()):
			return nil
		case <-r.Context().Done():
			return nil
		}
	}
}

func describeEvents(op *huma.Operation) {
	op.Responses["200"] = &huma.Response{
		Description: "A stream of server-sent events: `event: changed` with `data: {}`. Nothing in it is secret, or says what changed.",
		Content:     map[string]*huma.MediaType{"text/event-stream": {Schema: &huma.Schema{Type: huma.TypeString}}},
	}
}
