package probe

import (
	"context"
	"net/http"
	"strings"
	"time"
)

var eventFeatures = []Feature{
	{
		EventPattern, "EventBridge", "rules", "send an event that matches to a queue, and no other",
		"https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-event-patterns.html", tryEventPattern,
	},
	{
		EventTransformer, "EventBridge", "input transformers", "make the message from parts of the event",
		"https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html", tryEventTransformer,
	},
	{
		ScheduledRule, "EventBridge", "rules with a schedule", "rate(1 minute) fires every minute",
		"https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-rule-schedule.html", tryScheduledRule,
	},
	{
		Scheduler, "EventBridge", "EventBridge Scheduler", "a schedule fires at its time, within a minute",
		"https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html", tryScheduler,
	},
}

// rule makes a rule of the default bus that sends to a new queue, whose URL it
// returns.
func (b *bench) rule(ctx context.Context, rule, target object) (queue string, err error) {
	queue, arn, err := b.queue(ctx, "-events", nil)
	if err != nil {
		return "", err
	}
	in := object{"Name": b.name}
	for k, v := range rule {
		in[k] = v
	}
	made, err := b.api.json(ctx, "events", "PutRule", in)
	if err != nil {
		return "", err
	}
	b.laterJSON("events", "DeleteRule", object{"Name": b.name})
	policy := compact(object{"Version": "2012-10-17", "Statement": []object{{
		"Effect": "Allow", "Principal": object{"Service": "events.amazonaws.com"}, "Action": "sqs:SendMessage", "Resource": arn,
		"Condition": object{"ArnEquals": object{"aws:SourceArn": text(made, "RuleArn")}},
	}}})
	if err := b.setAttribute(ctx, queue, "Policy", policy); err != nil {
		return "", err
	}
	to := object{"Id": "queue", "Arn": arn}
	for k, v := range target {
		to[k] = v
	}
	if _, err := b.api.json(ctx, "events", "PutTargets", object{"Rule": b.name, "Targets": []object{to}}); err != nil {
		return "", err
	}
	b.laterJSON("events", "RemoveTargets", object{"Rule": b.name, "Ids": []string{"queue"}})
	return queue, nil
}

// emit sends an event until it has arrived: a new rule is not everywhere at once.
func (b *bench) emit(ctx context.Context, queue string, wanted func(body string) bool, details ...string) (arrived bool, err error) {
	var entries []object
	for _, d := range details {
		entries = append(entries, object{"Source": b.name, "DetailType": "probe", "Detail": d})
	}
	return until(ctx, b.within(time.Minute, 20*time.Second), func() (bool, error) {
		if _, err := b.api.json(ctx, "events", "PutEvents", object{"Entries": entries}); err != nil {
			return false, err
		}
		return b.arrives(ctx, queue, 2*time.Second, wanted)
	})
}

func tryEventPattern(ctx context.Context, b *bench) (Result, error) {
	queue, err := b.rule(ctx, object{"EventPattern": compact(object{"source": []string{b.name}, "detail": object{"size": []object{{"numeric": []any{">", 5}}}}})}, nil)
	if err != nil {
		return Result{}, err
	}
	small := false
	arrived, err := b.emit(ctx, queue, func(body string) bool {
		small = small || strings.Contains(body, `"size":1}`) || strings.Contains(body, `"size": 1}`)
		return strings.Contains(body, "10}")
	}, `{"size":1}`, `{"size":10}`)
	if err != nil {
		return Result{}, err
	}
	if !arrived {
		return missing("an event that matches does not arrive")
	}
	return where(!small, Differs, "an event that does not match arrives")
}

func tryEventTransformer(ctx context.Context, b *bench) (Result, error) {
	queue, err := b.rule(ctx, object{"EventPattern": compact(object{"source": []string{b.name}})}, object{"InputTransformer": object{
		"InputPathsMap": object{"size": "$.detail.size"}, "InputTemplate": `{"made_of":<size>}`,
	}})
	if err != nil {
		return Result{}, err
	}
	got := ""
	arrived, err := b.emit(ctx, queue, func(body string) bool { got = body; return true }, `{"size":10}`)
	if err != nil {
		return Result{}, err
	}
	if !arrived {
		return missing("nothing arrives")
	}
	return where(strings.ReplaceAll(got, " ", "") == `{"made_of":10}`, Differs, "arrives as "+got)
}

func tryScheduledRule(ctx context.Context, b *bench) (Result, error) {
	queue, err := b.rule(ctx, object{"ScheduleExpression": "rate(1 minute)"}, nil)
	if err != nil {
		return Result{}, err
	}
	fired, err := b.arrives(ctx, queue, 75*time.Second, anything)
	if err != nil {
		return Result{}, err
	}
	return where(fired, Missing, "nothing within 75 s")
}

// tryScheduler has a message sent in three seconds.
func tryScheduler(ctx context.Context, b *bench) (Result, error) {
	queue, arn, err := b.queue(ctx, "", nil)
	if err != nil {
		return Result{}, err
	}
	role, err := b.role(ctx, "", object{"Service": "scheduler.amazonaws.com"}, object{"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": arn})
	if err != nil {
		return Result{}, err
	}
	in := object{
		"ScheduleExpression": time.Now().UTC().Add(3 * time.Second).Format("at(2006-01-02T15:04:05)"),
		"FlexibleTimeWindow": object{"Mode": "OFF"}, "Target": object{"Arn": arn, "RoleArn": role, "Input": "fired"},
	}
	_, err = until(ctx, 30*time.Second, func() (bool, error) {
		_, err := b.api.rest(ctx, "scheduler", http.MethodPost, "/schedules/"+b.name, in)
		if refusal(err) == "ValidationException" && strings.Contains(err.Error(), "assume") { // yet
			return false, nil
		}
		return err == nil, err
	})
	if err != nil {
		return Result{}, err
	}
	b.laterDelete("scheduler", "/schedules/"+b.name)
	fired, err := b.arrives(ctx, queue, 70*time.Second, anything)
	if err != nil {
		return Result{}, err
	}
	return where(fired, Missing, "nothing within 70 s")
}
