// Package app is the desktop shell: it builds every part of Keyturn, shows it
// in tray, window and notifications, and stops it again. Nothing is decided
// here that the orchestrator could decide.
//
// Only this package imports Wails and systray. With the build tag desktop it
// has a window; without, it needs no C library, and tray and notifications
// still work where there is a session bus.
//
// What is missing around us (a display, a bus, a tray, a keyring, a browser)
// is said once and worked around; see checks.go.
package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"keyturn/app/texts"
	"keyturn/backend/activity"
	"keyturn/backend/api"
	"keyturn/backend/api/wire"
	"keyturn/backend/demo"
	"keyturn/backend/fault"
	"keyturn/backend/oauth"
	"keyturn/backend/orchestrator"
	"keyturn/backend/place"
	"keyturn/backend/provider"
	"keyturn/backend/request"
	"keyturn/backend/socket"
	"keyturn/backend/store"
	"keyturn/backend/transport"
	"keyturn/backend/webui"
)

// Version is set by the linker.
var Version = "dev"

// demoPort is where the demo provider listens while it is used.
const demoPort = 27420

// Options are what a start can be told.
type Options struct {
	Dist       fs.FS     // the window's pages
	Out        io.Writer // a few calm lines for whoever started us
	Hidden     bool      // do not show the window at the start
	UI         bool      // print a link to the browser UI at the start
	TakeOver   bool      // end another Keyturn on the same data folder
	Passphrase bool      // guard the sealing key with a passphrase, asked on the terminal
	Stopping   func()    // called when the parts begin to stop; may be nil
}

// App is one running Keyturn.
type App struct {
	Options
	places   place.Places
	settings *settings
	activity *activity.Log
	log      *slog.Logger
	http     *oauth.HTTP // to providers
	gateways *gateways
	files    *providerFiles
	core     *orchestrator.Orchestrator
	window   *window
	ui       *webui.UI
	desk     *desk
	board    *board
	tray     *tray      // nil when it cannot be shown
	pages    startPages // until they are given back

	ctx    context.Context // of the run
	quit   context.CancelFunc
	shown  chan struct{} // closed when desk and tray are what they will be
	clicks sync.WaitGroup
	silent sync.Once // says once that notifications do not work
}

// New returns an App at its places. Run starts it.
func New(opts Options, places place.Places) *App {
	return &App{Options: opts, places: places, shown: make(chan struct{})}
}

// Run starts every part, in the order of this text, shows Keyturn until ctx
// ends or somebody asks it to quit, and stops the parts in reverse. It is
// called on the main goroutine, which the window needs.
func (a *App) Run(ctx context.Context) error {
	a.ctx, a.quit = context.WithCancel(ctx)
	defer a.quit()
	if a.Stopping != nil {
		context.AfterFunc(a.ctx, a.Stopping)
	}

	a.pages = pagesAtStart()
	if err := rightUser(a.places); err != nil {
		return err
	}
	firstRun := !exists(a.places.Data)
	release, err := alone(a.ctx, a.places, program, a.TakeOver, a.Out)
	if err != nil {
		return err
	}
	defer release()

	var closeLog func()
	a.log, closeLog = openLog(a.places.Log, a.Out)
	defer closeLog()
	slog.SetDefault(a.log) // for libraries, which write to the standard log
	a.log.Info("start", "program", program, "version", Version, "user", whoAmI())
	defer a.log.Info("stop")
	a.settings = openSettings(a.places.Config)
	texts.Speak(a.settings.all().Language)
	a.activity = activity.Open(filepath.Join(filepath.Dir(a.places.Log), "activity.log"), a.log)
	a.activity.Switch(*a.settings.get().Activity)
	defer start(a.ctx, "activity", a.activity.Run, a.log, a.quit)()

	sealed, err := store.Open(a.ctx, a.storeOptions())
	if err != nil {
		return err
	}
	defer sealed.Close()
	loopback := transport.NewLoopback(transport.LoopbackOptions{
		Log:         a.log,
		Certificate: func() (*tls.Certificate, error) { return transport.Certificate(a.places.Data) },
	})
	defer a.closeLoopback(loopback)
	host := demo.NewHost(a.places.Data, demoPort)
	defer host.Close()
	a.gateways = &gateways{settings: a.settings, store: sealed, log: a.log}
	a.gateways.by = transport.NewGateway(loopback, a.settings.gateway, a.gateways.client, http.DefaultClient)
	a.gateways.by.Forwards(a.gateways.forwarding)
	if err := a.openCore(sealed, loopback, host); err != nil {
		return err
	}
	// Before the store is read: what is connected needs its provider.
	a.files = newProviderFiles(a.places.Config, a.log)
	defer start(a.ctx, "provider files", a.files.at(a.core), a.log, a.quit)()
	defer start(a.ctx, "orchestrator", a.core.Run, a.log, a.quit)()

	a.window = newWindow(a.Dist, a.log)
	server := api.New(a.apiOptions())
	a.window.door = server.Door(api.Window)
	a.ui = webui.New(webui.Options{Pages: http.FileServerFS(a.Dist), API: server.Door(api.WebUI), Foreign: transport.IsForeign, Log: a.log})
	defer start(a.ctx, "browser UI", a.ui.Run, a.log, a.quit)()
	a.gateways.door = server.Door(api.Gateway)
	defer start(a.ctx, "gateway", func(ctx context.Context) error { return a.gateways.follow(ctx, a.core) }, a.log, a.quit)()
	a.desk, a.board = newDesk(a.act, a.log), newBoard()
	defer a.clicks.Wait()
	listener, err := socket.Listen(a.places.Socket)
	if err != nil {
		return err
	}
	defer start(a.ctx, "api", func(ctx context.Context) error { return server.Serve(ctx, listener) }, a.log, a.quit)()

	a.desk.connect()
	defer a.desk.close()
	defer a.openTray()()
	defer a.listen()()
	close(a.shown)
	if !a.Hidden && program == "desktop" && (firstRun || a.tray == nil || !a.desk.trayHost()) {
		a.show(ViewConnections)
	}
	a.clicks.Go(a.announce)
	a.window.loop(a.ctx, a.quit)
	return nil
}

