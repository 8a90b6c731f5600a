//go:build unix

package app

import (
	"os"
	"syscall"
)

// noFollow refuses a link, and does not wait for the other end of a pipe.
const noFollow = syscall.O_NOFOLLOW | syscall.O_NONBLOCK

func private(f *os.File) error { return f.Chmod(0o600) }
