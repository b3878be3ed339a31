package admin

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Every word of the contract is one of the packages that fill it in, and every
// word of theirs is in the contract.
func TestVocabulary(t *testing.T) {
	t.Parallel()
	contract := constants(t, "../adminapi")
	job, parked := constants(t, "../job"), constants(t, "../parked")
	redrive, rescue, chaos := constants(t, "../../pkg/redrive"), constants(t, "../../pkg/rescue"), constants(t, "../../pkg/chaos")
	for _, tt := range []struct {
		typ  string
		from words
		is   func(name, typ string) bool
	}{
		{"JobKind", slices.Concat(redrive, parked, rescue), typed("Kind")},
		{"JobStatus", slices.Concat(job, redrive), typed("Status")},
		{"MessageOutcome", job, typed("Outcome")},
		{"MovedBy", redrive, prefixed("By")},
		{"Reason", redrive, prefixed("Reason")},
		{"RangeState", rescue, typed("RangeState")},
		{"RecordState", rescue, typed("State")},
		{"ArchivedBy", rescue, prefixed("By")},
		{"StreamOutcome", rescue, typed("Outcome")},
		{"StreamReason", rescue, prefixed("Reason")},
		{"FaultKind", chaos, typed("Fault")},
	} {
		got := contract.which(typed(tt.typ))
		want := slices.DeleteFunc(tt.from.which(tt.is), func(word string) bool { return word == "" }) // not known yet
		if diff := cmp.Diff(want, got); diff != "" || len(got) == 0 {
			t.Errorf("%s (-behind it +contract):\n%s", tt.typ, diff)
		}
	}
}

// Every code of the contract is answered, and every answered code is in it.
func TestCodes(t *testing.T) {
	t.Parallel()
	used := map[string]bool{}
	for _, file := range sources(t, ".") {
		ast.Inspect(file, func(n ast.Node) bool {
			if s, ok := n.(*ast.SelectorExpr); ok && strings.HasPrefix(s.Sel.Name, "Code") {
				used[s.Sel.Name] = true
			}
			return true
		})
	}
	for _, c := range constants(t, "../adminapi") {
		if c.typ == "Code" && !used[c.name] {
			t.Errorf("no command answers %s", c.name)
		}
	}
}

// What a request does not ask for is not sent: older functions refuse members
// that they do not know.
func TestRequestsAreSparse(t *testing.T) {
	t.Parallel()
	seen := 0
	for _, file := range sources(t, "../adminapi") {
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok || !strings.HasSuffix(spec.Name.Name, "Request") && spec.Name.Name != "Change" {
				return true
			}
			for _, field := range spec.Type.(*ast.StructType).Fields.List {
				seen++
				if field.Tag != nil && !strings.Contains(field.Tag.Value, `,omitempty"`) {
					t.Errorf("%s.%s is sent when it is not asked for", spec.Name.Name, field.Names[0])
				}
			}
			return false
		})
	}
	if seen < 50 {
		t.Errorf("%d members found", seen)
	}
}

// word is a constant whose value is a text.
type word struct{ name, typ, value string }

type words []word

// which returns the values of constants, sorted.
func (all words) which(is func(name, typ string) bool) (values []string) {
	for _, w := range all {
		if is(w.name, w.typ) {
			values = append(values, w.value)
		}
	}
	slices.Sort(values)
	return values
}

func typed(as string) func(name, typ string) bool {
	return func(_, typ string) bool { return typ == as }
}

func prefixed(with string) func(name, typ string) bool {
	return func(name, typ string) bool { return typ == "" && strings.HasPrefix(name, with) }
}

// sources parses the files of a package that are no tests.
func sources(t *testing.T, dir string) (files []*ast.File) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	return files
}

// constants are the exported constants of a package whose values are texts.
func constants(t *testing.T, dir string) (all words) {
	t.Helper()
	for _, file := range sources(t, dir) {
		for _, d := range file.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.CONST {
				continue
			}
			for _, s := range g.Specs {
				v := s.(*ast.ValueSpec)
				typ := ""
				if id, ok := v.Type.(*ast.Ident); ok {
					typ = id.Name
				}
				for i, name := range v.Names {
					if lit, ok := at(v.Values, i).(*ast.BasicLit); ok && lit.Kind == token.STRING && name.IsExported() && (v.Type == nil || typ != "") {
						value, err := strconv.Unquote(lit.Value)
						if err != nil {
							t.Fatal(err)
						}
						all = append(all, word{name.Name, typ, value})
					}
				}
			}
		}
	}
	return all
}

func at(list []ast.Expr, i int) ast.Expr {
	if i < len(list) {
		return list[i]
	}
	return nil
}
