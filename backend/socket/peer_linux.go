package socket

import "net"

// peerUID asks the kernel which user connected, or for a client, which user
// listens (unix(7), SO_PEERCRED).
func peerUID(conn *net.UnixConn) (int, error) {
	cred, err := peerCred(conn)
	if err != nil {
		return -1, err
	}
	return int(cred.Uid), nil
}
