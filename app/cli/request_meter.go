package main

import (
	"fmt"
	"io"
	"sync"
	"time"

	"keyturn/backend/client"
)

// A transfer that takes its time says how far it is, to somebody who watches.
const (
	meterAfter = 2 * time.Second
	meterEvery = 500 * time.Millisecond
)

// meter counts the bytes of a transfer. It shows nothing when err is nil.
type meter struct {
	err io.Writer

	mu         sync.Mutex
	began      time.Time
	shown      time.Time // zero: never
	sent, got  int64
	size, back int64 // of either; -1: not known
}

// newMeter shows progress on a terminal, unless the answer appears there.
func (k *command) newMeter(out output) *meter {
	m := &meter{began: time.Now(), size: -1, back: -1}
	if k.terminal && !out.silent && !k.json && (out.toFile() || !isTerminal(k.out)) {
		m.err = k.err
	}
	return m
}

// counting is content that is counted as it goes out.
func (m *meter) counting(c *client.Content) *client.Content {
	if c == nil || m.err == nil {
		return c
	}
	counted := *c
	counted.Open = func() (io.ReadCloser, error) {
		body, err := c.Open()
		if err != nil {
			return nil, err
		}
		m.mu.Lock()
		m.sent, m.size = 0, c.Size
		m.mu.Unlock()
		return &closing{counter{body, func(n int) { m.moved(&m.sent, n) }}, body}, nil
	}
	return &counted
}

// received is a body that is counted as it comes in.
func (m *meter) received(r io.Reader) io.Reader {
	if m.err == nil {
		return r
	}
	return counter{r, func(n int) { m.moved(&m.got, n) }}
}

func (m *meter) expect(n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.back = n
}

func (m *meter) moved(count *int64, n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	*count += int64(n)
	now := time.Now()
	if now.Sub(m.began) < meterAfter || now.Sub(m.shown) < meterEvery {
		return
	}
	m.shown = now
	line := "Sent " + progress(m.sent, m.size)
	if m.got > 0 {
		line = "Received " + progress(m.got, m.back)
	}
	fmt.Fprintf(m.err, "\r%-50s", line)
}

// end leaves the line.
func (m *meter) end() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.shown.IsZero() {
		fmt.Fprintln(m.err)
	}
}

func progress(n, of int64) string {
	const mib = 1 << 20
	if of < 0 {
		return fmt.Sprintf("%.1f MiB", float64(n)/mib)
	}
	return fmt.Sprintf("%.1f of %.1f MiB", float64(n)/mib, float64(of)/mib)
}

type counter struct {
	io.Reader
	count func(int)
}

func (c counter) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.count(n)
	return n, err
}
