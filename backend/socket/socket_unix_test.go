//go:build linux || darwin

package socket_test

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"keyturn/backend/socket"
)

// inFolder returns the path of a socket in a folder that does not exist yet.
// t.TempDir can be too long for a socket.
func inFolder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "kt")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "run", "api.sock")
}

func listen(t *testing.T, path string) net.Listener {
	t.Helper()
	l, err := socket.Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func TestBothEndsOfOneUserMeet(t *testing.T) {
	path := inFolder(t)
	l := listen(t, path)
	go func() {
		if c, err := l.Accept(); err == nil {
			c.Write([]byte("hello"))
			c.Close()
		}
	}()
	c, err := socket.Dial(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	b := make([]byte, 5)
	if _, err := c.Read(b); err != nil || string(b) != "hello" {
		t.Errorf("read %q, %v", b, err)
	}
}

func TestListenRefusesAFolderThatIsNotTheUsersAlone(t *testing.T) {
	cases := map[string]struct {
		spoil func(t *testing.T, dir string)
		hint  string
	}{
		"ST-01 mode 0755":     {func(t *testing.T, dir string) { do(t, os.Mkdir(dir, 0o755)); do(t, os.Chmod(dir, 0o755)) }, "chmod 700"},
		"ST-01 mode 0770":     {func(t *testing.T, dir string) { do(t, os.Mkdir(dir, 0o770)); do(t, os.Chmod(dir, 0o770)) }, "chmod 700"},
		"ST-01 group sticky":  {func(t *testing.T, dir string) { do(t, os.Mkdir(dir, 0o700)); do(t, os.Chmod(dir, 0o700|fs.ModeSticky)) }, "chmod 700"},
		"ST-02 link":          {func(t *testing.T, dir string) { do(t, os.Symlink(t.TempDir(), dir)) }, "a link is not accepted"},
		"ST-02 dangling link": {func(t *testing.T, dir string) { do(t, os.Symlink("nowhere", dir)) }, "a link is not accepted"},
		"a file":              {func(t *testing.T, dir string) { do(t, os.WriteFile(dir, nil, 0o700)) }, "not a folder"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			path := inFolder(t)
			dir := filepath.Dir(path)
			c.spoil(t, dir)
			before, _ := os.Lstat(dir)
			_, err := socket.Listen(path)
			if !errors.Is(err, socket.ErrUntrusted) || !strings.Contains(err.Error(), c.hint) {
				t.Errorf("listen: %v, want untrusted with the hint %q", err, c.hint)
			}
			if _, err := socket.Dial(t.Context(), path); !errors.Is(err, socket.ErrUntrusted) {
				t.Errorf("CLI-01 dial: %v, want untrusted", err)
			}
			if after, err := os.Lstat(dir); err != nil || after.Mode() != before.Mode() {
				t.Errorf("the folder was changed: %v, %v", after.Mode(), err)
			}
			if entries, _ := os.ReadDir(dir); len(entries) > 0 {
				t.Errorf("something was created: %v", entries)
			}
		})
	}
}

func TestListenLeavesWhatIsNotASocketAlone(t *testing.T) {
	t.Run("ST-02 link to a victim", func(t *testing.T) {
		path := inFolder(t)
		do(t, os.Mkdir(filepath.Dir(path), 0o700))
		victim := filepath.Join(t.TempDir(), "victim")
		do(t, os.WriteFile(victim, []byte("precious"), 0o644))
		do(t, os.Symlink(victim, path))
		if _, err := socket.Listen(path); !errors.Is(err, socket.ErrUntrusted) {
			t.Errorf("listen: %v, want untrusted", err)
		}
		if _, err := socket.Dial(t.Context(), path); !errors.Is(err, socket.ErrUntrusted) {
			t.Errorf("dial: %v, want untrusted", err)
		}
		info, err := os.Stat(victim)
		if data, _ := os.ReadFile(victim); string(data) != "precious" || err != nil || info.Mode() != 0o644 {
			t.Errorf("the victim is %q, %v", data, info.Mode())
		}
	})
	t.Run("a file", func(t *testing.T) {
		path := inFolder(t)
		do(t, os.Mkdir(filepath.Dir(path), 0o700))
		do(t, os.WriteFile(path, []byte("precious"), 0o600))
		if _, err := socket.Listen(path); !errors.Is(err, socket.ErrUntrusted) {
			t.Errorf("listen: %v, want untrusted", err)
		}
		if data, _ := os.ReadFile(path); string(data) != "precious" {
			t.Error("the file was touched")
		}
	})
}

// Not parallel: the umask is the whole process's.
func TestModesDoNotDependOnTheUmask(t *testing.T) {
	for _, umask := range []int{0, 0o022, 0o277} {
		old := syscall.Umask(umask)
		path := inFolder(t)
		if err := os.Chmod(filepath.Dir(filepath.Dir(path)), 0o700); err != nil {
			t.Fatal(err)
		}
		l, err := socket.Listen(path)
		syscall.Umask(old)
		if err != nil {
			t.Fatalf("ST-05 umask %04o: %v", umask, err)
		}
		defer l.Close()
		dir, _ := os.Stat(filepath.Dir(path))
		sock, _ := os.Stat(path)
		if dir.Mode().Perm() != 0o700 || sock.Mode().Perm() != 0o600 {
			t.Errorf("ST-05 umask %04o: folder %v, socket %v", umask, dir.Mode(), sock.Mode())
		}
	}
}

func TestAStaleSocketIsReplacedAndALiveOneIsNot(t *testing.T) {
	path := inFolder(t)
	l := listen(t, path)
	if _, err := socket.Listen(path); !errors.Is(err, socket.ErrInUse) {
		t.Fatalf("second listener: %v, want in use", err)
	}
	if c, err := socket.Dial(t.Context(), path); err != nil {
		t.Fatalf("the first listener was harmed: %v", err)
	} else {
		c.Close()
	}
	l.(interface{ SetUnlinkOnClose(bool) }).SetUnlinkOnClose(false) // killed, not closed
	l.Close()
	if _, err := socket.Dial(t.Context(), path); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial to a stale socket: %v, want connection refused", err)
	}
	again := listen(t, path)
	again.Close()
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket is still there after Close: %v", err)
	}
}

func TestDialSaysThatNobodyListens(t *testing.T) {
	path := inFolder(t)
	if _, err := socket.Dial(t.Context(), path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
	do(t, os.Mkdir(filepath.Dir(path), 0o700))
	if _, err := socket.Dial(t.Context(), path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no socket: %v", err)
	}
}

func TestPathsThatMeanSomethingElseAreRefused(t *testing.T) {
	for _, path := range []string{"", "api.sock", "@keyturn", "/tmp/" + strings.Repeat("x", 100) + "/api.sock"} {
		if l, err := socket.Listen(path); err == nil {
			l.Close()
			t.Errorf("listened on %q", path)
		}
		if c, err := socket.Dial(context.Background(), path); err == nil {
			c.Close()
			t.Errorf("dialled %q", path)
		}
	}
}

// reads reports how many bytes come out of c before it ends.
func reads(t *testing.T, c net.Conn) int {
	t.Helper()
	c.SetReadDeadline(time.Now().Add(5 * time.Second))
	n := 0
	b := make([]byte, 512)
	for {
		k, err := c.Read(b)
		n += k
		if err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("the other end neither answered nor hung up")
			}
			return n
		}
	}
}

func do(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
