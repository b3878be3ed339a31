package memstack

import (
	"bytes"
	"fmt"
	"regexp"
	"runtime/pprof"
	"strings"
	"testing/synctest"
	"time"

	"github.com/spillway-go/spillway/internal/ddbfake"
)

// maxAwait is how long [Stack.Await] waits.
const maxAwait = 24 * time.Hour

// Await waits in virtual time until done holds, which it asks whenever all of
// the stack waits. After a day it fails the test with the state of queues and
// rows. It must be called by one goroutine at a time, the test's.
func (s *Stack) Await(what string, done func() bool) {
	s.t.Helper()
	began := time.Now()
	for {
		synctest.Wait()
		if done() {
			s.checkFrozen()
			return
		}
		waited := time.Since(began)
		if waited > maxAwait {
			s.t.Fatalf("after %s: not yet: %s\n%s", waited, what, s.State())
		}
		if !s.wait(min(max(waited/16, 10*time.Millisecond), 5*time.Second)) {
			s.t.Fatalf("the stack has ended: not yet: %s", what)
		}
	}
}

// Quiet waits until no message can be received any more and no function runs:
// what is left waits for an operator. It fails the test like [Stack.Await].
func (s *Stack) Quiet() {
	s.t.Helper()
	s.Await("the queues that functions read are empty", func() bool {
		for _, m := range s.mappings {
			if m.Queue != "" && len(s.SQS.Messages(afterColon(m.Queue))) > 0 {
				return false
			}
		}
		for _, f := range s.functions {
			f.mu.Lock()
			busy := f.busy
			f.mu.Unlock()
			if busy > 0 {
				return false
			}
		}
		return true
	})
}

// Invocation is an invocation that has ended.
type Invocation struct {
	Function    string // logical id
	Environment int
	RequestID   string
	Event       []byte
	Answer      []byte
	Error       string // kind of a function error, empty without one
}

func (s *Stack) logInvocation(f *function, env *environment, id string, event []byte, r result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.invocations = append(s.invocations, Invocation{f.id, env.number, id, event, r.payload, r.kind})
}

// Invocations are those of a function that have ended, in their order.
func (s *Stack) Invocations(id string) []Invocation {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Invocation
	for _, i := range s.invocations {
		if i.Function == id {
			all = append(all, i)
		}
	}
	return all
}

// State describes the queues, the rows and the last invocations, for messages
// of tests.
func (s *Stack) State() string {
	var b strings.Builder
	for _, r := range s.resources("AWS::SQS::Queue") {
		name := s.Name(r.ID)
		messages := s.SQS.Messages(name)
		fmt.Fprintf(&b, "%s: %d messages\n", name, len(messages))
		for _, m := range messages[:min(len(messages), 5)] {
			fmt.Fprintf(&b, "  %s, received %d times, visible in %s: %.200s\n", m.ID, m.Receives, time.Until(m.VisibleAt), m.Body)
		}
	}
	for _, id := range []string{"TasksTable", "ControlTable", "ReservationsTable"} {
		items := s.DB.Items(s.Name(id))
		fmt.Fprintf(&b, "%s: %d items\n", id, len(items))
		for _, item := range items[:min(len(items), 10)] {
			fmt.Fprintf(&b, "  %.400s\n", describe(item))
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(&b, "%d invocations\n", len(s.invocations))
	for _, i := range s.invocations[max(0, len(s.invocations)-10):] {
		fmt.Fprintf(&b, "  %s %d %s: %.200s\n", i.Function, i.Environment, i.Error, i.Answer)
	}
	return b.String()
}

// describe is an item as text.
func describe(item ddbfake.Item) string {
	text, err := encodeItem(item)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// freeze notes that an invocation has answered, by its label. What a process
// leaves that was killed is no matter.
func (s *Stack) freeze(label string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.frozen[label] = true
}

var labeled = regexp.MustCompile(regexp.QuoteMeta(label) + `":"([^"]*)"`)

// checkFrozen fails the test for goroutines of invocations that have ended: on
// AWS they would be frozen, and go on in the middle of another invocation.
func (s *Stack) checkFrozen() {
	synctest.Wait()
	var profile bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&profile, 1); err != nil {
		s.failf("%v", err)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, entry := range strings.Split(profile.String(), "\n\n") {
		for _, m := range labeled.FindAllStringSubmatch(entry, -1) {
			if s.frozen[m[1]] {
				s.failf("a goroutine outlives the invocation of %s:\n%s", strings.TrimPrefix(m[1], s.mark), entry)
			}
		}
	}
}
