package redrive_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"github.com/spillway-go/spillway/pkg/redrive"
	"github.com/spillway-go/spillway/pkg/workqueue"
	"github.com/spillway-go/spillway/pkg/workqueue/workqueuetest"
)

// A FIFO queue delivers a replay within five minutes of the original, and in
// the order of each group; behind one that cannot be sent, its group stays.
func TestFIFO(t *testing.T) {
	bubble(t, func(r *rig) {
		source, letters := r.sqs.Create("orders.fifo", workqueuetest.QueueOptions{}), r.sqs.Create("orders-dead.fifo", workqueuetest.QueueOptions{})
		q, dlq := workqueue.New(r.sqs, source, nil), workqueue.New(r.sqs, letters, nil)
		for i := range 12 {
			m := workqueue.Outgoing{
				Body: fmt.Sprintf("%c%d", 'a'+i%3, i/3), Group: string(rune('a' + i%3)), DeduplicationID: fmt.Sprint("order-", i),
				Attributes: map[string]types.MessageAttributeValue{"origin": text("orders.fifo")},
			}
			if err := q.Send(t.Context(), m); err != nil {
				t.Fatal(err)
			}
			if err := dlq.Send(t.Context(), m); err != nil {
				t.Fatal(err)
			}
		}
		for _, rec := range r.sqs.Receive("orders.fifo", 100) {
			r.sqs.Delete("orders.fifo", rec.ReceiptHandle) // worked on in vain
		}
		refuse := true
		r.sqs.Inject(func(c workqueuetest.Call) workqueuetest.Fault {
			for _, body := range c.Entries {
				if refuse && c.Queue == "orders.fifo" && body == "b1" {
					return workqueuetest.Fault{Err: errors.New("no")}
				}
			}
			return workqueuetest.Fault{}
		})
		d := redrive.New(r.control, "control", map[string]redrive.Source{
			"orders": {Letters: workqueue.NewInbox(r.sqs, letters, nil), Origins: redrive.Origins{"orders": q}},
		}, &r.opts)
		time.Sleep(time.Second)
		report, err := d.Run(r.ctx(), redrive.Request{Kind: redrive.KindReplay, Queue: "orders"})
		if err != nil {
			t.Fatal(err)
		}
		order := func(queue string) string {
			groups := map[string]string{}
			for _, m := range r.sqs.Messages(queue) {
				groups[m.Group] += m.Body + " "
			}
			return groups["a"] + "| " + groups["b"] + "| " + groups["c"]
		}
		if report.Failed == 0 || report.Replayed == 0 {
			t.Errorf("%+v", report)
		}
		if strings.Contains(order("orders.fifo"), "b2") || strings.Contains(order("orders.fifo"), "b3") {
			t.Errorf("sent past the one that was refused: %s", order("orders.fifo"))
		}
		refuse = false
		time.Sleep(2 * time.Second)
		for range 5 {
			if _, err = d.Run(r.ctx(), redrive.Request{Kind: redrive.KindReplay, Queue: "orders"}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		if got, want := order("orders.fifo"), "a0 a1 a2 a3 | b0 b1 b2 b3 | c0 c1 c2 c3 "; got != want {
			t.Errorf("replayed in the order %s, want %s", got, want)
		}
		if n := r.depth("orders-dead.fifo"); n != 0 {
			t.Errorf("%d letters are left", n)
		}
	})
}
