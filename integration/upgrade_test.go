//go:build integration

package integration

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"golang.org/x/sync/errgroup"

	"github.com/spillway-go/spillway/pkg/client"
)

// A new version is deployed while 1,000 tasks are in flight, and more are
// handed in meanwhile. The local AWS kills what an updated function is running,
// where AWS lets it finish; every task comes to its planned end all the same.
// Messages of a version that no worker knows yet outlast all of it.
func TestUpgradeUnderLoad(t *testing.T) {
	const inFlight = 1000
	// A build tag that no file asks for makes other binaries of the same source,
	// and they say so in their build information.
	tag := "release" + strconv.FormatInt(time.Now().UnixMilli(), 36)
	next, err := functions.Rebuilt(t.Context(), tag)
	if err != nil {
		t.Fatal(err)
	}
	r := newPacedReceiver(t)
	setVisibility(t, soon())
	resume := pauseWorker(t)

	load := upgradeLoad{receiver: r, want: map[string]client.Status{}, tries: map[string]int{}}
	var g errgroup.Group
	g.SetLimit(16)
	for range inFlight {
		g.Go(func() error { return load.submit(t.Context()) })
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	before := codeOf(t)
	resume()
	eventually(t, func() error { return r.delivered(20) })
	first := r.deliveredBy(t, tag)
	newer := []string{}
	for i := range 3 {
		body := fmt.Sprintf(`{"v":2,"task_id":"newer-%d","later":{"made":"differently"}}`, i)
		send(t, stack.out["TasksQueueUrl"], body, nil)
		newer = append(newer, body)
	}

	// More tasks arrive while the new version is rolled out, and faster where that
	// takes so long that the work would be over before it.
	rolledOut := make(chan struct{})
	for range 12 {
		g.Go(func() error {
			for {
				if err := load.submit(t.Context()); err != nil {
					return err
				}
				pause := 800 * time.Millisecond
				if load.count()-r.count() < inFlight {
					pause = 10 * time.Millisecond
				}
				select {
				case <-rolledOut:
					return nil
				case <-time.After(pause):
				}
			}
		})
	}
	started := r.count()
	if stack.external { // where the deployment takes the proxy from the functions' settings
		t.Cleanup(func() {
			if err := redirectFunctions(context.WithoutCancel(t.Context())); err != nil {
				t.Error(err)
			}
		})
	}
	_, err = next.Deploy(t.Context(), *stack.cfg.BaseEndpoint, stack.name, parameters())
	finished, left := r.count(), load.count()-r.count()
	close(rolledOut)
	if err := errors.Join(err, g.Wait()); err != nil {
		t.Fatal(err)
	}
	total := len(load.want)
	after := codeOf(t)
	for function, sum := range before {
		if after[function] == sum {
			t.Errorf("%s still has the code %s", function, sum)
		}
	}
	if last := r.deliveredBy(t, tag); first || !last {
		t.Errorf("the new worker delivers: %t before the deployment, %t after it", first, last)
	}
	t.Logf("%d deliveries before, %d during the deployment; %d tasks handed in during it", started, finished-started, total-inFlight)
	// Deliveries are at least tasks, so this many tasks or more were in flight at its end.
	if finished-started < 10 || left < inFlight/20 || total == inFlight {
		t.Errorf("the deployment hardly overlapped with the work")
	}

	r.hurry()
	eventually(t, func() error { return load.ended(t) })
	extra := 0
	for id := range load.want {
		n := len(r.deliveries(id))
		if n == 0 {
			t.Errorf("task %s was never delivered", id)
		}
		extra += max(0, n-load.tries[id])
	}
	t.Logf("%d deliveries cut, %d repeated", r.cut.Load(), extra)
	// 5 workers of the tasks queue and 2 of the backlog queue had 10 messages
	// each, at the update of the code and again at that of the configuration.
	if extra > 2*(5+2)*10 {
		t.Errorf("%d deliveries were repeated, more than workers can have had in hand", extra)
	}
	stillThere(t, newer)
}

// upgradeLoad is what TestUpgradeUnderLoad hands in.
type upgradeLoad struct {
	receiver *pacedReceiver

	mu    sync.Mutex
	n     int
	want  map[string]client.Status
	tries map[string]int
}

// count is how many tasks were accepted.
func (l *upgradeLoad) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.want)
}

