package localaws

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
)

// ErrNotRunning says that no instance stays up for this checkout.
var ErrNotRunning = errors.New("the local AWS is not running: `make run` or `make up` starts it")

// DefaultPort is where [Checkout.Up] starts an instance, unless somebody else listens there.
const DefaultPort = 4566

// Up finds the instance that stays up, or starts one that does. A port of 0 is [DefaultPort] if nobody listens there
// and a free one otherwise. It is safe to call from several processes at once.
func (c *Checkout) Up(ctx context.Context, server Server) (*Instance, error) {
	dir, err := c.localDir()
	if err != nil {
		return nil, err
	}
	unlock, err := lock(ctx, filepath.Join(dir, "lock"))
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	defer unlock()

	instance, err := c.Find(ctx)
	if err == nil {
		c.progress.say("local AWS is up on %s", instance.Endpoint)
		return instance, nil
	} else if !errors.Is(err, ErrNotRunning) {
		return nil, err
	}
	if server.Port == 0 && isFree(DefaultPort) {
		server.Port = DefaultPort
	}
	if instance, err = c.start(ctx, server, false); err != nil {
		return nil, err
	}
	state, err := json.MarshalIndent(instance, "", "  ")
	if err == nil {
		err = os.WriteFile(c.stateFile(), state, 0o600)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("remember the local AWS: %w", err), instance.Stop())
	}
	c.progress.say("local AWS is up on %s (pid %d, log %s)", instance.Endpoint, instance.PID, c.relative(instance.Log))
	return instance, nil
}

// Find returns the instance that stays up, or [ErrNotRunning].
func (c *Checkout) Find(ctx context.Context) (*Instance, error) {
	instance, err := c.recorded()
	if err != nil {
		return nil, err
	}
	if !instance.running() {
		return nil, ErrNotRunning
	}
	if !instance.healthy(ctx) {
		return nil, fmt.Errorf("the local AWS on %s (pid %d) runs but does not answer: `make down` stops it, its log is %s",
			instance.Endpoint, instance.PID, c.relative(instance.Log))
	}
	return instance, nil
}

// Down stops the instance that stays up, if there is one. What was deployed to it is gone.
func (c *Checkout) Down() error {
	instance, err := c.recorded()
	if errors.Is(err, ErrNotRunning) || err == nil && !instance.running() {
		c.progress.say("local AWS is not running")
		return c.forget()
	} else if err != nil {
		return err
	}
	if err := c.progress.step("stopping the local AWS", instance.Stop); err != nil {
		return err
	}
	return c.forget()
}

// recorded reads what [Checkout.Up] wrote down.
func (c *Checkout) recorded() (*Instance, error) {
	state, err := os.ReadFile(c.stateFile())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNotRunning
	} else if err != nil {
		return nil, err
	}
	var instance Instance
	if err := json.Unmarshal(state, &instance); err != nil {
		return nil, fmt.Errorf("%s is damaged, delete it: %w", c.relative(c.stateFile()), err)
	}
	return &instance, nil
}

func (c *Checkout) forget() error {
	if err := os.Remove(c.stateFile()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (c *Checkout) stateFile() string { return c.path(".local", "ministack.json") }

// relative shortens the name of a file in the checkout.
func (c *Checkout) relative(file string) string {
	if short, err := filepath.Rel(c.root, file); err == nil {
		return short
	}
	return file
}

func isFree(port int) bool {
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port))) //nolint:noctx // local and immediate
	if err != nil {
		return false
	}
	_ = l.Close()
	return true
}
