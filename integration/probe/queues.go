package probe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

const sqsReference = "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/"

var queueFeatures = []Feature{
	{
		MoveTasks, "SQS", "move tasks", "StartMessageMoveTask moves messages of a dead-letter queue back",
		sqsReference + "API_StartMessageMoveTask.html", tryMoveTasks,
	},
	{
		Redrive, "SQS", "dead-letter queue", "a message that was received maxReceiveCount times moves there",
		"https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-dead-letter-queues.html", tryRedrive,
	},
	{
		RedriveAllow, "SQS", "redrive-allow policy", "a queue can refuse to be the dead-letter queue of another",
		sqsReference + "API_SetQueueAttributes.html", tryRedriveAllow,
	},
	{
		FIFO, "SQS", "FIFO queues", "order within a group, and repeated deduplication ids within five minutes are dropped",
		"https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/FIFO-queues-understanding-logic.html", tryFIFO,
	},
	{
		MessageLimit, "SQS", "size of messages", "more than 1 MiB is refused",
		"https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html", tryMessageLimit,
	},
	{
		DelayLimit, "SQS", "range of delays", "DelaySeconds above 900 is refused",
		sqsReference + "API_SendMessage.html", tryDelayLimit,
	},
	{
		VisibilityLimit, "SQS", "range of visibility time-outs", "more than 12 hours is refused",
		sqsReference + "API_ChangeMessageVisibility.html", tryVisibilityLimit,
	},
	{
		StaleReceipt, "SQS", "deletion with an old receipt handle", "succeeds, and the message stays",
		sqsReference + "API_DeleteMessage.html", tryStaleReceipt,
	},
	{
		QueuePolicy, "SQS", "queue policies", "a policy that denies an action to everybody is enforced",
		"https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-basic-examples-of-sqs-policies.html", tryQueuePolicy,
	},
	{
		QueueKey, "SQS", "encryption with an own key", "sending is refused when the key does not exist",
		sqsReference + "API_SendMessage.html", tryQueueKey,
	},
}

// queue makes a queue and returns its URL and ARN. The suffix .fifo makes it one
// that keeps the order.
func (b *bench) queue(ctx context.Context, suffix string, attributes map[string]string) (url, arn string, err error) {
	in := object{"QueueName": b.name + suffix}
	if len(attributes) > 0 {
		in["Attributes"] = attributes
	}
	out, err := b.api.json(ctx, "sqs", "CreateQueue", in)
	if err != nil {
		return "", "", err
	}
	url = text(out, "QueueUrl")
	b.laterJSON("sqs", "DeleteQueue", object{"QueueUrl": url})
	arn, err = b.attribute(ctx, url, "QueueArn")
	return url, arn, err
}

func (b *bench) attribute(ctx context.Context, url, name string) (string, error) {
	out, err := b.api.json(ctx, "sqs", "GetQueueAttributes", object{"QueueUrl": url, "AttributeNames": []string{name}})
	if err != nil {
		return "", err
	}
	return text(at(out, "Attributes"), name), nil
}

func (b *bench) setAttribute(ctx context.Context, url, name, value string) error {
	_, err := b.api.json(ctx, "sqs", "SetQueueAttributes", object{"QueueUrl": url, "Attributes": map[string]string{name: value}})
	return err
}

