// Package socket is the local socket of Keyturn and who is at the other end
// of it: a Unix socket on Linux and macOS, a named pipe on Windows.
//
// Whoever reaches the socket acts with the user's authority, so both ends
// look before they speak:
//
//   - The folder of the socket belongs to this user, has mode 0700 and is not
//     a link. This is what keeps other users out; anything else is refused, not
//     repaired, because a folder that was open may have been prepared.
//   - The socket has mode 0600 whatever the umask.
//   - The kernel says who connected. A connection of another user is closed
//     before a byte of it is read, and a client that finds another user's
//     program behind the socket hangs up before it sends one.
//
// On Windows the pipe's security descriptor names this user alone as owner and
// as the only one with access, remote clients are refused, and the name must
// not exist yet; the client checks the owner.
package socket

import "errors"

// ErrUntrusted is in every error about a folder, a socket or a program that
// is not this user's own. Its text says what to do.
var ErrUntrusted = errors.New("untrusted socket")

// ErrInUse is in the error of Listen when a program answers on the socket.
var ErrInUse = errors.New("socket in use")
