//go:build integration

package coldstart

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"
)

// patience bounds an invocation, and so every wait of the package.
const patience = 30 * time.Second

// process is a running function.
type process struct {
	api     *runtimeAPI
	cmd     *exec.Cmd
	started time.Time // just before exec
	ended   chan struct{}
	output  bytes.Buffer // to be read after ended
}

// start runs a binary as Lambda does, with env on top of what Lambda gives.
// The process ends with tb, if nobody kills it before.
func start(tb testing.TB, binary string, env map[string]string) *process {
	tb.Helper()
	p := &process{api: newRuntimeAPI(), ended: make(chan struct{})}
	p.cmd = exec.Command(binary)
	p.cmd.Dir = filepath.Dir(binary)
	p.cmd.Stdout, p.cmd.Stderr = &p.output, &p.output
	p.cmd.Env = []string{
		"PATH=/usr/local/bin:/usr/bin:/bin", "LANG=en_US.UTF-8", "TZ=:UTC", "_HANDLER=bootstrap",
		"AWS_LAMBDA_RUNTIME_API=" + p.api.addr, "AWS_LAMBDA_FUNCTION_NAME=f", "AWS_LAMBDA_FUNCTION_VERSION=$LATEST",
		"AWS_LAMBDA_FUNCTION_MEMORY_SIZE=256", "AWS_LAMBDA_INITIALIZATION_TYPE=on-demand", "AWS_LAMBDA_LOG_FORMAT=JSON",
		"AWS_LAMBDA_LOG_GROUP_NAME=/spillway/f", "AWS_LAMBDA_LOG_STREAM_NAME=s",
		"AWS_REGION=" + region, "AWS_DEFAULT_REGION=" + region,
		"AWS_ACCESS_KEY_ID=" + accessKey, "AWS_SECRET_ACCESS_KEY=" + secretKey, "AWS_SESSION_TOKEN=" + sessionToken,
	}
	for name, value := range env {
		p.cmd.Env = append(p.cmd.Env, name+"="+value)
	}
	p.started = time.Now()
	if err := p.cmd.Start(); err != nil {
		p.api.stop()
		tb.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait() // it is killed; whoever waits for an answer sees an end before that
	}()
	tb.Cleanup(p.kill)
	return p
}

// kill ends the process and waits until it is gone. More than once is fine.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may be gone
	<-p.ended
	p.api.stop()
}

// invoke hands over an event and returns the response.
func (p *process) invoke(ctx context.Context, event []byte) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case p.api.events <- event:
	case <-ctx.Done():
		return answer{}, ctx.Err()
	}
	select {
	case a := <-p.api.answers:
		if a.kind != "response" {
			return a, fmt.Errorf("the function answers an %s: %s", a.kind, a.body)
		}
		return a, nil
	case <-p.ended:
		return answer{}, errors.New("the function ended: " + p.output.String())
	case <-ctx.Done():
		return answer{}, ctx.Err()
	}
}

var vmRSS = regexp.MustCompile(`(?m)^VmRSS:\s+(\d+) kB$`)

// resident returns the memory that the process holds, in bytes; false where
// there is no /proc to ask.
func (p *process) resident() (int64, bool) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, false
	}
	m := vmRSS.FindSubmatch(status)
	if m == nil {
		return 0, false
	}
	kib, err := strconv.ParseInt(string(m[1]), 10, 64)
	return kib << 10, err == nil
}