// openCore builds the orchestrator from its parts.
func (a *App) openCore(sealed *store.Store, loopback *transport.Loopback, host *demo.Host) error {
	catalogue, err := provider.Builtin()
	if err != nil {
		return fmt.Errorf("catalogue: %w", err)
	}
	a.http = oauth.NewHTTP(oauth.HTTPOptions{UserAgent: "keyturn/" + Version, Log: a.log})
	a.core = orchestrator.New(orchestrator.Options{
		Store:     sealed,
		Catalogue: catalogue,
		Transports: map[string]orchestrator.Transport{
			"loopback": loopback,
			"gateway":  a.gateways.by,
			"device":   transport.NewDevice(a.http, a.log, nil),
			"paste":    transport.NewPaste(a.settings.get().CallbackPort),
		},
		HTTP:           a.http,
		CallbackPort:   a.settings.get().CallbackPort,
		HTTPSLoopback:  func() bool { return a.settings.all().HTTPSLoopback },
		ClientDocument: func() string { return a.settings.all().ClientDocument },
		Hosted:         map[string]func() (func(), error){"demo": host.Use},
		Activity:       a.activity,
		Log:            a.log,
	})
	return nil
}

// closeLoopback ends what the last pages are still read from.
func (a *App) closeLoopback(l *transport.Loopback) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(a.ctx), time.Second)
	defer cancel()
	_ = l.Close(ctx)
}

func (a *App) storeOptions() store.Options {
	opts := store.Options{
		Dir:            a.places.Data,
		KeyFile:        os.Getenv("KEYTURN_KEY_FILE"),
		PassphraseFile: os.Getenv("KEYTURN_PASSPHRASE_FILE"),
		AskPassphrase:  terminal(),
		Log:            a.log,
	}
	if a.Passphrase {
		opts.Protector = "passphrase"
	}
	return opts
}

func (a *App) apiOptions() api.Options {
	opts := api.Options{
		Orchestrator: a.core,
		Requests:     request.New(a.core, a.http),
		Version:      Version,
		Program:      program,
		CallbackPort: a.settings.get().CallbackPort,
		Open:         a.openURL,
		Browsers:     browsers,
		Quit:         a.quit,
		Locked:       func() { a.ui.End() },
		BrowserUI:    func() (string, time.Time, error) { return a.ui.Link() },
		Diagnose:     a.diagnose,
		Activity:     a.activity,
		Settings:     a.settings.get,
		SaveSettings: a.saveSettings,
		Gateways:     a.gateways,
		Log:          a.log,
	}
	if program == "desktop" {
		opts.Show = a.open
	}
	return opts
}

// saveSettings changes the settings, and what they mean for a running Keyturn.
func (a *App) saveSettings(in wire.Settings) error {
	err := a.settings.save(in)
	now := a.settings.get()
	a.activity.Switch(*now.Activity)
	texts.Speak(*now.Language)
	a.window.changed()
	if a.tray != nil {
		a.tray.show(a.menu()) // its favourites, and its language
	}
	return err
}

// start runs a part beside the others and returns what stops it and waits. A
// part that ends by itself takes the program with it. It gets a context of its
// own, so that parts can stop one after the other.
func start(ctx context.Context, name string, run func(context.Context) error, log *slog.Logger, quit func()) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		err := run(ctx)
		if ctx.Err() == nil {
			log.Error(name+" ended by itself", "err", err)
			quit()
		} else if err != nil && !errors.Is(err, context.Canceled) {
			log.Warn(name+" ended badly", "code", fault.CodeOf(err), "err", err)
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
