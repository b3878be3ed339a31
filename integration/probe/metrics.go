package probe

import (
	"bytes"
	"context"
	"encoding/xml"
	"strconv"
	"strings"
	"time"
)

const (
	watchGuide = "https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/"
	logsGuide  = "https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/"
)

var metricFeatures = []Feature{
	{
		EMF, "CloudWatch", "embedded metric format", "metrics in a log become metrics",
		watchGuide + "CloudWatch_Embedded_Metric_Format_Specification.html", tryEMF,
	},
	{
		MetricFilter, "CloudWatch", "metric filters", "a line in a log that matches becomes a metric",
		logsGuide + "MonitoringLogData.html", tryMetricFilter,
	},
	{
		LogPattern, "CloudWatch", "patterns for JSON in logs", "find the lines whose fields match, and no others",
		logsGuide + "FilterAndPatternSyntax.html", tryLogPattern,
	},
	{
		QueueMetrics, "CloudWatch", "metrics of SQS", "AWS/SQS counts the messages of a queue",
		"https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html", tryQueueMetrics,
	},
	{
		MetricMath, "CloudWatch", "metric math", "GetMetricData calculates expressions",
		watchGuide + "using-metric-math.html", tryMetricMath,
	},
	{
		MetricMathAlarm, "CloudWatch", "alarms on metric math", "alarm on the value of an expression",
		watchGuide + "Create-alarm-on-metric-math-expression.html", tryMetricMathAlarm,
	},
	{
		AlarmMissingData, "CloudWatch", "alarms without data", "are OK again when missing data counts as not breaching",
		watchGuide + "alarms-and-missing-data.html", tryAlarmMissingData,
	},
}

// logGroup makes one with a stream of the same name.
func (b *bench) logGroup(ctx context.Context) error {
	if _, err := b.api.json(ctx, "logs", "CreateLogGroup", object{"logGroupName": b.name}); err != nil {
		return err
	}
	b.laterJSON("logs", "DeleteLogGroup", object{"logGroupName": b.name})
	_, err := b.api.json(ctx, "logs", "CreateLogStream", object{"logGroupName": b.name, "logStreamName": b.name})
	return err
}

func (b *bench) log(ctx context.Context, lines ...string) error {
	var events []object
	for _, l := range lines {
		events = append(events, object{"timestamp": time.Now().UnixMilli(), "message": l})
	}
	_, err := b.api.json(ctx, "logs", "PutLogEvents", object{"logGroupName": b.name, "logStreamName": b.name, "logEvents": events})
	return err
}

// counted waits for a metric with data in a namespace, whose name is this
// bench's unless dimensions say otherwise.
func (b *bench) counted(ctx context.Context, patience time.Duration, namespace, metric string, dimension ...string) (bool, error) {
	return until(ctx, patience, func() (bool, error) {
		in := map[string]string{
			"Namespace": namespace, "MetricName": metric, "Period": "60", "Statistics.member.1": "Sum",
			"StartTime": time.Now().UTC().Add(-10 * time.Minute).Format(time.RFC3339), "EndTime": time.Now().UTC().Add(2 * time.Minute).Format(time.RFC3339),
		}
		if len(dimension) == 2 {
			in["Dimensions.member.1.Name"], in["Dimensions.member.1.Value"] = dimension[0], dimension[1]
		}
		answer, err := b.api.query(ctx, "cloudwatch", "GetMetricStatistics", in)
		return bytes.Contains(answer, []byte("<Sum>")), err
	})
}

// tryEMF writes a metric into a log.
func tryEMF(ctx context.Context, b *bench) (Result, error) {
	if err := b.logGroup(ctx); err != nil {
		return Result{}, err
	}
	err := b.log(ctx, compact(object{
		"_aws": object{
			"Timestamp":         time.Now().UnixMilli(),
			"CloudWatchMetrics": []object{{"Namespace": b.name, "Dimensions": [][]string{{}}, "Metrics": []object{{"Name": "Things", "Unit": "Count"}}}},
		},
		"Things": 3,
	}))
	if err != nil {
		return Result{}, err
	}
	there, err := b.counted(ctx, b.within(85*time.Second, 20*time.Second), b.name, "Things")
	if err != nil {
		return Result{}, err
	}
	return b.late(there, "no metric")
}

// tryMetricFilter counts lines.
func tryMetricFilter(ctx context.Context, b *bench) (Result, error) {
	if err := b.logGroup(ctx); err != nil {
		return Result{}, err
	}
	_, err := b.api.json(ctx, "logs", "PutMetricFilter", object{
		"logGroupName": b.name, "filterName": "probe", "filterPattern": `{ $.message = "counted" }`,
		"metricTransformations": []object{{"metricName": "Lines", "metricNamespace": b.name, "metricValue": "1"}},
	})
	if err != nil {
		return Result{}, err
	}
	if err := b.log(ctx, `{"message":"counted"}`, `{"message":"other"}`); err != nil {
		return Result{}, err
	}
	there, err := b.counted(ctx, b.within(85*time.Second, 20*time.Second), b.name, "Lines")
	if err != nil {
		return Result{}, err
	}
	return b.late(there, "no metric")
}

func tryLogPattern(ctx context.Context, b *bench) (Result, error) {
	if err := b.logGroup(ctx); err != nil {
		return Result{}, err
	}
	if err := b.log(ctx, `{"n":1}`, `{"n":2}`, "not JSON"); err != nil {
		return Result{}, err
	}
	var found []object
	_, err := until(ctx, b.within(30*time.Second, 5*time.Second), func() (bool, error) {
		out, err := b.api.json(ctx, "logs", "FilterLogEvents", object{"logGroupName": b.name, "filterPattern": "{ $.n = 2 }"})
		found = list(out, "events")
		return len(found) > 0, err
	})
	if err != nil {
		return Result{}, err
	}
	if len(found) == 1 && text(found[0], "message") == `{"n":2}` {
		return asOnAWS()
	}
	return differs("of three lines one matches, " + strconv.Itoa(len(found)) + " are found")
}

