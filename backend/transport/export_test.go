package transport

import "time"

// SetLimits makes what takes a minute take less.
func (l *Loopback) SetLimits(result, patience time.Duration) {
	l.limits.result, l.limits.patience = result, patience
}

// OpenPorts counts what listens.
func (l *Loopback) OpenPorts() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.listeners)
}

// Remembered counts the attempts and results in memory.
func (l *Loopback) Remembered() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.attempts) + len(l.results)
}

// OpenConns counts connections, all ports together.
func (l *Loopback) OpenConns() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, on := range l.listeners {
		on.mu.Lock()
		n += len(on.conns)
		on.mu.Unlock()
	}
	return n
}

// GenuineConns counts those that are never closed to make room.
func (l *Loopback) GenuineConns() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, on := range l.listeners {
		on.mu.Lock()
		for c := range on.conns {
			if c.genuine {
				n++
			}
		}
		on.mu.Unlock()
	}
	return n
}

// Hostile is the payload set X of the injection cases.
var Hostile = hostile

const MaxConns = maxConns
