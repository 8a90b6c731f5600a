package gateway

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

const (
	lowestPort  = 1024
	highestPort = 65535
	// landing is where the app listens: it takes a gateway's responses nowhere
	// else, and nothing else there.
	landing = "/gw/"
)

// Bounce sends the browser on to the computer that it runs on, to the port that
// the state begins with. Nothing is stored, so any replica does, and a restart
// costs nothing. An attempt that somebody else started ends in the computer of
// whoever consented, where nobody waits for it.
type Bounce struct{}

// Deliver implements Way.
func (Bounce) Deliver(_ context.Context, c Callback) Answer {
	port, ok := portOf(c.State)
	if !ok {
		return refused(http.StatusBadRequest, "state", notForUs)
	}
	name, value := "code", c.Response.Code.Reveal()
	if c.Response.Error != "" {
		name, value = "error", c.Response.Error
	}
	location := "http://127.0.0.1:" + strconv.Itoa(port) + landing + c.Provider + "?" + name + "=" + url.QueryEscape(value)
	if c.Response.Iss != nil {
		location += "&iss=" + url.QueryEscape(*c.Response.Iss)
	}
	return Answer{Location: location + "&state=" + url.QueryEscape(c.State), Outcome: "delivered"}
}

// portOf reads the port that a state of an app begins with, in base 36, as the
// app writes it: small letters, no zero in front.
func portOf(state string) (int, bool) {
	head, rest, found := strings.Cut(state, ".")
	if !found || len(head) == 0 || len(head) > 4 || len(rest) < 32 || head[0] == '0' || strings.ToLower(head) != head {
		return 0, false
	}
	port, err := strconv.ParseUint(head, 36, 32)
	return int(port), err == nil && port >= lowestPort && port <= highestPort
}
