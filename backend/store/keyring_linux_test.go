package store_test

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"
	ring "github.com/zalando/go-keyring"

	"keyturn/backend/fault"
	"keyturn/backend/orchestrator"
	"keyturn/backend/store"
	"keyturn/backend/store/storetest"
)

// startBus starts a session bus that starts nothing by itself, and makes it
// the one of this process.
func startBus(t *testing.T) {
	t.Helper()
	daemon, err := exec.LookPath("dbus-daemon")
	if err != nil {
		t.Skip("dbus-daemon is not installed")
	}
	dir := t.TempDir()
	config := filepath.Join(dir, "bus.conf")
	must(t, os.WriteFile(config, fmt.Appendf(nil, `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path=%s/bus</listen>
  <auth>EXTERNAL</auth>
  <policy context="default"><allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/></policy>
</busconfig>`, dir), 0o600))
	cmd := exec.Command(daemon, "--nofork", "--print-address=1", "--config-file="+config)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	address, err := bufio.NewReader(out).ReadString('\n')
	must(t, err)
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", strings.TrimSpace(address))
}

func busConnection(t *testing.T) *dbus.Conn {
	t.Helper()
	conn, err := dbus.SessionBusPrivateNoAutoStartup()
	must(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	must(t, conn.Auth(nil))
	must(t, conn.Hello())
	return conn
}

const ringPassword = "a known password"

// startKeyring starts GNOME Keyring on the bus, with an open login keyring.
func startKeyring(t *testing.T) {
	t.Helper()
	daemon, err := exec.LookPath("gnome-keyring-daemon")
	if err != nil {
		t.Skip("gnome-keyring-daemon is not installed")
	}
	base := t.TempDir()
	control := filepath.Join(base, "control")
	must(t, os.Mkdir(control, 0o700))
	cmd := exec.Command(daemon, "--foreground", "--unlock", "--components=secrets", "--control-directory="+control)
	cmd.Env = append(os.Environ(), "HOME="+base, "XDG_DATA_HOME="+base, "XDG_RUNTIME_DIR="+base)
	cmd.Stdin = strings.NewReader(ringPassword)
	must(t, cmd.Start())
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	conn := busConnection(t)
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		var locked dbus.Variant
		err := conn.Object("org.freedesktop.secrets", "/org/freedesktop/secrets/collection/login").
			Call("org.freedesktop.DBus.Properties.Get", 0, "org.freedesktop.Secret.Collection", "Locked").Store(&locked)
		if err == nil && locked.Value() == false {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("the keyring did not start: %v %v", locked, err)
		}
	}
}

// keyringItems names the items of ours that the keyring holds.
func keyringItems(t *testing.T) (names []string) {
	t.Helper()
	conn := busConnection(t)
	var open, locked []dbus.ObjectPath
	must(t, conn.Object("org.freedesktop.secrets", "/org/freedesktop/secrets").
		Call("org.freedesktop.Secret.Service.SearchItems", 0, map[string]string{"service": "keyturn"}).Store(&open, &locked))
	for _, item := range open {
		var attributes map[string]string
		must(t, conn.Object("org.freedesktop.secrets", item).StoreProperty("org.freedesktop.Secret.Item.Attributes", &attributes))
		names = append(names, attributes["username"])
	}
	return names
}

// unlockKeyring unlocks the login keyring without asking anybody.
func unlockKeyring(t *testing.T) {
	t.Helper()
	secrets := busConnection(t).Object("org.freedesktop.secrets", "/org/freedesktop/secrets")
	var nothing dbus.Variant
	var session dbus.ObjectPath
	must(t, secrets.Call("org.freedesktop.Secret.Service.OpenSession", 0, "plain", dbus.MakeVariant("")).Store(&nothing, &session))
	password := struct {
		Session     dbus.ObjectPath
		Parameters  []byte
		Value       []byte
		ContentType string
	}{session, []byte{}, []byte(ringPassword), "text/plain"}
	must(t, secrets.Call("org.gnome.keyring.InternalUnsupportedGuiltRiddenInterface.UnlockWithMasterPassword", 0,
		dbus.ObjectPath("/org/freedesktop/secrets/collection/login"), password).Err)
}

// lockKeyring locks the login keyring.
func lockKeyring(t *testing.T) {
	t.Helper()
	var locked []dbus.ObjectPath
	var prompt dbus.ObjectPath
	must(t, busConnection(t).Object("org.freedesktop.secrets", "/org/freedesktop/secrets").
		Call("org.freedesktop.Secret.Service.Lock", 0, []dbus.ObjectPath{"/org/freedesktop/secrets/collection/login"}).Store(&locked, &prompt))
	if len(locked) != 1 {
		t.Fatalf("not locked: %v", locked)
	}
}

// prompter stands in for the window that asks for the keyring's password.
type prompter struct{ asked atomic.Int32 }

