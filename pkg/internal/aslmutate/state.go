package aslmutate

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

func (m *mutator) state(name string, st map[string]any, all []string) {
	if st["Type"] != "Choice" && st["Next"] != nil {
		m.drop(name+".Next", st, "Next")
		m.retarget(name+".Next", st, "Next", all)
	}
	m.drop(name+".End", st, "End")
	m.drop(name+".Default", st, "Default")
	if st["Default"] != nil {
		m.retarget(name+".Default", st, "Default", all)
	}
	m.assign(name, st)
	m.output(name, st)
	m.choices(name, st, all)
	m.catch(name, st, all)
	m.retry(name, st)
	m.arguments(name, object(st["Arguments"]))
	m.drop(name+".TimeoutSeconds", st, "TimeoutSeconds")
	m.list(name+".Branches", st, "Branches", true)
}

// assign drops each assignment and turns round what is literal.
func (m *mutator) assign(name string, in map[string]any) {
	values := object(in["Assign"])
	for _, v := range slices.Sorted(maps.Keys(values)) {
		m.drop(name+".Assign."+v, values, v)
		m.literal(name+".Assign."+v, values, v)
	}
}

// output does so with an Output that is an object.
func (m *mutator) output(name string, in map[string]any) {
	values := object(in["Output"])
	for _, v := range slices.Sorted(maps.Keys(values)) {
		m.drop(name+".Output."+v, values, v)
		m.literal(name+".Output."+v, values, v)
	}
}

// literal changes a boolean, or the text of a status into each other one.
func (m *mutator) literal(name string, in map[string]any, field string) {
	statuses := []string{"pending", "done", "unknown", "refused"}
	switch v := in[field].(type) {
	case bool:
		m.value(name, in, field, !v)
	case string:
		if i := strings.Index(v, "$states.input["); i >= 0 && strings.Count(v, "$states.input[") == 1 {
			other := "1"
			if v[i+14] == '1' {
				other = "0"
			}
			m.value(name, in, field, v[:i+14]+other+v[i+15:])
		}
		if slices.Contains(statuses, v) {
			for _, other := range statuses {
				if other != v {
					m.value(name, in, field, other)
				}
			}
		}
	}
}

func (m *mutator) choices(name string, st map[string]any, all []string) {
	m.list(name+".Choices", st, "Choices", true)
	for i, rule := range elements(st["Choices"]) {
		at := fmt.Sprintf("%s.Choices[%d]", name, i)
		m.retarget(at+".Next", rule, "Next", all)
		m.assign(at, rule)
		next, otherwise := rule["Next"], st["Default"]
		m.try(at+" and Default swapped", func() func() {
			rule["Next"], st["Default"] = otherwise, next
			return func() { rule["Next"], st["Default"] = next, otherwise }
		})
		condition, ok := rule["Condition"].(string)
		if !ok {
			continue
		}
		for _, c := range conditions(condition) {
			m.value(at+".Condition", rule, "Condition", c)
		}
	}
}

// conditions are other conditions: negated, always, never, a term or a value
// less, the other conjunction, other values.
func conditions(c string) []string {
	e := strings.TrimSpace(strings.TrimSuffix(strings.TrimPrefix(c, "{%"), "%}"))
	out := []string{"$not(" + e + ")", "true", "false"}
	for i, joint := range []string{" and ", " or "} {
		terms := strings.Split(e, joint)
		if len(terms) == 1 {
			continue
		}
		out = append(out, strings.Join(terms, []string{" or ", " and "}[i]))
		for k := range terms {
			out = append(out, strings.Join(slices.Delete(slices.Clone(terms), k, k+1), joint))
		}
	}
	if before, list, ok := strings.Cut(e, " in ["); ok {
		values := strings.Split(strings.TrimSuffix(list, "]"), ",")
		for k := range values {
			out = append(out, before+" in ["+strings.Join(slices.Delete(slices.Clone(values), k, k+1), ",")+"]")
		}
		for _, s := range []string{"pending", "done", "unknown", "refused"} {
			if !strings.Contains(list, s) {
				out = append(out, before+" in ["+strings.Join(append(values, "'"+s+"'"), ",")+"]")
			}
		}
	}
	for _, s := range []string{"pending", "unknown", "refused"} {
		if strings.Contains(e, " = 'done'") {
			out = append(out, strings.Replace(e, " = 'done'", " = '"+s+"'", 1))
		}
	}
	for i := range out {
		out[i] = "{% " + out[i] + " %}"
	}
	return out
}

