//go:build !linux

package transport

import "net"

// peer is whose the other end of a connection is.
type peer int

const (
	peerUnknown peer = iota
	peerOurs
	peerForeign
	peerGone
)

// peerOf cannot tell on this system.
func peerOf(net.Conn) peer { return peerUnknown }

// holder cannot tell on this system.
func holder(int) string { return "" }
