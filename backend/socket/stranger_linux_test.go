package socket_test

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"keyturn/backend/socket"
)

const nobody = 65534

func TestAConnectionOfAnotherUserIsClosedUnread(t *testing.T) {
	path := inFolder(t)
	l, err := socket.ListenFor(path, os.Geteuid()+1)
	do(t, err)
	defer l.Close()
	accepted := accept(l)
	c, err := net.Dial("unix", path)
	do(t, err)
	defer c.Close()
	c.Write([]byte("GET /v1/health HTTP/1.1\r\nHost: x\r\n\r\n"))
	if n := reads(t, c); n > 0 {
		t.Errorf("ST-04 the stranger got %d bytes", n)
	}
	select {
	case <-accepted:
		t.Error("ST-04 the stranger was accepted")
	case <-time.After(20 * time.Millisecond):
	}
}

func TestTheKernelSaysWhoConnected(t *testing.T) {
	asRoot(t)
	path := inFolder(t)
	l := listen(t, path)
	// Everything that file modes could do against it is undone.
	do(t, os.Chmod(filepath.Dir(filepath.Dir(path)), 0o755))
	do(t, os.Chmod(filepath.Dir(path), 0o755))
	do(t, os.Chmod(path, 0o666))
	accepted := accept(l)
	as(t, nobody, func() {
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Errorf("nobody could not even connect: %v", err)
			return
		}
		defer c.Close()
		c.Write([]byte("GET /v1/health HTTP/1.1\r\nHost: x\r\n\r\n"))
		if n := reads(t, c); n > 0 {
			t.Errorf("ST-04 nobody got %d bytes", n)
		}
	})
	c, err := net.Dial("unix", path)
	do(t, err)
	defer c.Close()
	select {
	case c := <-accepted:
		c.Close()
	case <-time.After(5 * time.Second):
		t.Error("after the stranger, the user was not accepted")
	}
}

func TestDialSendsNothingToAnotherUsersProgram(t *testing.T) {
	asRoot(t)
	t.Run("CLI-01 folder of another user", func(t *testing.T) {
		path := inFolder(t)
		l := listen(t, path)
		do(t, os.Chown(filepath.Dir(path), nobody, nobody))
		accepted := accept(l)
		if _, err := socket.Dial(t.Context(), path); !errors.Is(err, socket.ErrUntrusted) {
			t.Errorf("%v, want untrusted", err)
		}
		nothingCame(t, accepted)
	})
	t.Run("CLI-02 socket of another user", func(t *testing.T) {
		path := inFolder(t)
		l := listen(t, path)
		do(t, os.Chown(path, nobody, nobody))
		accepted := accept(l)
		if _, err := socket.Dial(t.Context(), path); !errors.Is(err, socket.ErrUntrusted) {
			t.Errorf("%v, want untrusted", err)
		}
		nothingCame(t, accepted)
	})
	t.Run("CLI-02 program of another user", func(t *testing.T) {
		path := inFolder(t)
		dir := filepath.Dir(path)
		do(t, os.Chmod(filepath.Dir(dir), 0o755))
		do(t, os.Mkdir(dir, 0o700))
		do(t, os.Chown(dir, nobody, nobody))
		var l net.Listener
		as(t, nobody, func() {
			var err error
			if l, err = net.Listen("unix", path); err != nil {
				t.Error(err)
			}
		})
		defer l.Close()
		// To the eye everything is in order; only the kernel knows who listens.
		do(t, os.Chown(dir, os.Geteuid(), os.Getegid()))
		do(t, os.Chown(path, os.Geteuid(), os.Getegid()))
		do(t, os.Chmod(path, 0o600))
		accepted := accept(l)
		if _, err := socket.Dial(t.Context(), path); !errors.Is(err, socket.ErrUntrusted) {
			t.Errorf("%v, want untrusted", err)
		}
		if n := reads(t, <-accepted); n > 0 {
			t.Errorf("%d bytes were sent", n)
		}
	})
}

func TestListenRefusesAFolderOfAnotherUser(t *testing.T) {
	asRoot(t)
	path := inFolder(t)
	dir := filepath.Dir(path)
	do(t, os.Mkdir(dir, 0o700))
	do(t, os.Chown(dir, nobody, nobody))
	if _, err := socket.Listen(path); !errors.Is(err, socket.ErrUntrusted) {
		t.Errorf("ST-01 %v, want untrusted", err)
	}
}

func TestChildrenDoNotInheritTheSocket(t *testing.T) {
	path := inFolder(t)
	l := listen(t, path)
	accepted := accept(l)
	c, err := socket.Dial(t.Context(), path)
	do(t, err)
	defer c.Close()
	server := <-accepted
	defer server.Close()
	for name, end := range map[string]any{"listener": l, "server": server, "client": c} {
		raw, err := end.(syscall.Conn).SyscallConn()
		do(t, err)
		do(t, raw.Control(func(fd uintptr) {
			flags, err := unix.FcntlInt(fd, unix.F_GETFD, 0)
			if err != nil || flags&unix.FD_CLOEXEC == 0 {
				t.Errorf("OB-16 %s would be inherited (flags %x, %v)", name, flags, err)
			}
		}))
	}
}

// accept passes on every connection that l accepts.
func accept(l net.Listener) <-chan net.Conn {
	out := make(chan net.Conn, 8)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			out <- c
		}
	}()
	return out
}

func nothingCame(t *testing.T, accepted <-chan net.Conn) {
	t.Helper()
	select {
	case c := <-accepted:
		t.Errorf("it connected, and sent %d bytes", reads(t, c))
	case <-time.After(20 * time.Millisecond):
	}
}

func asRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can play another user")
	}
}

// as runs f as another user: credentials belong to a thread on Linux, and
// this thread ends with the goroutine.
func as(t *testing.T, uid int, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, uintptr(uid), uintptr(uid), uintptr(uid)); errno != 0 {
			t.Errorf("setresuid: %v", errno)
			return
		}
		f()
	}()
	<-done
}
