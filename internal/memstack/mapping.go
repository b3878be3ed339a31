package memstack

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/lambda/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/spillway-go/spillway/pkg/workqueue/workqueuetest"
)

// source is what template.yaml says of an event source mapping.
type source struct {
	Queue, Stream                  string // ARN of one of them
	BatchSize                      int
	MaximumBatchingWindowInSeconds int
	FunctionResponseTypes          []string
	ScalingConfig                  struct{ MaximumConcurrency int }
	BisectBatchOnFunctionError     bool
	MaximumRetryAttempts           *int
	MaximumRecordAgeInSeconds      *int
	DestinationConfig              struct {
		OnFailure struct{ Type, Destination string }
	}
	FilterCriteria struct{ Filters []struct{ Pattern string } }
}

// mapping is an event source mapping: it polls a queue or a stream and invokes
// a function with batches.
type mapping struct {
	stack    *Stack
	id       string // as template.yaml names it: function and event
	uuid     string
	function *function
	source
	filters []filter

	mu      sync.Mutex
	state   string        // Enabled, Disabled; or Enabling, Disabling, Updating until settled
	next    string        // the state that comes after
	settled time.Time     // when
	changed chan struct{} // closed at the next change
}

// reports tells whether the mapping reads partial batch responses.
func (m *mapping) reports() bool {
	return len(m.FunctionResponseTypes) == 1 && m.FunctionResponseTypes[0] == "ReportBatchItemFailures"
}

// update is the request of UpdateEventSourceMapping, as far as it is known.
type update struct {
	Enabled   *bool
	BatchSize *int
}

// maxUpdate is the longest that a change of a mapping takes: Lambda says that
// it may take up to a minute
// (https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventsourcemapping.html).
const maxUpdate = time.Minute

// update begins a change. While one is under way there cannot be another
// (https://docs.aws.amazon.com/lambda/latest/api/API_UpdateEventSourceMapping.html).
func (m *mapping) update(in update) error {
	took := m.stack.upTo(maxUpdate)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.advance()
	if m.next != "" {
		return &types.ResourceInUseException{
			Message: aws.String("Cannot update the event source mapping because it is in use."), Type: aws.String("User"),
		}
	}
	m.next, m.settled = m.state, time.Now().Add(took)
	switch {
	case in.Enabled == nil:
		m.state = "Updating"
	case *in.Enabled:
		m.state, m.next = "Enabling", "Enabled"
	default:
		m.state, m.next = "Disabling", "Disabled"
	}
	if in.BatchSize != nil {
		m.BatchSize = *in.BatchSize
	}
	close(m.changed)
	m.changed = make(chan struct{})
	return nil
}

// advance ends a change whose time is over. mu must be held.
func (m *mapping) advance() {
	if m.next != "" && !time.Now().Before(m.settled) {
		m.state, m.next = m.next, ""
	}
}

// describe is the mapping as Lambda's API shows it.
func (m *mapping) describe() map[string]any {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.advance()
	arn := m.Queue
	if arn == "" {
		arn = m.Stream
	}
	return map[string]any{
		"UUID": m.uuid, "BatchSize": m.BatchSize, "EventSourceArn": arn, "FunctionArn": m.function.arn(), "State": m.state,
		"FunctionResponseTypes": m.FunctionResponseTypes, "MaximumBatchingWindowInSeconds": m.MaximumBatchingWindowInSeconds,
	}
}

// ready waits until the mapping polls. A mapping polls until it is disabled,
// and not before it is enabled. It returns false when the stack ends.
func (m *mapping) ready() bool {
	for {
		m.mu.Lock()
		m.advance()
		polls := m.state == "Enabled" || m.state == "Disabling" || m.state == "Updating" && m.next == "Enabled"
		changed, rest := m.changed, time.Until(m.settled)
		pending := m.next != ""
		m.mu.Unlock()
		if m.stack.ctx.Err() != nil {
			return false
		}
		if polls {
			return true
		}
		if pending {
			if !m.stack.wait(rest) {
				return false
			}
			continue
		}
		select {
		case <-m.stack.ctx.Done():
			return false
		case <-changed:
		}
	}
}

// batchSize is the current size of a batch.
func (m *mapping) batchSize() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.BatchSize
}

// mappingByUUID finds a mapping, nil if there is none.
func (s *Stack) mappingByUUID(uuid string) *mapping {
	for _, m := range s.mappings {
		if m.uuid == uuid {
			return m
		}
	}
	return nil
}

// Mapping returns the UUID of an event source mapping. id is the function's
// logical id and the event's, such as WorkerFunction.Backlog.
func (s *Stack) Mapping(id string) string {
	for _, m := range s.mappings {
		if m.id == id {
			return m.uuid
		}
	}
	panic(fmt.Sprintf("memstack: no mapping %q", id))
}

// Pause disables an event source mapping at once, and Resume enables it,
// without the time that a change through the API takes.
func (s *Stack) Pause(id string) { s.mappingByUUID(s.Mapping(id)).set("Disabled") }

// Resume ends a [Stack.Pause].
func (s *Stack) Resume(id string) { s.mappingByUUID(s.Mapping(id)).set("Enabled") }

func (m *mapping) set(state string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.state, m.next = state, ""
	close(m.changed)
	m.changed = make(chan struct{})
}

// prepare checks the settings as Lambda does, and reads the filters.
func (m *mapping) prepare() error {
	for _, f := range m.FilterCriteria.Filters {
		parsed, err := parseFilter(f.Pattern)
		if err != nil {
			return err
		}
		m.filters = append(m.filters, parsed)
	}
	if m.Queue != "" {
		visibility, err := m.visibility()
		if err != nil {
			return err
		}
		return workqueuetest.Mapping{
			Queue: afterColon(m.Queue), BatchSize: m.BatchSize, Window: time.Duration(m.MaximumBatchingWindowInSeconds) * time.Second,
			Concurrency: m.ScalingConfig.MaximumConcurrency, Visibility: visibility, Timeout: m.function.timeout,
		}.Check()
	}
	// The stream has its label from its table, which CloudFormation reads.
	table, _, _ := strings.Cut(m.Stream[strings.LastIndex(m.Stream, ":table/")+len(":table/"):], "/")
	m.Stream = m.stack.DB.StreamARN(table)
	return nil
}

// visibility is the visibility timeout of the mapping's queue.
func (m *mapping) visibility() (time.Duration, error) {
	name, url := sqstypes.QueueAttributeNameVisibilityTimeout, queueURL(m.Queue)
	out, err := m.stack.SQS.GetQueueAttributes(m.stack.ctx, &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []sqstypes.QueueAttributeName{name}})
	if err != nil {
		return 0, err
	}
	return time.ParseDuration(out.Attributes[string(name)] + "s")
}
