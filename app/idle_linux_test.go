package app

import (
	"os"
	"path/filepath"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

func TestOnlyPagesAsTheyAreInTheFileAreGivenBack(t *testing.T) {
	unchanged, changed, later := mapped(t), mapped(t), mapped(t)
	lock(t, unchanged)
	changed[0] = 'c' // as the dynamic linker does, before it locks the part
	lock(t, changed)
	lock(t, later)
	start := pagesAtStart()
	delete(start, spanOf(later))
	if !start[spanOf(unchanged)] || !start[spanOf(changed)] {
		t.Fatal("a part that is mapped is not seen")
	}
	for _, part := range [][]byte{unchanged, changed, later} {
		if held(t, part) == "0 kB" {
			t.Fatal("a part was read, and is not held")
		}
	}
	start.giveBack()
	if now := held(t, unchanged); now != "0 kB" {
		t.Errorf("of a part as it is in the file, %s are still held", now)
	}
	if held(t, changed) == "0 kB" || changed[0] != 'c' {
		t.Error("a part that was changed is given back, and its change is lost")
	}
	if held(t, later) == "0 kB" {
		t.Error("a part that was mapped after the start is given back")
	}
	if unchanged[0] != 'f' || later[0] != 'f' {
		t.Error("a page that was given back did not come back")
	}
}

// mapped maps a file as the dynamic linker does, and reads from it.
func mapped(t *testing.T) []byte {
	t.Helper()
	const size = 64 << 10
	path := filepath.Join(t.TempDir(), "library")
	content := make([]byte, size)
	content[0] = 'f'
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	part, err := unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Munmap(part) })
	if part[0] != 'f' {
		t.Fatal("the file is not there")
	}
	return part
}

// lock keeps a part from being written to.
func lock(t *testing.T, part []byte) {
	t.Helper()
	if err := unix.Mprotect(part, unix.PROT_READ); err != nil {
		t.Fatal(err)
	}
}

// held returns how much of a part is counted as ours.
func held(t *testing.T, part []byte) (size string) {
	t.Helper()
	var at span
	eachMapping("/proc/self/smaps", func(s span, _ bool) { at = s }, func(name, value []byte) {
		if at == spanOf(part) && string(name) == "Rss" {
			size = string(value)
		}
	})
	if size == "" {
		t.Fatal("a part is not in the list")
	}
	return size
}

func spanOf(part []byte) span {
	from := uintptr(unsafe.Pointer(&part[0]))
	return span{from, from + uintptr(len(part))}
}
