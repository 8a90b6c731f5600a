//go:build linux || darwin

package socket

import "net"

// ListenFor is Listen for a listener that belongs to another user.
func ListenFor(path string, uid int) (net.Listener, error) {
	l, err := Listen(path)
	if err == nil {
		l.(*listener).uid = uid
	}
	return l, err
}
