package store_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"keyturn/backend/fault"
	"keyturn/backend/store"
	"keyturn/backend/store/storetest"
)

// within fails the test when do hangs.
func within(t *testing.T, limit time.Duration, do func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); do() }()
	select {
	case <-done:
	case <-time.After(limit):
		t.Fatalf("not done after %v", limit)
	}
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can give files to another user")
	}
}

func TestFolderAndFilesAreMadePrivate(t *testing.T) {
	base := t.TempDir()
	must(t, os.Chmod(base, 0o755))
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	p := place{filepath.Join(base, "a", "b", "data"), filepath.Join(base, "keys", "deep", "key")}
	s := open(t, p.options())
	must(t, s.SaveConnection(t.Context(), storetest.Connection(1)))
	release, err := store.Lock(p.dir)
	must(t, err)
	defer release()
	err = filepath.WalkDir(base, func(path string, d fs.DirEntry, err error) error {
		must(t, err)
		info, err := d.Info()
		must(t, err)
		want := fs.FileMode(0o600)
		if d.IsDir() {
			want = 0o700
		}
		if path != base && info.Mode().Perm() != want {
			t.Errorf("%s has mode %04o", path, info.Mode().Perm())
		}
		return nil
	})
	must(t, err)
}

func TestAFolderOthersCanReachIsRefused(t *testing.T) {
	for _, tt := range []struct {
		name string
		root bool
		make func(dir string) error
		says string
	}{
		{"SG-22 mode 0777", false, func(dir string) error { return mkdir(dir, 0o777) }, "chmod 700"},
		{"SG-22 mode 0750", false, func(dir string) error { return mkdir(dir, 0o750) }, "chmod 700"},
		{"SG-22 another owner", true, func(dir string) error {
			return errors.Join(mkdir(dir, 0o700), os.Chown(dir, 12345, 12345))
		}, "another user"},
		{"SG-22 a symbolic link", false, func(dir string) error {
			return errors.Join(mkdir(dir+"-real", 0o700), os.Symlink(dir+"-real", dir))
		}, "symbolic link"},
		{"SG-25 a link that leads nowhere", false, func(dir string) error { return os.Symlink(dir+"-none", dir) }, "symbolic link"},
		{"a file in its place", false, func(dir string) error { return os.WriteFile(dir, nil, 0o600) }, "not a folder"},
		{"SG-26 a folder above that everybody can write to", false, func(dir string) error {
			return errors.Join(os.MkdirAll(dir, 0o700), os.Chmod(filepath.Dir(dir), 0o777))
		}, "chmod o-w"},
		{"SG-26 a folder above that is somebody else's", true, func(dir string) error {
			return errors.Join(os.MkdirAll(dir, 0o700), os.Chown(filepath.Dir(dir), 12345, 12345))
		}, "another user"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.root {
				needRoot(t)
			}
			base := t.TempDir()
			dir := filepath.Join(base, "above", "data")
			must(t, mkdir(filepath.Dir(dir), 0o700))
			must(t, tt.make(dir))
			_, err := store.Open(t.Context(), store.Options{Dir: dir, KeyFile: filepath.Join(base, "key")})
			refused(t, err, fault.Forbidden, tt.says)
			_, err = store.Lock(dir)
			refused(t, err, fault.Forbidden, tt.says)
			files, _ := os.ReadDir(dir)
			if len(files) > 0 {
				t.Errorf("something was made in it: %v", files)
			}
		})
	}
}

func mkdir(dir string, mode fs.FileMode) error {
	return errors.Join(os.Mkdir(dir, 0o700), os.Chmod(dir, mode))
}

func TestAFileThatIsNotOursAloneIsRefused(t *testing.T) {
	for _, tt := range []struct {
		name string
		root bool
		make func(path, target string) error
		says string
	}{
		{"SG-23 a symbolic link", false, func(p, target string) error { return os.Symlink(target, p) }, "symbolic link"},
		{"SG-25 a link that leads nowhere", false, func(p, target string) error { return os.Symlink(target+"-none", p) }, "symbolic link"},
		{"SG-23 two names", false, func(p, target string) error { return os.Link(target, p) }, "more than one name"},
		{"SG-23 a named pipe", false, func(p, _ string) error { return syscall.Mkfifo(p, 0o600) }, "not a plain file"},
		{"SG-23 a folder", false, func(p, _ string) error { return os.Mkdir(p, 0o700) }, "not a plain file"},
		{"SG-23 a device", true, func(p, _ string) error { return syscall.Mknod(p, syscall.S_IFCHR|0o600, 1<<8|5) }, "not a plain file"},
		{"mode 0644", false, func(p, _ string) error { return errors.Join(os.WriteFile(p, nil, 0o600), os.Chmod(p, 0o644)) }, "chmod 600"},
		{"another owner", true, func(p, _ string) error {
			return errors.Join(os.WriteFile(p, nil, 0o600), os.Chown(p, 12345, 12345))
		}, "another user"},
	} {
		for _, file := range []string{"keyturn.db", "keyturn.db-wal", "keyturn.lock", "key", "passphrase"} {
			t.Run(tt.name+" as "+file, func(t *testing.T) {
				if tt.root {
					needRoot(t)
				}
				base := t.TempDir()
				dir, target := filepath.Join(base, "data"), filepath.Join(base, "target")
				must(t, os.Mkdir(dir, 0o700))
				must(t, os.WriteFile(target, []byte("hello"), 0o600))
				must(t, tt.make(filepath.Join(dir, file), target))
				var err error
				within(t, 5*time.Second, func() {
					switch file {
					case "keyturn.lock":
						_, err = store.Lock(dir)
					case "key":
						s := open(t, store.Options{Dir: dir, KeyFile: filepath.Join(dir, file)})
						_, err = s.Load(context.Background())
					case "passphrase":
						s := open(t, store.Options{Dir: dir, PassphraseFile: filepath.Join(dir, file)})
						_, err = s.Load(context.Background())
					default:
						_, err = store.Open(context.Background(), store.Options{Dir: dir, KeyFile: filepath.Join(base, "key")})
					}
				})
				if err == nil {
					t.Fatal("accepted")
				}
				if file == "keyturn.lock" && strings.Contains(tt.name, "folder") {
					return // the system says it before we can
				}
				refused(t, err, fault.Forbidden, tt.says)
				if data, err := os.ReadFile(target); err != nil || string(data) != "hello" {
					t.Errorf("the target was changed: %q %v", data, err)
				}
				if _, err := os.Stat(target + "-none"); err == nil {
					t.Error("the link was followed")
				}
			})
		}
	}
}

