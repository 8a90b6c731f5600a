// Package text makes words from strangers fit to show.
//
// Everything a provider, a callback or a caller says may end up in a terminal,
// a tray menu, a notification, a page or a log line. Clean is the only way
// there: one line, valid UTF-8, nothing that moves a cursor, reverses a
// direction, hides itself or forges a second line.
package text

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Clean returns s as one printable line of at most max runes. White space and
// line breaks become one blank; control, format and private characters,
// unpaired bytes and stacked combining marks are dropped; what is cut ends
// in an ellipsis. Clean(Clean(s, n), n) == Clean(s, n).
func Clean(s string, max int) string {
	if max <= 0 {
		return ""
	}
	// A rune is at most four bytes and most of what is dropped is short: a
	// bounded look at a hostile megabyte is enough.
	if limit := 64 * (max + 1); len(s) > limit {
		s = s[:limit]
	}
	var b strings.Builder
	runes, marks, blank := 0, 0, false
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		i += size
		switch {
		case r == utf8.RuneError && size == 1:
			continue
		case unicode.IsSpace(r) || r == '\u2028' || r == '\u2029':
			blank = runes > 0
			continue
		case unicode.Is(unicode.M, r):
			if marks++; marks > 2 || runes == 0 || blank {
				continue
			}
		case !unicode.IsPrint(r) || unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Co, r):
			continue
		default:
			marks = 0
		}
		need := 1
		if blank {
			need = 2
		}
		if runes+need > max {
			return truncate(b.String(), max)
		}
		if blank {
			b.WriteByte(' ')
			runes, blank = runes+1, false
		}
		b.WriteRune(r)
		runes++
	}
	return b.String()
}

// truncate makes room for the ellipsis when s already has max runes.
func truncate(s string, max int) string {
	r := []rune(s)
	if len(r) >= max {
		r = r[:max-1]
	}
	return strings.TrimRight(string(r), " ") + "…"
}

// Markup is Clean without the characters that notification servers read as
// markup.
func Markup(s string, max int) string {
	return Clean(strings.Map(func(r rune) rune {
		switch r {
		case '<', '>', '&':
			return -1
		}
		return r
	}, s), max)
}
