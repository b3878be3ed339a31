//go:build integration

package security

import (
	"debug/elf"
	"debug/gosym"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// operation is the method of an SDK client, as the linker names it. Every
// operation has one; a client's other methods are not exported, but Options.
var operation = regexp.MustCompile(`^github\.com/aws/aws-sdk-go-v2/service/(\w+)\.\(\*Client\)\.([A-Z]\w+)$`)

// operations returns the SDK's operations that are linked into a function, such
// as "dynamodb.GetItem".
//
// The linker leaves out methods that nothing can reach: a client's method stays
// only if it is called, or if an interface's method of the same name and types
// is. The table of functions (.gopclntab) is in a stripped binary too, as panics
// need it.
func operations(tb testing.TB, file string) []string {
	tb.Helper()
	binary, err := elf.Open(file)
	if err != nil {
		tb.Fatal(err)
	}
	defer binary.Close()
	lines, text := binary.Section(".gopclntab"), binary.Section(".text")
	if lines == nil || text == nil {
		tb.Fatalf("%s has no table of functions", file)
	}
	data, err := lines.Data()
	if err != nil {
		tb.Fatal(err)
	}
	table, err := gosym.NewTable(nil, gosym.NewLineTable(data, text.Addr))
	if err != nil {
		tb.Fatal(err)
	}
	if table.LookupFunc("main.main") == nil {
		tb.Fatalf("%s: the table of functions was not read", file)
	}
	var all []string
	for _, f := range table.Funcs {
		if m := operation.FindStringSubmatch(f.Name); m != nil && m[2] != "Options" {
			all = append(all, m[1]+"."+m[2])
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

var (
	linkedMu sync.Mutex
	linked   = map[string][]string{}
)

// operationsOf returns the operations of a function in the template; a binary is
// read once.
func operationsOf(tb testing.TB, function string) []string {
	tb.Helper()
	file := built(tb, function, "bootstrap")
	linkedMu.Lock()
	defer linkedMu.Unlock()
	if linked[function] == nil {
		linked[function] = operations(tb, file)
	}
	return linked[function]
}

// The table tells functions apart, so it is worth something: what only one of
// them does is in that one only.
func TestOperationsTellFunctionsApart(t *testing.T) {
	t.Parallel()
	status := []string{"dynamodb.BatchGetItem", "dynamodb.DescribeEndpoints", "dynamodb.GetItem", "dynamodb.Query", "dynamodb.UpdateItem"}
	if diff := cmp.Diff(status, operationsOf(t, "StatusFunction")); diff != "" {
		t.Errorf("operations of status (-want +got):\n%s", diff)
	}
	only := map[string][]string{
		"secretsmanager.GetSecretValue":  {"WorkerFunction"},
		"sqs.StartMessageMoveTask":       {"AdminFunction"},
		"lambda.Invoke":                  {"AdminFunction"},
		"dynamodbstreams.GetRecords":     {"RescueFunction"},
		"sfn.StartExecution":             {"RecoverFunction", "WorkerFunction"},
		"s3.GetObject":                   {"AdminFunction"},
		"s3.PutObject":                   {"AdminFunction", "NotifyFunction", "RescueFunction"},
		"dynamodb.BatchExecuteStatement": {"AdminFunction", "WorkerFunction"},
		"dynamodb.CreateTable":           nil,
	}
	got := map[string][]string{}
	for name := range only {
		got[name] = nil
	}
	for _, function := range packaged(t, "as it is").ofType("AWS::Lambda::Function") {
		for _, name := range operationsOf(t, function) {
			if _, ok := only[name]; ok {
				got[name] = append(got[name], function)
			}
			if strings.HasPrefix(name, "sts.") {
				t.Errorf("%s can call %s", function, name)
			}
		}
	}
	if diff := cmp.Diff(only, got); diff != "" {
		t.Errorf("functions of operations (-want +got):\n%s", diff)
	}
}
