package saga_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/spillway-go/spillway/pkg/saga"
)

var (
	update = flag.Bool("update", false, "write the golden files again")
	dump   = flag.String("dump", "", "folder for the machines of TestEveryDefinitionVerifies, for `make validate`")
)

// Small sagas and their machines, to be reviewed like code.
func TestGolden(t *testing.T) {
	t.Parallel()
	for _, d := range []saga.Definition{line(), order()} {
		t.Run(d.Name, func(t *testing.T) {
			t.Parallel()
			machine, err := d.Render()
			if err != nil {
				t.Fatal(err)
			}
			golden(t, "testdata/"+d.Name+".asl.json", machine)
			golden(t, "testdata/"+d.Name+".mermaid", []byte(d.Mermaid()))
		})
	}
}

func golden(t *testing.T, file string, want []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(got), string(want)); diff != "" {
		t.Errorf("%s (-file +rendered):\n%s", file, diff)
	}
}

// definitions draws sagas of all shapes that pass Check.
func definitions(t *rapid.T) saga.Definition {
	d := saga.Definition{Name: "any", Within: 14 * 24 * time.Hour}
	stages := rapid.IntRange(1, 5).Draw(t, "stages")
	pivot := rapid.IntRange(0, stages).Draw(t, "pivot")
	n := 0
	for i := range stages {
		width := 1
		if i < pivot {
			width = rapid.IntRange(1, 3).Draw(t, "width")
		}
		var steps []saga.Step
		for range width {
			n++
			s := saga.Step{Name: fmt.Sprintf("Do%d", n), Pivot: i == pivot}
			if rapid.Bool().Draw(t, "result") {
				s.Result = fmt.Sprintf("r%d", n)
			}
			if i <= pivot {
				s.Business = rapid.SampledFrom([][]string{nil, {"refused"}, {"refused", "sold_out"}}).Draw(t, "business")
				s.Undo = saga.Reversal{Nothing: "nothing"}
				if rapid.IntRange(0, 3).Draw(t, "undo") > 0 {
					s.Undo = saga.Reversal{By: fmt.Sprintf("Undo%d", n)}
				}
			}
			if rapid.Bool().Draw(t, "retry") {
				s.Retry = saga.Retry{Attempts: rapid.IntRange(2, 5).Draw(t, "attempts"), Interval: time.Second, Rate: 2, Cap: 5 * time.Second}
			}
			steps = append(steps, s)
		}
		if width == 1 {
			d.Stages = append(d.Stages, saga.One(steps[0]))
		} else {
			d.Stages = append(d.Stages, saga.AtOnce(fmt.Sprintf("Group%d", i), steps...))
		}
	}
	return d
}

// Whatever definition there may be: its machine is proven.
func TestEveryDefinitionVerifies(t *testing.T) {
	t.Parallel()
	n := 0
	rapid.Check(t, func(t *rapid.T) {
		d := definitions(t)
		machine, err := d.Render()
		if err != nil {
			t.Fatal(err)
		}
		if err := saga.Verify(machine, d.Claims()); err != nil {
			t.Fatalf("%v\n%s", err, machine)
		}
		if *dump != "" {
			n++
			if err := os.WriteFile(filepath.Join(*dump, strconv.Itoa(n)+".asl.json"), machine, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	})
}
