// Keyturn sits in the tray, connects accounts through the user's own browser,
// and hands fresh access tokens to the programs of this computer.
//
// This file builds both keyturn-desktop (tags desktop,production,webkit2_41)
// and keyturn-headless (no tags, no cgo). backend/doc.go is the map.
package main

import (
	"embed"
	"io/fs"
	"os"

	"keyturn/app"
)

//go:embed all:frontend/dist
var dist embed.FS

func main() {
	pages, err := fs.Sub(dist, "frontend/dist")
	if err != nil {
		panic(err) // the path is the one that is embedded above
	}
	os.Exit(app.Main(os.Args[1:], pages))
}
