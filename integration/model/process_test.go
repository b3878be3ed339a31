//go:build integration

package model

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/spillway-go/spillway/pkg/tasktable/tasktabletest"
)

// fleet is the worker processes: each is this program again, in a process
// group of its own. When one dies, whatever of, another takes its place.
type fleet struct {
	t     *testing.T
	dir   string // of the facts, a file for each process
	stack *stack

	mu       sync.Mutex // guards all below
	stations []*exec.Cmd
	lives    int // processes ever
	lost     []tasktabletest.Fact
	stopping bool
	ended    sync.WaitGroup // of the goroutines that wait for processes
}

func startFleet(t *testing.T, s *stack, n int) *fleet {
	t.Helper()
	f := &fleet{t: t, dir: t.TempDir(), stack: s, stations: make([]*exec.Cmd, n)}
	t.Cleanup(f.stop)
	for i := range n {
		if err := f.start(i); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// start puts a process on station i.
func (f *fleet) start(i int) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.stopping {
		return nil
	}
	f.lives++
	name := fmt.Sprintf("worker %d, life %d", i+1, f.lives)
	text, err := json.Marshal(settings{
		Name: name, Endpoint: endpoint, Facts: filepath.Join(f.dir, fmt.Sprintf("%d.jsonl", f.lives)), Stack: *f.stack,
	})
	if err != nil {
		return err
	}
	binary, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(binary)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "AWS_EC2_METADATA_DISABLED=true", workerSettings + "=" + string(text)}
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	alive, err := cmd.StdinPipe() // it ends when its standard input does, which ends with this process
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	f.stations[i] = cmd
	f.ended.Go(func() { f.await(i, name, cmd, alive) })
	return nil
}

// await waits until a process has died and starts another one.
func (f *fleet) await(i int, name string, cmd *exec.Cmd, alive io.Closer) {
	err := cmd.Wait()
	_ = alive.Close()
	f.mu.Lock()
	f.lost = append(f.lost, tasktabletest.Fact{At: time.Now(), What: tasktabletest.WorkerLost, By: name})
	stopping := f.stopping
	f.mu.Unlock()
	if stopping {
		return
	}
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
		f.t.Errorf("%s ended by itself: %v", name, err)
	}
	if err := f.start(i); err != nil {
		f.t.Errorf("no new worker: %v", err)
	}
}

// kill ends the process on station i at once, and reports whether there was one.
func (f *fleet) kill(i int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.stations[i] != nil && f.stations[i].Process.Kill() == nil
}

// stop kills all processes and waits until they have ended.
func (f *fleet) stop() {
	f.mu.Lock()
	f.stopping = true
	f.mu.Unlock()
	for i := range f.stations {
		f.kill(i)
	}
	f.ended.Wait()
}

// facts are all that the processes told. The fleet must have stopped.
func (f *fleet) facts() []tasktabletest.Fact {
	f.t.Helper()
	facts := f.lost
	for life := range f.lives {
		text, err := os.ReadFile(filepath.Join(f.dir, fmt.Sprintf("%d.jsonl", life+1)))
		if os.IsNotExist(err) {
			continue // killed before it began
		} else if err != nil {
			f.t.Fatal(err)
		}
		text = text[:bytes.LastIndexByte(text, '\n')+1] // it was killed while it wrote the rest
		lines := bufio.NewScanner(bytes.NewReader(text))
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			var fact tasktabletest.Fact
			if err := json.Unmarshal(lines.Bytes(), &fact); err != nil {
				f.t.Fatalf("%v in %s", err, lines.Bytes())
			}
			facts = append(facts, fact)
		}
		if err := lines.Err(); err != nil {
			f.t.Fatal(err)
		}
	}
	return facts
}