// A child of this test runs in namespaces of its own, where it may mount.
const inside = "KEYTURN_TEST_INSIDE"

// insideNamespace runs the calling test again as a child that may mount, and
// reports whether this is the child.
func insideNamespace(t *testing.T) bool {
	t.Helper()
	if os.Getenv(inside) != "" {
		return true
	}
	unshare, err := exec.LookPath("unshare")
	if err != nil {
		t.Skip("unshare is not installed")
	}
	if out, err := exec.Command(unshare, "-rm", "mount", "-t", "tmpfs", "tmpfs", t.TempDir()).CombinedOutput(); err != nil {
		t.Skipf("this system does not let us mount in a namespace: %v: %s", err, out)
	}
	cmd := exec.Command(unshare, "-rm", os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), inside+"=1", "GORACE=atexit_sleep_ms=0")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Fatalf("%v\n%s", err, out)
	}
	return false
}

func TestAFullDiskIsToldAndLosesNothing(t *testing.T) {
	t.Parallel()
	if !insideNamespace(t) {
		return
	}
	base := t.TempDir()
	must(t, syscall.Mount("tmpfs", base, "tmpfs", 0, "size=2m,mode=0700"))
	t.Cleanup(func() { _ = syscall.Unmount(base, syscall.MNT_DETACH) })
	p := place{filepath.Join(base, "data"), filepath.Join(t.TempDir(), "key")}
	s := open(t, p.options())
	must(t, s.SaveConnection(t.Context(), storetest.Connection(1)))
	must(t, s.Check(t.Context()))

	stuff(t, filepath.Join(base, "ballast"))
	saved, failed := 1, 0
	for n := 2; n < 30; n++ {
		err := s.SaveConnection(t.Context(), storetest.Connection(n))
		if err != nil {
			refused(t, err, fault.DiskFull, "full")
			failed++
			continue
		}
		saved++
	}
	if failed < 20 {
		t.Fatalf("%d saves failed on a full disk", failed)
	}
	refused(t, s.Check(t.Context()), fault.DiskFull, "full")
	if c := load(t, s); len(c.Connections) != saved {
		t.Errorf("%d connections, saved %d", len(c.Connections), saved)
	}
	must(t, os.Remove(filepath.Join(base, "ballast")))
	must(t, s.Check(t.Context()))
	must(t, s.SaveConnection(t.Context(), storetest.Connection(30)))
	shut(t, s)
	if c := load(t, open(t, p.options())); len(c.Connections) != saved+1 || len(c.Damaged) != 0 {
		t.Errorf("%d connections, %d damaged", len(c.Connections), len(c.Damaged))
	}

	t.Run("a first start", func(t *testing.T) {
		stuff(t, filepath.Join(base, "ballast"))
		fresh := place{filepath.Join(base, "fresh"), filepath.Join(base, "fresh-key")}
		must(t, os.Mkdir(fresh.dir, 0o700))
		s := open(t, fresh.options())
		_, err := s.Load(t.Context())
		refused(t, err, fault.DiskFull)
		must(t, os.Remove(filepath.Join(base, "ballast")))
		load(t, s)
		must(t, s.SaveConnection(t.Context(), storetest.Connection(1)))
	})
}

// stuff fills the disk under path to the last byte.
func stuff(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	must(t, err)
	defer f.Close()
	for size := 64 << 10; size > 0; size /= 2 {
		for err = nil; err == nil; {
			_, err = f.Write(make([]byte, size))
		}
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
}

func TestAReadOnlyDiskIsToldBeforeItMatters(t *testing.T) {
	t.Parallel()
	if !insideNamespace(t) {
		return
	}
	base := t.TempDir()
	must(t, syscall.Mount("tmpfs", base, "tmpfs", 0, "size=4m,mode=0700"))
	t.Cleanup(func() { _ = syscall.Unmount(base, syscall.MNT_DETACH) })
	p := place{filepath.Join(base, "data"), filepath.Join(t.TempDir(), "key")}
	want := fill(t, p.options(), 1)
	must(t, syscall.Mount("", base, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
	t.Run("SG-29 a store that is there", func(t *testing.T) {
		s := open(t, p.options())
		err := s.Check(t.Context())
		refused(t, err, fault.DiskFull, "read-only")
		refused(t, s.SaveConnection(t.Context(), storetest.Connection(2)), fault.DiskFull, "read-only")
	})
	t.Run("SG-29 a first start", func(t *testing.T) {
		_, err := store.Open(t.Context(), store.Options{Dir: filepath.Join(base, "fresh"), KeyFile: p.key})
		refused(t, err, fault.DiskFull, "read-only")
	})
	must(t, syscall.Mount("", base, "", syscall.MS_REMOUNT, ""))
	if c := load(t, open(t, p.options())); fmt.Sprint(len(c.Connections)) != fmt.Sprint(len(want.Connections)) {
		t.Errorf("%d connections", len(c.Connections))
	}
}
