//go:build e2e && linux

package e2e

import (
	"encoding/json"
	"net"
	"net/http"
	"testing"

	"keyturn/app/e2e/rig"
	"keyturn/backend/demo"
)

// install is a Keyturn with what the tests of the desktop ask of it.
type install struct{ *rig.Install }

// doctor returns what the program says about one thing around it.
func (k *install) doctor(name string) map[string]any {
	r := k.CLI("--json", "doctor")
	var said struct{ Checks []map[string]any }
	_ = json.Unmarshal([]byte(r.Stdout), &said)
	for _, check := range said.Checks {
		if check["name"] == name {
			return check
		}
	}
	return map[string]any{"doctor": r}
}

// authority is an authorization server that the user has added. Tests that
// need states which the demo provider does not have, need not wait for its
// port either.
type authority struct {
	*http.Server
	t                testing.TB
	id, name, issuer string
}

func newAuthority(t testing.TB, id, name string, opts demo.Options) *authority {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	opts.Issuer = "http://" + listener.Addr().String()
	opts.Clients = []demo.Client{{ID: id, Name: "Keyturn", RedirectURIs: []string{"http://127.0.0.1/oauth/callback/" + id}}}
	a := &authority{&http.Server{Handler: demo.New(opts)}, t, id, name, opts.Issuer}
	go func() { _ = a.Serve(listener) }()
	t.Cleanup(func() { _ = a.Close() })
	return a
}

// connect adds the server to a Keyturn and connects Ada's account there.
func (a *authority) connect(k *install) {
	a.t.Helper()
	k.JSON(0, "providers", "register", "--provider-key", a.id, "--display-name", a.name,
		"--issuer", a.issuer, "--scopes", "profile,email", "--token-auth-method", "none", "--allow-http-loopback")
	k.JSON(0, "apps", "upsert", "--provider", a.id, "--client-id", a.id, "--no-client-secret")
	started := k.JSON(0, "connect", a.id, "--no-browser")
	rig.NewPerson(a.t).Answer(started["auth_url"].(string), map[string]string{"answer": "allow", "account": "ada"})
}
