package saga

import (
	"fmt"
	"strings"
)

// backward are the compensations, in reverse.
func (r *renderer) backward() {
	for i := len(r.Stages) - 1; i >= 0; i-- {
		st, next := r.Stages[i], r.undo(i-1)
		switch {
		case r.undo(i) == next: // nothing to undo
		case len(st.Steps) > 1:
			r.undoGroup(st, next)
		default:
			r.compensation(st.Steps[0], next)
		}
	}
	var parked []string
	for _, name := range r.parkable() {
		parked = append(parked, "$"+parkedVar(name))
	}
	if !r.compensates() {
		r.add("Undone", object{{"Type", "Pass"}, {"Output", object{}}, {"Next", "RecordFailed"}})
		return
	}
	r.add("Undone", choice("RecordCompensationFailed", strings.Join(parked, " or "), "RecordFailed"))
}

// compensates reports whether there is anything to undo at all.
func (r *renderer) compensates() bool { return r.undo(len(r.Stages)-1) != "Undone" }

// compensation undoes a step that ran alone. When it fails for good, it is
// parked, and the others go on.
func (r *renderer) compensation(s Step, next string) {
	u := s.Undo
	state := r.call(u.By, s.Name, u.Timeout, nil, u.Retry)
	catch := catcherTo(object{{parkedVar(u.By), true}}, whyParked(), parkState(u.By), "States.ALL")
	r.add(u.By, append(state, field{"Output", object{}}, field{"Catch", []any{catch}}, field{"Next", next}))
	r.add(parkState(u.By), r.park(u.By, "$states.input.error", "$states.input.message", next))
}

// whyParked is for the state that parks, and for what follows a branch.
func whyParked() object { return saying("parked", true) }

// undoGroup undoes steps that ran at once, those that were done or may have been.
func (r *renderer) undoGroup(st Stage, next string) {
	var branches []any
	outcome, lost := object{}, object{}
	for _, s := range st.Steps {
		u := s.Undo
		if u.By == "" {
			continue
		}
		state := append(r.call(u.By, s.Name, u.Timeout, nil, u.Retry), field{"Output", object{{"parked", false}}})
		skipped := u.By + "Skipped"
		branches = append(branches, object{{"StartAt", "Needs" + u.By}, {"States", object{
			{"Needs" + u.By, choice(u.By, "$"+isVar(s.Name)+" in ['done','unknown']", skipped)},
			{u.By, append(state,
				field{"Catch", []any{catcherTo(nil, whyParked(), parkState(u.By), "States.ALL")}},
				field{"End", true})},
			{parkState(u.By), r.park(u.By, "$states.input.error", "$states.input.message", u.By+"Parked")},
			{u.By + "Parked", object{{"Type", "Pass"}, {"Output", object{{"parked", true}}}, {"End", true}}},
			{skipped, object{{"Type", "Pass"}, {"Output", object{{"parked", false}}}, {"End", true}}},
		}}})
		outcome = append(outcome, field{parkedVar(u.By), x(fmt.Sprintf("$states.input[%d].parked", len(branches)-1))})
		lost = append(lost, field{parkedVar(u.By), true})
	}
	name := undoGroupState(st)
	r.add(name, object{
		{"Type", "Parallel"},
		{"Branches", branches},
		{"Catch", []any{catcher(lost, next, "States.ALL")}},
		{"Next", outcomeState(name)},
	})
	r.add(outcomeState(name), object{{"Type", "Pass"}, {"Assign", outcome}, {"Output", object{}}, {"Next", next}})
}

// park sends what could not be undone, or not be done after the pivot, to the
// saga failures queue. Should that fail as well, the others still go on, and
// the task's error names it.
func (r *renderer) park(name, code, message, next string) object {
	var completed []string
	r.steps(func(_ int, s Step) { completed = append(completed, "$"+isVar(s.Name)+" = 'done' ? "+quoted(s.Name)) })
	body := "$string({'task_id': $task_id, 'execution': $key, 'step': " + quoted(name) +
		", 'error': {'code': " + code + ", 'message': " + message + "}, 'completed': [" + strings.Join(completed, ", ") + "]})"
	state := object{
		{"Type", "Task"},
		{"Resource", "arn:${Partition}:states:::sqs:sendMessage"},
		{"Arguments", object{{"QueueUrl", "${SagaFailuresQueueUrl}"}, {"MessageBody", x(body)}}},
		{"TimeoutSeconds", sdkTimeout},
		{"Output", object{}},
		{"Retry", []any{retrier(sdkRetry, "States.ALL")}},
	}
	return append(state, field{"Catch", []any{catcher(nil, next, "States.ALL")}}, field{"Next", next})
}
