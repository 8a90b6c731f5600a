//go:build darwin && !(cgo && desktop)

package app

import "log/slog"

// tray is not there: AppKit needs cgo and the window's loop.
type tray struct{}

func newTray(func(Action), *slog.Logger) *tray { return nil }
func (*tray) show(Menu)                        {}
func (*tray) start()                           {}
func (*tray) stop()                            {}
