package docs_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var testName = regexp.MustCompile("`(Test[A-Za-z0-9]+)`")

// Every row of a table of limits names tests that exist, and a page that states
// the limit.
func TestLimits(t *testing.T) {
	t.Parallel()
	exists := map[string]bool{}
	for _, dir := range []string{"pkg", "internal", "functions"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(file string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(file, "_test.go") {
				return err
			}
			code, err := os.ReadFile(file)
			for _, m := range declared.FindAllSubmatch(code, -1) {
				exists[string(m[1])] = true
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	text := read(t, "docs/limits.md")
	for _, m := range testName.FindAllStringSubmatch(text, -1) {
		if !exists[m[1]] {
			t.Errorf("there is no %s", m[1])
		}
	}
	for line := range strings.Lines(text) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if !strings.HasPrefix(line, "|") || strings.Contains(cells[0], "---") || strings.TrimSpace(cells[0]) == "limit" {
			continue
		}
		if len(cells) != 4 || !testName.MatchString(cells[2]) || !strings.Contains(cells[3], "](https://") {
			t.Errorf("want limit, behavior, test and source: %s", line)
		}
	}
}
