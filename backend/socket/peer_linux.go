package socket

import (
	"net"

	"golang.org/x/sys/unix"
)

// peerUID asks the kernel which user connected, or for a client, which user
// listens (unix(7), SO_PEERCRED).
func peerUID(conn *net.UnixConn) (int, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return -1, err
	}
	var cred *unix.Ucred
	var optErr error
	if err := raw.Control(func(fd uintptr) {
		cred, optErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return -1, err
	}
	if optErr != nil {
		return -1, optErr
	}
	return int(cred.Uid), nil
}
