//go:build linux || darwin

package socket

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// maxPath is the longest path of a Unix socket that both Linux (107 bytes)
// and macOS (103 bytes) accept.
const maxPath = 103

// Listen makes the folder of path when it is missing, verifies it otherwise,
// and listens. A socket that a killed program left behind is removed when
// nothing answers on it; the caller holds the lock of the data folder, which
// makes sure that no other program is about to listen there.
//
// Accept returns connections of this user only.
func Listen(path string) (net.Listener, error) {
	if err := validPath(path); err != nil {
		return nil, err
	}
	dir := filepath.Dir(path)
	if err := makeFolder(dir); err != nil {
		return nil, err
	}
	if err := verifyFolder(dir); err != nil {
		return nil, err
	}
	if err := removeStale(path); err != nil {
		return nil, err
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", path, err)
	}
	// Until here the socket has the mode that the umask left; the folder has
	// kept everybody out meanwhile.
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return nil, err
	}
	return &listener{UnixListener: l, uid: os.Geteuid()}, nil
}

// listener passes on the connections of one user.
type listener struct {
	*net.UnixListener
	uid int
}

func (l *listener) Accept() (net.Conn, error) {
	for {
		conn, err := l.AcceptUnix()
		if err != nil {
			return nil, err
		}
		if uid, err := peerUID(conn); err == nil && uid == l.uid {
			return conn, nil
		}
		conn.Close()
	}
}

// Dial connects to the socket at path after it has verified the folder, the
// socket's owner and the program behind it. Nothing has been sent when it
// returns an error. fs.ErrNotExist and ECONNREFUSED mean that nobody listens.
func Dial(ctx context.Context, path string) (net.Conn, error) {
	if err := validPath(path); err != nil {
		return nil, err
	}
	if err := verifyFolder(filepath.Dir(path)); err != nil {
		return nil, err
	}
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return nil, untrusted("%s is not a socket: remove it and start Keyturn again", path)
	}
	if owner := ownerOf(info); owner != os.Geteuid() {
		return nil, untrusted("%s belongs to user %d, not to you: remove it and start Keyturn again", path, owner)
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		return nil, err
	}
	uid, err := peerUID(conn.(*net.UnixConn))
	if err != nil {
		conn.Close()
		return nil, untrusted("cannot tell whose program listens on %s (%v)", path, err)
	}
	if uid != os.Geteuid() {
		conn.Close()
		return nil, untrusted("the program that listens on %s runs as user %d, not as you", path, uid)
	}
	return conn, nil
}

// validPath refuses what the kernel or Go would read as something else: a
// relative path, an abstract socket ("@name"), a path that is cut.
func validPath(path string) error {
	if !filepath.IsAbs(path) {
		return fmt.Errorf("socket path %q is not absolute", path)
	}
	if len(path) > maxPath {
		return fmt.Errorf("socket path %s is %d bytes long and may have %d: set KEYTURN_SOCKET to a shorter one", path, len(path), maxPath)
	}
	return nil
}

// makeFolder makes dir with mode 0700; one that exists is left as it is.
func makeFolder(dir string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return fmt.Errorf("socket folder: %w", err)
	}
	switch err := os.Mkdir(dir, 0o700); {
	case errors.Is(err, fs.ErrExist):
		return nil
	case err != nil:
		return fmt.Errorf("socket folder: %w", err)
	}
	return os.Chmod(dir, 0o700) // a umask may have taken from the owner, too
}

// verifyFolder looks at dir through a descriptor, so that a link at its end
// is not followed.
func verifyFolder(dir string) error {
	fd, err := unix.Open(dir, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	switch {
	case errors.Is(err, unix.ELOOP), errors.Is(err, unix.ENOTDIR):
		return untrusted("%s is not a folder (a link is not accepted): remove it", dir)
	case errors.Is(err, unix.EACCES):
		return untrusted("%s cannot be opened: it has to belong to you and have mode 0700", dir)
	case err != nil:
		return &fs.PathError{Op: "open", Path: dir, Err: err}
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return &fs.PathError{Op: "stat", Path: dir, Err: err}
	}
	if int(st.Uid) != os.Geteuid() {
		return untrusted("%s belongs to user %d, not to you: remove it or set KEYTURN_SOCKET to a path in a folder of your own", dir, st.Uid)
	}
	if mode := uint32(st.Mode) & 0o7777; mode != 0o700 {
		return untrusted("%s has mode %04o, so that others may reach the socket: run chmod 700 %s", dir, mode, dir)
	}
	return nil
}

// removeStale removes a socket on which nothing answers.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return untrusted("%s is not a socket: remove it", path)
	}
	conn, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		conn.Close()
		return fmt.Errorf("%w: a program answers on %s", ErrInUse, path)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("%w: %s: %w", ErrInUse, path, err)
	}
	return os.Remove(path)
}

func ownerOf(info fs.FileInfo) int {
	return int(info.Sys().(*syscall.Stat_t).Uid)
}

func untrusted(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrUntrusted}, args...)...)
}