// compact is a value in JSON. Those here can all be written so.
func compact(v any) string {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// redrive is the attribute of a queue whose messages move to a dead-letter queue.
func redrive(arn string, receives int) string {
	return compact(object{"deadLetterTargetArn": arn, "maxReceiveCount": receives})
}

func (b *bench) sendTo(ctx context.Context, url, body string) error {
	_, err := b.api.json(ctx, "sqs", "SendMessage", object{"QueueUrl": url, "MessageBody": body})
	return err
}

func (b *bench) receive(ctx context.Context, url string, more object) ([]object, error) {
	in := object{"QueueUrl": url, "MaxNumberOfMessages": 10, "WaitTimeSeconds": 1}
	for k, v := range more {
		in[k] = v
	}
	out, err := b.api.json(ctx, "sqs", "ReceiveMessage", in)
	return list(out, "Messages"), err
}

// arrives waits for a message that is as wanted.
func (b *bench) arrives(ctx context.Context, url string, patience time.Duration, wanted func(body string) bool) (bool, error) {
	return until(ctx, patience, func() (bool, error) {
		messages, err := b.receive(ctx, url, nil)
		return slices.ContainsFunc(messages, func(m object) bool { return wanted(text(m, "Body")) }), err
	})
}

func anything(string) bool { return true }

// oneMessage waits for a message.
func (b *bench) oneMessage(ctx context.Context, url string, more object) (m object, err error) {
	arrived, err := until(ctx, 20*time.Second, func() (bool, error) {
		messages, err := b.receive(ctx, url, more)
		if len(messages) > 0 {
			m = messages[0]
		}
		return m != nil, err
	})
	if err == nil && !arrived {
		err = errors.New("a message that was sent does not arrive")
	}
	return m, err
}

// tryMoveTasks moves a dead letter back.
func tryMoveTasks(ctx context.Context, b *bench) (Result, error) {
	dead, deadARN, err := b.queue(ctx, "-dead", nil)
	if err != nil {
		return Result{}, err
	}
	source, sourceARN, err := b.queue(ctx, "", map[string]string{"RedrivePolicy": redrive(deadARN, 1)})
	if err != nil {
		return Result{}, err
	}
	if err := b.sendTo(ctx, dead, "letter"); err != nil {
		return Result{}, err
	}
	_, err = b.api.json(ctx, "sqs", "StartMessageMoveTask", object{"SourceArn": deadARN, "DestinationArn": sourceARN})
	if code := refusal(err); code != "" {
		return missing("StartMessageMoveTask is refused: " + code)
	}
	if err != nil {
		return Result{}, err
	}
	moved, err := b.arrives(ctx, source, 30*time.Second, anything)
	if err != nil {
		return Result{}, err
	}
	return where(moved, Differs, "accepted, and nothing moves within 30 s")
}

// tryRedrive receives a message as often as it may be, and once more.
func tryRedrive(ctx context.Context, b *bench) (Result, error) {
	dead, deadARN, err := b.queue(ctx, "-dead", nil)
	if err != nil {
		return Result{}, err
	}
	source, _, err := b.queue(ctx, "", map[string]string{"RedrivePolicy": redrive(deadARN, 2), "VisibilityTimeout": "1"})
	if err != nil {
		return Result{}, err
	}
	if err := b.sendTo(ctx, source, "letter"); err != nil {
		return Result{}, err
	}
	times := 0
	moved, err := until(ctx, 20*time.Second, func() (bool, error) {
		messages, err := b.receive(ctx, source, nil)
		if times += len(messages); err != nil || times < 2 || len(messages) > 0 {
			return times > 3, err
		}
		messages, err = b.receive(ctx, dead, nil)
		return len(messages) > 0, err
	})
	if err != nil {
		return Result{}, err
	}
	return where(moved && times == 2, Missing, fmt.Sprintf("received %d times, two allowed; dead letter: %t", times, moved))
}

// tryRedriveAllow names a queue as dead-letter queue that refuses to be one.
func tryRedriveAllow(ctx context.Context, b *bench) (Result, error) {
	_, deadARN, err := b.queue(ctx, "-dead", map[string]string{"RedriveAllowPolicy": `{"redrivePermission":"denyAll"}`})
	if err != nil {
		return Result{}, err
	}
	source, _, err := b.queue(ctx, "", nil)
	if err != nil {
		return Result{}, err
	}
	return refused(b.setAttribute(ctx, source, "RedrivePolicy", redrive(deadARN, 1)), "any queue can name any other")
}

// tryFIFO sends messages of two groups, one of them twice.
func tryFIFO(ctx context.Context, b *bench) (Result, error) {
	url, _, err := b.queue(ctx, ".fifo", map[string]string{"FifoQueue": "true"})
	if err != nil {
		return Result{}, err
	}
	for _, m := range []string{"a1", "b1", "a2", "a1", "b2", "a3"} {
		_, err := b.api.json(ctx, "sqs", "SendMessage", object{
			"QueueUrl": url, "MessageBody": m, "MessageGroupId": m[:1], "MessageDeduplicationId": m,
		})
		if err != nil {
			return Result{}, err
		}
	}
	order := map[string][]string{}
	count := 0
	_, err = until(ctx, 20*time.Second, func() (bool, error) {
		messages, err := b.receive(ctx, url, nil)
		for _, m := range messages {
			body := text(m, "Body")
			order[body[:1]] = append(order[body[:1]], body)
			count++
			if _, err := b.api.json(ctx, "sqs", "DeleteMessage", object{"QueueUrl": url, "ReceiptHandle": text(m, "ReceiptHandle")}); err != nil {
				return false, err
			}
		}
		return count >= 5 && len(messages) == 0, err
	})
	if err != nil {
		return Result{}, err
	}
	got := strings.Join(order["a"], " ") + ", " + strings.Join(order["b"], " ")
	return where(got == "a1 a2 a3, b1 b2", Differs, "received: "+got)
}

// tryMessageLimit sends one byte too many.
func tryMessageLimit(ctx context.Context, b *bench) (Result, error) {
	url, _, err := b.queue(ctx, "", nil)
	if err != nil {
		return Result{}, err
	}
	if err := b.sendTo(ctx, url, strings.Repeat("x", 1<<20)); refusal(err) != "" {
		return differs("1 MiB is refused: " + refusal(err))
	} else if err != nil {
		return Result{}, err
	}
	return refused(b.sendTo(ctx, url, strings.Repeat("x", 1<<20+1)), "1 MiB and a byte is accepted")
}

func tryDelayLimit(ctx context.Context, b *bench) (Result, error) {
	url, _, err := b.queue(ctx, "", nil)
	if err != nil {
		return Result{}, err
	}
	_, err = b.api.json(ctx, "sqs", "SendMessage", object{"QueueUrl": url, "MessageBody": "late", "DelaySeconds": 901})
	return refused(err, "901 s are accepted")
}

func tryVisibilityLimit(ctx context.Context, b *bench) (Result, error) {
	url, _, err := b.queue(ctx, "", nil)
	if err != nil {
		return Result{}, err
	}
	if err := b.sendTo(ctx, url, "hidden"); err != nil {
		return Result{}, err
	}
	m, err := b.oneMessage(ctx, url, nil)
	if err != nil {
		return Result{}, err
	}
	_, err = b.api.json(ctx, "sqs", "ChangeMessageVisibility", object{
		"QueueUrl": url, "ReceiptHandle": text(m, "ReceiptHandle"), "VisibilityTimeout": 43_201,
	})
	return refused(err, "12 h and a second are accepted")
}

// tryStaleReceipt deletes a message with the handle of its first delivery after
// it was delivered again.
func tryStaleReceipt(ctx context.Context, b *bench) (Result, error) {
	url, _, err := b.queue(ctx, "", nil)
	if err != nil {
		return Result{}, err
	}
	if err := b.sendTo(ctx, url, "twice"); err != nil {
		return Result{}, err
	}
	first, err := b.oneMessage(ctx, url, object{"VisibilityTimeout": 1})
	if err != nil {
		return Result{}, err
	}
	second, err := b.oneMessage(ctx, url, object{"VisibilityTimeout": 2})
	if err != nil {
		return Result{}, err
	}
	if text(first, "ReceiptHandle") == text(second, "ReceiptHandle") {
		return differs("both deliveries have the same handle")
	}
	_, err = b.api.json(ctx, "sqs", "DeleteMessage", object{"QueueUrl": url, "ReceiptHandle": text(first, "ReceiptHandle")})
	if refusal(err) != "" {
		return differs("refused: " + refusal(err))
	}
	if err != nil {
		return Result{}, err
	}
	stays, err := b.arrives(ctx, url, 8*time.Second, anything)
	if err != nil {
		return Result{}, err
	}
	if stays {
		return asOnAWS()
	}
	gone, err := b.empty(ctx, url)
	if err != nil {
		return Result{}, err
	}
	if !gone {
		return unknown("the message does not come again, and is still there")
	}
	return differs("the message is deleted")
}

// tryQueuePolicy denies everybody, the prober too, to send.
func tryQueuePolicy(ctx context.Context, b *bench) (Result, error) {
	url, arn, err := b.queue(ctx, "", nil)
	if err != nil {
		return Result{}, err
	}
	policy := compact(object{"Version": "2012-10-17", "Statement": []object{
		{"Effect": "Deny", "Principal": "*", "Action": "sqs:SendMessage", "Resource": arn},
	}})
	if err := b.setAttribute(ctx, url, "Policy", policy); err != nil {
		return Result{}, err
	}
	// On AWS a policy may take a minute to be in force, so the SetQueueAttributes reference says.
	denied, err := until(ctx, b.within(75*time.Second, 3*time.Second), func() (bool, error) {
		err := b.sendTo(ctx, url, "denied")
		if refusal(err) != "" {
			return true, nil
		}
		return false, err
	})
	if err != nil {
		return Result{}, err
	}
	return where(denied, Missing, "who is denied can send")
}

// tryQueueKey sends to a queue whose key does not exist.
func tryQueueKey(ctx context.Context, b *bench) (Result, error) {
	url, _, err := b.queue(ctx, "", map[string]string{"KmsMasterKeyId": "alias/" + b.name})
	if refusal(err) != "" {
		return differs("a queue whose key does not exist is refused: " + refusal(err))
	}
	if err != nil {
		return Result{}, err
	}
	return refused(b.sendTo(ctx, url, "sealed"), "a message that cannot be encrypted is accepted")
}
