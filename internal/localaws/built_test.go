package localaws

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// builds makes a checkout whose SAM CLI notes each build, and is the working directory.
func builds(t *testing.T) (count func() int) {
	t.Helper()
	checkout := fakeCheckout(t, `#!/bin/sh
echo built >>builds
while [ "$1" != --build-dir ]; do shift; done
mkdir -p "$2"
`)
	for _, name := range []string{"template.yaml", "go.mod"} {
		if err := os.WriteFile(checkout.path(name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(checkout.root)
	return func() int {
		text, err := os.ReadFile(checkout.path("builds"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		return bytes.Count(text, []byte("\n"))
	}
}

// Suites of one run share a build, however many ask for it at once.
func TestOpenBuiltSharesABuild(t *testing.T) {
	count := builds(t)
	shared := filepath.Join(t.TempDir(), "run")
	t.Setenv(BuildVariable, shared)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			c, remove, err := OpenBuilt(t.Context(), &Options{Progress: &bytes.Buffer{}})
			if err != nil {
				t.Error(err)
				return
			}
			if err := remove(); err != nil || !exists(c.BuildDir()) || filepath.Dir(c.BuildDir()) != shared {
				t.Errorf("the build is in %s (%v)", c.BuildDir(), err)
			}
		})
	}
	wg.Wait()
	if n := count(); n != 1 {
		t.Errorf("built %d times, want once", n)
	}
}

// Runs that share nothing build apart, and leave nothing.
func TestOpenBuiltApart(t *testing.T) {
	count := builds(t)
	t.Setenv(BuildVariable, "")
	dirs := map[string]bool{}
	for range 2 {
		c, remove, err := OpenBuilt(t.Context(), &Options{Progress: &bytes.Buffer{}})
		if err != nil {
			t.Fatal(err)
		}
		dirs[c.BuildDir()] = true
		defer func() {
			if err := remove(); err != nil || exists(filepath.Dir(c.BuildDir())) {
				t.Errorf("%s is still there (%v)", c.BuildDir(), err)
			}
		}()
	}
	if len(dirs) != 2 || count() != 2 {
		t.Errorf("%d builds in %v, want two apart", count(), dirs)
	}
}

// A process that waits for a build stops when its context ends.
func TestLockEndsWithItsContext(t *testing.T) {
	if err := supported(); err != nil {
		t.Skip(err)
	}
	file := filepath.Join(t.TempDir(), "lock")
	unlock, err := lock(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := lock(ctx, file); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want DeadlineExceeded", err)
	}
	unlock()
	again, err := lock(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	again()
}
