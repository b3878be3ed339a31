package infra_test

import (
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"
)

var settings = regexp.MustCompile(`(?m)^\[(\w+)\.global\.parameters\]\nstack_name = "(.*)"\n(?:region = .*\n)?\[(\w+)\.deploy\.parameters\]\n(?:[^\[\n].*\n)*?s3_prefix = "(.*)"$`)

// What is uploaded for a stack lies in a folder of its own: `sam delete` deletes it, and the bucket is that of all stacks.
func TestStagesShareNoUploads(t *testing.T) {
	folders := map[string]string{}
	for _, m := range settings.FindAllStringSubmatch(read(t, "samconfig.toml"), -1) {
		if m[1] != m[3] || m[2] != m[4] {
			t.Errorf("stack %s of stage %s uploads to %s of stage %s", m[2], m[1], m[4], m[3])
		}
		folders[m[1]] = m[4]
	}
	want := map[string]string{"local": "spillway", "localstack": "spillway", "staging": "spillway-staging", "production": "spillway-production"}
	if diff := cmp.Diff(want, folders); diff != "" {
		t.Errorf("folders by stage (-want +got):\n%s", diff)
	}
}

// Whoever cannot deploy as asked is told in one sentence what to do, before anything is built.
func TestDeployAsksFor(t *testing.T) {
	makefile, err := exec.LookPath("make")
	if err != nil {
		t.Skip("no make")
	}
	for name, tt := range map[string]struct {
		stage string
		env   []string
		want  string
	}{
		"a stage":             {"", nil, "say where to: make deploy STAGE=local, localstack, staging or production"},
		"one that there is":   {"prod", nil, "say where to: make deploy STAGE=local, localstack, staging or production"},
		"LocalStack":          {"localstack", nil, "set LOCALSTACK_ENDPOINT to the URL of a LocalStack that runs, such as http://127.0.0.1:4566"},
		"a region":            {"staging", nil, "no AWS region: set AWS_REGION, or run aws configure"},
		"an account":          {"production", []string{"AWS_REGION=eu-west-1", "AWS_ENDPOINT_URL=http://127.0.0.1:1"}, "AWS_ENDPOINT_URL is http://127.0.0.1:1, which is no AWS account: unset it to deploy to one"},
		"an account to stage": {"staging", []string{"AWS_REGION=eu-west-1", "AWS_ENDPOINT_URL=http://127.0.0.1:1"}, "AWS_ENDPOINT_URL is http://127.0.0.1:1, which is no AWS account: unset it to deploy to one"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), makefile, "--no-print-directory", "deploy", "STAGE="+tt.stage)
			cmd.Dir = ".."
			cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}, tt.env...)
			output, err := cmd.CombinedOutput()
			sentence, rest, _ := strings.Cut(string(output), "\n")
			if err == nil || sentence != tt.want || strings.Count(strings.TrimSpace(rest), "\n") > 0 { // make itself adds a line
				t.Errorf("%v, it said:\n%s", err, output)
			}
		})
	}
}

// step of a job, or of an action of our own.
type step struct {
	Uses string            `yaml:"uses"`
	Run  string            `yaml:"run"`
	With map[string]string `yaml:"with"`
}

// workflow is what a file in .github/ says, be it a workflow or an action.
type workflow struct {
	Permissions map[string]string `yaml:"permissions"`
	Jobs        map[string]struct {
		Permissions map[string]string `yaml:"permissions"`
		Timeout     int               `yaml:"timeout-minutes"`
		Environment string            `yaml:"environment"`
		Concurrency any               `yaml:"concurrency"`
		Steps       []step            `yaml:"steps"`
	} `yaml:"jobs"`
	Runs struct {
		Steps []step `yaml:"steps"`
	} `yaml:"runs"`
}

