package redrive_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/pkg/archive/archivetest"
	"github.com/spillway-go/spillway/pkg/redrive"
)

// store puts items into the control table that the first version of the jobs
// wrote, about the messages "a", "b" and so on of the dead-letter queue.
func (r *rig) store(file string) {
	r.t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		r.t.Fatal(err)
	}
	for _, m := range r.sqs.Messages(dead) {
		stored := fmt.Sprintf("00000000-0000-4000-8000-%012d", m.Body[0]-'a'+1)
		text = bytes.ReplaceAll(text, []byte(stored), []byte(m.ID))
	}
	var items []map[string]struct{ S, N *string }
	if err := json.Unmarshal(text, &items); err != nil {
		r.t.Fatal(err)
	}
	for _, it := range items {
		stored := archivetest.Item{}
		for name, v := range it {
			if v.S != nil {
				stored[name] = &types.AttributeValueMemberS{Value: *v.S}
			} else {
				stored[name] = &types.AttributeValueMemberN{Value: *v.N}
			}
		}
		if _, err := r.control.PutItem(r.t.Context(), &dynamodb.PutItemInput{TableName: aws.String("control"), Item: stored}); err != nil {
			r.t.Fatal(err)
		}
	}
}

// Items of the first version are read, and its jobs go on: testdata/jobs.json
// holds a replay whose process died behind its tenth message of twelve, a plan
// that was stopped, an operator's decision and a retry whose canary failed.
func TestStoredJobs(t *testing.T) {
	bubble(t, func(r *rig) {
		for i := range 13 {
			r.foreign(string(rune('a'+i)), map[string]attribute{"origin": text(tasks)})
		}
		r.store("testdata/jobs.json")
		time.Sleep(30 * time.Second)

		type job struct {
			Kind          redrive.Kind
			Status        redrive.Status
			By            string
			Planned, Done int
			Events        []string
			Messages      int
		}
		jobs, err := r.redrive().Jobs(r.ctx(), 10)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]job{}
		for _, j := range jobs {
			h, err := r.redrive().Job(r.ctx(), j.JobID, 0, 100)
			if err != nil {
				t.Fatal(err)
			}
			g := job{j.Request.Kind, j.Status, j.Request.By, j.Planned, j.Resolved, nil, len(h.Messages)}
			for _, e := range h.Events {
				g.Events = append(g.Events, e.What+" "+e.By)
			}
			got[j.JobID] = g
		}
		const replay, purge = "00VHNCZB0DT6MKTBBGWNXXRNVV", "00VHND03DNXY7Q9VAWQSGCV5GR"
		want := map[string]job{
			replay:                       {"replay", redrive.Stalled, "ada", 12, 0, []string{"planned ada", "executed unknown"}, 10},
			purge:                        {"purge", redrive.Stopped, "grace", 13, 0, []string{"planned grace", "stop asked eve"}, 0},
			"00VHND05C5P1TTEYY1NK6B1C48": {"skip", redrive.Done, "ada", 0, 1, []string{"begun ada", "resolved "}, 1},
			"00VHND05C6VQPN7B8C2GN9GHZB": {"retry", redrive.CanaryFailed, "joan", 0, 0, []string{"begun joan", "canary_failed "}, 0},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("jobs (-want +got):\n%s", diff)
		}
		if j := jobs[0]; j.Request.Rate != 2.5 || j.Request.Canary != 3 || j.Request.Filter.Type != "report.build" || j.Canary == nil || j.CreatedAt.UnixMilli() != 946684827014 {
			t.Errorf("%+v", j)
		}

		report, err := r.execute(replay)
		if err != nil || report.Status != redrive.Done || report.Matched != 12 || report.Replayed != 12 || report.AtLeastOnce != 12 {
			t.Errorf("%+v, %v", report, err)
		}
		r.holds(2, 1) // ten of the twelve had been sent
		report, err = r.redrive().Execute(r.ctx(), purge, redrive.KindPurge, "stream", redrive.Settings{})
		if err != nil || report.Status != redrive.Done || report.Quarantined != 1 || report.Reasons[redrive.ReasonGone] != 12 {
			t.Errorf("%+v, %v", report, err)
		}
	})
}
