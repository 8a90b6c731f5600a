package provider

import (
	_ "embed"
	"strings"
	"sync"
)

// Public MCP servers that ask for OAuth tokens: name, address, and whether their
// authorization server registers clients by itself (yes, no, or nothing when
// nobody knows). They are facts that were read on 2026-11-23 and not asked for
// since: a server says itself what it needs when it is connected.
//
//go:embed mcpservers.tsv
var directory string

// MCPServer is one server of the directory.
type MCPServer struct {
	Name, URL string
	// NeedsApp: its authorization server registers no clients by itself.
	NeedsApp bool
}

// MCPServers lists the directory by name. Nobody changes what it returns.
var MCPServers = sync.OnceValue(func() []MCPServer {
	var all []MCPServer
	for line := range strings.Lines(directory) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(f) != 3 {
			continue
		}
		if address, _, err := Address(f[1]); err == nil {
			all = append(all, MCPServer{Name: f[0], URL: address, NeedsApp: f[2] == "no"})
		}
	}
	return all
})
