package admin

import (
	"bytes"
	"cmp"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/spillway-go/spillway/internal/adminapi"
	"github.com/spillway-go/spillway/pkg/rescue"
	"github.com/spillway-go/spillway/pkg/task"
)

var update = flag.Bool("update", false, "rewrite testdata/answers.json")

// TestAnswers compares the JSON of every answer with testdata/answers.json. The
// file is the function's wire format: scripts and older command lines read it,
// so a member may be added, and none may change or go.
func TestAnswers(t *testing.T) {
	bubble(t, func(f *fixture) {
		g := &golden{fixture: f, answers: map[string]any{}}
		g.letters()
		g.replays()
		g.purges()
		g.tasks()
		g.streamRecords()
		g.parkedSagas()
		g.faultsAndStock()
		g.refusals()
		path := filepath.Join("testdata", "answers.json")
		if *update {
			if err := os.WriteFile(path, g.text(), 0o600); err != nil {
				f.Fatal(err)
			}
		}
		text, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		var want map[string]any
		if err := json.Unmarshal(text, &want); err != nil {
			f.Fatal(err)
		}
		if diff := gocmp.Diff(want, g.answers); diff != "" {
			f.Errorf("answers (-want +got):\n%s", diff)
		}
	})
}

// golden collects answers by the name of their case.
type golden struct {
	*fixture
	answers map[string]any
}

// text is the file: a line for each answer.
func (g *golden) text() []byte {
	var buf bytes.Buffer
	sep := "{\n"
	for _, name := range slices.Sorted(maps.Keys(g.answers)) {
		line, err := adminapi.Encode(g.answers[name])
		if err != nil {
			g.Fatal(err)
		}
		fmt.Fprintf(&buf, "%s%q: %s", sep, name, line)
		sep = ",\n"
	}
	buf.WriteString("\n}\n")
	return buf.Bytes()
}

// keep sends a command and keeps its answer under a name that begins with the
// command's.
func (g *golden) keep(name, payload string) answer {
	g.Helper()
	command, _, _ := strings.Cut(name, " ")
	if payload != "" {
		payload = "," + payload
	}
	out, err := g.invoke(`{"command":"` + command + `"` + payload + `}`)
	if err != nil {
		g.Fatal(err)
	}
	g.record(name, out)
	var a answer
	if err := json.Unmarshal([]byte(out), &a); err != nil {
		g.Fatal(err)
	}
	return a
}

// record keeps an answer without what differs from run to run.
func (g *golden) record(name, out string) {
	g.Helper()
	normal := ulids.ReplaceAllString(out, "ID")
	normal = messages.ReplaceAllString(normal, `"M"`)
	normal = times.ReplaceAllString(normal, `"TIME"`)
	normal = ages.ReplaceAllString(normal, `"$1":"AGE"`)
	var v any
	if err := json.Unmarshal([]byte(normal), &v); err != nil {
		g.Fatal(err)
	}
	if _, twice := g.answers[name]; twice {
		g.Fatalf("two answers are called %q", name)
	}
	g.answers[name] = inOrder(v)
}

