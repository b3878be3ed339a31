package docs_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	evidence = regexp.MustCompile("`((?:infra|integration|internal|pkg|functions|examples|cmd|docs)(?:/[a-z]+)*)\\.((?:Test|Fuzz)[A-Za-z0-9]+)`")
	declared = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)\(`)
)

// testsOf are the names of the tests in a directory.
func testsOf(t *testing.T, dir string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, file := range files {
		relative, err := filepath.Rel(root, file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range declared.FindAllStringSubmatch(read(t, relative), -1) {
			names[m[1]] = true
		}
	}
	return names
}

// Every test that the threat model gives as evidence is there.
func TestThreatModelNamesTests(t *testing.T) {
	t.Parallel()
	text := read(t, "docs/security.md")
	found, known := 0, map[string]map[string]bool{}
	for _, m := range evidence.FindAllStringSubmatch(text, -1) {
		found++
		dir, name := m[1], m[2]
		if known[dir] == nil {
			known[dir] = testsOf(t, dir)
		}
		if !known[dir][name] {
			t.Errorf("docs/security.md names %s.%s, which is not there", dir, name)
		}
	}
	if found < 60 {
		t.Errorf("%d tests are named: is their form another one?", found)
	}
	for line := range strings.Lines(text) { // nothing that looks like a test escapes the check
		if n := strings.Count(line, ".Test") + strings.Count(line, ".Fuzz"); n != len(evidence.FindAllString(line, -1)) && !strings.Contains(line, "`package.Test`") {
			t.Errorf("not all tests in this line are checked: %s", line)
		}
	}
}

// Every threat says what stops it, and what shows that, unless nothing does.
func TestThreatModelIsWhole(t *testing.T) {
	t.Parallel()
	_, threats, ok := strings.Cut(read(t, "docs/security.md"), "\n## Threats\n")
	threats, _, _ = strings.Cut(threats, "\n## ")
	if !ok {
		t.Fatal("no threats")
	}
	rows := 0
	for line := range strings.Lines(threats) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) < 5 || strings.HasPrefix(cells[1], " ---") || strings.Contains(cells[1], "tries to") {
			continue
		}
		rows++
		shown, nothing := strings.TrimSpace(cells[3]) != "", strings.HasPrefix(cells[2], " nothing") || strings.HasPrefix(cells[2], " few dependencies")
		if strings.TrimSpace(cells[2]) == "" || !shown && !nothing {
			t.Errorf("no answer, or nothing that shows it: %s", line)
		}
	}
	if rows < 25 {
		t.Errorf("%d threats", rows)
	}
}

// The policy for reports says where to, and links to the threat model.
func TestSecurityPolicy(t *testing.T) {
	t.Parallel()
	policy := read(t, "SECURITY.md")
	for _, want := range []string{"security/advisories/new", "docs/security.md", "Supported versions"} {
		if !strings.Contains(policy, want) {
			t.Errorf("SECURITY.md lacks %q", want)
		}
	}
}

var (
	attribute = regexp.MustCompile(`slog\.(?:String|Int|Int64|Uint64|Bool|Any|Duration|Float64|Time)\("([A-Za-z_]+)"`)
	fieldName = regexp.MustCompile("`([A-Za-z_]+)`")
)

// Every field that the functions' code gives to a line of the log is in the
// table, and nothing else is. The black-box suite compares the lines themselves.
func TestLogFieldsAreListed(t *testing.T) {
	t.Parallel()
	listed := map[string]bool{}
	for _, row := range table(t, section(t, read(t, "docs/security.md"), "### The fields")) {
		for _, m := range fieldName.FindAllStringSubmatch(row[0], -1) {
			listed[m[1]] = false
		}
	}
	// What log/slog and Lambda's handler add by themselves.
	for _, name := range []string{"timestamp", "level", "message", "requestId"} {
		if _, ok := listed[name]; !ok {
			t.Errorf("docs/security.md does not list the field %s", name)
		}
		listed[name] = true
	}
	for _, dir := range []string{"pkg", "internal/admin", "internal/api", "internal/app", "internal/functions", "internal/handlers", "internal/job", "internal/parked", "internal/trip", "functions"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(file string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
				return err
			}
			text, err := os.ReadFile(file)
			for _, m := range attribute.FindAllStringSubmatch(string(text), -1) {
				if _, ok := listed[m[1]]; !ok {
					t.Errorf("%s logs the field %s, which docs/security.md does not list", file, m[1])
				}
				listed[m[1]] = true
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, used := range listed {
		if !used {
			t.Errorf("docs/security.md lists the field %s, which nothing logs", name)
		}
	}
}
