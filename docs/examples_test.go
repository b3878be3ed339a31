package docs_test

import (
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// library is a package below pkg/ as its readers see it.
type library struct {
	name     string // its path below the module
	doc      *doc.Package
	examples []*ast.FuncDecl
	outputs  map[string]bool // whether an example's output is compared
}

// libraries reads all packages that others can import.
func libraries(t *testing.T) []*library {
	t.Helper()
	dirs := map[string][]string{}
	err := filepath.WalkDir(filepath.Join(root, "pkg"), func(name string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Name() == "internal" {
			return fs.SkipDir
		}
		if strings.HasSuffix(name, ".go") {
			dirs[filepath.Dir(name)] = append(dirs[filepath.Dir(name)], name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var all []*library
	for _, dir := range slices.Sorted(maps.Keys(dirs)) {
		all = append(all, readLibrary(t, dir, dirs[dir]))
	}
	return all
}

func readLibrary(t *testing.T, dir string, names []string) *library {
	t.Helper()
	l := &library{name: filepath.ToSlash(strings.TrimPrefix(dir, root+string(filepath.Separator))), outputs: map[string]bool{}}
	fset := token.NewFileSet()
	var code []*ast.File
	for _, name := range names {
		file, err := parser.ParseFile(fset, name, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(name, "_test.go") {
			code = append(code, file)
			continue
		}
		for _, e := range doc.Examples(file) {
			l.outputs["Example"+e.Name] = e.Output != "" || e.EmptyOutput
		}
		for _, d := range file.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && strings.HasPrefix(f.Name.Name, "Example") {
				l.examples = append(l.examples, f)
			}
		}
	}
	var err error
	if l.doc, err = doc.NewFromFiles(fset, code, "github.com/spillway-go/spillway/"+l.name); err != nil {
		t.Fatal(err)
	}
	return l
}

// Every package, and everything that it exports, says what it is.
func TestEverythingIsDocumented(t *testing.T) {
	t.Parallel()
	for _, l := range libraries(t) {
		documented := func(what, text string) {
			if strings.TrimSpace(text) == "" {
				t.Errorf("%s: %s has no comment", l.name, what)
			}
		}
		documented("the package", l.doc.Doc)
		values := slices.Concat(l.doc.Consts, l.doc.Vars)
		funcs := slices.Clone(l.doc.Funcs)
		for _, typ := range l.doc.Types {
			documented("type "+typ.Name, typ.Doc)
			values = slices.Concat(values, typ.Consts, typ.Vars)
			funcs = slices.Concat(funcs, typ.Funcs, typ.Methods)
		}
		for _, f := range funcs {
			if f.Recv == "" || !slices.Contains(calledByOthers, f.Name) {
				documented(f.Recv+" "+f.Name, f.Doc)
			}
		}
		for _, v := range values {
			for _, spec := range v.Decl.Specs {
				if s, ok := spec.(*ast.ValueSpec); ok && s.Names[0].IsExported() {
					// What a group shares is said once, at its head.
					documented(s.Names[0].Name, v.Doc+s.Doc.Text()+s.Comment.Text())
				}
			}
		}
	}
}

// calledByOthers are methods that implement an interface of the standard
// library: fmt, errors, log/slog and encoding/json call them, and say what they
// are for.
var calledByOthers = []string{"Error", "Is", "Unwrap", "String", "Format", "LogValue", "MarshalJSON", "UnmarshalJSON"}

// Every entrance of a package is called in an example, and every example's
// output is compared. Entrances are all exported functions and methods, but
// those that only others call. An entrance need not have an example under its
// own name: a settlement, say, is best shown where it is settled. Doubles for
// tests (packages called …test) are shown by the examples that stand on them.
func TestEveryEntranceHasAnExample(t *testing.T) {
	t.Parallel()
	for _, l := range libraries(t) {
		for name, compared := range l.outputs {
			if !compared {
				t.Errorf("%s: %s has no // Output:", l.name, name)
			}
		}
		if strings.HasSuffix(l.name, "test") {
			continue
		}
		called := l.called()
		for _, entrance := range l.entrances() {
			_, method, isMethod := strings.Cut(entrance, ".")
			if !called[entrance] && (!isMethod || !called["."+method]) {
				t.Errorf("%s: no example calls %s", l.name, entrance)
			}
		}
	}
}

// entrances are functions by their name, methods as Type.Method.
func (l *library) entrances() (names []string) {
	for _, f := range l.doc.Funcs {
		names = append(names, f.Name)
	}
	for _, typ := range l.doc.Types {
		for _, f := range typ.Funcs {
			names = append(names, f.Name)
		}
		for _, m := range typ.Methods {
			if !slices.Contains(calledByOthers, m.Name) {
				names = append(names, typ.Name+"."+m.Name)
			}
		}
	}
	return names
}

// called are the functions of the package that its examples use, by name, and
// what they select of any value, with a dot in front.
func (l *library) called() map[string]bool {
	names := map[string]bool{}
	for _, example := range l.examples {
		ast.Inspect(example.Body, func(n ast.Node) bool {
			selector, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			if x, ok := selector.X.(*ast.Ident); ok && x.Name == l.doc.Name {
				names[selector.Sel.Name] = true
			} else {
				names["."+selector.Sel.Name] = true
			}
			return true
		})
	}
	return names
}
