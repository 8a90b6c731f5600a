//go:build linux

package rig

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Tracer runs a program of an install and sees every system call of all its
// threads, in the order in which they happen (ptrace(2)). strace counts the
// calls of each thread for itself, and a Go program changes threads as it
// likes; here the count is one for the whole program, so that "the 17th" means
// the same moment whoever makes it.
type Tracer struct {
	pid  int
	done chan struct{} // closed when the program has ended

	mu     sync.Mutex // guards what follows
	armed  bool
	killAt Kill
	calls  []string // since Arm
	killed string   // the call it was killed at
	when   time.Time
}

// Kill is a moment: before the nth call (from 1) takes effect, or after it has
// and before the program knows. The zero Kill never comes.
type Kill struct {
	Call  int
	After bool
}

// RunTraced starts a program on the home under a tracer and waits for its
// socket.
func (k *Install) RunTraced(name string, args ...string) *Tracer {
	k.t.Helper()
	tr := &Tracer{done: make(chan struct{})}
	started := make(chan error)
	go func() {
		// The thread that starts a program is the one that may trace it.
		runtime.LockOSThread()
		defer close(tr.done)
		k.traced = true
		err := k.begin(name, args...)
		if err == nil {
			tr.pid = k.Cmd.Process.Pid
			err = tr.attach()
		}
		started <- err
		if err == nil {
			tr.follow()
		}
		// The thread ends with the goroutine: it was never unlocked.
	}()
	err := <-started
	k.traced = false
	if err != nil {
		k.t.Fatal("the program cannot be traced: ", err)
	}
	k.t.Cleanup(tr.Kill)
	k.await()
	return tr
}

// Arm counts from now on, and kills when the moment comes.
func (tr *Tracer) Arm(at Kill) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.armed, tr.killAt, tr.calls, tr.killed, tr.when = true, at, nil, "", time.Time{}
}

// Disarm stops counting and returns the calls there were, the one that the
// program was killed at, "" for none, and when that was.
func (tr *Tracer) Disarm() (calls []string, killed string, when time.Time) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.armed = false
	return tr.calls, tr.killed, tr.when
}

// Kill ends the program as a power cut would.
func (tr *Tracer) Kill() {
	_ = unix.Kill(tr.pid, unix.SIGKILL)
	<-tr.done
}

// Ended is closed when the program has ended.
func (tr *Tracer) Ended() <-chan struct{} { return tr.done }

// attach takes over at the stop after execve.
func (tr *Tracer) attach() error {
	var status unix.WaitStatus
	if _, err := unix.Wait4(tr.pid, &status, unix.WALL, nil); err != nil {
		return err
	}
	if !status.Stopped() {
		return errors.New("it ended at once")
	}
	if err := unix.PtraceSetOptions(tr.pid, unix.PTRACE_O_TRACESYSGOOD|unix.PTRACE_O_TRACECLONE|unix.PTRACE_O_EXITKILL); err != nil {
		return err
	}
	return unix.PtraceSyscall(tr.pid, 0)
}

// follow handles the stops of all threads until the last has ended.
func (tr *Tracer) follow() {
	known := map[int]bool{tr.pid: true}
	inside := map[int]uint64{} // thread → number of the call it is in
	for {
		var status unix.WaitStatus
		// Only the tracees of this thread: other children are somebody else's.
		tid, err := unix.Wait4(-1, &status, unix.WALL|unix.WNOTHREAD, nil)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return // ECHILD: all have ended
		case !status.Stopped():
			delete(known, tid)
			continue
		}
		deliver := 0
		switch sig := status.StopSignal(); {
		case sig == unix.SIGTRAP|0x80:
			tr.stopped(tid, inside)
		case sig == unix.SIGTRAP: // a clone, or the new program
		case sig == unix.SIGSTOP && !known[tid]: // a new thread
			known[tid] = true
		default:
			deliver = int(sig)
		}
		_ = unix.PtraceSyscall(tid, deliver) // ESRCH: killed meanwhile
	}
}

// callInfo is struct ptrace_syscall_info of ptrace(2), as far as an entry.
type callInfo struct {
	op   uint8
	_    [3]uint8
	arch uint32
	ip   uint64
	sp   uint64
	nr   uint64
	args [6]uint64
	_    [2]uint64
}

const (
	ptraceGetSyscallInfo = 0x420e
	opEntry              = 1
	opExit               = 2
)

