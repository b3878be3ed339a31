package main

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestStreamList(t *testing.T) {
	t.Parallel()
	f := newFakeAdmin(t)
	list := fields{
		"ok":      true,
		"ranges":  []fields{{"shard_id": "shard-1", "first": "100", "last": "105", "records": 6, "condition": "RetryAttemptsExhausted", "state": "archived", "arrived_at": ago(time.Minute), "keep_until": ago(-20 * time.Hour)}},
		"records": []fields{{"id": "r1", "source": "dynamodb", "key": "k1", "error": fields{"code": "boom", "message": "it broke"}, "attempts": 3, "archived_at": ago(time.Minute), "archived_by": "handler", "keep_until": ago(time.Hour), "state": "refused", "size": 5}},
	}
	f.answer = func(adminRequest) any { return list }
	ta := f.newOperator()
	if code := ta.play(t, "stream", "ls"); code != exitOK {
		t.Errorf("exit %d", code)
	}
	mustContain(t, "stdout", ta.stdout.String(), "ranges", "RetryAttemptsExhausted", "in 20h00m", "shard-1", "records\n", "r1", "refused", "expired", "boom: it broke")
	if diff := cmp.Diff(f.last("stream.list"), adminRequest{Command: "stream.list", Max: 100}); diff != "" {
		t.Errorf("request (-got +want):\n%s", diff)
	}
	list = fields{"ok": true, "ranges": []fields{}, "records": []fields{}}
	ta = f.newOperator()
	if code := ta.play(t, "stream", "ls"); code != exitOK || ta.stdout.String() != "" {
		t.Errorf("exit %d", code)
	}
	mustContain(t, "stderr", ta.stderr.String(), "no records")
}

func TestStreamReplay(t *testing.T) {
	t.Parallel()
	dry := fields{"ok": true, "matched": 3, "replayed": 0, "refused": 1, "failed": 0, "done": true, "records": []fields{{"id": "r2", "outcome": "refused", "reason": "stale"}}}
	half := fields{"ok": true, "matched": 3, "replayed": 1, "refused": 1, "failed": 0, "done": false, "records": []fields{{"id": "r1", "outcome": "replayed"}, {"id": "r2", "outcome": "refused", "reason": "stale"}}}
	rest := fields{"ok": true, "matched": 1, "replayed": 1, "refused": 0, "failed": 0, "done": true, "records": []fields{{"id": "r3", "outcome": "replayed"}}}
	bad := fields{"ok": true, "matched": 1, "replayed": 0, "refused": 0, "failed": 1, "done": true, "records": []fields{{"id": "r3", "outcome": "failed", "reason": "boom"}}}
	stuck := fields{"ok": true, "matched": 1, "failed": 1, "done": false, "records": []fields{{"id": "r3", "outcome": "failed", "reason": "boom"}}}
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
		{"broken off", "", []string{"--yes"}, []any{half, noAnswer{functionError: "Unhandled", body: "{}"}}, exitFailed, []string{"1 replayed", "broke off"}},
		{"refused", "", []string{"--yes"}, []any{refused("unavailable")}, exitFailed, []string{"try again"}},
		{"bounded", "", []string{"--yes", "--max", "2"}, []any{half}, exitOK, []string{"1 replayed, 1 refused"}},
		{"by id", "", []string{"--yes", "--id", "r1,r2"}, []any{half}, exitOK, []string{"1 replayed, 1 refused"}},
		{"nothing", "", nil, []any{fields{"ok": true, "matched": 0, "done": true}}, exitOK, []string{"0 records matched"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFakeAdmin(t)
			n := 0
			f.answer = func(adminRequest) any {
				n++
				return tt.answers[n-1]
			}
			ta := f.newOperator()
			if tt.typed != "" {
				ta = f.atTerminal(tt.typed)
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
			f := newFakeAdmin(t)
			n := 0
			f.answer = func(q adminRequest) any {
				if n++; n == 1 {
					return fields{
						"ok": true, "matched": 2, "replayed": 1, "done": false, "job_id": "job-1", "status": "stopped", "stop_asked": tt.asked,
						"records": []fields{{"id": "r1", "outcome": "replayed"}},
					}
				}
				if q.JobID != "job-1" || q.Max != 0 || len(q.IDs) > 0 {
					t.Errorf("the second request is %+v", q)
				}
				return fields{"ok": true, "matched": 1, "replayed": 1, "done": true, "job_id": "job-1", "status": "done", "records": []fields{{"id": "r2", "outcome": "replayed"}}}
			}
			ta := f.newOperator()
			if code := ta.play(t, "stream", "replay", "--yes", "--max", "5", "--id", "r1,r2"); code != tt.code || n != tt.calls {
				t.Errorf("exit %d after %d calls, want %d after %d", code, n, tt.code, tt.calls)
			}
			if tt.asked {
				mustContain(t, "stderr", ta.stderr.String(), "the replay was stopped", "dlq jobs job-1")
			}
		})
	}
}
