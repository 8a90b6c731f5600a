package transport

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"keyturn/backend/text"
)

// holder names the program that listens on a port of the loopback interface,
// or "" when it cannot be found out.
func holder(port int) string {
	suffix := fmt.Sprintf(":%04X", port)
	inodes, foreign := map[string]bool{}, false
	for _, t := range tables {
		eachSocket(t.path, suffix, func(s socketRow) bool {
			if s.state == listening && strings.HasSuffix(s.local, suffix) {
				inodes["socket:["+s.inode+"]"] = true
				foreign = foreign || s.uid != os.Geteuid()
			}
			return true
		})
	}
	if len(inodes) == 0 {
		return ""
	}
	open, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, fd := range open {
		target, err := os.Readlink(fd)
		if err != nil || !inodes[target] {
			continue
		}
		pid := strings.Split(fd, "/")[2]
		name, err := os.ReadFile("/proc/" + pid + "/comm")
		if err != nil {
			continue
		}
		return fmt.Sprintf("%s (process %s)", text.Clean(string(name), 32), pid)
	}
	if foreign {
		return "a program of another user"
	}
	return ""
}
