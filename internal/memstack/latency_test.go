package memstack_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/spillway-go/spillway/internal/memstack"
	"github.com/spillway-go/spillway/pkg/workqueue"
)

// A call takes effect before its caller has the answer: what is in a queue can
// be worked on before the sender knows that it is there. Some requests and
// answers are seconds late.
func TestAnswersUnderWay(t *testing.T) {
	const sends = 20
	inBubble(t, memstack.Options{Latency: time.Second, Slow: 0.5}, func(t *testing.T, s *memstack.Stack) {
		name := s.Name("DeadLetterQueue")
		queue := workqueue.New(sqs.NewFromConfig(s.Config()), "https://sqs.eu-central-1.amazonaws.com/123456789012/"+name, nil)
		between, slow := 0, 0
		for n := 1; n <= sends; n++ {
			began, answer := time.Now(), make(chan error, 1)
			go func() { answer <- queue.Send(t.Context(), workqueue.Outgoing{Body: "b"}) }()
			s.Await("the message is in the queue", func() bool { return len(s.SQS.Messages(name)) == n })
			if len(answer) == 0 {
				between++
			}
			if err := <-answer; err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); took > 3*time.Second {
				slow++
			}
		}
		if between < sends/2 || slow < 1 || slow == sends {
			t.Errorf("of %d sends, %d took effect before their answers and %d took more than 3 s", sends, between, slow)
		}
	})
}