// automation returns the YAML files of .github/, by name, with their text.
func automation(t *testing.T) (files map[string]workflow, texts map[string]string) {
	t.Helper()
	files, texts = map[string]workflow{}, map[string]string{}
	err := filepath.WalkDir("../.github", func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.Contains(filepath.Ext(file), "y") {
			return err
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		var w workflow
		if err := yaml.Unmarshal(text, &w); err != nil {
			return err
		}
		files[file], texts[file] = w, string(text)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files, texts
}

var (
	uses   = regexp.MustCompile(`(?m)^[\s-]*uses:\s*(.*)$`)
	pinned = regexp.MustCompile(`^([\w.-]+/[\w./-]+)@([0-9a-f]{40}) # (v\d+\.\d+\.\d+)$`)
)

// A tag of somebody else's action can be moved to other code; a commit cannot.
// https://docs.github.com/en/actions/reference/security/secure-use#using-third-party-actions
func TestActionsArePinned(t *testing.T) {
	_, texts := automation(t)
	versions := map[string]string{}
	for file, text := range texts {
		for _, m := range uses.FindAllStringSubmatch(text, -1) {
			if dir, ours := strings.CutPrefix(m[1], "./"); ours {
				if _, err := os.Stat(filepath.Join("..", dir, "action.yml")); err != nil {
					t.Errorf("%s uses %s: %v", file, m[1], err)
				}
				continue
			}
			action := pinned.FindStringSubmatch(m[1])
			if action == nil {
				t.Errorf("%s uses %s: want a commit, and its version in a comment", file, m[1])
				continue
			}
			if version := action[2] + " " + action[3]; versions[action[1]] != "" && versions[action[1]] != version {
				t.Errorf("%s uses %s as %s, and as %s elsewhere", file, action[1], version, versions[action[1]])
			}
			versions[action[1]] = action[2] + " " + action[3]
		}
	}
	want := []string{"actions/checkout", "actions/setup-go", "actions/setup-python", "aws-actions/configure-aws-credentials"}
	if got := slices.Sorted(maps.Keys(versions)); !slices.Equal(got, want) {
		t.Errorf("actions: got %v, want %v", got, want)
	}
}

// Only the job that deploys may be known to AWS, and only within an environment, whose rules say who may run it.
func TestWorkflowPermissions(t *testing.T) {
	files, _ := automation(t)
	readOnly, jobs := map[string]string{"contents": "read"}, 0
	for file, w := range files {
		if len(w.Jobs) > 0 && !maps.Equal(w.Permissions, readOnly) {
			t.Errorf("%s has permissions %v, want %v", file, w.Permissions, readOnly)
		}
		for name, job := range w.Jobs {
			jobs++
			want := map[string]string(nil)
			if name == "deploy" {
				want = map[string]string{"contents": "read", "id-token": "write"}
				if job.Environment == "" || job.Concurrency == nil {
					t.Errorf("%s: %s has no environment, or may run twice at a time", file, name)
				}
			}
			if !maps.Equal(job.Permissions, want) {
				t.Errorf("%s: %s has permissions %v, want %v", file, name, job.Permissions, want)
			}
			if job.Timeout == 0 {
				t.Errorf("%s: %s may run for hours", file, name)
			}
			for _, s := range job.Steps {
				if strings.HasPrefix(s.Uses, "actions/checkout@") && s.With["persist-credentials"] != "false" {
					t.Errorf("%s: %s leaves the token to every later step", file, name)
				}
			}
		}
	}
	if jobs < 4 {
		t.Errorf("%d jobs", jobs)
	}
}

var makes = regexp.MustCompile(`^make ([\w-]+)`)

// The workflows run what anybody can run, and all of it that says whether a change may go in.
func TestWorkflowRunsTargets(t *testing.T) {
	files, _ := automation(t)
	makefile, targets := read(t, "Makefile"), map[string]bool{}
	for _, w := range files {
		for _, job := range w.Jobs {
			for _, s := range job.Steps {
				if m := makes.FindStringSubmatch(s.Run); m != nil {
					targets[m[1]] = true
				}
			}
		}
	}
	got := slices.Sorted(maps.Keys(targets))
	if want := []string{"deploy", "fuzz", "lint", "load", "properties", "race", "test", "test-localstack"}; !slices.Equal(got, want) {
		t.Errorf("targets: got %v, want %v", got, want)
	}
	for _, target := range got {
		if !strings.Contains(makefile, "\n"+target+":") {
			t.Errorf("make %s is run, which there is not", target)
		}
	}
}
