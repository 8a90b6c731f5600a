package storetest_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"keyturn/backend/fault"
	"keyturn/backend/orchestrator"
	"keyturn/backend/store/storetest"
)

func TestMemoryIsAStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) (orchestrator.Store, func() orchestrator.Store) {
		m := storetest.NewMemory(time.Millisecond)
		return m, func() orchestrator.Store { return m }
	})
}

func TestMemoryTakesTimeAndFailsOnDemand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := storetest.NewMemory(time.Second)
		start := time.Now()
		if err := m.SaveConnection(t.Context(), storetest.Connection(1)); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(start); d != time.Second {
			t.Errorf("a save took %v", d)
		}
		full := fault.New(fault.DiskFull, "The disk is full.")
		m.FailSaves(full)
		if err := m.SaveConnection(t.Context(), storetest.Connection(2)); !errors.Is(err, full) {
			t.Error(err)
		}
		if err := m.Check(t.Context()); !errors.Is(err, full) {
			t.Error(err)
		}
		if n := len(m.Contents().Connections); n != 1 {
			t.Errorf("%d connections after a failed save", n)
		}
		m.FailSaves(nil)
		m.FailLoads(fault.New(fault.StoreLocked, "The keyring is locked."))
		if _, err := m.Load(t.Context()); fault.CodeOf(err) != fault.StoreLocked {
			t.Error(err)
		}
		m.FailLoads(nil)
		if c, err := m.Load(t.Context()); err != nil || len(c.Connections) != 1 {
			t.Errorf("%v %v", c, err)
		}
	})
}
