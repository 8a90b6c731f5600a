//go:build !linux

package app

import "keyturn/backend/fault"

// autostart is arranged by the installer on this system.
type autostart struct{}

func newAutostart() *autostart { return nil }

func (a *autostart) on() *bool { return nil }

func (a *autostart) set(bool) error {
	return fault.New(fault.BadRequest, "On this system the installer arranges what starts when you log in.")
}
