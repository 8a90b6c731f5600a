package bundle_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"filippo.io/age"

	"keyturn/backend/bundle"
	"keyturn/backend/fault"
	"keyturn/backend/oauth"
	"keyturn/backend/orchestrator"
	"keyturn/backend/provider"
	"keyturn/backend/store/storetest"
)

func TestMain(m *testing.M) {
	bundle.CheapWork()
	os.Exit(m.Run())
}

var words = []byte("correct horse battery")

func contents() orchestrator.Contents {
	c := orchestrator.Contents{
		Connections: []orchestrator.Record{storetest.Connection(1), storetest.Connection(2)},
		Apps:        []orchestrator.App{storetest.App(1)},
		Providers:   []provider.Provider{storetest.Provider(1)},
	}
	for i := range c.Connections {
		c.Connections[i].Token.ID = oauth.Secret{} // has done its work: not exported
	}
	c.Connections[1].Token.Refresh = oauth.NewSecret("not \xff UTF-8")
	return c
}

func sealed(t testing.TB) []byte {
	file, err := bundle.Seal(words, contents())
	if err != nil {
		t.Fatal(err)
	}
	return file
}

func refused(t *testing.T, err error, code fault.Code) {
	t.Helper()
	if fault.CodeOf(err) != code {
		t.Errorf("code %q, want %q: %v", fault.CodeOf(err), code, err)
	}
}

func TestWhatWasSealedComesBackAsItWas(t *testing.T) {
	file := sealed(t)
	for _, clear := range []string{"access-token", "refresh-token", "client-secret", "ada", "example", "con_"} {
		if bytes.Contains(file, []byte(clear)) {
			t.Errorf("the file says %q", clear)
		}
	}
	got, err := bundle.Open(words, file)
	if err != nil {
		t.Fatal(err)
	}
	want := contents()
	// A provider comes back as its JSON, as from the store.
	if len(got.Providers) != 1 || got.Providers[0].ID != want.Providers[0].ID || got.Providers[0].Token.URL != want.Providers[0].Token.URL {
		t.Errorf("%+v", got.Providers)
	}
	got.Providers, want.Providers = nil, nil
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v\nwant %+v", got, want)
	}
}

func TestAFileThatDoesNotOpenSaysWhy(t *testing.T) {
	file := sealed(t)
	own, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	at := func(i int) []byte {
		bad := bytes.Clone(file)
		bad[i] ^= 1
		return bad
	}
	for _, tt := range []struct {
		name  string
		file  []byte
		words string
		code  fault.Code
	}{
		{"another passphrase", file, "wrong horse battery", fault.WrongPassphrase},
		{"no passphrase", file, "", fault.WrongPassphrase},
		{"a byte of the end", at(len(file) - 1), string(words), fault.FileDamaged},
		{"a byte of the middle", at(len(file) / 2), string(words), fault.FileDamaged},
		{"cut short", file[:len(file)-10], string(words), fault.FileDamaged},
		{"something after it", append(bytes.Clone(file), 'x'), string(words), fault.FileDamaged},
		{"empty", nil, string(words), fault.FileDamaged},
		{"some other file", []byte("PK\x03\x04 hello"), string(words), fault.FileDamaged},
		{"for a key, not a passphrase", bundle.EncryptedTo(own.Recipient(), []byte("{}")), string(words), fault.FileDamaged},
		{"as costly as nobody makes it", bundle.Encrypted(string(words), []byte("{}"), 19), string(words), fault.FileDamaged},
		{"another document", bundle.Encrypted(string(words), []byte(`{"format":"diary","version":1}`), 10), string(words), fault.FileDamaged},
		{"not JSON", bundle.Encrypted(string(words), []byte("hello"), 10), string(words), fault.FileDamaged},
		{"a member twice", bundle.Encrypted(string(words), []byte(`{"format":"keyturn export","version":1,"version":1}`), 10), string(words), fault.FileDamaged},
		{"a member of nobody", bundle.Encrypted(string(words), []byte(`{"format":"keyturn export","version":1,"more":1}`), 10), string(words), fault.FileDamaged},
		{"a newer version", bundle.Encrypted(string(words), []byte(`{"format":"keyturn export","version":2,"more":1}`), 10), string(words), fault.NewerVersion},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := bundle.Open([]byte(tt.words), tt.file)
			refused(t, err, tt.code)
			if len(c.Connections)+len(c.Apps)+len(c.Providers) > 0 {
				t.Errorf("opened in part: %+v", c)
			}
		})
	}
}

func TestAShortPassphraseSealsNothing(t *testing.T) {
	for _, bad := range []string{"", "1234567", strings.Repeat("x", 1025)} {
		_, err := bundle.Seal([]byte(bad), contents())
		refused(t, err, fault.BadRequest)
	}
}

func TestAFileIsNewPrivateAndWhole(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "k.age")
	if err := bundle.Write(path, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info, err)
	}
	refused(t, bundle.Write(path, []byte("other")), fault.Conflict)
	if data, err := bundle.Read(path); err != nil || string(data) != "hello" {
		t.Errorf("%q %v", data, err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(filepath.Join(dir, "elsewhere"), link); err != nil {
		t.Fatal(err)
	}
	refused(t, bundle.Write(link, []byte("x")), fault.Conflict)
	if _, err := os.Lstat(filepath.Join(dir, "elsewhere")); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a link was followed")
	}
	refused(t, bundle.Write(filepath.Join(dir, "none", "k"), nil), fault.NotFound)
	_, err := bundle.Read(filepath.Join(dir, "none"))
	refused(t, err, fault.NotFound)
	_, err = bundle.Read(dir)
	refused(t, err, fault.BadRequest)
}

// Whatever is inside, opening ends with contents or with one of three reasons.
func FuzzOpen(f *testing.F) {
	f.Add([]byte(`{"format":"keyturn export","version":1,"connections":[{"id":"con_1"}],"apps":null,"providers":[]}`), true)
	f.Add([]byte(`{"format":"keyturn export","version":99}`), true)
	f.Add(sealed(f), false)
	f.Fuzz(func(t *testing.T, data []byte, inside bool) {
		if inside {
			data = bundle.Encrypted(string(words), data, 1)
		} else if len(data) > 0 && bytes.Contains(data[:min(len(data), 200)], []byte(" 1")) {
			return // a header may ask for the dearest work that is allowed
		}
		_, err := bundle.Open(words, data)
		switch fault.CodeOf(err) {
		case "", fault.WrongPassphrase, fault.FileDamaged, fault.NewerVersion:
		default:
			t.Errorf("%v", err)
		}
	})
}
