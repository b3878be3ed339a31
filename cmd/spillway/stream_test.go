package main

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/spillway-go/spillway/internal/adminapi"
	"github.com/spillway-go/spillway/pkg/task"
)

func TestStreamList(t *testing.T) {
	t.Parallel()
	w := newWire(t, only(adminapi.StreamListAnswer{
		Ranges: []adminapi.StreamRange{{
			ShardID: "shard-1", First: "100", Last: "105", Records: 6, Condition: "RetryAttemptsExhausted", State: adminapi.RangeArchived,
			ArrivedAt: task.At(before(time.Minute)), KeepUntil: task.At(before(-20 * time.Hour)),
		}},
		Records: []adminapi.StreamRecord{{
			ID: "r1", Source: "aws:dynamodb", Key: "k1", Error: adminapi.RecordError{Code: "boom", Message: "it\x1b[2J broke"}, Attempts: 3,
			ArchivedAt: task.At(before(time.Minute)), ArchivedBy: adminapi.ArchivedByHandler, KeepUntil: task.At(before(time.Hour)), State: adminapi.RecordRefused, Size: 5,
		}},
	}))
	ta := w.newOperator()
	if code := ta.play(t, "stream", "ls"); code != exitOK {
		t.Errorf("exit %d", code)
	}
	mustContain(t, "stdout", ta.stdout.String(), "ranges", "RetryAttemptsExhausted", "in 20h00m", "shard-1", "records\n", "r1", "refused", "expired", "boom: it\ufffd[2J broke")
	w.wants("stream.list", `,"max":100`)
}

// The real function has nothing to replay, and knows no record of this id.
func TestStreamOfTheStack(t *testing.T) {
	t.Parallel()
	inCloud(t, func(c *cloud) {
		t := c.t
		ta := c.newOperator()
		c.run(ta, exitOK, "stream", "ls")
		if ta.stdout.String() != "" {
			t.Errorf("stdout %q", ta.stdout)
		}
		mustContain(t, "stderr", ta.stderr.String(), "no records")
		ta = c.newOperator()
		c.run(ta, exitOK, "stream", "replay")
		mustContain(t, "stdout", ta.stdout.String(), "0 records matched")
		c.wants("stream.replay", `,"dry_run":true`+byMe)
		ta = c.newOperator()
		c.run(ta, exitOK, "stream", "replay", "--id", "lost", "--dry-run")
		mustContain(t, "stdout", ta.stdout.String(), "lost  failed   not_found")
	})
}

