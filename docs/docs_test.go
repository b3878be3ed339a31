// Package docs_test holds the documents to the code: what they quote is what
// is there.
package docs_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const root = ".."

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// documents are all Markdown files of the checkout.
func documents(t *testing.T) []string {
	t.Helper()
	names := []string{"README.md", "CONTRIBUTING.md", "CHANGELOG.md"}
	err := filepath.WalkDir(filepath.Join(root, "docs"), func(file string, _ fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(file, ".md") {
			name, relErr := filepath.Rel(root, file)
			names = append(names, name)
			err = relErr
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// section is what follows a heading, up to the next one of any level.
func section(t *testing.T, text, heading string) string {
	t.Helper()
	_, after, ok := strings.Cut(text, "\n"+heading+"\n")
	if !ok {
		t.Fatalf("no heading %q", heading)
	}
	if end := strings.Index(after, "\n#"); end >= 0 {
		after = after[:end]
	}
	return after
}

// table returns the rows of the first table in text, without its head.
func table(t *testing.T, text string) [][]string {
	t.Helper()
	var rows [][]string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") {
			if rows != nil {
				break
			}
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		rows = append(rows, cells)
	}
	if len(rows) < 3 {
		t.Fatal("no table")
	}
	return rows[2:]
}

var goBlock = regexp.MustCompile("(?s)(<!-- (file|from): (\\S+) -->\n)?```go\n(.*?)\n```")

// Go code in the README is a file of this repository ("file"), or a part of
// one ("from"), so that it compiles and its test runs.
func TestReadmeQuotesCode(t *testing.T) {
	t.Parallel()
	blocks := goBlock.FindAllStringSubmatch(read(t, "README.md"), -1)
	if len(blocks) == 0 {
		t.Fatal("no Go code")
	}
	for _, b := range blocks {
		kind, name, quoted := b[2], b[3], b[4]
		if kind == "" {
			t.Errorf("this block does not say which file it is from:\n%s", quoted)
			continue
		}
		code := strings.TrimSuffix(read(t, name), "\n")
		if kind == "file" && quoted != code {
			t.Errorf("%s has changed: copy it into README.md again", name)
		}
		// Lines, not just characters: a quote begins and ends with one.
		if !strings.Contains("\n"+code+"\n", "\n"+quoted+"\n") {
			t.Errorf("%s does not have this (any more):\n%s", name, quoted)
		}
	}
}

// The configuration table is the template's parameters.
func TestReadmeListsParameters(t *testing.T) {
	t.Parallel()
	var want []string
	for name, p := range fields(&loadTemplate(t).Parameters) {
		want = append(want, strings.TrimSpace(row(quoted(name), quoted(value(p, "Default")), strings.TrimSuffix(value(p, "Description"), "."))))
	}
	var got []string
	for _, cells := range table(t, section(t, read(t, "README.md"), "## Configuration")) {
		got = append(got, "| "+strings.Join(cells, " | ")+" |")
	}
	if !slices.Equal(got, want) {
		t.Errorf("the table in README.md should be:\n%s", strings.Join(want, "\n"))
	}
}

var (
	link   = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	target = regexp.MustCompile("(?m)^(?:\\$ )?make ([a-z][a-z-]*)|`make ([a-z][a-z-]*)")
	code   = regexp.MustCompile("(?s)```.*?```")
)

// Links lead to files and headings that exist.
func TestLinks(t *testing.T) {
	t.Parallel()
	for _, name := range documents(t) {
		for _, m := range link.FindAllStringSubmatch(code.ReplaceAllString(read(t, name), ""), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			file, anchor, _ := strings.Cut(m[1], "#")
			path := name
			if file != "" {
				path = filepath.Join(filepath.Dir(name), file)
			}
			if _, err := os.Stat(filepath.Join(root, path)); err != nil {
				t.Errorf("%s links to %s, which does not exist", name, m[1])
			} else if anchor != "" && !slices.Contains(anchors(read(t, path)), anchor) {
				t.Errorf("%s links to %s: no such heading", name, m[1])
			}
		}
	}
}

var heading = regexp.MustCompile(`(?m)^#+ (.*)$`)

// anchors are what GitHub makes of the headings.
func anchors(text string) []string {
	var names []string
	for _, m := range heading.FindAllStringSubmatch(code.ReplaceAllString(text, ""), -1) {
		name := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-', r == '_', r >= '0' && r <= '9', r >= 'a' && r <= 'z':
				return r
			default:
				return -1
			}
		}, strings.ToLower(m[1]))
		names = append(names, name)
	}
	return names
}

// Every make target that a document names is there.
func TestMakeTargets(t *testing.T) {
	t.Parallel()
	makefile := read(t, "Makefile")
	for _, name := range documents(t) {
		for _, m := range target.FindAllStringSubmatch(read(t, name), -1) {
			if word := m[1] + m[2]; !regexp.MustCompile(`(?m)^` + word + `:`).MatchString(makefile) {
				t.Errorf("%s names `make %s`, which the Makefile does not have", name, word)
			}
		}
	}
}
