package memstack

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"runtime/pprof"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/spillway-go/spillway/internal/app"
	"github.com/spillway-go/spillway/internal/asl"
	"github.com/spillway-go/spillway/internal/ddbfake"
	"github.com/spillway-go/spillway/internal/template"
	"github.com/spillway-go/spillway/pkg/archive/archivetest"
	"github.com/spillway-go/spillway/pkg/workqueue/workqueuetest"
)

// Where every stack is deployed; workqueuetest has the same.
const (
	region    = "eu-central-1"
	account   = "123456789012"
	stackName = "spillway"
)

// Options tunes a [Stack]. The zero value is the stack as the template's
// defaults deploy it on AWS.
type Options struct {
	// Parameters are those of template.yaml. Defaults to the template's
	// defaults.
	Parameters map[string]string
	// SQS and DynamoDB say how often happens what AWS does now and then:
	// reordering, redelivery, lag, throttling. Default to the defaults of the
	// two packages.
	SQS      workqueuetest.Options
	DynamoDB ddbfake.Options
	// Receiver answers requests that go to no AWS service, which are webhooks.
	// Defaults to hosts that do not exist.
	Receiver func(r *http.Request, body []byte) (*http.Response, error)
	// Latency is how long a request and its answer are under way together; Seed
	// decides when in between the call takes effect. Defaults to 5 ms;
	// negative is none, for code that calls AWS while it holds a lock that others wait for:
	// the bubble's time would stand still.
	Latency time.Duration
	// Slow is how often, from 0 to 1, a request is late by up to 3 seconds, and
	// so is an answer. Without Latency none is. Defaults to 0.
	Slow float64
	// Again is how often, from 0 to below 1, Lambda invokes a function once more
	// with an asynchronous event or a stream's batch that has succeeded: it
	// delivers both at least once. Defaults to 0.
	Again float64
	// Seed of what the stack draws itself, such as how long a change of a
	// mapping takes. Defaults to 1.
	Seed uint64
	// Setups replace those of functions, by their logical ids, for tests of what
	// is around a function. Default to the functions' own.
	Setups map[string]func(*app.Env) (any, error)
	// HoldSagas leaves it to the test to end executions, with [Machine.End].
	// Defaults to running them.
	HoldSagas bool
	// Paused are mappings that are disabled at first, see [Stack.Pause].
	Paused []string
}

// Stack is a deployed stack. Safe for concurrent use.
type Stack struct {
	// SQS, DB, Bucket and Machine are the contents, for tests to look at and to
	// change.
	SQS     *workqueuetest.SQS
	DB      *ddbfake.DB
	Bucket  *archivetest.Bucket
	Machine *Machine

	t        testing.TB
	opts     Options
	template *template.Template

	definition *asl.Machine
	services   map[string]any
	secrets    *secrets
	mark       string          // in front of the labels of its invocations
	ctx        context.Context // ends with the test
	running    sync.WaitGroup

	functions        []*function
	mappings         []*mapping
	routes           []route
	rules            []rule
	gatewayResponses map[string]gatewayResponse

	mu          sync.Mutex
	random      *rand.Rand
	calls       int
	inject      func(Call) Fault
	invocations []Invocation
	frozen      map[string]bool // labels of invocations that have answered
}

// stacks numbers the stacks of a process, whose goroutines are told apart so.
var stacks atomic.Int64

// New deploys a stack that ends with the test. It must be called in a
// [testing/synctest] bubble.
func New(tb testing.TB, opts Options) *Stack {
	tb.Helper()
	if opts.Latency == 0 {
		opts.Latency = 5 * time.Millisecond
	}
	if opts.Seed == 0 {
		opts.Seed = 1
	}
	tmpl, err := load(root(tb), opts.Parameters)
	if err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &Stack{
		SQS: workqueuetest.New(opts.SQS), DB: ddbfake.New(&opts.DynamoDB), Bucket: archivetest.NewBucket(),
		t: tb, opts: opts, template: tmpl, ctx: ctx, secrets: &secrets{values: map[string]string{}},
		mark: fmt.Sprintf("%d ", stacks.Add(1)), frozen: map[string]bool{},
		random: rand.New(rand.NewPCG(opts.Seed, opts.Seed)),
	}
	if err := s.deploy(); err != nil {
		cancel()
		tb.Fatal(err)
	}
	for _, id := range opts.Paused {
		s.Pause(id)
	}
	s.start()
	tb.Cleanup(func() {
		s.checkFrozen()
		cancel()
		s.Machine.stop()
		s.running.Wait()
		if tb.Failed() {
			tb.Log(s.State())
		}
	})
	return s
}

// templates are those that were read, by their parameters.
var templates sync.Map

