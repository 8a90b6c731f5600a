package store_test

import (
	"path/filepath"
	"testing"

	"keyturn/backend/fault"
	"keyturn/backend/orchestrator"
)

func TestASecretIsKeptSealedAndMovesWithTheKey(t *testing.T) {
	p := newPlace(t)
	s := open(t, p.options())
	get := func(want string) {
		t.Helper()
		if got, err := s.Secret(t.Context(), "gateway"); err != nil || got != want {
			t.Errorf("%q %v, want %q", got, err, want)
		}
	}
	get("")
	must(t, s.SaveSecret(t.Context(), "gateway", "first-canary"))
	must(t, s.SaveSecret(t.Context(), "gateway", "second-canary"))
	get("second-canary")
	if _, err := s.ChangeProtector(t.Context(), orchestrator.Protection{Kind: "key_file", KeyFile: filepath.Join(t.TempDir(), "second")}); err != nil {
		t.Fatal(err)
	}
	get("second-canary")
	must(t, s.Lock(t.Context()))
	_, err := s.Secret(t.Context(), "gateway")
	refused(t, err, fault.StoreLocked)
	must(t, s.Unlock(t.Context(), nil))
	get("second-canary")
	absent(t, p.dir, []string{"first-canary", "second-canary"})
	must(t, s.DeleteSecret(t.Context(), "gateway"))
	must(t, s.DeleteSecret(t.Context(), "gateway"))
	get("")
}
