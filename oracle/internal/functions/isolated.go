package functions

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"regexp"
	"time"

	"podinit.dev/oracle/internal/protocol"
)

// endless are the exponents that Kubernetes' quantity parser works on for hours: it writes them out. A computation
// can't be stopped within a process, so requests with such a text are answered by a process of their own.
var endless = regexp.MustCompile(`[eE][-+]?[0-9]{6,}`)

// inside is set in the environment of such a process.
const inside = "PODINIT_ORACLE_ISOLATED"

// isolated answers a request in another process, which is ended if it does not come back.
func isolated(ctx context.Context, family string, fields json.RawMessage, patience time.Duration) (any, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, protocol.Errorf(protocol.Crash, "the oracle does not find itself: %s", err)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var line, out, complaints bytes.Buffer
	if err := json.Compact(&line, fields); err != nil {
		return nil, protocol.Errorf(protocol.NotJSON, "%s", err)
	}
	line.WriteByte('\n')
	c := exec.CommandContext(ctx, program, family)
	c.Env = append(os.Environ(), inside+"=1")
	c.Stdin, c.Stdout, c.Stderr = &line, &out, &complaints
	err = c.Run()
	var result protocol.Result
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return nil, protocol.Errorf(protocol.Hang, "there is no answer after %s", patience)
	case err != nil:
		return nil, protocol.Errorf(protocol.Crash, "%s: %s", err, protocol.Top(complaints.Bytes()))
	}
	if err := json.Unmarshal(out.Bytes(), &result); err != nil {
		return nil, protocol.Errorf(protocol.Crash, "the process for this request says %q: %s", out.String(), err)
	}
	if result.Error != nil {
		return nil, result.Error
	}
	return result.Answer, nil
}
