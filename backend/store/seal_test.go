package store

import (
	"bytes"
	"encoding/base64"
	"os"
	"strings"
	"testing"
)

func testBinding() binding {
	return binding{
		kind: "connection", id: "con_1", provider: "example", origin: "https://auth.example.com",
		issuer: "https://example.com", clientID: "client", generation: 7, plain: "{}",
	}
}

func TestSealedValueOpensOnlyAsItWas(t *testing.T) {
	k, b, value := newKey(), testBinding(), []byte("refresh-token")
	sealed := k.seal(b, value)
	if got, err := k.open(b, sealed); err != nil || !bytes.Equal(got, value) {
		t.Fatalf("%q %v", got, err)
	}
	t.Run("SG-10 every byte flipped", func(t *testing.T) {
		for i := range sealed {
			for bit := range 8 {
				flipped := bytes.Clone(sealed)
				flipped[i] ^= 1 << bit
				if got, err := k.open(b, flipped); err == nil {
					t.Fatalf("byte %d, bit %d: opened to %q", i, bit, got)
				}
			}
		}
	})
	t.Run("SG-10 every length", func(t *testing.T) {
		for n := range sealed {
			if _, err := k.open(b, sealed[:n]); err == nil {
				t.Fatalf("the first %d bytes opened", n)
			}
		}
		if _, err := k.open(b, append(bytes.Clone(sealed), 0)); err == nil {
			t.Error("a byte more opened")
		}
	})
	t.Run("SG-11 beside another row or server", func(t *testing.T) {
		for name, change := range map[string]func(*binding){
			"kind":       func(b *binding) { b.kind = "app" },
			"id":         func(b *binding) { b.id = "con_2" },
			"provider":   func(b *binding) { b.provider = "evil" },
			"origin":     func(b *binding) { b.origin = "https://evil.example.com" },
			"issuer":     func(b *binding) { b.issuer = "" },
			"client":     func(b *binding) { b.clientID = "other" },
			"generation": func(b *binding) { b.generation++ },
			"plain":      func(b *binding) { b.plain = "{ }" },
			"a letter moved to the next field": func(b *binding) {
				b.provider, b.origin = b.provider+b.origin[:1], b.origin[1:]
			},
		} {
			other := testBinding()
			change(&other)
			if _, err := k.open(other, sealed); err == nil {
				t.Errorf("opened with another %s", name)
			}
		}
	})
	t.Run("SG-20 with another key", func(t *testing.T) {
		if _, err := newKey().open(b, sealed); err == nil {
			t.Error("opened")
		}
	})
}

func TestNoncesAreUnique(t *testing.T) {
	t.Parallel()
	t.Run("SG-13 fifty thousand saves", func(t *testing.T) {
		k, b := newKey(), binding{kind: "app"}
		seen := map[[24]byte]bool{}
		for range 50_000 {
			nonce := [24]byte(k.seal(b, nil)[1:sealHead])
			if seen[nonce] {
				t.Fatal("a nonce was used twice")
			}
			seen[nonce] = true
		}
	})
}

func TestSealedLengthsAreSteps(t *testing.T) {
	k, b := newKey(), testBinding()
	for _, tt := range []struct{ size, steps int }{{0, 1}, {1020, 1}, {1021, 2}, {2044, 2}, {2045, 3}} {
		sealed := k.seal(b, make([]byte, tt.size))
		if got, want := len(sealed), sealHead+tt.steps*sealStep+16; got != want {
			t.Errorf("%d bytes sealed to %d, want %d", tt.size, got, want)
		}
		if value, err := k.open(b, sealed); err != nil || len(value) != tt.size {
			t.Errorf("%d bytes came back as %d: %v", tt.size, len(value), err)
		}
	}
}

// golden returns "refresh-token" as it was sealed for testBinding with the key
// of zeros when the format was made.
func golden(tb testing.TB) []byte {
	tb.Helper()
	text, err := os.ReadFile("testdata/sealed.golden")
	if err != nil {
		tb.Fatal(err)
	}
	sealed, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		tb.Fatal(err)
	}
	return sealed
}

func TestWhatWasSealedOnceOpensForEver(t *testing.T) {
	value, err := new(key).open(testBinding(), golden(t))
	if err != nil || string(value) != "refresh-token" {
		t.Errorf("%q %v: the format changed without a step", value, err)
	}
}

// What the store reads may have been written by anybody: nothing opens but
// what was sealed.
func FuzzOpenSealed(f *testing.F) {
	k, b, genuine := new(key), testBinding(), golden(f)
	f.Add(genuine)
	f.Add([]byte{})
	f.Add([]byte{sealVersion})
	f.Add(genuine[:sealHead])
	f.Add(bytes.Repeat([]byte{0xff}, 2000))
	f.Fuzz(func(t *testing.T, sealed []byte) {
		value, err := k.open(b, sealed)
		if (err == nil) != bytes.Equal(sealed, genuine) {
			t.Fatalf("%x opened to %q, %v", sealed, value, err)
		}
	})
}

func TestKeysAreReadStrictly(t *testing.T) {
	k := newKey()
	good := encodeKey(k)
	for _, tt := range []struct {
		text string
		ok   bool
	}{
		{good, true},
		{good + "\n", true},
		{good + "\n\n", false},
		{good + " ", false},
		{" " + good, false},
		{good[:len(good)-4], false},
		{good + good, false},
		{"", false},
		{"\n", false},
		{"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB=", false}, // stray bits
	} {
		got, ok := decodeKey([]byte(tt.text))
		if ok != tt.ok || ok && *got != *k {
			t.Errorf("%q: %v, want %v", tt.text, ok, tt.ok)
		}
	}
}
