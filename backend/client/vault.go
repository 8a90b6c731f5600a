package client

import (
	"context"

	"keyturn/backend/api/wire"
)

// Lock forgets every token and the key to them.
func (c *Client) Lock(ctx context.Context) error {
	return c.post(ctx, "/v1/store/lock", nil, &wire.Done{})
}

// Unlock gets the key again.
func (c *Client) Unlock(ctx context.Context, in wire.Unlock) error {
	return c.post(ctx, "/v1/store/unlock", in, &wire.Done{})
}

// ChangeProtector gives the key into other hands.
func (c *Client) ChangeProtector(ctx context.Context, in wire.ProtectorChange) (wire.ProtectorChanged, error) {
	var out wire.ProtectorChanged
	err := c.post(ctx, "/v1/store/protector", in, &out)
	return out, err
}
