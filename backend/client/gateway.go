package client

import (
	"context"

	"keyturn/backend/api/wire"
)

// AddGateway tests a gateway and has Keyturn use it from now on.
func (c *Client) AddGateway(ctx context.Context, in wire.GatewayAdd) (wire.Gateway, error) {
	var out wire.Gateway
	err := c.post(ctx, "/v1/gateway", in, &out)
	return out, err
}

// CheckGateway sends a test callback through the gateway that is set up.
func (c *Client) CheckGateway(ctx context.Context) (wire.Gateway, error) {
	var out wire.Gateway
	err := c.post(ctx, "/v1/gateway/check", nil, &out)
	return out, err
}

// RemoveGateway has Keyturn use no gateway from now on.
func (c *Client) RemoveGateway(ctx context.Context) error {
	return c.post(ctx, "/v1/gateway/remove", nil, &wire.Done{})
}
