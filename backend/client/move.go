package client

import (
	"context"

	"keyturn/backend/api/wire"
)

// Export has everything written into one sealed file.
func (c *Client) Export(ctx context.Context, in wire.Export) (wire.Exported, error) {
	var out wire.Exported
	err := c.post(ctx, "/v1/export", in, &out)
	return out, err
}

// Import takes what Export wrote.
func (c *Client) Import(ctx context.Context, in wire.Import) (wire.Imported, error) {
	var out wire.Imported
	err := c.post(ctx, "/v1/import", in, &out)
	return out, err
}
