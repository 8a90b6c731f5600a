package socket

import (
	"bytes"
	"net"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Peer asks the kernel which program connected (unix(7), SO_PEERCRED), and
// what it is called (proc(5)).
func Peer(conn net.Conn) Process {
	local, ok := conn.(*net.UnixConn)
	if !ok {
		return Process{}
	}
	cred, err := peerCred(local)
	if err != nil || cred.Pid <= 0 { // 0: of another PID namespace
		return Process{}
	}
	return process(int(cred.Pid))
}

func peerCred(conn *net.UnixConn) (cred *unix.Ucred, err error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	controlErr := raw.Control(func(fd uintptr) {
		cred, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if controlErr != nil {
		return nil, controlErr
	}
	return cred, err
}

func lookUp(pid int) (name string, parent int) {
	dir := "/proc/" + strconv.Itoa(pid)
	executable, _ := os.Readlink(dir + "/exe") // refused for programs that guard their memory
	stat, err := os.ReadFile(dir + "/stat")    // pid (title) state parent …; the title may hold anything
	if err != nil {
		return nameOf(executable, ""), 0
	}
	open, shut := bytes.IndexByte(stat, '('), bytes.LastIndexByte(stat, ')')
	if open < 0 || shut < open {
		return nameOf(executable, ""), 0
	}
	if rest := strings.Fields(string(stat[shut+1:])); len(rest) > 1 {
		parent, _ = strconv.Atoi(rest[1])
	}
	return nameOf(executable, string(stat[open+1:shut])), parent
}
