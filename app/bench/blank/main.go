//go:build desktop && linux

// Blank is the least program with a Wails window and a systray icon, of the
// versions that Keyturn is built with. Like Keyturn it makes the window when it
// is asked for, which is never: it is the yardstick for what a program costs
// before its first window.
package main

import (
	"net/http"
	"os"

	"fyne.io/systray"
	"github.com/wailsapp/wails/v2"
	"github.com/wailsapp/wails/v2/pkg/options"
	"github.com/wailsapp/wails/v2/pkg/options/assetserver"
)

// page is one colour, so that it is seen when it has been painted.
const page = `<!doctype html><body style="background:#855a10">hello`

func main() {
	open := make(chan struct{}, 1)
	go systray.Run(func() {
		systray.SetTooltip("Blank")
		item := systray.AddMenuItem("Open", "")
		go func() {
			for range item.ClickedCh {
				open <- struct{}{}
			}
		}()
	}, nil)
	<-open
	hello := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(page)) })
	if err := wails.Run(&options.App{Title: "Blank", AssetServer: &assetserver.Options{Handler: hello}}); err != nil {
		os.Exit(1)
	}
}
