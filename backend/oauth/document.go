package oauth

import (
	"context"
	"net/http"
	"strings"

	"keyturn/backend/fault"
)

// Document fetches a text that the user named by its address: a description of
// a provider. The address rules hold, with the host taken as typed; nothing is
// followed. Errors are *fault.Error.
func (h *HTTP) Document(ctx context.Context, address string, limit int64) ([]byte, error) {
	loopback := strings.HasPrefix(address, "http://")
	if err := ValidEndpoint(address, loopback); err != nil {
		return nil, err
	}
	via := Server{AllowLoopbackHTTP: loopback, TrustedHosts: []string{hostnameOf(address)}}
	header := http.Header{"Accept": {"application/yaml, text/yaml, text/plain, */*"}}
	a, failed := h.do(ctx, call{op: opDocument, server: via, method: http.MethodGet, url: address, header: header, limit: limit})
	switch {
	case failed != nil && failed.reason == "answer is too long":
		return nil, fault.Wrap(failed, fault.BadRequest, "What is at %s is too long for a provider file.", hostOf(address))
	case failed != nil && failed.reason == "answered with a redirect":
		return nil, fault.Wrap(failed, fault.BadRequest, "%s sends you to another address. Give the one that the file is at.", hostOf(address))
	case failed != nil:
		return nil, Fault(failed, hostOf(address))
	case a.status != http.StatusOK:
		return nil, fault.New(fault.NotFound, "%s has no file at this address (status %d).", hostOf(address), a.status)
	}
	return a.body, nil
}
