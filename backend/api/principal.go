package api

import (
	"context"
)

// Principal is who is calling. Doors decide it; the zero value is nobody, who
// may call nothing.
type Principal uint8

// The principals.
const (
	nobody  Principal = iota
	Local             // a program of this user, over the socket
	Window            // the window of this process
	WebUI             // the browser UI
	Gateway           // a gateway that forwards callbacks
)

// principals are all of them, in the order of the access matrix.
var principals = []Principal{Local, Window, WebUI, Gateway}

func (p Principal) String() string {
	switch p {
	case Local:
		return "local"
	case Window:
		return "window"
	case WebUI:
		return "web_ui"
	case Gateway:
		return "gateway"
	}
	return "nobody"
}

// access is a set of principals. The zero value admits nobody.
type access uint8

// Who may call a route. There is no set with everybody: the gateway's routes
// are its own.
const (
	localOnly     = access(1 << Local)
	windowOnly    = access(1 << Window)
	localOrWindow = access(1<<Local | 1<<Window)
	gatewayOnly   = access(1 << Gateway)
	user          = access(1<<Local | 1<<Window | 1<<WebUI) // the user, by whatever means
	person        = access(1<<Window | 1<<WebUI)            // the user in front of a screen
)

func (a access) admits(p Principal) bool { return p != nobody && a&(1<<p) != 0 }

func (a access) names() []string {
	names := []string{}
	for _, p := range principals {
		if a.admits(p) {
			names = append(names, p.String())
		}
	}
	return names
}

type principalKey struct{}

func withPrincipal(ctx context.Context, p Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, p)
}

// principalOf returns who made the request, for handlers whose answer depends
// on it.
func principalOf(ctx context.Context) Principal {
	p, _ := ctx.Value(principalKey{}).(Principal)
	return p
}
