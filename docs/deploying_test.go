package docs_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// inventory says of each type of resource what it costs while nothing happens.
// A type that it does not have fails the test, so that none is made unpriced.
var inventory = []struct {
	what  string
	types []string
	idle  string // %s is what price comes to
	price func(n int) (paid, free float64)
}{
	{what: "Lambda functions", types: []string{"AWS::Serverless::Function"}, idle: "nothing"},
	{what: "event source mappings of queues", types: []string{"SQS"}, idle: "Lambda's receives, which find nothing: %s", price: polling},
	{what: "event source mapping of a stream", types: []string{"DynamoDB"}, idle: "nothing: Lambda's reads are free"},
	{what: "DynamoDB tables, on demand", types: []string{"AWS::DynamoDB::Table"}, idle: "what they hold, and its point-in-time recovery, by the GB"},
	{what: "SQS queues", types: []string{"AWS::SQS::Queue"}, idle: "nothing"},
	{what: "S3 bucket, for the archive", types: []string{"AWS::S3::Bucket"}, idle: "what it holds, by the GB"},
	{what: "secrets", types: []string{"AWS::SecretsManager::Secret"}, idle: "$0.40 each: %s", price: each(0.40, 0)},
	{what: "CloudWatch alarms", types: []string{"AWS::CloudWatch::Alarm"}, idle: "$0.10 each, ten of an account are free: %s", price: each(0.10, 10)},
	{what: "metric filters", types: []string{"AWS::Logs::MetricFilter"}, idle: "nothing: their metric has a price only in hours in which something failed"},
	{what: "log groups", types: []string{"AWS::Logs::LogGroup"}, idle: "what they hold, by the GB"},
	{what: "REST API, with a stage", types: []string{"AWS::Serverless::Api"}, idle: "nothing"},
	{what: "usage plan, with `ApiKeys=required`", types: []string{"AWS::ApiGateway::UsagePlan"}, idle: "nothing"},
	{what: "state machine", types: []string{"AWS::Serverless::StateMachine", "AWS::StepFunctions::StateMachine"}, idle: "nothing: an execution is paid by its steps"},
	{what: "EventBridge rule", types: []string{"EventBridgeRule"}, idle: "nothing: events of AWS services are free"},
	{
		what:  "IAM roles and policies, queue and bucket policies, settings of invocations",
		types: []string{"AWS::IAM::Role", "AWS::IAM::Policy", "AWS::SQS::QueuePolicy", "AWS::S3::BucketPolicy", "AWS::Lambda::EventInvokeConfig"},
		idle:  "nothing",
	},
}

// each is a price for each of some resources, the first of which are free in an
// account that has no others.
func each(price float64, free int) func(n int) (paid, freely float64) {
	return func(n int) (float64, float64) { return float64(n) * price, float64(max(0, n-free)) * price }
}

// Lambda begins with five receives at a time for a queue, and a receive waits 20 s
// at the most: docs/deploying.md has the sources.
const receives = 5 * 30 * 24 * 60 * 60 / 20

// polling is what a month of receives costs, a million of which are free.
func polling(n int) (paid, free float64) {
	const million = 0.40
	return float64(n*receives) / 1e6 * million, max(0, float64(n*receives)-1e6) / 1e6 * million
}

// What docs/deploying.md says of the resources is counted in the template.
//
//	go test ./docs -run TestResources -update
func TestResources(t *testing.T) {
	t.Parallel()
	const name, begin, end = "docs/deploying.md", "<!-- Counted in template.yaml: go test ./docs -run TestResources -update -->\n", "<!-- end -->"
	text := read(t, name)
	before, rest, found := strings.Cut(text, begin)
	_, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatalf("%s has no place for the table", name)
	}
	isRendered(t, name, before+begin+resourceTable(t, loadTemplate(t))+end+after)
}

func resourceTable(t *testing.T, d *document) string {
	t.Helper()
	count := map[string]int{}
	for _, r := range fields(&d.Resources) {
		count[value(r, "Type")]++
		for _, event := range fields(field(r, "Properties", "Events")) {
			if kind := value(event, "Type"); kind != "Api" { // a route of the API
				count[kind]++
			}
		}
	}
	b := head("how many", "what", "in a month without traffic")
	var paid, free float64
	for _, line := range inventory {
		n := 0
		for _, kind := range line.types {
			n += count[kind]
			delete(count, kind)
		}
		idle := line.idle
		if line.price != nil {
			p, f := line.price(n)
			paid, free = paid+p, free+f
			idle = fmt.Sprintf(idle, dollars(p))
			if f < p {
				idle += ", or " + dollars(f) + " where what is free is not used up"
			}
		}
		b += row(fmt.Sprint(n), line.what, idle)
	}
	for kind := range count {
		t.Errorf("what does %s cost? Say so in docs/deploying_test.go", kind)
	}
	return b + fmt.Sprintf("\nTogether %s a month, or %s where what is free is not used up, and what is stored.\n", dollars(paid), dollars(free))
}

func dollars(f float64) string { return fmt.Sprintf("$%.2f", f) }

// The README's quick start gives the same numbers.
func TestReadmeCountsResources(t *testing.T) {
	t.Parallel()
	part := section(t, read(t, "README.md"), "## Deploy it to an AWS account")
	list := read(t, "docs/deploying.md")
	_, sum, _ := strings.Cut(list, "\nTogether ")
	sum, _, _ = strings.Cut(sum, " a month")
	wants := []string{sum + " a month"}
	words := []string{"no", "a", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"}
	for _, cells := range table(t, section(t, list, "## What it makes, and what that costs")) {
		name := map[string]string{
			"Lambda functions": "Lambda functions", "DynamoDB tables, on demand": "DynamoDB tables", "SQS queues": "SQS queues",
			"secrets": "secrets", "CloudWatch alarms": "alarms",
		}[cells[1]]
		n, err := strconv.Atoi(cells[0])
		if err != nil {
			t.Fatal(err)
		}
		if n < len(words) {
			cells[0] = words[n]
		}
		if name != "" {
			wants = append(wants, cells[0]+" "+name)
		}
	}
	if len(wants) != 6 {
		t.Errorf("found %q in docs/deploying.md", wants)
	}
	for _, want := range wants {
		if !strings.Contains(part, want) {
			t.Errorf("README.md does not say %q of what a deployment makes", want)
		}
	}
}

// Nothing of a stack that is deleted stays, but what its template names, and
// docs/deploying.md says of each how to remove it.
func TestWhatOutlivesAStack(t *testing.T) {
	t.Parallel()
	var kept []string
	for id, r := range fields(&loadTemplate(t).Resources) {
		switch value(r, "DeletionPolicy") {
		case "", "Delete":
		default:
			kept = append(kept, id)
		}
	}
	if !slices.Equal(kept, []string{"ArchiveBucket"}) {
		t.Errorf("kept when a stack is deleted: %v, and docs/deploying.md speaks of the archive bucket", kept)
	}
}
