//go:build !windows

package app

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"keyturn/backend/fault"
	"keyturn/backend/place"
)

// rightUser refuses to run where files would end up with the wrong owner, or
// with rights that the user did not mean to give.
func rightUser(p place.Places) error {
	if os.Getuid() != os.Geteuid() || os.Getgid() != os.Getegid() {
		return fault.New(fault.Forbidden, "Keyturn must not be installed setuid or setgid. Remove those bits from the program and start it again.")
	}
	if os.Geteuid() != 0 {
		return nil
	}
	dir, owner := ownerOf(p.Data)
	if owner == 0 {
		return nil
	}
	return fault.New(fault.Forbidden, "Keyturn runs as root, but %s belongs to another user (uid %d), who could not read what it writes there. Start it as that user, without sudo, or with a home of root's own.", dir, owner)
}

// ownerOf returns the owner of dir or, while it does not exist, of the folder
// that it will be made in.
func ownerOf(dir string) (string, uint32) {
	for {
		if info, err := os.Stat(dir); err == nil {
			return dir, info.Sys().(*syscall.Stat_t).Uid
		}
		up := filepath.Dir(dir)
		if up == dir {
			return dir, 0
		}
		dir = up
	}
}

// whoAmI is for the log.
func whoAmI() string { return fmt.Sprintf("uid %d", os.Geteuid()) }
