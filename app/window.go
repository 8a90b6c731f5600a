//go:build desktop

package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	goruntime "runtime"
	"sync"

	"github.com/wailsapp/wails/v2"
	"github.com/wailsapp/wails/v2/pkg/logger"
	"github.com/wailsapp/wails/v2/pkg/options"
	"github.com/wailsapp/wails/v2/pkg/options/assetserver"
	"github.com/wailsapp/wails/v2/pkg/options/linux"
	"github.com/wailsapp/wails/v2/pkg/runtime"
)

// program is what this build calls itself.
const program = "desktop"

// window is the one window. It is the only user of Wails.
//
// The rules:
//
//   - The webview is made when somebody first wants to see it: most days of a
//     tray program pass without. On macOS it is made at the start and hidden,
//     because its loop is the tray's loop too.
//   - Wails runs once. Closing the window hides it. If the system has no window
//     for us Wails panics, and must not be asked a second time.
//   - The page is a client of our own API. No Go method is bound; the page is
//     told that something changed, and which view to show, and nothing else.
type window struct {
	dist fs.FS
	log  *slog.Logger
	door http.Handler // the API's own, set before anybody can show the window

	wanted chan struct{} // closed when somebody wants to see it
	loaded chan struct{} // closed when the page listens

	mu   sync.Mutex
	ctx  context.Context // Wails' own, which its runtime insists on
	view string          // what to show when the page listens
	why  error           // why there is no window
}

func newWindow(dist fs.FS, log *slog.Logger) *window {
	return &window{
		dist:   dist,
		log:    log,
		wanted: make(chan struct{}),
		loaded: make(chan struct{}),
		why:    noDisplay(),
	}
}

// noDisplay says why the system could not show a window, or nil.
func noDisplay() error {
	if goruntime.GOOS == "windows" || goruntime.GOOS == "darwin" {
		return nil
	}
	if os.Getenv("DISPLAY") == "" && os.Getenv("WAYLAND_DISPLAY") == "" {
		return errors.New("there is no display (DISPLAY and WAYLAND_DISPLAY are not set)")
	}
	return nil
}

// missing says why there is no window, or nil.
func (w *window) missing() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.why
}

// show brings the window up at a view.
func (w *window) show(view string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.why != nil {
		return w.why
	}
	w.view = view
	switch {
	case isClosed(w.loaded):
		go w.present(w.ctx, view) // Wails hands this to the main thread and waits
	case !isClosed(w.wanted):
		close(w.wanted)
	}
	return nil
}

// asked reports whether anybody has wanted to see the window.
func (w *window) asked() bool { return isClosed(w.wanted) }

// present brings a window that exists to the front.
func (w *window) present(ctx context.Context, view string) {
	runtime.EventsEmit(ctx, "show", view)
	runtime.WindowShow(ctx)
	// On Linux showing does not raise, and this does; on Windows it would
	// shrink a maximised window.
	if goruntime.GOOS == "linux" || runtime.WindowIsMinimised(ctx) {
		runtime.WindowUnminimise(ctx)
	}
}

// changed rings the page's doorbell.
func (w *window) changed() { w.ring("changed") }

// recorded tells the page that there is more activity.
func (w *window) recorded() { w.ring("activity") }

func (w *window) ring(bell string) {
	if ctx := w.running(); ctx != nil {
		runtime.EventsEmit(ctx, bell)
	}
}

// copy puts s on the clipboard, if the window can.
func (w *window) copy(s string) bool {
	ctx := w.running()
	return ctx != nil && runtime.ClipboardSetText(ctx, s) == nil
}

// running returns Wails' context while the page listens, else nil.
func (w *window) running() context.Context {
	select {
	case <-w.loaded:
	default:
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.why != nil {
		return nil
	}
	return w.ctx
}

// loop shows the window whenever it is wanted, until ctx ends. It is called on
// the main goroutine. quit is called when the user ends the program there.
func (w *window) loop(ctx context.Context, quit func()) {
	if w.missing() == nil {
		if goruntime.GOOS != "darwin" {
			select {
			case <-w.wanted:
			case <-ctx.Done():
				return
			}
		}
		err := w.run(ctx)
		w.mu.Lock()
		if w.why = err; err == nil {
			w.why = errors.New("it was closed for good")
		}
		w.mu.Unlock()
		if err == nil {
			quit()
			return
		}
		w.log.Error("the window could not be opened", "err", err)
	}
	<-ctx.Done()
}

// run is the one run of Wails.
func (w *window) run(ctx context.Context) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the desktop refused a window: %v", p)
		}
	}()
	stop := context.AfterFunc(ctx, func() {
		<-w.loaded
		runtime.Quit(w.ctx)
	})
	defer stop()
	spareWebKit()
	return wails.Run(&options.App{
		Title:             "Keyturn",
		Width:             920,
		Height:            640,
		MinWidth:          640,
		MinHeight:         480,
		StartHidden:       goruntime.GOOS == "darwin" && !isClosed(w.wanted),
		HideWindowOnClose: true,
		AssetServer: &assetserver.Options{
			Assets:     w.dist,
			Middleware: func(assets http.Handler) http.Handler { return pages(w.door, assets) },
		},
		DragAndDrop:        &options.DragAndDrop{DisableWebViewDrop: true},
		Logger:             wailsLog{w.log},
		LogLevelProduction: logger.WARNING,
		OnStartup: func(ctx context.Context) {
			w.mu.Lock()
			w.ctx = ctx
			w.mu.Unlock()
		},
		OnDomReady: func(ctx context.Context) {
			w.mu.Lock()
			defer w.mu.Unlock()
			if !isClosed(w.loaded) { // again after a reload
				close(w.loaded)
			}
			if isClosed(w.wanted) {
				go w.present(ctx, w.view)
			}
		},
		Linux: &linux.Options{
			Icon:             wellIcon,
			ProgramName:      "keyturn",
			WebviewGpuPolicy: linux.WebviewGpuPolicyNever, // a form needs no GPU, and many drivers break WebKit's
		},
	})
}

// sparing is what WebKit on Linux is told before it comes up, unless the user
// has told it something else: not to look for a way to a GPU that it is then
// told not to use, which is half of what its view takes to appear, and not to
// read all of its memory map every half minute, which is most of what a window
// costs that nobody touches.
var sparing = [...]string{"WEBKIT_DISABLE_DMABUF_RENDERER", "WEBKIT_DISABLE_MEMORY_PRESSURE_MONITOR"}

func spareWebKit() {
	if goruntime.GOOS != "linux" {
		return
	}
	for _, name := range sparing {
		if _, set := os.LookupEnv(name); !set {
			_ = os.Setenv(name, "1")
		}
	}
}

func isClosed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

// wailsLog is our log for Wails.
type wailsLog struct{ log *slog.Logger }

func (l wailsLog) Print(s string)   { l.log.Info("window: " + s) }
func (l wailsLog) Trace(s string)   { l.log.Debug("window: " + s) }
func (l wailsLog) Debug(s string)   { l.log.Debug("window: " + s) }
func (l wailsLog) Info(s string)    { l.log.Info("window: " + s) }
func (l wailsLog) Warning(s string) { l.log.Warn("window: " + s) }
func (l wailsLog) Error(s string)   { l.log.Error("window: " + s) }
func (l wailsLog) Fatal(s string)   { l.log.Error("window: " + s) }
