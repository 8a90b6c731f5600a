package socket

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/Microsoft/go-winio"
	"golang.org/x/sys/windows"
)

// pipePrefix is where named pipes live; only local ones are spoken to.
const pipePrefix = `\\.\pipe\`

// Listen creates the named pipe. winio refuses a name that exists already
// (FILE_FLAG_FIRST_PIPE_INSTANCE) and remote clients; the security descriptor
// makes this user the owner and admits nobody else.
func Listen(path string) (net.Listener, error) {
	if err := validPath(path); err != nil {
		return nil, err
	}
	user, err := currentUser()
	if err != nil {
		return nil, err
	}
	l, err := winio.ListenPipe(path, &winio.PipeConfig{
		SecurityDescriptor: fmt.Sprintf("O:%[1]sD:P(A;;GA;;;%[1]s)", user),
	})
	if errors.Is(err, windows.ERROR_ACCESS_DENIED) {
		return nil, fmt.Errorf("%w: a program has %s already", ErrInUse, path)
	}
	return l, err
}

// Dial connects to the pipe and verifies that this user owns it. Nothing has
// been sent when it returns an error.
func Dial(ctx context.Context, path string) (net.Conn, error) {
	if err := validPath(path); err != nil {
		return nil, err
	}
	user, err := currentUser()
	if err != nil {
		return nil, err
	}
	// The server may not act in our name: the impersonation level is anonymous.
	conn, err := winio.DialPipeContext(ctx, path)
	if err != nil {
		return nil, err
	}
	owner, err := ownerOf(conn)
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("%w: cannot tell whose program listens on %s (%w)", ErrUntrusted, path, err)
	}
	if !owner.Equals(user) {
		conn.Close()
		return nil, fmt.Errorf("%w: %s belongs to %s, not to you", ErrUntrusted, path, owner)
	}
	return conn, nil
}

func validPath(path string) error {
	if !strings.HasPrefix(path, pipePrefix) {
		return fmt.Errorf("pipe name %q does not start with %s", path, pipePrefix)
	}
	return nil
}

func currentUser() (*windows.SID, error) {
	user, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		return nil, fmt.Errorf("current user: %w", err)
	}
	return user.User.Sid, nil
}

func ownerOf(conn net.Conn) (*windows.SID, error) {
	file, ok := conn.(interface{ Fd() uintptr })
	if !ok {
		return nil, errors.New("connection without a handle")
	}
	sd, err := windows.GetSecurityInfo(windows.Handle(file.Fd()), windows.SE_KERNEL_OBJECT, windows.OWNER_SECURITY_INFORMATION)
	if err != nil {
		return nil, err
	}
	owner, _, err := sd.Owner()
	return owner, err
}
