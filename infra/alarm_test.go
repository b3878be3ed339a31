package infra_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// alarmed are what alarms watch, as "dimension: value".
func alarmed(t *testing.T, tmpl template, namespace string, metrics ...string) map[string]resource {
	t.Helper()
	found := map[string]resource{}
	for _, alarm := range tmpl.ofType("AWS::CloudWatch::Alarm") {
		if at(t, alarm.Properties, "Namespace") != namespace {
			continue
		}
		for _, metric := range metrics {
			if alarm.Properties["MetricName"] != metric {
				continue
			}
			for _, d := range at(t, alarm.Properties, "Dimensions").([]any) {
				found[at(t, d, "Name").(string)+": "+at(t, d, "Value").(string)] = alarm
			}
		}
	}
	return found
}

// Whatever ends in a queue from which nobody takes it by itself is seen, and so is a stream that nobody gets through. A
// queue with a redrive policy ends in its dead-letter queue.
func TestEveryQueueAndStreamHasAnAlarm(t *testing.T) {
	tmpl, _ := load(t)
	queues := alarmed(t, tmpl, "AWS/SQS", "ApproximateNumberOfMessagesVisible", "ApproximateAgeOfOldestMessage")
	for name, queue := range tmpl.ofType("AWS::SQS::Queue") {
		end := name
		if policy, ok := queue.Properties["RedrivePolicy"]; ok {
			end = strings.TrimSuffix(at(t, policy, "deadLetterTargetArn").(string), ".Arn")
			if _, last := tmpl.Resources[end].Properties["RedrivePolicy"]; tmpl.Resources[end].Type != "AWS::SQS::Queue" || last {
				t.Errorf("%s ends in %s, which is no end", name, end)
			}
		}
		if _, ok := queues["QueueName: "+end+".QueueName"]; !ok {
			t.Errorf("no alarm tells what ends in %s", end)
		}
	}
	streams := alarmed(t, tmpl, "AWS/Lambda", "IteratorAge")
	for name, function := range tmpl.functions() {
		for event, source := range function.events() {
			if at(t, source, "Type") != "DynamoDB" {
				continue
			}
			if _, ok := streams["FunctionName: "+name]; !ok {
				t.Errorf("no alarm tells that %s of %s is behind", event, name)
			}
		}
	}
}

// Metrics of queues and functions are absent while nothing happens, which is no reason to wake anybody, and each alarm
// tells when it is over. Where to look is in its text.
func TestAlarms(t *testing.T) {
	tmpl, _ := load(t)
	alarms := tmpl.ofType("AWS::CloudWatch::Alarm")
	if len(alarms) == 0 {
		t.Fatal("no alarms")
	}
	runbook, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Errorf("there is nothing to read for whoever is woken: %v", err)
	}
	sections := map[string]bool{}
	for _, heading := range regexp.MustCompile(`(?m)^#+ (.+)$`).FindAllStringSubmatch(string(runbook), -1) {
		words := regexp.MustCompile(`[^\w -]`).ReplaceAllString(strings.ToLower(heading[1]), "")
		sections[strings.ReplaceAll(words, " ", "-")] = true
	}
	tell := any([]any{"HasAlarmTopic", []any{"AlarmTopicArn"}, "AWS::NoValue"})
	for name, alarm := range alarms {
		if got := at(t, alarm.Properties, "TreatMissingData"); got != "notBreaching" {
			t.Errorf("%s: missing data is %v", name, got)
		}
		for _, list := range []string{"AlarmActions", "OKActions"} {
			if diff := cmp.Diff(tell, at(t, alarm.Properties, list)); diff != "" {
				t.Errorf("%s of %s (-want +got):\n%s", list, name, diff)
			}
		}
		where := regexp.MustCompile(` docs/operations\.md#([\w-]+)$`).FindStringSubmatch(at(t, alarm.Properties, "AlarmDescription").(string))
		switch {
		case where == nil:
			t.Errorf("%s does not say where to read on: %v", name, alarm.Properties["AlarmDescription"])
		case runbook != nil && !sections[where[1]]:
			t.Errorf("%s: docs/operations.md has no section #%s", name, where[1])
		}
	}
	if diff := cmp.Diff(any([]any{[]any{"AlarmTopicArn", ""}}), tmpl.Conditions["HasAlarmTopic"]); diff != "" {
		t.Errorf("the condition of a topic (-want +got):\n%s", diff)
	}
}

// One dead letter is one too many; the alarm is on what is there, because SQS does not count what it moves itself as
// sent.
func TestDeadLettersAlarm(t *testing.T) {
	tmpl, _ := load(t)
	want := map[string]any{
		"Namespace": "AWS/SQS", "MetricName": "ApproximateNumberOfMessagesVisible", "Statistic": "Maximum", "Period": 60, "EvaluationPeriods": 1,
		"Threshold": 0, "ComparisonOperator": "GreaterThanThreshold",
		"Dimensions": []any{map[string]any{"Name": "QueueName", "Value": "DeadLetterQueue.QueueName"}},
	}
	got := tmpl.Resources["DeadLettersAlarm"].Properties
	for name, v := range want {
		if diff := cmp.Diff(v, got[name]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// The alarms of the stream go off while there is most of a day left to do something, and can go off at all: Lambda gives a
// record up when it is StreamRecordAge old, so no iterator gets older.
func TestStreamAlarmsLeaveTime(t *testing.T) {
	tmpl, _ := load(t)
	number := func(alarm, name string) time.Duration {
		return time.Duration(at(t, tmpl.Resources[alarm].Properties, name).(int))
	}
	age := time.Duration(tmpl.Mappings["Size"]["standard"]["StreamRecordAge"]) * time.Second
	if behind := number("StreamTimeLeftAlarm", "Threshold") * time.Millisecond; behind > age/2 { //nolint:durationcheck // a number
		t.Errorf("the stream is %s behind when that is said, and gives records up after %s", behind, age)
	}
	// A range is as old as Lambda lets its records get before it arrives.
	for _, alarm := range []string{"StreamFailuresAlarm", "StreamRescueAlarm"} {
		waited := number(alarm, "Period") * number(alarm, "EvaluationPeriods") * time.Second //nolint:durationcheck // numbers
		if tmpl.Resources[alarm].Properties["MetricName"] == "ApproximateAgeOfOldestMessage" {
			waited += number(alarm, "Threshold") * time.Second //nolint:durationcheck // a number
		}
		if left := streamKeeps - age - waited; left < 16*time.Hour {
			t.Errorf("%s: %s are left", alarm, left)
		}
	}
	// The age of the oldest message does not see one that was received three times; what is hidden between two tries does.
	if got := tmpl.Resources["StreamRescueAlarm"].Properties["MetricName"]; got != "ApproximateNumberOfMessagesNotVisible" {
		t.Errorf("StreamRescueAlarm watches %v", got)
	}
}
