package socket_test

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"keyturn/backend/socket"
)

// The test runs copies of itself that dial, by other names.
const dialTo = "KEYTURN_TEST_DIAL"

func TestMain(m *testing.M) {
	if path := os.Getenv(dialTo); path != "" {
		conn, err := net.Dial("unix", path)
		if err == nil {
			_, err = io.ReadAll(conn) // until the other end has looked
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestThePeerHasTheNameThatItsUserKnowsItBy(t *testing.T) {
	path := inFolder(t)
	l := listen(t, path)
	bin := t.TempDir()
	self, err := os.ReadFile("/proc/self/exe")
	do(t, err)
	program := func(name string) string {
		do(t, os.WriteFile(filepath.Join(bin, name), self, 0o755))
		return filepath.Join(bin, name)
	}
	shell, err := filepath.EvalSymlinks("/bin/sh")
	do(t, err)
	script := filepath.Join(bin, "deploy.sh")
	do(t, os.WriteFile(script, []byte("#!/bin/sh\n"+program("keyturn")+"\ntrue\n"), 0o755))
	hidden := program("removed")

	for name, c := range map[string]struct {
		cmd  *exec.Cmd
		want string
	}{
		"a program":                  {exec.Command(program("git-credential-somewhere")), "git-credential-somewhere"},
		"a script behind keyturn":    {exec.Command(script), "deploy.sh (" + filepath.Base(shell) + ") via keyturn"},
		"keyturn from this program":  {exec.Command(program("keyturn")), filepath.Base(os.Args[0]) + " via keyturn"},
		"a name that moves a cursor": {exec.Command(program("x\x1b[2J) 1 (y\n")), "x\x1b[2J) 1 (y\n"},
		"an executable that is gone": {exec.Command("/bin/sh", "-c", hidden+" & rm "+hidden+"; wait"), "removed"},
	} {
		t.Run(name, func(t *testing.T) {
			c.cmd.Env = append(os.Environ(), dialTo+"="+path)
			c.cmd.Stderr = os.Stderr
			do(t, c.cmd.Start())
			conn, err := l.Accept()
			do(t, err)
			got := socket.Peer(conn)
			conn.Close()
			do(t, c.cmd.Wait())
			if got.Name != c.want {
				t.Errorf("%q, want %q", got.Name, c.want)
			}
			if direct := !strings.Contains(c.cmd.Path, "sh"); got.PID <= 0 || direct && got.PID != c.cmd.Process.Pid {
				t.Errorf("pid %d, want %d", got.PID, c.cmd.Process.Pid)
			}
		})
	}
}

func TestAPeerThatIsNoneIsNobody(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if got := socket.Peer(a); got != (socket.Process{}) {
		t.Errorf("%+v", got)
	}
	path := inFolder(t)
	l := listen(t, path)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), dialTo+"="+path)
	do(t, cmd.Start())
	conn, err := l.Accept()
	do(t, err)
	do(t, cmd.Process.Kill())
	cmd.Wait()
	if got := socket.Peer(conn); got.PID != cmd.Process.Pid || got.Name != "" {
		t.Errorf("of a program that has ended: %+v", got)
	}
	conn.Close()
}

func BenchmarkPeer(b *testing.B) {
	dir := b.TempDir()
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	if err != nil {
		b.Fatal(err)
	}
	go net.Dial("unix", filepath.Join(dir, "s"))
	conn, err := l.Accept()
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		socket.Peer(conn)
	}
}
