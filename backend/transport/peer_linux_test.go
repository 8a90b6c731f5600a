package transport_test

import (
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"keyturn/backend/transport"
)

// getAs fetches a URL as another user.
func getAs(t *testing.T, uid uint32, url, host string) string {
	t.Helper()
	binary, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "peer")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	program := filepath.Join(dir, "get")
	if err := os.WriteFile(program, binary, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program)
	cmd.Dir = "/"
	cmd.Env = []string{asAnotherUser + "=" + url, asHost + "=" + host, "GORACE=atexit_sleep_ms=0"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}

func TestAnotherUserOfTheMachineIsRefused(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can play another user")
	}
	const nobody = 65534
	for _, source := range transport.SourceNames {
		t.Run("CB-34 right state, brought by nobody, found by "+source, func(t *testing.T) {
			transport.UseSource(t, source)
			r := start(t)
			out := getAs(t, nobody, "http://"+r.host+r.target(), r.host)
			if !strings.HasPrefix(out, "65534 403\n") || !strings.Contains(out, "This browser runs as another user") {
				t.Errorf("%s", out)
			}
			r.untouched(t)
			if s := r.Stats(); s.ForeignUser != 1 {
				t.Errorf("foreign user counted %d times", s.ForeignUser)
			}
			r.completes(t)
		})
	}
	t.Run("CB-34 over ::1", func(t *testing.T) {
		r := start(t, localhost)
		_, port, _ := strings.Cut(r.host, ":")
		out := getAs(t, nobody, "http://[::1]:"+port+r.target(), r.host)
		if !strings.HasPrefix(out, "65534 403\n") {
			t.Errorf("%s", out)
		}
		r.untouched(t)
	})
	t.Run("CB-34 unless that is wanted", func(t *testing.T) {
		l := transport.NewLoopback(transport.LoopbackOptions{AnyUser: true})
		defer l.Close(t.Context())
		r := startOn(t, l, &journal{})
		out := getAs(t, nobody, "http://"+r.host+r.target(), r.host)
		if !strings.HasPrefix(out, "65534 303\n") {
			t.Errorf("%s", out)
		}
		r.gotTheCode(t)
	})
}

func TestOurOwnUserIsKnown(t *testing.T) {
	for _, source := range transport.SourceNames {
		t.Run(source, func(t *testing.T) {
			transport.UseSource(t, source)
			ourOwnUserIsKnown(t)
		})
	}
}

func ourOwnUserIsKnown(t *testing.T) {
	for name, address := range map[string]string{"IPv4": "127.0.0.1", "IPv6": "::1"} {
		t.Run(name, func(t *testing.T) {
			r := start(t, localhost)
			_, port, _ := strings.Cut(r.host, ":")
			c, err := net.Dial("tcp", net.JoinHostPort(address, port))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if a := exchange(t, c, request("GET "+r.target()+" HTTP/1.1", "Host: "+r.host)); a.status != http.StatusSeeOther {
				t.Fatal(a.status)
			}
			r.gotTheCode(t)
			if s := r.Stats(); s.UnknownUser != 0 || s.ForeignUser != 0 {
				t.Errorf("%+v", s)
			}
		})
	}
	t.Run("a socket for both families", func(t *testing.T) {
		r := start(t)
		_, port, _ := strings.Cut(r.host, ":")
		fd, err := syscall.Socket(syscall.AF_INET6, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		mapped := &syscall.SockaddrInet6{Port: atoi(t, port), Addr: [16]byte{10: 0xff, 11: 0xff, 12: 127, 15: 1}}
		if err := syscall.Connect(fd, mapped); err != nil {
			t.Fatal(err)
		}
		f := os.NewFile(uintptr(fd), "both")
		c, err := net.FileConn(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if a := exchange(t, c, request("GET "+r.target()+" HTTP/1.1", "Host: "+r.host)); a.status != http.StatusSeeOther {
			t.Fatal(a.status)
		}
		r.gotTheCode(t)
		if s := r.Stats(); s.UnknownUser != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestAPeerThatCannotBeFoundIsLetIn(t *testing.T) {
	t.Run("CB-35 lists of sockets unreadable", func(t *testing.T) {
		transport.UseSource(t, "")
		r := start(t)
		r.completes(t)
		if s := r.Stats(); s.UnknownUser != 1 {
			t.Errorf("unknown user counted %d times", s.UnknownUser)
		}
	})
}
