package storetest

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"keyturn/backend/orchestrator"
	"keyturn/backend/provider"
)

// Memory is an orchestrator.Store without a disk: it takes time as a disk
// does, one change after the other, and fails when it is told to. It blocks
// only on channels and time.Sleep, so it idles inside a synctest bubble.
type Memory struct {
	latency time.Duration
	turn    chan struct{} // holds a token while nobody is at work

	mu          sync.Mutex // guards what is below; never held across a sleep
	connections map[string]orchestrator.Record
	apps        map[string]orchestrator.App
	providers   map[string]provider.Provider
	damaged     []orchestrator.Damaged
	failLoads   error
	failChecks  error
	failSaves   error
	spared      int // saves that still succeed before failSaves counts
	failDeletes error
	saves       int
}

// NewMemory returns an empty store whose every call takes latency.
func NewMemory(latency time.Duration) *Memory {
	m := &Memory{
		latency:     latency,
		turn:        make(chan struct{}, 1),
		connections: map[string]orchestrator.Record{},
		apps:        map[string]orchestrator.App{},
		providers:   map[string]provider.Provider{},
	}
	m.turn <- struct{}{}
	return m
}

// FailLoads makes Load and Check fail with err, as a locked key does; nil ends it.
func (m *Memory) FailLoads(err error) { m.set(func() { m.failLoads = err }) }

// FailChecks makes Check fail with err; nil ends it.
func (m *Memory) FailChecks(err error) { m.set(func() { m.failChecks = err }) }

// FailSaves makes every save fail with err, and Check report it, as a full
// disk does; nil ends it.
func (m *Memory) FailSaves(err error) { m.FailSavesAfter(0, err) }

// FailSavesAfter is FailSaves once n more saves have succeeded.
func (m *Memory) FailSavesAfter(n int, err error) {
	m.set(func() { m.spared, m.failSaves = n, err })
}

// FailDeletes makes every delete fail with err; nil ends it.
func (m *Memory) FailDeletes(err error) { m.set(func() { m.failDeletes = err }) }

// AddDamaged lists d among what Load cannot open.
func (m *Memory) AddDamaged(d orchestrator.Damaged) {
	m.set(func() { m.damaged = append(m.damaged, d) })
}

// Saves returns how many saves and deletes have succeeded.
func (m *Memory) Saves() (n int) {
	m.set(func() { n = m.saves })
	return n
}

// Contents returns what is kept, at once and whatever fails.
func (m *Memory) Contents() (c orchestrator.Contents) {
	m.set(func() { c = m.contentsLocked() })
	return c
}

func (m *Memory) set(change func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change()
}

// work waits for its turn and takes the latency of one call. A call that has
// begun is finished even when ctx ends meanwhile, as on a disk.
func (m *Memory) work(ctx context.Context, do func() error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case <-m.turn:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { m.turn <- struct{}{} }()
	time.Sleep(m.latency)
	m.mu.Lock()
	defer m.mu.Unlock()
	return do()
}

// change is work that counts as a save when it succeeds.
func (m *Memory) change(ctx context.Context, fail *error, do func()) error {
	return m.work(ctx, func() error {
		if m.failLoads != nil {
			return m.failLoads
		}
		if fail == &m.failSaves && m.spared > 0 {
			m.spared--
		} else if *fail != nil {
			return *fail
		}
		do()
		m.saves++
		return nil
	})
}

func (m *Memory) contentsLocked() orchestrator.Contents {
	var c orchestrator.Contents
	for _, id := range slices.Sorted(maps.Keys(m.connections)) {
		c.Connections = append(c.Connections, cloneRecord(m.connections[id]))
	}
	for _, id := range slices.Sorted(maps.Keys(m.apps)) {
		c.Apps = append(c.Apps, m.apps[id])
	}
	for _, id := range slices.Sorted(maps.Keys(m.providers)) {
		c.Providers = append(c.Providers, m.providers[id])
	}
	c.Damaged = slices.Clone(m.damaged)
	return c
}

// Load implements orchestrator.Store.
func (m *Memory) Load(ctx context.Context) (c orchestrator.Contents, err error) {
	err = m.work(ctx, func() error {
		if m.failLoads != nil {
			return m.failLoads
		}
		c = m.contentsLocked()
		return nil
	})
	return c, err
}

// Check implements orchestrator.Store.
func (m *Memory) Check(ctx context.Context) error {
	return m.work(ctx, func() error {
		for _, err := range []error{m.failLoads, m.failChecks, m.failSaves} {
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// SaveConnection implements orchestrator.Store.
func (m *Memory) SaveConnection(ctx context.Context, r orchestrator.Record) error {
	r = cloneRecord(r)
	return m.change(ctx, &m.failSaves, func() { m.connections[r.ID] = r })
}

// DeleteConnection implements orchestrator.Store.
func (m *Memory) DeleteConnection(ctx context.Context, id string) error {
	return m.change(ctx, &m.failDeletes, func() {
		delete(m.connections, id)
		m.forgetDamagedLocked("connection", id)
	})
}

// SaveApp implements orchestrator.Store.
func (m *Memory) SaveApp(ctx context.Context, a orchestrator.App) error {
	a.Created, a.Updated = wall(a.Created), wall(a.Updated)
	return m.change(ctx, &m.failSaves, func() { m.apps[a.ID] = a })
}

// DeleteApp implements orchestrator.Store.
func (m *Memory) DeleteApp(ctx context.Context, id string) error {
	return m.change(ctx, &m.failDeletes, func() {
		delete(m.apps, id)
		m.forgetDamagedLocked("app", id)
	})
}

// SaveProvider implements orchestrator.Store.
func (m *Memory) SaveProvider(ctx context.Context, p provider.Provider) error {
	p.Custom = true
	return m.change(ctx, &m.failSaves, func() { m.providers[p.ID] = p })
}

// DeleteProvider implements orchestrator.Store.
func (m *Memory) DeleteProvider(ctx context.Context, id string) error {
	return m.change(ctx, &m.failDeletes, func() {
		delete(m.providers, id)
		m.forgetDamagedLocked("provider", id)
	})
}

// Protector implements orchestrator.Store.
func (m *Memory) Protector() string { return "key_file" }

func (m *Memory) forgetDamagedLocked(kind, id string) {
	m.damaged = slices.DeleteFunc(m.damaged, func(d orchestrator.Damaged) bool {
		return d.Kind == kind && d.ID == id
	})
}

func cloneRecord(r orchestrator.Record) orchestrator.Record {
	r.Requested = slices.Clone(r.Requested)
	r.Granted = slices.Clone(r.Granted)
	r.Token.Scopes = slices.Clone(r.Token.Scopes)
	for _, t := range []*time.Time{&r.Token.Expiry, &r.Token.RefreshExpiry, &r.Since, &r.RefreshSent, &r.Created, &r.Authorized, &r.Refreshed} {
		*t = wall(*t)
	}
	return r
}

// wall is what a disk keeps of a time: UTC, without a monotonic reading.
func wall(t time.Time) time.Time { return t.Round(0).UTC() }

var _ orchestrator.Store = (*Memory)(nil)
