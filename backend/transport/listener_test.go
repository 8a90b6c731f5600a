package transport

import (
	"net"
	"testing"
)

func TestTheConnectionThatMattersLeastGoesFirst(t *testing.T) {
	on := &listener{conns: map[*conn]struct{}{}}
	open := func() *conn {
		here, there := net.Pipe()
		t.Cleanup(func() { here.Close(); there.Close() })
		c := &conn{Conn: here, on: on}
		if old := on.admit(c); old != nil {
			t.Fatal("evicted before the cap")
		}
		return c
	}
	genuine, answering, silent, older, newer := open(), open(), open(), open(), open()
	genuine.spare()
	genuine.begin()
	genuine.end()
	answering.begin()
	for _, c := range []*conn{older, newer} {
		c.begin()
		c.end()
	}
	for len(on.conns) < maxConns {
		c := open()
		c.spare()
	}
	for _, want := range []struct {
		name string
		c    *conn
	}{{"idle after an answer, older", older}, {"idle after an answer, newer", newer}, {"silent", silent}, {"being answered", answering}} {
		fresh := &conn{on: on}
		if got := on.admit(fresh); got != want.c {
			t.Errorf("evicted another one than the one %s", want.name)
		}
		fresh.spare()
	}
	// All sixty-four are genuine: even so the new one comes in.
	if got := on.admit(&conn{on: on}); got == nil || len(on.conns) != maxConns {
		t.Error("nobody made room")
	}
}
