//go:build integration

package integration

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/spillway-go/spillway/internal/awsproxy"
	"github.com/spillway-go/spillway/pkg/client"
)

// A worker is killed in the middle of a batch: its task is taken over, and its
// neighbours, claimed with it, keep their attempts.
func TestKilledWorker(t *testing.T) {
	r := newReceiver(t)
	setVisibility(t, soon())
	resume := pauseWorker(t)
	// Two run at once: the first to be held is killed, with all nine others claimed.
	tasks, messages := held(t, append([]string{r.URL + "/hold-once"}, repeat(9, r.URL+"/slow/600ms")...)...)
	visible := time.Now().Add(visibilityTimeout(t)) // of the message received last
	killed := make(chan error, 1)
	go func() {
		select {
		case d := <-r.held:
			pid, err := processOf(d.Remote)
			if err == nil {
				err = syscall.Kill(pid, syscall.SIGKILL)
			}
			killed <- err
		case <-time.After(patience):
			killed <- errors.New("the task to be killed did not begin")
		}
	}()
	if err := workAndDie(t, event(stack.out["TasksQueueUrl"], messages)); err != nil {
		t.Log("the killed invocation ended with:", err)
	}
	if err := await(t, killed); err != nil {
		t.Fatalf("kill the worker: %v", err)
	}
	resume()
	t.Run("taken over", func(t *testing.T) {
		for _, task := range tasks {
			got := finish(t, task.ID)
			if got.Status != client.Succeeded || got.Attempts != 1 {
				t.Errorf("task %s is %s after %d attempts, want succeeded after 1", got.ID, got.Status, got.Attempts)
			}
		}
		// Its visibility timeout ends long after its lease.
		if got := finish(t, tasks[0].ID); got.StartedAt.Before(visible.Add(-clockSlack)) {
			t.Errorf("taken over at %v, before its message was visible again at %v", got.StartedAt, visible)
		}
		if n := len(r.deliveries(tasks[0].ID)); n != 2 {
			t.Errorf("the killed task was delivered %d times, want 2", n)
		}
	})
}

// A settlement that arrives after another worker took the task over is refused.
func TestLateResult(t *testing.T) {
	r := newReceiver(t)
	resume := pauseWorker(t)
	tasks, messages := held(t, r.URL+"/ok")
	gate := stack.proxy.Block("dynamodb", "UpdateItem", awsproxy.Before)
	defer gate.Open()
	ended := make(chan error, 1)
	go func() { ended <- workAndDie(t, event(stack.out["TasksQueueUrl"], messages)) }()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	claim, err := gate.Next(ctx)
	if err != nil {
		t.Fatal(err)
	}
	claimed := time.Now()
	claim.Release()
	settlement, err := gate.Next(ctx) // on its way, when the function runs into its time-out
	if err != nil {
		t.Fatal(err)
	}
	await(t, ended)
	gate.Open()
	// The message comes back before the lease ends: it is handed back until then.
	_, err = stack.queues.ChangeMessageVisibility(t.Context(), &sqs.ChangeMessageVisibilityInput{
		QueueUrl: aws.String(stack.out["TasksQueueUrl"]), ReceiptHandle: messages[0].ReceiptHandle, VisibilityTimeout: 0,
	})
	if err != nil {
		t.Fatal(err)
	}
	resume()
	task := finish(t, tasks[0].ID)
	want(t, task, client.Succeeded, 1)
	if leaseEnd := claimed.Add(workerTimeout()); task.StartedAt.Before(leaseEnd.Add(-clockSlack)) {
		t.Errorf("taken over at %v, before the lease ended at %v", task.StartedAt, leaseEnd)
	}
	status, answer := callTable(t, "UpdateItem", settlement.Call.Request)
	if status != http.StatusBadRequest || !strings.Contains(answer, "ConditionalCheckFailedException") {
		t.Errorf("the late settlement got %d %s, want its condition to fail", status, answer)
	}
	after := finish(t, task.ID)
	if !after.FinishedAt.Equal(task.FinishedAt) || string(after.Result) != string(task.Result) {
		t.Errorf("the late result changed the task from %+v to %+v", task, after)
	}
}

// workerTimeout is the worker's; a lease ends just after it.
func workerTimeout() time.Duration {
	if stack.external {
		return 10 * time.Second
	}
	return 3 * time.Second
}

// clockSlack is what a measured instant may be off by.
const clockSlack = 500 * time.Millisecond

// visibilityTimeout is the tasks queue's.
func visibilityTimeout(t *testing.T) time.Duration {
	t.Helper()
	out, err := stack.queues.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{
		QueueUrl: aws.String(stack.out["TasksQueueUrl"]), AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameVisibilityTimeout},
	})
	if err != nil {
		t.Fatal(err)
	}
	seconds, err := strconv.Atoi(out.Attributes["VisibilityTimeout"])
	if err != nil {
		t.Fatal(err)
	}
	return time.Duration(seconds) * time.Second
}

// callTable sends a recorded DynamoDB call.
func callTable(t *testing.T, operation string, body []byte) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, *stack.cfg.BaseEndpoint, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-amz-json-1.0")
	req.Header.Set("X-Amz-Target", "DynamoDB_20120810."+operation)
	status, _, answer := roundTrip(t, req, "dynamodb", body)
	return status, answer
}

var socketInode = regexp.MustCompile(`^socket:\[(\d+)\]$`)

// processOf finds the process on this machine that owns the TCP connection
// from remote.
func processOf(remote string) (int, error) {
	_, portText, err := net.SplitHostPort(remote)
	if err != nil {
		return 0, err
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		return 0, err
	}
	inode := ""
	for _, file := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		table, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(table)) {
			if f := strings.Fields(line); len(f) > 9 && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", port)) && f[9] != "0" {
				inode = f[9]
			}
		}
	}
	if inode == "" {
		return 0, fmt.Errorf("no connection from %s", remote)
	}
	links, err := filepath.Glob("/proc/[0-9]*/fd/*")
	if err != nil {
		return 0, err
	}
	for _, link := range links {
		target, err := os.Readlink(link)
		if err != nil {
			continue
		}
		if m := socketInode.FindStringSubmatch(target); m != nil && m[1] == inode {
			return strconv.Atoi(strings.Split(link, "/")[2])
		}
	}
	return 0, fmt.Errorf("no process owns the connection from %s", remote)
}
