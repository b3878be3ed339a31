package proof

import (
	"regexp"
	"strings"
)

// kind is what a Task does, as far as a saga is concerned.
type kind int

const (
	notATask   kind = iota
	action          // calls the function of a step
	compensate      // calls the function that undoes one
	park            // sends to the saga failures queue
	progress        // writes how far the saga is to the task's row
	endWrite        // writes the task's end
	read            // reads the task's row
	foreign         // something that no claim explains
)

type task struct {
	kind     kind
	step     int    // of action and compensate: index into the claims
	names    string // of park: the step that the message names
	status   string // of endWrite
	marks    bool   // of progress: the row is marked as being past the pivot
	noCancel bool   // of a write: a requested cancel makes it fail
	byRun    bool   // of a write: another run's row makes it fail
	byStatus bool   // of a write: a row that has ended makes it fail
}

// conditionFailed are both spellings of the error of a failed condition:
// documentation and service differ.
var conditionFailed = []string{"DynamoDB.ConditionalCheckFailedException", "DynamoDb.ConditionalCheckFailedException"}

var (
	namedStep = regexp.MustCompile(`(?:^|[{,\s])\\?['"]?step\\?['"]?\s*:\s*\\?['"]([^'"\\]+)`)
	runParam  = regexp.MustCompile(`=\s*:run\b`)
	statusOf  = regexp.MustCompile(`#?\bstatus\b`)
)

// classify says what the Task states do.
func (w *walker) classify() {
	for _, st := range w.states {
		if st.Type != "Task" {
			continue
		}
		args := st.arguments()
		switch service := st.service(); service {
		case "lambda":
			st.task = w.call(st)
		case "sqs:sendMessage":
			st.task.kind = park
			if m := namedStep.FindStringSubmatch(text(args["MessageBody"])); m != nil {
				st.task.names = m[1]
			}
		case "dynamodb:getItem":
			st.task.kind = read
		case "dynamodb:updateItem":
			values, _ := args["ExpressionAttributeValues"].(map[string]any)
			condition := text(args["ConditionExpression"])
			_, st.task.marks = values[":mark"]
			st.task.kind = progress
			if status, ok := values[":status"]; ok {
				st.task.kind = endWrite
				typed, _ := status.(map[string]any)
				st.task.status, _ = typed["S"].(string)
			}
			st.task.noCancel = strings.Contains(condition, "attribute_not_exists(cancel_requested)")
			st.task.byRun = runParam.MatchString(condition)
			st.task.byStatus = statusOf.MatchString(condition)
		default:
			st.task.kind = foreign
		}
	}
}

// service is "lambda" for a function, otherwise the end of the resource's ARN.
func (st *state) service() string {
	r := strings.TrimSuffix(strings.TrimSuffix(st.Resource, ".sync"), ".waitForTaskToken")
	if strings.Contains(r, ":lambda:") || strings.HasSuffix(r, "FunctionArn}") {
		return "lambda"
	}
	_, service, _ := strings.Cut(r, ":states:::")
	return service
}

func (w *walker) call(st *state) task {
	for i, s := range w.steps {
		if st.name == s.Action {
			return task{kind: action, step: i}
		}
		if st.name == s.Compensation {
			return task{kind: compensate, step: i}
		}
	}
	return task{kind: foreign}
}