func (m *mutator) catch(name string, st map[string]any, all []string) {
	m.drop(name+".Catch", st, "Catch")
	m.list(name+".Catch", st, "Catch", true)
	for i, c := range elements(st["Catch"]) {
		at := fmt.Sprintf("%s.Catch[%d]", name, i)
		m.list(at+".ErrorEquals", c, "ErrorEquals", false)
		m.retarget(at+".Next", c, "Next", all)
		m.assign(at, c)
		m.output(at, c)
		if slices.Contains(list(c["ErrorEquals"]), any("States.ALL")) {
			for _, narrower := range []string{"States.TaskFailed", "States.Timeout", "Lambda.ServiceException"} {
				m.value(at+".ErrorEquals", c, "ErrorEquals", []any{narrower})
			}
		}
	}
}

func (m *mutator) retry(name string, st map[string]any) {
	m.drop(name+".Retry", st, "Retry")
	m.list(name+".Retry", st, "Retry", true)
	for i, r := range elements(st["Retry"]) {
		at := fmt.Sprintf("%s.Retry[%d]", name, i)
		m.list(at+".ErrorEquals", r, "ErrorEquals", false)
		if r["MaxAttempts"] == float64(0) {
			m.drop(at+".MaxAttempts", r, "MaxAttempts")
			m.value(at+".MaxAttempts", r, "MaxAttempts", float64(2))
			continue
		}
		m.value(at+".MaxAttempts", r, "MaxAttempts", float64(0))
		m.value(at+".MaxAttempts", r, "MaxAttempts", float64(99_999_999))
		m.drop(at+".MaxDelaySeconds", r, "MaxDelaySeconds")
		m.drop(at+".JitterStrategy", r, "JitterStrategy")
		m.value(at+".JitterStrategy", r, "JitterStrategy", "NONE")
	}
}

func list(v any) []any {
	l, _ := v.([]any)
	return l
}

// arguments are a DynamoDB write's condition and status, and the step that a
// function or a message is told.
func (m *mutator) arguments(name string, args map[string]any) {
	if c, ok := args["ConditionExpression"].(string); ok {
		m.drop(name+".ConditionExpression", args, "ConditionExpression")
		terms := strings.Split(c, " AND ")
		for i := range terms {
			if len(terms) > 1 {
				m.value(name+".ConditionExpression", args, "ConditionExpression", strings.Join(slices.Delete(slices.Clone(terms), i, i+1), " AND "))
			}
		}
		if !strings.Contains(c, "cancel_requested") {
			m.value(name+".ConditionExpression", args, "ConditionExpression", c+" AND attribute_not_exists(cancel_requested)")
		}
	}
	values := object(args["ExpressionAttributeValues"])
	if status := object(values[":status"]); status != nil {
		m.drop(name+".:status", values, ":status")
		for _, s := range []string{"succeeded", "failed", "canceled", "running"} {
			if s != status["S"] {
				m.value(name+".:status", status, "S", s)
			}
		}
	}
	m.drop(name+".:mark", values, ":mark")
	m.drop(name+".ConsistentRead", args, "ConsistentRead")
	if payload := object(args["Payload"]); payload != nil {
		m.value(name+".Payload.step", payload, "step", "Another")
		if payload["action"] != nil {
			m.value(name+".Payload.action", payload, "action", "Another")
		}
		m.value(name+".FunctionName", args, "FunctionName", "${AnotherFunctionArn}")
	}
	if body, ok := args["MessageBody"].(string); ok {
		if before, rest, ok := strings.Cut(body, "'step': '"); ok {
			_, after, _ := strings.Cut(rest, "'")
			m.value(name+".MessageBody", args, "MessageBody", before+"'step': 'Another'"+after)
			m.value(name+".MessageBody", args, "MessageBody", before+"'other': ''"+after)
		}
	}
}