// submit hands one more task in. Of a hundred, 6 fail once, 2 for good, and 2
// always.
func (l *upgradeLoad) submit(ctx context.Context) error {
	l.mu.Lock()
	i := l.n % 100
	l.n++
	l.mu.Unlock()
	path, status, tries := "/ok", client.Succeeded, 1
	switch {
	case i < 6:
		path, tries = "/flaky/1/503", 2
	case i < 8:
		path, status = "/status/400", client.Failed
	case i < 10:
		path, status, tries = "/status/500", client.DeadLettered, 4
	}
	task, err := stack.api.Submit(ctx, client.SubmitRequest{Type: "webhook.deliver", Input: webhook(l.receiver.slowURL + path)})
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.want[task.ID], l.tries[task.ID] = status, tries
	return nil
}

// ended reports whether all tasks have come to their end.
func (l *upgradeLoad) ended(t *testing.T) error {
	t.Helper()
	if err := l.receiver.delivered(len(l.want)); err != nil {
		return err
	}
	return ended(t, l.want)
}

// ended reports whether tasks have ended, and fails the test when one has in
// another way than wanted.
func ended(t *testing.T, want map[string]client.Status) error {
	t.Helper()
	found := 0
	for task, err := range stack.api.All(t.Context(), client.ListRequest{}) {
		if err != nil {
			return err
		}
		status, ours := want[task.ID]
		if !ours {
			continue
		}
		if !task.Status.Finished() {
			return fmt.Errorf("task %s is %s after %d attempts", task.ID, task.Status, task.Attempts)
		}
		if task.Status != status || task.Attempts > 4 {
			t.Fatalf("task %s is %s after %d attempts, want %s after at most 4 (%+v)", task.ID, task.Status, task.Attempts, status, task.Error)
		}
		if found++; found == len(want) {
			return nil
		}
	}
	return fmt.Errorf("%d of %d tasks are listed", found, len(want))
}

// pacedReceiver is a receiver that, at slowURL, takes its time until it is told
// to hurry, so that work lasts for as long as a test needs it to.
type pacedReceiver struct {
	*receiver
	slowURL string
	quick   chan struct{}
	n, cut  atomic.Int64     // deliveries, and those whose worker went away
	ask     chan chan string // asks the next delivery for its process
}

// pace is how long a delivery takes at first, and up to two and a half times
// as long, so that batches do not go in step. It is slower where deployments
// are. The longest is still within WebhookTimeout, and a worker does a batch of
// ten, two at a time, well within its own.
func pace() time.Duration {
	if stack.external {
		return time.Second
	}
	return 150 * time.Millisecond
}

func newPacedReceiver(t *testing.T) *pacedReceiver {
	t.Helper()
	p := &pacedReceiver{receiver: newReceiver(t), quick: make(chan struct{}), ask: make(chan chan string)}
	s := httptest.NewServer(http.HandlerFunc(p.serve))
	p.slowURL = s.URL
	t.Cleanup(func() { p.hurry(); s.Close() })
	return p
}

func (p *pacedReceiver) serve(w http.ResponseWriter, req *http.Request) {
	// The server notices a client that goes away only when the body was read.
	body, _ := io.ReadAll(req.Body)
	req.Body = io.NopCloser(bytes.NewReader(body))
	n := p.n.Add(1)
	select {
	case answer := <-p.ask:
		answer <- req.RemoteAddr
	case <-p.quick:
	case <-req.Context().Done():
		p.cut.Add(1)
	case <-time.After(pace() + pace()*time.Duration(n%7)/4):
	}
	p.receiver.serve(w, req)
}

