//go:build unix

package config

import (
	"io/fs"
	"os"
	"syscall"
)

// private reports whether nobody but this user and root can change a file.
func private(info fs.FileInfo) bool {
	owner := info.Sys().(*syscall.Stat_t).Uid
	return info.Mode().IsRegular() && info.Mode().Perm()&0o022 == 0 && (owner == 0 || int(owner) == os.Geteuid())
}
