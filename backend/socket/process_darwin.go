package socket

import (
	"net"

	"golang.org/x/sys/unix"
)

// Peer asks the kernel which program connected (unix(4), LOCAL_PEERPID), and
// what it is called.
func Peer(conn net.Conn) Process {
	local, ok := conn.(*net.UnixConn)
	if !ok {
		return Process{}
	}
	raw, err := local.SyscallConn()
	if err != nil {
		return Process{}
	}
	var pid int
	if raw.Control(func(fd uintptr) {
		pid, err = unix.GetsockoptInt(int(fd), unix.SOL_LOCAL, unix.LOCAL_PEERPID)
	}) != nil || err != nil || pid <= 0 {
		return Process{}
	}
	return process(pid)
}

// lookUp has no path of the executable: the system names it, cut at 16 bytes.
func lookUp(pid int) (name string, parent int) {
	info, err := unix.SysctlKinfoProc("kern.proc.pid", pid)
	if err != nil {
		return "", 0
	}
	return nameOf("", unix.ByteSliceToString(info.Proc.P_comm[:])), int(info.Eproc.Ppid)
}
