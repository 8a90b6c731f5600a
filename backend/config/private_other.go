//go:build !unix

package config

import "io/fs"

// private believes the system: a profile folder is its user's.
func private(info fs.FileInfo) bool { return info.Mode().IsRegular() }
