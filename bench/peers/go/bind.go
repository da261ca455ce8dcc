// Binding of a goroutine to a thread, and of that to a processor.

package main

import (
	"runtime"
	"syscall"
	"unsafe"
)

// bindHere lets the calling goroutine run in a thread of its own, on the nth processor only. The thread ends with it.
func bindHere(k *kit, nth int) {
	only := [16]uint64{1 << nth}
	runtime.LockOSThread()
	_, _, err := syscall.RawSyscall(syscall.SYS_SCHED_SETAFFINITY, 0, unsafe.Sizeof(only), uintptr(unsafe.Pointer(&only)))
	k.check(err == 0, "a processor")
}
