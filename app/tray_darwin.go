//go:build cgo && desktop

package app

import "fyne.io/systray"

// start makes the icon appear once the window's loop runs. It is called on the
// main goroutine before that, because AppKit makes status items only there.
func (t *tray) start() {
	begin, end := systray.RunWithExternalLoop(t.ready, nil)
	t.end = end
	begin()
}

// stop takes the icon away, after the window's loop has ended.
func (t *tray) stop() {
	t.end()
	close(t.done)
	t.wg.Wait()
}
