package admin

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/pkg/workqueue/workqueuetest"
)

// What somebody may have to look at comes first in a job's messages: what could
// not be sent, what failed again, and what was not sent. They can be read in
// parts.
func TestJobMessages(t *testing.T) {
	bubble(t, func(f *fixture) {
		ids := f.dead("shop.order", errFlaky, "1", "2", "3", "4", "5", "6")
		f.foreign(deadQueue, "hello")
		if _, err := f.table.Cancel(f.Context(), tenant, ids[1]); err != nil {
			f.Fatal(err)
		}
		f.queues.Inject(func(c workqueuetest.Call) (fault workqueuetest.Fault) {
			for i, body := range c.Entries {
				if c.Queue == tasksQueue && c.Operation == "SendMessageBatch" && strings.Contains(body, ids[4]) {
					fault.Entries = map[int]types.BatchResultErrorEntry{i: {Code: new("InvalidMessageContents"), SenderFault: true}}
				}
			}
			return fault
		})
		a := f.ok(`{"command":"dlq.replay"}`)
		f.queues.Inject(nil)
		if a.number("failed") != 1 || a.number("replayed") != 4 || a.number("skipped") != 2 || a.number("dropped") != 1 {
			f.Errorf("answer %v", a)
		}
		f.breaks(nil, "1", "6")
		f.breaks(errors.New("the shop is closed"), "3")
		f.work()

		names := map[any]string{nil: "hello"}
		for i, id := range ids {
			names[id] = fmt.Sprint(i + 1)
		}
		shown := func(fields string) (got []string) {
			job := f.ok(`{"command":"dlq.jobs","job_id":"` + a.text("job_id") + `"` + fields + `}`)["job"].(map[string]any)
			found, _ := job["messages"].([]any)
			for _, m := range found {
				m := m.(map[string]any)
				what := []string{names[m["task_id"]], m["outcome"].(string)}
				for _, more := range []string{"reason", "became"} {
					if s, ok := m[more].(string); ok {
						what = append(what, s)
					}
				}
				got = append(got, strings.Join(what, " "))
			}
			return got
		}
		all := []string{
			"5 failed refused_invalidmessagecontents", "3 replayed failed_other", "4 replayed failed_same", "2 dropped canceled",
			"hello skipped unknown_origin", "1 replayed succeeded", "6 replayed succeeded",
		}
		for fields, want := range map[string][]string{
			"": nil, `,"max":0`: nil, `,"from":3`: nil, `,"max":100`: all, `,"max":1`: all[:1], `,"max":7`: all, `,"max":2,"from":0`: all[:2], `,"max":3,"from":1`: all[1:4],
			`,"max":3,"from":6`: all[6:], `,"max":1000,"from":7`: nil, `,"max":1,"from":9223372036854775807`: nil,
		} {
			if diff := cmp.Diff(want, shown(fields)); diff != "" {
				f.Errorf("%s (-want +got):\n%s", fields, diff)
			}
		}
	})
}

// An answer has the largest groups, and says that there are more.
func TestManyGroups(t *testing.T) {
	bubble(t, func(f *fixture) {
		for i := range maxGroups {
			f.typed(fmt.Sprintf("scan.host%c%c", 'a'+i/26, 'a'+i%26))
		}
		f.typed("shop.order")
		for _, payload := range []string{
			`{"command":"dlq.status"}`, `{"command":"dlq.replay","dry_run":true}`, `{"command":"dlq.purge","dry_run":true}`,
		} {
			a := f.ok(payload)
			if n := len(a["groups"].([]any)); n != maxGroups || a.text("note") != "these are the 200 largest of 201 groups" {
				f.Errorf("%s: %d groups, %q", payload, n, a.text("note"))
			}
		}
		f.typed("shop.order")
		f.typed("shop.order")
		f.typed("scan.hostaa")
		for _, payload := range []string{
			`{"command":"dlq.status"}`, `{"command":"dlq.replay","dry_run":true}`, `{"command":"dlq.purge","dry_run":true}`,
		} {
			groups := f.ok(payload)["groups"].([]any)
			first, second := groups[0].(map[string]any), groups[1].(map[string]any)
			if first["type"] != "shop.order" || first["count"] != 3.0 || second["type"] != "scan.hostaa" || second["count"] != 2.0 {
				f.Errorf("%s: the largest are %v and %v", payload, first, second)
			}
		}
		payload := `{"command":"dlq.replay","dry_run":true,"filter":{"type":"shop.order"}}`
		if a := f.ok(payload); len(a["groups"].([]any)) != 1 || a.text("note") != "" {
			f.Errorf("%s: %v", payload, a)
		}
		f.queues.Receive(deadQueue, 1) // others hold one: that is worth more than how many groups there are
		for payload, note := range map[string]string{
			`{"command":"dlq.status"}`:                `there may be more groups, and larger ones`,
			`{"command":"dlq.replay","dry_run":true}`: `the plan covers what was seen`,
		} {
			a := f.ok(payload)
			if n := len(a["groups"].([]any)); n != maxGroups || a["complete"] != false || !strings.Contains(a.text("note"), note) {
				f.Errorf("%s: %d groups, complete %v, %q", payload, n, a["complete"], a.text("note"))
			}
		}
	})
}

// Exactly as many groups as an answer holds are all of them.
func TestGroupsThatFit(t *testing.T) {
	bubble(t, func(f *fixture) {
		for i := range maxGroups {
			f.typed(fmt.Sprintf("scan.host%c%c", 'a'+i/26, 'a'+i%26))
		}
		for _, payload := range []string{`{"command":"dlq.status"}`, `{"command":"dlq.replay","dry_run":true}`} {
			a := f.ok(payload)
			if n := len(a["groups"].([]any)); n != maxGroups || a.text("note") != "" || a["complete"] != true {
				f.Errorf("%s: %d groups, %q", payload, n, a.text("note"))
			}
		}
	})
}

// A plan lists what it has found in the queue itself before what it knows from
// the index, and takes the index alone when that has all there is.
func TestPlanOrder(t *testing.T) {
	bubble(t, func(f *fixture) {
		ids := f.dead("shop.order", errFlaky, "1", "2")
		listed := func() (got []string) {
			for _, m := range f.ok(`{"command":"dlq.replay","dry_run":true}`)["messages"].([]any) {
				m := m.(map[string]any)
				id, _ := m["task_id"].(string)
				_, named := m["message_id"]
				got = append(got, fmt.Sprintf("%d %s, message id %v", slices.Index(ids, id)+1, m["action"], named))
			}
			slices.Sort(got[max(len(got)-2, 0):]) // the index has shards
			return got
		}
		f.queues.ResetCalls()
		if diff := cmp.Diff([]string{"1 replay, message id false", "2 replay, message id false"}, listed()); diff != "" {
			f.Errorf("by the index (-want +got):\n%s", diff)
		}
		if n := f.queues.Calls()["ReceiveMessage"]; n > 0 {
			f.Errorf("the index knows all, and the queue was read %d times", n)
		}
		ids = append(ids, f.crashed("3"))
		f.foreign(deadQueue, "hello")
		want := []string{"3 replay, message id true", "0 skip, message id true", "1 replay, message id false", "2 replay, message id false"}
		if diff := cmp.Diff(want, listed()); diff != "" {
			f.Errorf("by both (-want +got):\n%s", diff)
		}
		time.Sleep(time.Second)
		f.holds(deadQueue, 4)
	})
}
