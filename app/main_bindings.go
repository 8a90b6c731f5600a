//go:build bindings

package app

import "io/fs"

// Main does nothing when Wails runs the program to learn which Go methods the
// page may call: there are none.
func Main([]string, fs.FS) int { return 0 }
