//go:build windows || darwin

package app

import (
	"log/slog"

	"github.com/gen2brain/beeep"
)

// desk is what the desktop around us offers. Here a tray and notifications are
// always there; notifications tell nothing back.
type desk struct{ host chan struct{} }

func newDesk(func(Action), *slog.Logger) *desk { return &desk{} }

func (*desk) connect() { beeep.AppName = "Keyturn" }

func (*desk) lost() <-chan struct{} { return nil }
func (*desk) bus() error            { return nil }
func (*desk) trayHost() bool        { return true }
func (*desk) notifications() bool   { return true }
func (*desk) close()                {}

// notify shows a notice; none can be taken back or changed.
func (*desk) notify(n Notice) error {
	if n.Withdraw || n.Quiet {
		return nil
	}
	return beeep.Notify(n.Title, n.Body, wellIcon)
}
