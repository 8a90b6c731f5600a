package socket

import (
	"net"
	"unsafe"

	"golang.org/x/sys/windows"
)

// Peer asks the system which program is at the other end of the pipe, and what
// its executable is called.
func Peer(conn net.Conn) Process {
	pipe, ok := conn.(interface{ Fd() uintptr })
	if !ok {
		return Process{}
	}
	var pid uint32
	if windows.GetNamedPipeClientProcessId(windows.Handle(pipe.Fd()), &pid) != nil || pid == 0 {
		return Process{}
	}
	return process(int(pid))
}

func lookUp(pid int) (name string, parent int) {
	all, err := windows.CreateToolhelp32Snapshot(windows.TH32CS_SNAPPROCESS, 0)
	if err != nil {
		return "", 0
	}
	defer windows.CloseHandle(all)
	var p windows.ProcessEntry32
	p.Size = uint32(unsafe.Sizeof(p))
	for err = windows.Process32First(all, &p); err == nil; err = windows.Process32Next(all, &p) {
		if int(p.ProcessID) == pid {
			return nameOf(windows.UTF16ToString(p.ExeFile[:]), ""), int(p.ParentProcessID)
		}
	}
	return "", 0
}
