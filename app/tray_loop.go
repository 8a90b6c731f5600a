//go:build !darwin

package app

import (
	"runtime"
	"time"

	"fyne.io/systray"
)

// start makes the icon appear. The first menu must be on its way.
func (t *tray) start() {
	systray.SetTitle("Keyturn") // on Linux this becomes the id of the tray item
	t.end, t.ended = systray.Quit, make(chan struct{})
	go func() {
		defer close(t.ended)
		defer func() {
			// fyne.io/systray v1.12.2: the end panics when the bus was lost before the start.
			if p := recover(); p != nil {
				t.log.Warn("the tray ended", "panic", p)
			}
		}()
		// On Windows the icon and its messages belong to one thread.
		runtime.LockOSThread()
		systray.Run(t.ready, nil)
	}()
}

// stop takes the icon away.
func (t *tray) stop() {
	t.end()
	select {
	case <-t.ended:
	case <-time.After(time.Second): // a bus that does not answer
	}
	close(t.done)
	t.wg.Wait()
}
