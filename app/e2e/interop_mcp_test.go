//go:build e2e && linux

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"keyturn/app/e2e/rig"
)

// TestAnMCPServerThatIsNotOurs connects an MCP server by its address at an
// authorization server of other people: found, registered with, approved in a
// real browser, asked for more, refreshed, revoked.
func TestAnMCPServerThatIsNotOurs(t *testing.T) {
	port := freePort(t)
	cmd := exec.Command(nodeFor(t, filepath.Join(repo, "build/servers")), filepath.Join(repo, "build/servers/cloudflare.mjs"))
	cmd.Env = append(os.Environ(), fmt.Sprintf("PORT=%d", port), "ACCESS_TTL=60")
	serve(t, cmd, fmt.Sprintf("http://localhost:%d/.well-known/oauth-authorization-server", port))
	k := rig.Start(t, "keyturn-headless")
	address := fmt.Sprintf("http://localhost:%d/mcp", port)

	v := k.JSON(0, "connect", address, "--scopes", "mcp:read,offline_access", "--no-browser")
	id := v["provider"].(string)
	if page := chromium(t, v["auth_url"].(string), "--shot", shot(t, "interop-mcp.png")); !strings.Contains(page, "connected") {
		t.Fatalf("the last page: %s", page)
	}
	call := []string{"request", address, "--provider", id, "-H", "Content-Type: application/json", "-d"}
	if got := k.JSON(0, append(call, `{"jsonrpc":"2.0","id":1,"method":"tools/list"}`)...); got["status"] != 200.0 || !strings.Contains(fmt.Sprint(got["body"]), "alice") {
		t.Errorf("%v", got)
	}

	first := k.JSON(0, "token", id)["token"]
	time.Sleep(7 * time.Second) // what is asked beyond nine tenths of a life is capped
	if second := k.JSON(0, "token", id, "--min-valid", "59s")["token"]; second == first {
		t.Error("the token was not renewed")
	}

	// More than was granted: refused with the command that helps, which then does.
	got := k.JSON(1, append(call, `{"jsonrpc":"2.0","id":2,"method":"tools/call"}`)...)
	if got["code"] != "scope_insufficient" || !strings.Contains(fmt.Sprint(got["error"]), "--add-scopes mcp:write") {
		t.Errorf("%v", got)
	}
	v = k.JSON(0, "connect", id, "--add-scopes", "mcp:write", "--no-browser")
	chromium(t, v["auth_url"].(string))
	if got := k.JSON(0, append(call, `{"jsonrpc":"2.0","id":3,"method":"tools/call"}`)...); got["status"] != 200.0 {
		t.Errorf("with the scope: %v", got)
	}
	if list := k.JSON(0, "status", id)["connections"].([]any); len(list) != 1 {
		t.Errorf("%v", list)
	}
	if got := k.JSON(0, "disconnect", id); got["revoked"] != true {
		t.Errorf("disconnect: %v", got)
	}
}
