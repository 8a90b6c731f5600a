package fault_test

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"keyturn/backend/fault"
)

func TestCodeAndSentenceSurviveWrapping(t *testing.T) {
	inner := fault.Wrap(io.ErrUnexpectedEOF, fault.DiskFull, "The disk is full.")
	err := fmt.Errorf("save github: %w", inner)
	if got := fault.CodeOf(err); got != fault.DiskFull {
		t.Errorf("code %q, want disk_full", got)
	}
	if got := fault.MessageOf(err); got != "The disk is full." {
		t.Errorf("sentence %q", got)
	}
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error("the cause is lost")
	}
	if !errors.Is(err, fault.New(fault.DiskFull, "")) || errors.Is(err, fault.New(fault.Denied, "")) {
		t.Error("errors.Is does not compare codes")
	}
}

func TestAnErrorWithoutACodeDoesNotShowItsText(t *testing.T) {
	err := errors.New("open /home/ada/secret: no such file")
	if fault.CodeOf(err) != fault.Internal {
		t.Error("want internal")
	}
	if got := fault.MessageOf(err); got == err.Error() {
		t.Error("the text of an internal error reached a person")
	}
	if fault.CodeOf(nil) != "" || fault.MessageOf(nil) != "" {
		t.Error("nil is not a failure")
	}
}
