package docs_test

import (
	"flag"
	"fmt"
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spillway-go/spillway/pkg/task"
)

var update = flag.Bool("update", false, "write the generated documents instead of comparing them")

// docs/states.md is rendered from pkg/task: the diagram and what leads where
// from [task.Transitions], the words from the constants' comments.
//
//	go test ./docs -run TestStates -update
func TestStates(t *testing.T) {
	t.Parallel()
	const name = "docs/states.md"
	meaning := constants(t, "pkg/task")
	rendered := "# The states of a task\n" +
		"\n<!-- Rendered from pkg/task: go test ./docs -run TestStates -update -->\n\n" +
		stateDiagram() +
		"\nA state that leads to the end is final: nothing changes it any more. The [protocol](protocol.md) has the condition of every write.\n" +
		"\n## States\n\n" + stateTable(meaning) +
		"\n## Causes\n\n" + causeTable(meaning)
	if strings.Contains(rendered, "|  |") {
		t.Errorf("a constant has no comment:\n%s", rendered)
	}
	isRendered(t, name, rendered)
}

// isRendered compares a document with what it is rendered from, or writes it.
func isRendered(t *testing.T, name, rendered string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(filepath.Join(root, name), []byte(rendered), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if read(t, name) != rendered {
		t.Errorf("%s is not what it is rendered from: go test ./docs -run %s -update", name, t.Name())
	}
}

// stateDiagram is the transitions in Mermaid's notation, which GitHub draws.
func stateDiagram() string {
	var b strings.Builder
	b.WriteString("```mermaid\nstateDiagram-v2\n")
	fmt.Fprintf(&b, "    [*] --> %s: submit\n", task.Queued)
	for _, from := range task.Statuses {
		for _, to := range task.Statuses {
			if causes := causesOf(from, to); causes != nil {
				fmt.Fprintf(&b, "    %s --> %s: %s\n", from, to, strings.Join(causes, ", "))
			}
		}
		if from.Final() {
			fmt.Fprintf(&b, "    %s --> [*]\n", from)
		}
	}
	b.WriteString("```\n")
	return b.String()
}

// causesOf are what leads from one state to another.
func causesOf(from, to task.Status) (causes []string) {
	for t := range task.Transitions() {
		if t.From == from && t.To == to {
			causes = append(causes, string(t.Cause))
		}
	}
	return causes
}

func stateTable(meaning map[string]string) string {
	var b strings.Builder
	b.WriteString("| state | meaning | may become |\n| --- | --- | --- |\n")
	for _, from := range task.Statuses {
		var next []string
		for _, to := range task.Statuses {
			if from.CanBecome(to) {
				next = append(next, "`"+string(to)+"`")
			}
		}
		if from.Final() {
			next = []string{"none, it is final"}
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", from, meaning[string(from)], strings.Join(next, ", "))
	}
	return b.String()
}

// causeTable has each cause once, in the order in which they come up.
func causeTable(meaning map[string]string) string {
	var b strings.Builder
	b.WriteString("| cause | what it is | leads to |\n| --- | --- | --- |\n")
	var seen []task.Cause
	for t := range task.Transitions() {
		if !slices.Contains(seen, t.Cause) {
			seen = append(seen, t.Cause)
		}
	}
	for _, cause := range seen {
		var to []string
		for t := range task.Transitions() {
			if name := "`" + string(t.To) + "`"; t.Cause == cause && !slices.Contains(to, name) {
				to = append(to, name)
			}
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", cause, meaning[string(cause)], strings.Join(to, ", "))
	}
	return b.String()
}

// constants maps the values of a package's string constants to the first
// sentences of their comments, without the constant's name, an "is" and the
// full stop.
func constants(t *testing.T, dir string) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	meaning := map[string]string{}
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Values) != 1 || spec.Doc == nil {
				return true
			}
			if value, ok := spec.Values[0].(*ast.BasicLit); ok && value.Kind == token.STRING {
				sentence := new(doc.Package).Synopsis(spec.Doc.Text())
				sentence = strings.TrimPrefix(strings.TrimPrefix(sentence, spec.Names[0].Name+" "), "is ")
				meaning[strings.Trim(value.Value, `"`)] = strings.TrimSuffix(sentence, ".")
			}
			return true
		})
	}
	return meaning
}
