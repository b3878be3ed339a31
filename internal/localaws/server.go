package localaws

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"
)

//go:embed launcher.py
var launcher string

// Server says which MiniStack to start. The zero value is one on a free port that enforces no IAM policies.
type Server struct {
	// Port to listen on, on 127.0.0.1 only. Defaults to a free one.
	Port int
	// Auth enforces the policies of the functions' roles on the calls they make, which proves that the roles in the
	// template allow enough. (That they allow no more is for the reader.)
	Auth bool
	// FunctionEndpoint is where the functions send their AWS calls, for example a proxy in front of this server.
	// Defaults to the server itself.
	FunctionEndpoint string
}

// Instance is a running MiniStack.
type Instance struct {
	Endpoint string    `json:"endpoint"` // http://127.0.0.1:PORT
	PID      int       `json:"pid"`
	Log      string    `json:"log"` // file with its output
	Dir      string    `json:"dir"` // what it and the functions leave behind; goes when it goes
	Auth     bool      `json:"auth"`
	Started  time.Time `json:"started"`

	// StartTime tells this process from a later one with the same pid.
	StartTime string `json:"start_time"`

	ended <-chan struct{} // closed when the process has ended; nil when another process started it
}

// Start starts an instance that ends with this process at the latest, even if that is killed.
func (c *Checkout) Start(ctx context.Context, server Server) (*Instance, error) {
	return c.start(ctx, server, true)
}

func (c *Checkout) start(ctx context.Context, server Server, tied bool) (instance *Instance, err error) {
	if err := supported(); err != nil {
		return nil, err
	}
	err = c.progress.step("starting the local AWS", func() error {
		// A free port may be taken by somebody else before MiniStack gets there; then another one will do.
		for try := 0; ; try++ {
			port := server.Port
			if port == 0 {
				if port, err = FreePort(); err != nil {
					return err
				}
			}
			if instance, err = c.launch(ctx, port, server, tied); err == nil || server.Port != 0 || try == 2 || ctx.Err() != nil {
				return err
			}
		}
	})
	return instance, err
}

// launch starts MiniStack and waits until it answers.
func (c *Checkout) launch(ctx context.Context, port int, server Server, tied bool) (*Instance, error) {
	python, err := c.tool("python")
	if err != nil {
		return nil, err
	}
	dir, err := c.localDir()
	if err != nil {
		return nil, err
	}
	dir = filepath.Join(dir, fmt.Sprintf("ministack-%d", port))
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(filepath.Join(dir, "tmp"), 0o750)); err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()

	i := &Instance{Endpoint: fmt.Sprintf("http://127.0.0.1:%d", port), Log: log.Name(), Dir: dir, Auth: server.Auth, Started: time.Now()}
	// The functions inherit what the server has, so give it no more than they would have on AWS. They would not be
	// told the endpoint if the server did not have it, and would call the real AWS.
	cmd := exec.Command(python, "-c", launcher) //nolint:noctx // outlives ctx, which is for starting
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"),
		"HOME=" + os.Getenv("HOME"),
		"TMPDIR=" + filepath.Join(dir, "tmp"),
		"PYTHONUNBUFFERED=1",
		"AWS_ENDPOINT_URL=" + cmp.Or(server.FunctionEndpoint, i.Endpoint),
		"GATEWAY_PORT=" + strconv.Itoa(port),
		"BIND_HOST=127.0.0.1",
		"MINISTACK_HOST=127.0.0.1", // in the queue URLs it hands out
		"IOT_MTLS_ENABLED=0",       // would listen on every address
		"SFN_WAIT_SCALE=0.1",       // of the waits between the retries of a state machine
		"AUTH=" + strconv.FormatBool(server.Auth),
	}
	cmd.Stdout, cmd.Stderr = log, log
	if tied {
		i.ended, err = startTied(cmd)
	} else {
		i.ended, err = startDetached(cmd)
	}
	if err != nil {
		return nil, fmt.Errorf("start MiniStack: %w", err)
	}
	i.PID, i.StartTime = cmd.Process.Pid, startTime(cmd.Process.Pid)
	if err := i.awaitHealth(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("MiniStack on port %d: %w; it said:\n%s", port, err, i.LogTail(20)), i.Stop())
	}
	return i, nil
}

// awaitHealth returns when the instance answers, or an error when it never will.
func (i *Instance) awaitHealth(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 30*time.Second, errors.New("no answer within 30 s"))
	defer cancel()
	for !i.healthy(ctx) {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-i.ended:
			return errors.New("it ended at once")
		case <-time.After(20 * time.Millisecond):
		}
	}
	// Somebody else's server may be what answered.
	select {
	case <-i.ended:
		return errors.New("it ended at once")
	default:
		return nil
	}
}

// healthy asks the instance whether it serves.
func (i *Instance) healthy(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, i.Endpoint+"/_ministack/health", nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// running says whether the very process that was started still runs.
func (i *Instance) running() bool {
	return i.StartTime != "" && startTime(i.PID) == i.StartTime
}

// Stop ends the instance and its functions and removes its folder, with the log. It never touches a process that merely
// has the same pid. Stopping again does nothing.
func (i *Instance) Stop() error {
	if i.running() {
		if err := endGroup(i.PID, i.running, 3*time.Second); err != nil {
			return err
		}
		if i.ended != nil {
			<-i.ended
		}
	}
	return os.RemoveAll(i.Dir)
}

// LogTail returns the last n lines of the instance's log, in which the functions' own logs are too.
func (i *Instance) LogTail(n int) string {
	text, err := os.ReadFile(i.Log)
	if err != nil {
		return err.Error()
	}
	return tail(string(text), n)
}

// FreePort asks the system for a port that nobody listens on.
func FreePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // local and immediate
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil //nolint:errcheck // the network is tcp
}

// wait lets d pass.
func wait(d time.Duration) { <-time.After(d) }
