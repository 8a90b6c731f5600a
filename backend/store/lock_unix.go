//go:build unix

package store

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"keyturn/backend/fault"
)

func openLock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0o600)
	if errors.Is(err, unix.ELOOP) {
		return nil, fault.New(fault.Forbidden, "%q is a symbolic link. Remove it and start Keyturn again.", path)
	}
	return f, err
}

// tryLock locks f for this open file, not for this process: a child does not
// inherit the descriptor, and closing another descriptor does not unlock.
func tryLock(f *os.File) (taken bool, err error) {
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EWOULDBLOCK):
			return true, nil
		}
		return false, err
	}
}