// BeginPrompting is org.gnome.keyring.internal.Prompter; the question stays.
func (p *prompter) BeginPrompting(dbus.ObjectPath) *dbus.Error {
	p.asked.Add(1)
	return nil
}

func (p *prompter) StopPrompting(dbus.ObjectPath) *dbus.Error { return nil }

func startPrompter(t *testing.T) *prompter {
	t.Helper()
	p, conn := new(prompter), busConnection(t)
	must(t, conn.Export(p, "/org/gnome/keyring/Prompter", "org.gnome.keyring.internal.Prompter"))
	reply, err := conn.RequestName("org.gnome.keyring.SystemPrompter", dbus.NameFlagDoNotQueue)
	if err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
		t.Fatal(reply, err)
	}
	return p
}

func TestStoreWithAKeyring(t *testing.T) {
	startBus(t)
	startKeyring(t)
	storetest.Run(t, func(t *testing.T) (orchestrator.Store, func() orchestrator.Store) {
		return reopening(store.Options{Dir: newPlace(t).dir})(t)
	})
	items := keyringItems(t)
	if len(items) == 0 {
		t.Fatal("the keyring holds no key")
	}
	for _, item := range items {
		if text, err := ring.Get("keyturn", item); err != nil || len(text) != 44 {
			t.Errorf("the item %q holds %d bytes: %v", item, len(text), err)
		}
	}
	s := open(t, store.Options{Dir: newPlace(t).dir})
	if got := s.Protector(); got != "keyring" {
		t.Errorf("protector %q", got)
	}
}

