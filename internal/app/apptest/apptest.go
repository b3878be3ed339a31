// Package apptest is for testing the functions' setup without AWS.
package apptest

import (
	"cmp"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/spillway-go/spillway/internal/app"
)

// Setup is a function's setup.
type Setup func(env *app.Env) (handler any, err error)

// Hermetic makes AWS clients talk to endpoint, with credentials that are good
// for nothing, whatever this machine is configured for.
func Hermetic(t *testing.T, endpoint string) {
	t.Helper()
	for _, kv := range os.Environ() {
		if name, _, _ := strings.Cut(kv, "="); strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, "")
		}
	}
	for name, value := range map[string]string{
		"AWS_REGION": "us-east-1", "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_ENDPOINT_URL": endpoint,
	} {
		t.Setenv(name, value)
	}
}

// Check calls setup with an environment, which has to give a handler that calls
// f, and without each of its required variables, which has to be an error that
// names it. What setup asks for has to be what template.yaml gives the function,
// and what Lambda gives every function. values are complete; optional names
// those that may be empty.
func Check(t *testing.T, f *Fake, setup Setup, function string, values map[string]string, optional ...string) (handler any) {
	t.Helper()
	asked := map[string]bool{}
	handler, err := setup(app.NewEnv(func(name string) string {
		if !strings.HasPrefix(name, "AWS_") {
			asked[name] = true
		}
		return cmp.Or(values[name], runtime[name])
	}, app.WithTransport(f)))
	if err != nil || handler == nil {
		t.Fatalf("setup = %v, %v", handler, err)
	}
	given := TemplateVariables(t, function)
	if names := slices.Sorted(maps.Keys(asked)); !slices.Equal(names, given) {
		t.Errorf("setup asks for %v, template.yaml gives %v", names, given)
	}

	_, err = setup(app.NewEnv(func(string) string { return "" }))
	if err == nil {
		t.Fatal("setup takes an empty environment")
	}
	for name := range asked {
		named := regexp.MustCompile(`(?m)^` + name + ` `).MatchString(err.Error())
		if named == slices.Contains(optional, name) {
			t.Errorf("%s: named %t in %q", name, named, err)
		}
	}
	return handler
}

// TemplateVariables are the environment variables that template.yaml gives a
// function, sorted. The template lies in a folder above the test's package.
func TemplateVariables(tb testing.TB, function string) []string {
	tb.Helper()
	type environment struct {
		Variables map[string]yaml.Node `yaml:"Variables"`
	}
	var template struct {
		Globals struct {
			Function struct {
				Environment environment `yaml:"Environment"`
			} `yaml:"Function"`
		} `yaml:"Globals"`
		Resources map[string]struct {
			Properties struct {
				Environment environment `yaml:"Environment"`
			} `yaml:"Properties"`
		} `yaml:"Resources"`
	}
	text, err := os.ReadFile(filepath.Join(Root(tb), "template.yaml"))
	if err != nil {
		tb.Fatal(err)
	}
	if err := yaml.Unmarshal(text, &template); err != nil {
		tb.Fatal(err)
	}
	all := map[string]yaml.Node{}
	maps.Copy(all, template.Globals.Function.Environment.Variables)
	maps.Copy(all, template.Resources[function].Properties.Environment.Variables)
	return slices.Sorted(maps.Keys(all))
}

// Root is the folder that the module lies in.
func Root(tb testing.TB) string {
	tb.Helper()
	dir, err := os.Getwd() // of a test: its package's
	if err != nil {
		tb.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if filepath.Dir(dir) == dir {
			tb.Fatal("no go.mod above the test's package")
		}
		dir = filepath.Dir(dir)
	}
}