// inOrder sorts lists, whose order depends on random ids.
func inOrder(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, member := range v {
			v[name] = inOrder(member)
		}
	case []any:
		for i := range v {
			v[i] = inOrder(v[i])
		}
		slices.SortStableFunc(v, func(a, b any) int { return cmp.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	}
	return v
}

func (g *golden) letters() {
	g.keep("dlq.status empty", "")
	g.keep("dlq.list empty", "")
	g.keep("dlq.jobs empty", "")
	g.dead("shop.order", errFlaky, "1", "2")
	g.crashed("3")
	g.foreign(deadQueue, "hello")
	g.keep("dlq.status tasks", `"queue":"tasks"`)
	g.keep("dlq.status stream", `"queue":"stream"`)
	g.keep("dlq.list tasks", `"queue":"tasks","filter":{"type":"shop.order"},"max":10`)
	g.keep("dlq.list foreign", `"filter":{"error_contains":"unexplained"}`)
	g.queues.Receive(deadQueue, 1)
	g.keep("dlq.status incomplete", "")
	g.keep("dlq.list incomplete", "")
	time.Sleep(13 * time.Minute)
}

func (g *golden) replays() {
	plan := g.keep("dlq.replay dry run", `"dry_run":true,"rate":2,"max":50,"canary":1,"by":"me"`).text("plan_id")
	g.keep("dlq.jobs planned", `"job_id":"`+plan+`","max":10`)
	g.keep("dlq.replay dry run of nothing", `"dry_run":true,"filter":{"type":"none"}`)
	g.keep("dlq.replay nothing", `"filter":{"type":"none"}`)
	run := func(name, payload string) (a answer) { // beside a worker
		var done sync.WaitGroup
		done.Go(func() { a = g.keep(name, payload) })
		time.Sleep(3 * time.Second)
		g.work()
		done.Wait()
		return a
	}
	failed := run("dlq.replay canary failed", `"canary":1,"filter":{"type":"shop.order"}`).text("job_id")
	g.keep("dlq.jobs canary failed", `"job_id":"`+failed+`","max":10`)
	g.breaks(nil, "1", "2", "3")
	id, wait := g.slowly(`,"rate":0.2,"by":"me"`)
	g.keep("dlq.jobs running", `"job_id":"`+id+`"`)
	g.keep("dlq.replay busy", "")
	g.keep("dlq.stop running", `"job_id":"`+id+`","by":"me"`)
	stopped := wait()
	g.answers["dlq.replay stopped"] = g.shape(stopped)
	g.keep("dlq.stop stopped", `"job_id":"`+id+`"`)
	g.keep("dlq.jobs stopped", `"job_id":"`+id+`"`)
	run("dlq.replay resumed", `"plan_id":"`+id+`"`)
	g.keep("dlq.jobs done", `"job_id":"`+id+`","max":10`)
	g.keep("dlq.replay native", `"native":true,"rate":100`)
	if err := g.continued(id); err != nil {
		g.Fatal(err)
	}
}

// continued has the function answer the commands that it sends to itself.
func (g *golden) continued(id string) error {
	for _, command := range []string{"job.resume", "job.follow"} {
		out, err := g.invoke(fmt.Sprintf(`{"command":%q,"job_id":%q,"hop":1}`, command, id))
		if err != nil {
			return err
		}
		g.record(command, out)
	}
	return nil
}

// shape is an answer that was kept elsewhere.
func (g *golden) shape(a answer) any {
	g.Helper()
	text, err := json.Marshal(a)
	if err != nil {
		g.Fatal(err)
	}
	g.record("shape", string(text))
	v := g.answers["shape"]
	delete(g.answers, "shape")
	return v
}

func (g *golden) purges() {
	g.breaks(task.Permanent(errFlaky), "5")
	g.submit("shop.note", "5")
	g.work()
	g.dead("shop.order", errFlaky, "6")
	plan := g.keep("dlq.purge dry run", `"dry_run":true,"confirm":"tasks","filter":{"type":"shop.order"}`).text("job_id")
	job := g.keep("dlq.purge plan", `"confirm":"tasks","job_id":"`+plan+`"`).text("job_id")
	g.keep("dlq.purge nothing", `"confirm":"tasks","filter":{"type":"none"}`)
	g.keep("dlq.purge unconfirmed", "")
	g.keep("dlq.jobs purged", `"job_id":"`+job+`","max":1`)
	restored := g.keep("dlq.restore purge", `"job_id":"`+job+`"`).text("job_id")
	g.keep("dlq.jobs restored", `"job_id":"`+restored+`","max":1`)
}

func (g *golden) tasks() {
	ids := g.dead("shop.order", errFlaky, "7")
	g.keep("task.get dead", `"id":"`+ids[0]+`"`)
	g.keep("task.retry dry run", `"filter":{"ids":["`+ids[0]+`"]},"dry_run":true`)
	g.breaks(nil, "7")
	g.keep("task.retry one", `"id":"`+ids[0]+`","by":"me"`)
	g.work()
	g.keep("task.get succeeded", `"id":"`+ids[0]+`"`)
	g.keep("task.retry filter", `"filter":{"status":"failed"},"max":10`)
	waiting := g.submit("shop.note", "8", "9")
	g.keep("task.get queued", `"id":"`+waiting[0]+`"`)
	g.keep("task.cancel queued", `"id":"`+waiting[0]+`","by":"me"`)
	g.table.Claim(g.Context(), "w", time.Now().Add(time.Minute), waiting[1:])
	g.keep("task.cancel running", `"id":"`+waiting[1]+`"`)
	g.keep("task.cancel finished", `"id":"`+ids[0]+`"`)
	g.keep("task.retry not failed", `"id":"`+ids[0]+`"`)
	g.keep("task.get unknown", `"id":"01KWEG73E0EDR6JV3CEXGQJRB2"`)
}

func (g *golden) streamRecords() {
	g.keep("stream.list empty", "")
	at := task.At(time.Now())
	g.streams.ranges = []rescue.FailedRange{
		{
			ID: "r1", Source: "aws:dynamodb", Stream: "tasks", StreamARN: streamARN, ShardID: "shardId-1", First: "100", Last: "102", Records: 3,
			Condition: "RetryAttemptsExhausted", State: rescue.Rescued, Reason: "too_many", Consumer: "notify", ArrivedAt: at, KeepUntil: at,
		},
		{ID: "r2", State: rescue.Malformed},
	}
	g.streams.records = []rescue.Record{
		{
			ID: "a-100", Source: "aws:dynamodb", Stream: "tasks", StreamARN: streamARN, ShardID: "shardId-1", SequenceNumber: "100", EventID: "e", Key: "k",
			Consumer: "notify", Error: rescue.Error{Code: "panic", Message: "panic: boom"}, Attempts: 3, ArchivedAt: at, ArchivedBy: rescue.ByHandler,
			KeepUntil: at, State: rescue.Refused, Reason: rescue.ReasonStale, ReplayedAt: at, Size: 1027,
		},
		{ID: "a-101"},
	}
	g.keep("stream.list full", "")
	g.keep("stream.replay empty", "")
	g.streams.replay = rescue.Replay{Matched: 3, Replayed: 1, Refused: 1, Failed: 1, Records: []rescue.RecordOutcome{
		{ID: "a-100", Outcome: rescue.OutcomeRefused, Reason: rescue.ReasonStale}, {ID: "a-101", Outcome: rescue.OutcomeReplayed},
	}}
	g.keep("stream.replay incomplete", "")
}

func (g *golden) parkedSagas() {
	g.keep("saga.list empty", "")
	g.trips()
	g.parks(first, "CancelHotel")
	g.parks(first, "CancelFlight")
	g.parks(first, "CancelCar")
	g.sends("from elsewhere")
	g.keep("saga.list parked", `"max":3`)
	for _, name := range []string{first, first + "-recover-1", other} {
		g.keep("saga.show "+strings.ReplaceAll(name, firstTask, "first"), `"execution":"`+name+`"`)
	}
	resumed := g.keep("saga.resume parked", `"execution":"`+first+`","step":"CancelHotel","reason":"the hotel answers again","by":"me"`).text("job_id")
	g.keep("saga.skip parked", `"execution":"`+first+`","step":"CancelFlight","reason":"never booked"`)
	g.keep("saga.done parked", `"execution":"`+first+`","step":"CancelCar","reason":"by telephone"`)
	g.keep("dlq.jobs resolved", `"job_id":"`+resumed+`","max":1`)
	g.keep("dlq.jobs all", "")
}

func (g *golden) faultsAndStock() {
	g.keep("chaos.status none", "")
	g.keep("chaos.set times", `"target":"saga.BookFlight","fault":"panic","times":3,"by":"me"`)
	g.keep("chaos.set rate", `"target":"saga.CancelHotel","fault":"latency","latency":"3s","rate":0.5,"for":"1m"`)
	g.keep("chaos.status two", "")
	g.keep("chaos.clear one", `"target":"saga.BookFlight"`)
	g.keep("chaos.clear none", `"target":"saga.BookFlight"`)
	g.keep("inventory.put two", `"items":[{"id":"hotel-1","available":3},{"id":"car-1","available":0}]`)
	g.keep("inventory.get one", `"ids":["hotel-1"]`)
	g.keep("inventory.get none", `"ids":["hotel-2"]`)
	g.keep("inventory.get all", "")
}

func (g *golden) refusals() {
	g.keep("nothing", "")
	g.keep("dlq.status unknown field", `"max":1`)
	g.keep("dlq.status unknown queue", `"queue":"x"`)
	g.keep("dlq.list invalid", `"max":-1`)
	g.keep("dlq.replay saga", `"queue":"saga"`)
	g.chaos = nil
	g.handler = nil
	g.keep("chaos.set disabled", `"target":"saga.BookFlight","fault":"panic","times":3`)
	g.streams.err = awsError("DynamoDB", "Query", "AccessDeniedException")
	g.keep("stream.list unavailable", "")
}
