package orchestrator_test

import (
	"testing"

	"keyturn/backend/demo"
	"keyturn/backend/fault"
)

func TestHandOutsArePausedAndGoOn(t *testing.T) {
	run(t, demo.Options{}, func(t *testing.T, w *world) {
		bell, stop := w.Changes()
		defer stop()
		<-bell
		for range 2 {
			w.Pause(true)
		}
		if len(bell) != 1 || !w.Snapshot().Paused || fault.CodeOf(w.HandsOut()) != fault.Paused {
			t.Errorf("%d rings, %v", len(bell), w.HandsOut())
		}
		<-bell
		w.Pause(true)
		if len(bell) != 0 {
			t.Error("rang for nothing")
		}
		w.Pause(false)
		if len(bell) != 1 || w.Snapshot().Paused || w.HandsOut() != nil {
			t.Errorf("%v", w.HandsOut())
		}
	})
}
