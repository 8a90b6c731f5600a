package provider_test

import (
	"slices"
	"strings"
	"testing"

	"keyturn/backend/provider"
	"keyturn/backend/text"
)

func TestTheDirectoryOfMCPServers(t *testing.T) {
	all := provider.MCPServers()
	if len(all) < 190 || !slices.IsSortedFunc(all, func(a, b provider.MCPServer) int {
		return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name))
	}) {
		t.Errorf("%d servers, or not by name", len(all))
	}
	seen := map[string]bool{}
	for _, s := range all {
		if _, loopback, err := provider.Address(s.URL); err != nil || loopback || seen[s.URL] || s.Name == "" || text.Clean(s.Name, 60) != s.Name {
			t.Errorf("%+v: %v", s, err)
		}
		seen[s.URL] = true
	}
}
