//go:build !amd64 && !arm64

package lives

import (
	"bytes"
	"runtime"
	"strconv"
)

// goroutine tells goroutines apart that live at the same time.
func goroutine() uintptr {
	var buf [40]byte
	b := bytes.TrimPrefix(buf[:runtime.Stack(buf[:], false)], []byte("goroutine "))
	n, _ := strconv.Atoi(string(b[:max(bytes.IndexByte(b, ' '), 0)]))
	return uintptr(n)
}
