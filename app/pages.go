package app

import (
	"net/http"
	"strings"

	"keyturn/backend/webui"
)

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
		h.Set("Content-Security-Policy", webui.Policy)
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