// stopped handles a stop at the entry or the exit of a system call.
func (tr *Tracer) stopped(tid int, inside map[int]uint64) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	var info callInfo
	_, _, errno := syscall.Syscall6(syscall.SYS_PTRACE, ptraceGetSyscallInfo, uintptr(tid), unsafe.Sizeof(info), uintptr(unsafe.Pointer(&info)), 0, 0)
	if errno != 0 {
		return
	}
	switch info.op {
	case opEntry:
		delete(inside, tid)
		name, counts := callNames[info.nr]
		if !tr.armed || !counts && internal[info.nr] {
			return
		}
		if !counts {
			name = fmt.Sprintf("call %d", info.nr)
		}
		tr.calls = append(tr.calls, name+tr.about(info))
		inside[tid] = uint64(len(tr.calls))
		if !tr.killAt.After {
			tr.strike(len(tr.calls))
		}
	case opExit:
		if n := inside[tid]; n > 0 && tr.armed && tr.killAt.After {
			tr.strike(int(n))
		}
		delete(inside, tid)
	}
}

// strike kills the program when its call has come. A thread that waits at the
// entry of a call when it is killed does not make it.
func (tr *Tracer) strike(call int) {
	if call != tr.killAt.Call || tr.killed != "" {
		return
	}
	tr.killed, tr.when = tr.calls[call-1], time.Now()
	_ = unix.Kill(tr.pid, unix.SIGKILL)
}

// about says which file a call is about.
func (tr *Tracer) about(info callInfo) string {
	if noFile[info.nr] {
		return ""
	}
	to, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", tr.pid, int32(info.args[0])))
	switch {
	case err != nil:
		return ""
	case strings.HasPrefix(to, "socket:"):
		return " of a socket"
	case strings.HasPrefix(to, "anon_inode:"), strings.HasPrefix(to, "pipe:"):
		return " of the runtime"
	}
	return " of " + to[strings.LastIndexByte(to, '/')+1:]
}

// callNames are the calls by which a program touches the world.
var callNames = map[uint64]string{
	unix.SYS_READ: "read", unix.SYS_WRITE: "write", unix.SYS_PREAD64: "pread64", unix.SYS_PWRITE64: "pwrite64",
	unix.SYS_READV: "readv", unix.SYS_WRITEV: "writev",
	unix.SYS_OPENAT: "openat", unix.SYS_CLOSE: "close", unix.SYS_FSYNC: "fsync", unix.SYS_FDATASYNC: "fdatasync",
	unix.SYS_FTRUNCATE: "ftruncate", unix.SYS_FALLOCATE: "fallocate", unix.SYS_LSEEK: "lseek", unix.SYS_FCNTL: "fcntl",
	unix.SYS_FSTAT: "fstat", unix.SYS_UNLINKAT: "unlinkat", unix.SYS_RENAMEAT: "renameat",
	unix.SYS_SOCKET: "socket", unix.SYS_CONNECT: "connect", unix.SYS_ACCEPT4: "accept4", unix.SYS_SENDTO: "sendto",
	unix.SYS_RECVFROM: "recvfrom", unix.SYS_SENDMSG: "sendmsg", unix.SYS_RECVMSG: "recvmsg", unix.SYS_SHUTDOWN: "shutdown",
	unix.SYS_SETSOCKOPT: "setsockopt", unix.SYS_GETSOCKOPT: "getsockopt", unix.SYS_GETSOCKNAME: "getsockname",
	unix.SYS_GETPEERNAME: "getpeername", unix.SYS_EPOLL_CTL: "epoll_ctl",
}

// internal are the calls of Go's scheduler and memory: nobody outside sees them.
var internal = map[uint64]bool{
	unix.SYS_FUTEX: true, unix.SYS_NANOSLEEP: true, unix.SYS_CLOCK_NANOSLEEP: true, unix.SYS_SCHED_YIELD: true,
	unix.SYS_EPOLL_PWAIT: true, unix.SYS_RT_SIGACTION: true, unix.SYS_RT_SIGPROCMASK: true, unix.SYS_RT_SIGRETURN: true,
	unix.SYS_SIGALTSTACK: true, unix.SYS_TGKILL: true, unix.SYS_GETPID: true, unix.SYS_GETTID: true,
	unix.SYS_MADVISE: true, unix.SYS_MMAP: true, unix.SYS_MUNMAP: true, unix.SYS_MPROTECT: true, unix.SYS_PRCTL: true,
	unix.SYS_CLONE: true, unix.SYS_CLONE3: true, unix.SYS_SET_ROBUST_LIST: true, unix.SYS_RSEQ: true, unix.SYS_EXIT: true,
	unix.SYS_RESTART_SYSCALL: true, unix.SYS_TIMER_CREATE: true, unix.SYS_TIMER_SETTIME: true, unix.SYS_TIMER_DELETE: true,
	unix.SYS_GETRANDOM: true, unix.SYS_CLOCK_GETTIME: true,
}

// noFile are those of them whose first argument is no file.
var noFile = map[uint64]bool{
	unix.SYS_OPENAT: true, unix.SYS_SOCKET: true, unix.SYS_UNLINKAT: true, unix.SYS_RENAMEAT: true,
	unix.SYS_EPOLL_CTL: true,
}
