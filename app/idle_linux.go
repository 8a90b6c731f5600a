package app

import (
	"bufio"
	"bytes"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// startPages are the parts of our program file and of its libraries that were
// mapped when it began, by address.
//
// A start touches most of them once: the dynamic linker looks through every
// library of the window, and the program sets up what it may need. The system
// counts them as ours from then on, though most days nobody opens the window.
//
// Given back, a page costs nothing until it is needed, and is then found in
// the cache of the system, or read from the file again. That is so only for
// pages which are as they are in the file, in places that nobody maps anew:
//
//   - only what was there before the program did anything: the dynamic linker
//     never takes it away again, and is done with writing to it;
//   - only what nobody may write to, and nobody has changed a page of.
type startPages map[span]bool

type span struct{ from, to uintptr }

// pagesAtStart is called before anything can load a library.
func pagesAtStart() startPages {
	all := startPages{}
	eachMapping("/proc/self/maps", func(at span, isFile bool) {
		if isFile {
			all[at] = true
		}
	}, nil)
	return all
}

// giveBack gives the pages back that are as they are in the file.
func (all startPages) giveBack() {
	var at span
	var fits bool
	eachMapping("/proc/self/smaps", func(s span, isFile bool) {
		at, fits = s, isFile && all[s]
	}, func(name, value []byte) {
		if fits && string(name) == "Anonymous" && string(value) == "0 kB" {
			// A refusal, of pages that are locked into memory, is no harm.
			_, _, _ = unix.Syscall(unix.SYS_MADVISE, at.from, at.to-at.from, unix.MADV_DONTNEED)
		}
	})
}

// eachMapping reads a list of mappings (proc(5)): a line for each, and in
// smaps its properties below. isFile says that it is a file which cannot be
// written through it. Without /proc there are none.
func eachMapping(path string, mapping func(at span, isFile bool), property func(name, value []byte)) {
	f, err := os.Open(path)
	if err != nil {
		return
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if name, value, found := bytes.Cut(lines.Bytes(), []byte(": ")); found && property != nil && name[0] >= 'A' && name[0] <= 'Z' {
			property(name, bytes.TrimSpace(value))
			continue
		}
		// 00400000-00452000 r-xp 00000000 08:02 173521 /usr/bin/program
		fields := strings.Fields(lines.Text())
		if len(fields) < 5 {
			return
		}
		from, to, _ := strings.Cut(fields[0], "-")
		first, err1 := strconv.ParseUint(from, 16, 64)
		last, err2 := strconv.ParseUint(to, 16, 64)
		if err1 != nil || err2 != nil {
			return
		}
		mapping(span{uintptr(first), uintptr(last)}, fields[4] != "0" && (fields[1] == "r--p" || fields[1] == "r-xp"))
	}
}