// tryQueueMetrics sends and receives a message.
func tryQueueMetrics(ctx context.Context, b *bench) (Result, error) {
	url, _, err := b.queue(ctx, "", nil)
	if err != nil {
		return Result{}, err
	}
	if err := b.sendTo(ctx, url, "counted"); err != nil {
		return Result{}, err
	}
	there, err := b.counted(ctx, b.within(85*time.Second, 20*time.Second), "AWS/SQS", "NumberOfMessagesSent", "QueueName", b.name)
	if err != nil {
		return Result{}, err
	}
	return b.late(there, "a message that was sent is not counted")
}

// measure sends values of the metrics a and b.
func (b *bench) measure(ctx context.Context, values map[string]int) error {
	for name, v := range values {
		_, err := b.api.query(ctx, "cloudwatch", "PutMetricData", map[string]string{
			"Namespace": b.name, "MetricData.member.1.MetricName": name, "MetricData.member.1.Value": strconv.Itoa(v),
			"MetricData.member.1.StorageResolution": "1",
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// mathQueries are the parameters for a + b under a prefix.
func mathQueries(prefix, namespace string, period int) map[string]string {
	in := map[string]string{}
	for i, name := range []string{"a", "b"} {
		at := prefix + strconv.Itoa(i+1) + "."
		in[at+"Id"], in[at+"ReturnData"] = name, "false"
		in[at+"MetricStat.Metric.Namespace"], in[at+"MetricStat.Metric.MetricName"] = namespace, name
		in[at+"MetricStat.Period"], in[at+"MetricStat.Stat"] = strconv.Itoa(period), "Sum"
	}
	in[prefix+"3.Id"], in[prefix+"3.Expression"], in[prefix+"3.ReturnData"] = "sum", "a + b", "true"
	return in
}

// tryMetricMath adds two metrics.
func tryMetricMath(ctx context.Context, b *bench) (Result, error) {
	if err := b.measure(ctx, map[string]int{"a": 2, "b": 3}); err != nil {
		return Result{}, err
	}
	there, err := until(ctx, b.within(80*time.Second, 5*time.Second), func() (bool, error) {
		in := mathQueries("MetricDataQueries.member.", b.name, 60)
		in["StartTime"] = time.Now().UTC().Add(-10 * time.Minute).Format(time.RFC3339)
		in["EndTime"] = time.Now().UTC().Add(2 * time.Minute).Format(time.RFC3339)
		answer, err := b.api.query(ctx, "cloudwatch", "GetMetricData", in)
		return bytes.Contains(answer, []byte("<member>5</member>")) || bytes.Contains(answer, []byte("<member>5.0</member>")), err
	})
	if err != nil {
		return Result{}, err
	}
	return b.late(there, "no value of an expression")
}

// alarm makes one with periods of ten seconds; more says what it is about.
func (b *bench) alarm(ctx context.Context, more map[string]string) error {
	in := map[string]string{
		"AlarmName": b.name, "EvaluationPeriods": "1", "Threshold": "1", "ComparisonOperator": "GreaterThanThreshold",
		"TreatMissingData": "notBreaching",
	}
	for k, v := range more {
		in[k] = v
	}
	if _, err := b.api.query(ctx, "cloudwatch", "PutMetricAlarm", in); err != nil {
		return err
	}
	b.laterQuery("cloudwatch", "DeleteAlarms", map[string]string{"AlarmNames.member.1": b.name})
	return nil
}

// becomes waits for a state of the alarm, and measures as long as there is
// something to measure.
func (b *bench) becomes(ctx context.Context, state string, patience time.Duration, values map[string]int) (bool, error) {
	return until(ctx, patience, func() (bool, error) {
		if err := b.measure(ctx, values); err != nil {
			return false, err
		}
		answer, err := b.api.query(ctx, "cloudwatch", "DescribeAlarms", map[string]string{"AlarmNames.member.1": b.name})
		if err != nil {
			return false, err
		}
		var out struct {
			State string `xml:"DescribeAlarmsResult>MetricAlarms>member>StateValue"`
		}
		err = xml.Unmarshal(answer, &out)
		return strings.EqualFold(out.State, state), err
	})
}

// tryMetricMathAlarm alarms on the sum of two metrics.
func tryMetricMathAlarm(ctx context.Context, b *bench) (Result, error) {
	if err := b.alarm(ctx, mathQueries("Metrics.member.", b.name, 10)); err != nil {
		return Result{}, err
	}
	alarmed, err := b.becomes(ctx, "ALARM", b.within(80*time.Second, 25*time.Second), map[string]int{"a": 2, "b": 3})
	if err != nil {
		return Result{}, err
	}
	return where(alarmed, Missing, "never alarms")
}

// tryAlarmMissingData alarms, and then measures nothing any more.
func tryAlarmMissingData(ctx context.Context, b *bench) (Result, error) {
	err := b.alarm(ctx, map[string]string{"Namespace": b.name, "MetricName": "a", "Period": "10", "Statistic": "Sum"})
	if err != nil {
		return Result{}, err
	}
	alarmed, err := b.becomes(ctx, "ALARM", 30*time.Second, map[string]int{"a": 5})
	if err != nil {
		return Result{}, err
	}
	if !alarmed {
		return unknown("never alarms")
	}
	ok, err := b.becomes(ctx, "OK", 55*time.Second, nil)
	if err != nil {
		return Result{}, err
	}
	return where(ok, Missing, "stays in ALARM for 55 s, with periods of 10 s")
}
