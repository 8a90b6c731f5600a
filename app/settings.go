package app

import (
	"sync"

	"keyturn/backend/api/wire"
	"keyturn/backend/config"
	"keyturn/backend/fault"
)

// settings are what the user can change, and the file they are in. A file that
// cannot be read means the usual settings, and is not written over.
type settings struct {
	path      string
	autostart *autostart // nil where there is nothing to arrange

	mu  sync.Mutex
	now config.Settings
	err error
}

func openSettings(path string) *settings {
	s := &settings{path: path, autostart: newAutostart()}
	s.now, s.err = config.Load(path)
	if s.err == nil {
		s.err = free(s.now.CallbackPort)
	}
	if s.err != nil {
		s.now = config.Default()
	}
	return s
}

// broken says why the file could not be read, or nil.
func (s *settings) broken() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

func (s *settings) get() wire.Settings {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now
	return wire.Settings{CallbackPort: now.CallbackPort, Notifications: now.Notifications, Activity: &now.Activity, Gateway: &now.Gateway, HTTPSLoopback: &now.HTTPSLoopback, Favourites: &now.Favourites, Browser: &now.Browser, Language: &now.Language, Autostart: s.autostart.on()}
}

// all returns the settings as the file has them.
func (s *settings) all() config.Settings {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

// gateway returns the address of the gateway, "" when there is none.
func (s *settings) gateway() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now.Gateway
}

func (s *settings) save(in wire.Settings) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return s.err
	}
	next := s.now
	next.CallbackPort, next.Notifications = in.CallbackPort, in.Notifications
	if in.Activity != nil {
		next.Activity = *in.Activity
	}
	if in.Gateway != nil {
		next.Gateway = *in.Gateway
	}
	if in.HTTPSLoopback != nil {
		next.HTTPSLoopback = *in.HTTPSLoopback
	}
	if in.Browser != nil {
		next.Browser = *in.Browser
	}
	if in.Language != nil {
		next.Language = *in.Language
	}
	if in.Favourites != nil {
		next.Favourites = *in.Favourites
	}
	if err := free(next.CallbackPort); err != nil {
		return err
	}
	if err := config.Save(s.path, next); err != nil {
		return err
	}
	if is := s.autostart.on(); in.Autostart != nil && (is == nil || *is != *in.Autostart) {
		if err := s.autostart.set(*in.Autostart); err != nil {
			return err
		}
	}
	s.now = next
	return nil
}

// free reports a callback port that is used for something else here.
func free(port int) error {
	if port == demoPort {
		return fault.New(fault.BadRequest, "callback_port cannot be %d: that port is the demo provider's.", port)
	}
	return nil
}
