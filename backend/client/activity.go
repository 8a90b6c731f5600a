package client

import (
	"context"
	"net/url"
	"strconv"
	"time"

	"keyturn/backend/api/wire"
)

// ActivityQuery picks events; what is zero is not asked for.
type ActivityQuery struct {
	ConnectionID string
	Provider     string
	Since        time.Time
	Limit        int
}

// Activity lists what happened to grants and which programs read tokens,
// newest first.
func (c *Client) Activity(ctx context.Context, q ActivityQuery) (wire.Activity, error) {
	ask := url.Values{}
	if q.ConnectionID != "" {
		ask.Set("connection_id", q.ConnectionID)
	}
	if q.Provider != "" {
		ask.Set("provider", q.Provider)
	}
	if !q.Since.IsZero() {
		ask.Set("since", q.Since.UTC().Format(time.RFC3339Nano))
	}
	if q.Limit > 0 {
		ask.Set("limit", strconv.Itoa(q.Limit))
	}
	path := "/v1/activity"
	if len(ask) > 0 {
		path += "?" + ask.Encode()
	}
	var out wire.Activity
	err := c.get(ctx, path, &out)
	return out, err
}