// hurry lets deliveries take no time any more.
func (p *pacedReceiver) hurry() {
	select {
	case <-p.quick:
	default:
		close(p.quick)
	}
}

// count is how many deliveries have arrived.
func (p *pacedReceiver) count() int { return int(p.n.Load()) }

// delivered reports whether n deliveries have arrived.
func (p *pacedReceiver) delivered(n int) error {
	if got := p.count(); got < n {
		return fmt.Errorf("%d deliveries, want %d", got, n)
	}
	return nil
}

// deliveredBy reports whether the worker that makes one of the deliveries of
// this moment was built with a tag.
func (p *pacedReceiver) deliveredBy(t *testing.T, tag string) bool {
	t.Helper()
	answer := make(chan string, 1)
	select {
	case p.ask <- answer:
	case <-time.After(patience):
		t.Fatal("nothing is delivered")
	}
	pid, err := processOf(<-answer)
	if err != nil {
		t.Fatal(err)
	}
	info, err := buildinfo.ReadFile("/proc/" + strconv.Itoa(pid) + "/exe")
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(info.Settings, func(s debug.BuildSetting) bool {
		return s.Key == "-tags" && slices.Contains(strings.Split(s.Value, ","), tag)
	})
}

// codeOf returns the hash of every function's code.
func codeOf(t *testing.T) map[string]string {
	t.Helper()
	sums := map[string]string{}
	for _, output := range functionOutputs() {
		out, err := stack.lambdas.GetFunctionConfiguration(t.Context(), &lambda.GetFunctionConfigurationInput{FunctionName: aws.String(stack.out[output])})
		if err != nil {
			t.Fatal(err)
		}
		sums[output] = aws.ToString(out.CodeSha256)
	}
	return sums
}

// soon is a visibility timeout after which what a killed or failed worker held
// comes back sooner than after the usual minute, but not before its lease has
// ended.
func soon() time.Duration { return workerTimeout() + 2*time.Second }

// setVisibility changes the visibility timeout of both queues for a test, which
// must not be parallel.
func setVisibility(t *testing.T, d time.Duration) {
	t.Helper()
	usual := visibilityTimeout(t) // the same for both
	set := func(d time.Duration) {
		for _, output := range []string{"TasksQueueUrl", "BacklogQueueUrl"} {
			_, err := stack.queues.SetQueueAttributes(context.WithoutCancel(t.Context()), &sqs.SetQueueAttributesInput{
				QueueUrl: aws.String(stack.out[output]), Attributes: map[string]string{"VisibilityTimeout": strconv.Itoa(int(d.Seconds()))},
			})
			if err != nil {
				t.Fatalf("visibility timeout of %s: %v", output, err)
			}
		}
	}
	set(d)
	t.Cleanup(func() { set(usual) })
}

// stillThere takes messages off the tasks queue that were handed back, whatever
// else it has.
func stillThere(t *testing.T, bodies []string) {
	t.Helper()
	pauseWorker(t)
	url := stack.out["TasksQueueUrl"]
	found := map[string]types.Message{}
	eventually(t, func() error {
		messages, err := receiveHidden(t, url)
		if err != nil {
			return err
		}
		for _, m := range messages {
			if slices.Contains(bodies, *m.Body) {
				found[*m.Body] = m
			}
		}
		if len(found) < len(bodies) {
			return fmt.Errorf("the tasks queue has %d of %q: %q", len(found), bodies, slices.Collect(maps.Keys(found)))
		}
		return nil
	})
	for body, m := range found {
		if n, _ := strconv.Atoi(m.Attributes["ApproximateReceiveCount"]); n < 2 {
			t.Errorf("message %s was received %d times, want the worker's and ours", body, n)
		}
	}
	remove(t, url, slices.Collect(maps.Values(found)))
}

func queueName(url string) string { return url[strings.LastIndexByte(url, '/')+1:] }
