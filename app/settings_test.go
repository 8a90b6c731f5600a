package app

import (
	"path/filepath"
	"testing"

	"keyturn/backend/api/wire"
	"keyturn/backend/config"
	"keyturn/backend/fault"
)

func TestTheDemoProvidersPortIsNoCallbackPort(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.toml")
	s := openSettings(path)
	if err := s.save(wire.Settings{CallbackPort: demoPort}); fault.CodeOf(err) != fault.BadRequest || s.get().CallbackPort != 27419 {
		t.Errorf("%v, the port is %d", err, s.get().CallbackPort)
	}
	by := config.Default()
	by.CallbackPort = demoPort
	if err := config.Save(path, by); err != nil {
		t.Fatal(err)
	}
	if s = openSettings(path); fault.CodeOf(s.broken()) != fault.BadRequest || s.get().CallbackPort != 27419 {
		t.Errorf("written by hand: %v, the port is %d", s.broken(), s.get().CallbackPort)
	}
}
