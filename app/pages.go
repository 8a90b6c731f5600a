package app

import (
	"net/http"
	"strings"
)

// policy is the Content-Security-Policy of the window: it runs what was built
// into this program, and talks to this program.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; " +
	"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// pageOrigins are the origins that a window's own page has, by system.
var pageOrigins = map[string]bool{
	"wails://wails":          true, // Linux, macOS
	"http://wails.localhost": true, // Windows
}

// pages serves the window: the API's own door under /api/, everything else
// from assets.
func pages(door, assets http.Handler) http.Handler {
	door = http.StripPrefix("/api", door)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		if !strings.HasPrefix(r.URL.Path, "/api/") {
			assets.ServeHTTP(w, r)
			return
		}
		// Should the window ever be led to a stranger's page, that page is not
		// the window.
		if origin := r.Header.Get("Origin"); origin != "" && !pageOrigins[origin] {
			http.Error(w, "This page is not Keyturn's.", http.StatusForbidden)
			return
		}
		door.ServeHTTP(w, r)
	})
}
