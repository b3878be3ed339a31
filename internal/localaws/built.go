package localaws

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// BuildVariable names a folder, in the environment, where suites that run at the same time share one build of the
// functions. The folder is for one run: what it holds is not compared with the source.
const BuildVariable = "SPILLWAY_TEST_BUILD"

// OpenBuilt opens a checkout for a suite, with its functions built where no other run builds. With [BuildVariable] set
// the first suite that asks builds, and the others wait for it. Without it the build is this process's own, and remove
// deletes it. It is safe to call from several processes at once.
func OpenBuilt(ctx context.Context, options *Options) (c *Checkout, remove func() error, err error) {
	if c, err = Open(options); err != nil {
		return nil, nil, err
	}
	remove = func() error { return nil }
	shared := os.Getenv(BuildVariable)
	if shared == "" {
		dir, err := os.MkdirTemp("", "spillway-build-")
		if err != nil {
			return nil, nil, err
		}
		// SAM leaves a file beside its build folder, hence a folder within.
		c.buildDir, remove = filepath.Join(dir, "functions"), func() error { return os.RemoveAll(dir) }
		if err := c.Build(ctx); err != nil {
			return nil, nil, errors.Join(err, remove())
		}
		return c, remove, nil
	}
	if err := os.MkdirAll(shared, 0o750); err != nil {
		return nil, nil, err
	}
	unlock, err := lock(ctx, filepath.Join(shared, "lock"))
	if err != nil {
		return nil, nil, fmt.Errorf("lock %s: %w", shared, err)
	}
	defer unlock()
	c.buildDir = filepath.Join(shared, "functions")
	complete := filepath.Join(shared, "complete")
	if exists(complete) {
		c.progress.say("functions are those in %s", c.buildDir)
		return c, remove, nil
	}
	if err := c.Build(ctx); err != nil {
		return nil, nil, err
	}
	return c, remove, os.WriteFile(complete, nil, 0o600)
}

// BuildDir is the folder with the packaged template and, in a folder for each, the functions.
func (c *Checkout) BuildDir() string { return c.buildDir }

// Rebuilt returns a checkout whose functions are those of c built with one more build tag: another version of the same
// source, in a folder beside c's, because the template refers to files by their way from there. It takes less than
// [Checkout.Build].
func (c *Checkout) Rebuilt(ctx context.Context, tag string) (*Checkout, error) {
	next := *c
	next.buildDir, next.tags = c.buildDir+"-"+tag, append(slices.Clone(c.tags), tag)
	if err := os.CopyFS(next.buildDir, os.DirFS(c.buildDir)); err != nil {
		return nil, err
	}
	bin := next.buildDir + "-bin" + string(filepath.Separator)
	err := c.progress.step("building the next version", func() error { return next.compile(ctx, bin, "./functions/...") })
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(next.buildDir)
	if err != nil {
		return nil, err
	}
	for _, function := range entries {
		if !function.IsDir() {
			continue
		}
		// SubmitFunction is built from functions/submit.
		name := strings.ToLower(strings.TrimSuffix(function.Name(), "Function"))
		if err := os.Rename(bin+name, filepath.Join(next.buildDir, function.Name(), "bootstrap")); err != nil {
			return nil, err
		}
	}
	if left, err := os.ReadDir(bin); err != nil || len(left) > 0 {
		return nil, errors.Join(err, fmt.Errorf("%d programs are no function of the template: %w", len(left), fs.ErrInvalid))
	}
	return &next, nil
}