func TestAKeyringThatLostItsKey(t *testing.T) {
	startBus(t)
	startKeyring(t)
	o := store.Options{Dir: newPlace(t).dir}
	want := fill(t, o, 1)
	item := keyringItems(t)[0]
	text, err := ring.Get("keyturn", item)
	must(t, err)
	t.Run("SG-20 the keyring emptied", func(t *testing.T) {
		must(t, ring.Delete("keyturn", item))
		locked(t, o, "no longer holds Keyturn's key", "Restore the keyring")
		if len(keyringItems(t)) != 0 {
			t.Error("a new key was made over sealed rows")
		}
	})
	t.Run("SG-20 another key in the keyring", func(t *testing.T) {
		must(t, ring.Set("keyturn", item, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="))
		locked(t, o, "another key")
	})
	t.Run("something else in the keyring", func(t *testing.T) {
		must(t, ring.Set("keyturn", item, "hunter2"))
		locked(t, o, "not a key of Keyturn's")
	})
	t.Run("the key put back", func(t *testing.T) {
		must(t, ring.Set("keyturn", item, text))
		if got := load(t, open(t, o)); !reflect.DeepEqual(got, want) {
			t.Errorf("%+v", got)
		}
	})
}

func TestALockedKeyringAsksOnce(t *testing.T) {
	startBus(t)
	startKeyring(t)
	o := store.Options{Dir: newPlace(t).dir}
	want := fill(t, o, 1)
	asks := startPrompter(t)
	lockKeyring(t)

	s := open(t, o)
	t.Run("SG-19 the question is put once", func(t *testing.T) {
		start := time.Now()
		for range 4 {
			c, err := s.Load(t.Context())
			refused(t, err, fault.StoreLocked, "locked", "Unlock it")
			if len(c.Damaged) != 3 {
				t.Errorf("%d rows named", len(c.Damaged))
			}
			refused(t, s.Check(t.Context()), fault.StoreLocked)
		}
		if n := asks.asked.Load(); n != 1 {
			t.Errorf("asked %d times", n)
		}
		// The first waits for the person, the others do not.
		if d := time.Since(start); d > 5*time.Second {
			t.Errorf("took %v", d)
		}
	})
	t.Run("unlocked meanwhile, it opens", func(t *testing.T) {
		unlockKeyring(t)
		if got := load(t, s); !reflect.DeepEqual(got, want) {
			t.Errorf("%+v", got)
		}
		must(t, s.SaveConnection(t.Context(), storetest.Connection(2)))
		lockKeyring(t) // the key is in memory: nothing depends on the keyring any more
		must(t, s.SaveConnection(t.Context(), storetest.Connection(3)))
		load(t, s)
	})
}

func TestADismissedQuestionIsNotPutAgain(t *testing.T) {
	startBus(t)
	startKeyring(t)
	o := store.Options{Dir: newPlace(t).dir}
	fill(t, o, 1)
	lockKeyring(t)
	s := open(t, o)
	t.Run("SG-19 nobody is there to ask", func(t *testing.T) {
		start := time.Now()
		for range 4 {
			_, err := s.Load(t.Context())
			refused(t, err, fault.StoreLocked, "locked", "Passwords and Keys", "start Keyturn again")
		}
		if d := time.Since(start); d > 4*time.Second {
			t.Errorf("took %v", d)
		}
	})
	unlockKeyring(t)
	load(t, s)
}

func TestAMissingKeyringSaysWhatToDo(t *testing.T) {
	// No bus to be found in the usual places, and none to be started.
	launched := filepath.Join(t.TempDir(), "launched")
	bin := t.TempDir()
	must(t, os.WriteFile(filepath.Join(bin, "dbus-launch"), []byte("#!/bin/sh\ntouch "+launched+"\n"), 0o700))
	path := os.Getenv("PATH")

	for _, tt := range []struct {
		name, says string
		arrange    func(t *testing.T)
	}{
		{"SG-17 no bus", "no desktop session", func(t *testing.T) {
			t.Setenv("PATH", bin+":"+path)
			t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
			t.Setenv("DBUS_SESSION_BUS_ADDRESS", "")
		}},
		{"SG-17 a bus that must be launched", "no desktop session", func(t *testing.T) {
			t.Setenv("PATH", bin+":"+path)
			t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
			t.Setenv("DBUS_SESSION_BUS_ADDRESS", "autolaunch:")
		}},
		{"SG-17 a bus that is gone", "no desktop session", func(t *testing.T) {
			t.Setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path="+t.TempDir()+"/bus")
		}},
		{"SG-17 an address that is none", "no desktop session", func(t *testing.T) {
			t.Setenv("DBUS_SESSION_BUS_ADDRESS", "nonsense")
		}},
		{"a bus without a keyring", "No keyring runs", startBus},
		{"a keyring that never answers", "did not answer", func(t *testing.T) {
			startBus(t)
			conn := busConnection(t)
			reply, err := conn.RequestName("org.freedesktop.secrets", dbus.NameFlagDoNotQueue)
			if err != nil || reply != dbus.RequestNameReplyPrimaryOwner {
				t.Fatal(reply, err)
			}
			must(t, conn.Export(silent{}, "/org/freedesktop/secrets", "org.freedesktop.DBus.Properties"))
		}},
		{"a keyring without a default collection", "nowhere to put a key", func(t *testing.T) {
			startBus(t)
			conn := busConnection(t)
			must(t, conn.Export(bare{}, "/org/freedesktop/secrets", "org.freedesktop.DBus.Properties"))
			must(t, conn.Export(bare{}, "/org/freedesktop/secrets", "org.freedesktop.Secret.Service"))
			_, err := conn.RequestName("org.freedesktop.secrets", dbus.NameFlagDoNotQueue)
			must(t, err)
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.arrange(t)
			o := store.Options{Dir: newPlace(t).dir}
			s := open(t, o)
			start := time.Now()
			_, err := s.Load(t.Context())
			refused(t, err, fault.StoreLocked, tt.says, "KEYTURN_KEY_FILE", "KEYTURN_PASSPHRASE_FILE")
			if d := time.Since(start); d > 3500*time.Millisecond {
				t.Errorf("took %v", d)
			}
			shut(t, s)
			// Choosing another protector is all it takes, and nothing was
			// written in clear meanwhile.
			fill(t, store.Options{Dir: o.Dir, KeyFile: filepath.Join(t.TempDir(), "key")}, 1)
			absent(t, o.Dir, []string{"access-token", "client-secret"})
		})
	}
	if _, err := os.Stat(launched); err == nil {
		t.Error("a bus was launched")
	}
}

// silent is a Secret Service that takes calls and answers none in time.
type silent struct{}

func (silent) Get(iface, name string) (dbus.Variant, *dbus.Error) {
	time.Sleep(10 * time.Second)
	return dbus.MakeVariant(""), nil
}

// bare is a Secret Service without collections.
type bare struct{}

func (bare) Get(iface, name string) (dbus.Variant, *dbus.Error) {
	return dbus.MakeVariant([]dbus.ObjectPath{}), nil
}

func (bare) ReadAlias(string) (dbus.ObjectPath, *dbus.Error) { return "/", nil }

func TestNothingOfTheKeyIsInTheFolder(t *testing.T) {
	startBus(t)
	startKeyring(t)
	t.Run("SG-14 the key of the keyring", func(t *testing.T) {
		o := store.Options{Dir: newPlace(t).dir}
		fill(t, o, 2)
		text, err := ring.Get("keyturn", keyringItems(t)[0])
		must(t, err)
		absent(t, o.Dir, []string{text, text[:20]})
		files, err := os.ReadDir(o.Dir)
		must(t, err)
		for _, f := range files {
			data, err := os.ReadFile(filepath.Join(o.Dir, f.Name()))
			must(t, err)
			if bytes.Contains(data, []byte("sealing-key")) {
				t.Errorf("%s names the item", f.Name())
			}
		}
	})
}
