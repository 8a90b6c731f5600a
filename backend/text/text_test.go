package text_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"keyturn/backend/text"
)

func TestClean(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"plain", "octocat", "octocat"},
		{"accents and scripts", "Zoë Łukasz 東京", "Zoë Łukasz 東京"},
		{"title sequence", "\x1b]0;pwn\x07x", "]0;pwnx"},
		{"C1", "\u009b31mred", "31mred"},
		{"invalid bytes", "\xff\xfea", "a"},
		{"forged log line", "a\n2026-01-01 INFO forged", "a 2026-01-01 INFO forged"},
		{"carriage return", "safe\rEVIL", "safe EVIL"},
		{"bidi override", "\u202egnp.exe", "gnp.exe"},
		{"isolates", "\u2066x\u2069", "x"},
		{"zero width", "a" + strings.Repeat("\u200b", 1000) + "b", "ab"},
		{"line separator", "a\u2028b", "a b"},
		{"NUL", "a\x00b", "ab"},
		{"only blanks", " \t\n", ""},
		{"outer blanks", "  a  b  ", "a b"},
		{"marks", "e" + strings.Repeat("\u0301", 50), "e\u0301\u0301"},
	} {
		if got := text.Clean(tt.in, 80); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestCleanCutsWithAnEllipsis(t *testing.T) {
	if got := text.Clean("abcdef", 6); got != "abcdef" {
		t.Errorf("%q", got)
	}
	if got := text.Clean("abcdefg", 6); got != "abcde…" {
		t.Errorf("%q", got)
	}
	if got := text.Clean("abcd efgh", 6); got != "abcd…" && got != "abcd …" && got != "abcd e…" {
		t.Errorf("%q", got)
	}
}

func TestMarkupHasNoMarkup(t *testing.T) {
	if got := text.Markup(`<a href="x">R&amp;D</a>`, 80); strings.ContainsAny(got, "<>&") {
		t.Errorf("%q", got)
	}
}

func FuzzClean(f *testing.F) {
	for _, s := range []string{"", "a b", "\x1b[2J", "\u202e", "e\u0301\u0301\u0301", strings.Repeat("A", 1<<16), "a\u00a0\u0301b"} {
		f.Add(s, 20)
	}
	f.Fuzz(func(t *testing.T, s string, max int) {
		if max > 1<<12 {
			max = 1 << 12
		}
		got := text.Clean(s, max)
		if !utf8.ValidString(got) {
			t.Fatalf("invalid UTF-8: %q", got)
		}
		if n := utf8.RuneCountInString(got); max > 0 && n > max {
			t.Fatalf("%d runes, at most %d", n, max)
		}
		for _, r := range got {
			if unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Co, unicode.Cs) {
				t.Fatalf("%U in %q", r, got)
			}
		}
		if again := text.Clean(got, max); again != got {
			t.Fatalf("not idempotent: %q then %q", got, again)
		}
	})
}
