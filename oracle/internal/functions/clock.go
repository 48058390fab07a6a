package functions

import (
	"runtime/debug"
	"testing"
	"testing/synctest"
	"time"

	"podinit.dev/oracle/internal/protocol"
)

// The virtual clock of a synctest bubble starts at midnight UTC of 2000-01-01, and the 64 bits in which Go counts
// its nanoseconds since 1970 end on 2262-04-11.
var (
	earliest = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	latest   = time.Unix(0, 1<<63-1).UTC().Truncate(time.Second)
)

// clock is the time at which a request asks its question, as RFC 3339.
type clock string

// at runs a function at that time: for it, time.Now() is exactly the clock's.
func (c clock) at(run func() error) (err error) {
	if c == "" {
		return missing("now")
	}
	now, parseErr := time.Parse(time.RFC3339Nano, string(c))
	if parseErr != nil {
		return protocol.Errorf(protocol.Invalid, "now: %q is no time in RFC 3339", string(c))
	}
	if now.Before(earliest) || now.After(latest) {
		return protocol.Errorf(protocol.Invalid, "now: %s is not between %s and %s", now.Format(time.RFC3339Nano),
			earliest.Format(time.RFC3339), latest.Format(time.RFC3339))
	}
	// The bubble runs the function in a goroutine of its own, in which a panic would end the process. Its test is
	// none: it reports nothing as long as nobody fails it.
	synctest.Test(new(testing.T), func(*testing.T) {
		defer func() {
			if p := recover(); p != nil {
				err = crash(p, debug.Stack())
			}
		}()
		time.Sleep(time.Until(now))
		err = run()
	})
	return err
}