func TestStreamReplay(t *testing.T) {
	t.Parallel()
	type outcomes = []adminapi.RecordOutcome
	replayed := func(id string) adminapi.RecordOutcome {
		return adminapi.RecordOutcome{ID: id, Outcome: adminapi.StreamReplayed}
	}
	stale := adminapi.RecordOutcome{ID: "r2", Outcome: adminapi.StreamRefused, Reason: adminapi.StreamStale}
	fails := adminapi.RecordOutcome{ID: "r3", Outcome: adminapi.StreamFailed, Reason: "boom"}
	dry := adminapi.StreamReplayAnswer{Matched: 3, Refused: 1, Done: true, Records: outcomes{stale}}
	half := adminapi.StreamReplayAnswer{Matched: 3, Replayed: 1, Refused: 1, Records: outcomes{replayed("r1"), stale}}
	rest := adminapi.StreamReplayAnswer{Matched: 1, Replayed: 1, Done: true, Records: outcomes{replayed("r3")}}
	bad := adminapi.StreamReplayAnswer{Matched: 1, Failed: 1, Done: true, Records: outcomes{fails}}
	stuck := adminapi.StreamReplayAnswer{Matched: 1, Failed: 1, Records: outcomes{fails}}
	tests := []struct {
		name, typed string
		args        []string
		answers     []any
		code        int
		want        []string
	}{
		{"asks", "y\n", nil, []any{dry, half, rest}, exitOK, []string{"3 records matched, 1 to be refused", "Hand 2 records to the consumer again?", "3 records: 2 replayed, 1 refused, 0 failed again", "r3"}},
		{"declined", "n\n", nil, []any{dry}, exitFailed, []string{"nothing was changed"}},
		{"nobody there", "", []string{"--max", "5", "--id", "r1"}, []any{dry}, exitUsage, []string{"spillway stream replay --max 5 --id r1 --yes"}},
		{"dry", "", []string{"--dry-run"}, []any{dry}, exitOK, []string{"r2  refused  stale"}},
		{"dry json", "", []string{"--dry-run", "-o", "json"}, []any{dry}, exitOK, []string{`"refused": 1`}},
		{"json", "", []string{"--yes", "-o", "json"}, []any{half, rest}, exitOK, []string{`"replayed": 2`, `"id": "r3"`, `"matched": 3`}},
		{"failed again", "", []string{"--yes"}, []any{half, bad}, exitNotSucceed, []string{"1 record failed again", "boom"}},
		{"no further", "", []string{"--yes"}, []any{half, stuck, stuck}, exitFailed, []string{"comes no further", "1 replayed, 1 refused, 1 failed again"}},
		{"broken off", "", []string{"--yes"}, []any{half, noReply{functionError: "Unhandled", body: "{}"}}, exitFailed, []string{"1 replayed", "broke off"}},
		{"refused", "", []string{"--yes"}, []any{refusedAs(adminapi.CodeUnavailable)}, exitFailed, []string{"try again"}},
		{"bounded", "", []string{"--yes", "--max", "2"}, []any{half}, exitOK, []string{"1 replayed, 1 refused"}},
		{"by id", "", []string{"--yes", "--id", "r1,r2"}, []any{half}, exitOK, []string{"1 replayed, 1 refused"}},
		{"nothing", "", nil, []any{adminapi.StreamReplayAnswer{Done: true}}, exitOK, []string{"0 records matched"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			n := 0
			w := newWire(t, func(asked) any {
				n++
				return tt.answers[n-1]
			})
			ta := w.newOperator()
			if tt.typed != "" {
				ta = w.atTerminal(tt.typed)
			}
			if code := ta.play(t, append([]string{"stream", "replay"}, tt.args...)...); code != tt.code {
				t.Errorf("exit %d, want %d", code, tt.code)
			}
			if n != len(tt.answers) {
				t.Errorf("%d calls, want %d", n, len(tt.answers))
			}
			mustContain(t, "output", ta.stdout.String()+ta.stderr.String(), tt.want...)
			if out := ta.stdout.String(); ta.json() && !json.Valid([]byte(out)) {
				t.Errorf("no JSON: %s", out)
			}
		})
	}
}

// A replay that ran out of time goes on by the id of its job, unless an operator
// has stopped it.
func TestStreamReplayGoesOn(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name  string
		asked bool
		code  int
		calls int
	}{{"out of time", false, exitOK, 2}, {"stopped", true, exitFailed, 1}} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			n := 0
			w := newWire(t, func(q asked) any {
				if n++; n == 1 {
					return adminapi.StreamReplayAnswer{
						Matched: 2, Replayed: 1, JobID: "job-1", Status: adminapi.JobStopped, StopAsked: tt.asked,
						Records: []adminapi.RecordOutcome{{ID: "r1", Outcome: adminapi.StreamReplayed}},
					}
				}
				if q.JobID != "job-1" || q.Max != 0 || len(q.IDs) > 0 {
					t.Errorf("the second request is %+v", q)
				}
				return adminapi.StreamReplayAnswer{
					Matched: 1, Replayed: 1, Done: true, JobID: "job-1", Status: adminapi.JobDone,
					Records: []adminapi.RecordOutcome{{ID: "r2", Outcome: adminapi.StreamReplayed}},
				}
			})
			ta := w.newOperator()
			if code := ta.play(t, "stream", "replay", "--yes", "--max", "5", "--id", "r1,r2"); code != tt.code || n != tt.calls {
				t.Errorf("exit %d after %d calls, want %d after %d", code, n, tt.code, tt.calls)
			}
			if tt.asked {
				mustContain(t, "stderr", ta.stderr.String(), "the replay was stopped", "dlq jobs job-1")
			}
		})
	}
}
