package cancel

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"github.com/spillway-go/spillway/internal/app/apptest"
)

func TestSetup(t *testing.T) {
	t.Parallel()
	aws := apptest.NewFake(nil)
	handler := apptest.Check(t, aws, Setup, "CancelFunction", map[string]string{"TASKS_TABLE": "tasks", "TASK_RETENTION": "168h"})
	out, err := lambda.NewHandler(handler).Invoke(t.Context(), apptest.Sample(t, "cancel"))
	if err != nil || !strings.Contains(string(out), `"statusCode":404`) {
		t.Errorf("answer %s, %v", out, err)
	}
	if got := aws.Operations(); !slices.Equal(got, []string{"GetItem"}) {
		t.Errorf("calls %v", got)
	}
}

// The sample comes too late for its task, and in time for one that still waits.
func TestSample(t *testing.T) {
	t.Parallel()
	later := strconv.Quote(strconv.FormatInt(time.Now().Add(time.Hour).Unix(), 10))
	ended := strings.Replace(apptest.Image(t, "NewImage"), `"1783503000"`, later, 1)
	waiting := strings.NewReplacer(`"1784107800"`, later, `"1783503000000"`, `"4102444800000"`, `"running"`, `"queued"`, `"1782898320214"`, `"0"`).Replace(apptest.Image(t, "OldImage"))
	for row, want := range map[string]string{ended: `"statusCode":409`, waiting: `"statusCode":200`} {
		canceled := strings.Replace(row, `"queued"`, `"canceled"`, 1)
		aws := apptest.NewFake(map[string][]string{
			"GetItem":    {`{"Item":` + row + `}`},
			"UpdateItem": {`{"Attributes":` + canceled + `}`},
		})
		values := map[string]string{"TASKS_TABLE": "tasks", "TASK_RETENTION": "168h"}
		handler, err := Setup(aws.Env(values))
		if err != nil {
			t.Fatal(err)
		}
		out, err := lambda.NewHandler(handler).Invoke(t.Context(), apptest.Sample(t, "cancel"))
		if err != nil || !strings.Contains(string(out), want) || strings.Contains(want, "200") != strings.Contains(string(out), `\"status\":\"canceled\"`) {
			t.Errorf("answer %s, %v, want %s", out, err, want)
		}
		writes := aws.Sent("UpdateItem")
		if row == waiting && (len(writes) != 1 || !strings.Contains(writes[0], `"canceled"`)) || row == ended && len(writes) > 0 {
			t.Errorf("written: %q", writes)
		}
	}
}