// load reads the template, once for all stacks that have the same parameters.
func load(dir string, parameters map[string]string) (*template.Template, error) {
	key := fmt.Sprint(parameters) // in the order of names
	if known, ok := templates.Load(key); ok {
		return known.(*template.Template), nil //nolint:errcheck,forcetypeassert // nothing else is stored
	}
	d := template.Deployment{Stack: stackName, Region: region, Account: account, Parameters: parameters}
	tmpl, err := template.Load(filepath.Join(dir, "template.yaml"), d)
	if err == nil {
		templates.Store(key, tmpl)
	}
	return tmpl, err
}

// Config is a configuration for the test's own AWS clients.
func (s *Stack) Config() aws.Config {
	env := app.NewEnv(func(name string) string {
		return map[string]string{"AWS_REGION": region, "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE", "AWS_SECRET_ACCESS_KEY": "example"}[name]
	}, app.WithTransport(transport{stack: s}))
	cfg := env.AWS()
	cfg.HTTPClient = env.HTTPClient(0)
	return cfg
}

// Name is the physical name of a table, queue or function by its logical id.
func (s *Stack) Name(id string) string {
	for _, kind := range []string{"AWS::DynamoDB::Table", "AWS::SQS::Queue", typeFunction} {
		for _, r := range s.resources(kind) {
			if r.ID == id {
				ref, err := r.Ref()
				if err != nil {
					s.t.Fatal(err)
				}
				return ref[strings.LastIndexByte(ref, '/')+1:]
			}
		}
	}
	panic(fmt.Sprintf("memstack: no resource %q", id))
}

// resources are those of a type.
func (s *Stack) resources(kind string) []template.Resource {
	all, err := s.template.Resources(kind)
	if err != nil {
		s.t.Fatal(err)
	}
	return all
}

// function is one by its logical id.
func (s *Stack) function(id string) *function {
	i := slices.IndexFunc(s.functions, func(f *function) bool { return f.id == id })
	if i < 0 {
		panic(fmt.Sprintf("memstack: no function %q", id))
	}
	return s.functions[i]
}

// byName is a function by its name or ARN; nil if there is none.
func (s *Stack) byName(name string) *function {
	for _, f := range s.functions {
		if name == f.name || name == f.arn() || strings.HasPrefix(name, f.arn()+":") {
			return f
		}
	}
	return nil
}

// start begins to poll.
func (s *Stack) start() {
	for _, m := range s.mappings {
		if m.Queue != "" {
			queue := m.Queue[strings.LastIndexByte(m.Queue, ':')+1:]
			s.spawn(func() { m.pollQueue(queue) })
			continue
		}
		ids, err := shards(s.ctx, s.streams(), m.Stream)
		if err != nil {
			s.t.Fatal(err)
		}
		for _, shard := range ids {
			s.spawn(func() { m.pollShard(m.Stream, shard) })
		}
	}
}

func (s *Stack) streams() streamsAPI { return s.DB }

// spawn runs f beside the rest, until the stack ends at the latest. f is none of
// the invocation that spawn is called in.
func (s *Stack) spawn(f func()) {
	s.running.Go(func() {
		pprof.SetGoroutineLabels(context.Background())
		f()
	})
}

// upTo is a random part of d.
func (s *Stack) upTo(d time.Duration) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Duration(s.random.Int64N(int64(d))) + 1
}

// chance is true as often as rate says.
func (s *Stack) chance(rate float64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return rate > 0 && s.random.Float64() < rate
}

// uuid is a random id as AWS gives them to requests and mappings.
func (s *Stack) uuid() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	a, b := s.random.Uint64(), s.random.Uint64()
	return fmt.Sprintf("%08x-%04x-4%03x-a%03x-%012x", a>>32, a>>16&0xffff, a&0xfff, b>>52, b&0xffffffffffff)
}

// failf fails the test, from any goroutine.
func (s *Stack) failf(format string, args ...any) { s.t.Errorf("memstack: "+format, args...) }

func (s *Stack) logf(format string, args ...any) { s.t.Logf("memstack: "+format, args...) }

// root is the folder that the module lies in, above the test's package.
func root(tb testing.TB) string {
	tb.Helper()
	dir, err := os.Getwd()
	if err != nil {
		tb.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "template.yaml")); err == nil {
			return dir
		}
		if filepath.Dir(dir) == dir {
			tb.Fatal("no template.yaml above the test's package")
		}
		dir = filepath.Dir(dir)
	}
}

// queueURL is the URL of a queue by its ARN.
func queueURL(arn string) string {
	return "https://sqs." + region + ".amazonaws.com/" + account + "/" + arn[strings.LastIndexByte(arn, ':')+1:]
}
