package localaws

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Options tunes a [Checkout]. The zero value is ready to use.
type Options struct {
	// Dir is a folder in the checkout. Defaults to the working directory.
	Dir string
	// BuildDir takes the built functions, relative to the checkout's root. Builds that may run at the same time need
	// different ones. Defaults to .aws-sam/build.
	BuildDir string
	// Tags are build tags for the functions, beside the one that all of them have. Defaults to none.
	Tags []string
	// Progress is where each step is told, with the time it took. Defaults to standard error.
	Progress io.Writer
}

// Checkout is a working copy of Spillway and the tools in it. It is safe for concurrent use, except that
// [Checkout.Build] must not overlap with itself or [Checkout.Deploy].
type Checkout struct {
	root     string
	buildDir string
	tags     []string
	progress *progress
}

// Open finds the checkout that options.Dir is in: the nearest folder upwards with a template.yaml and a go.mod.
func Open(options *Options) (*Checkout, error) {
	var o Options
	if options != nil {
		o = *options
	}
	if o.BuildDir == "" {
		o.BuildDir = filepath.Join(".aws-sam", "build")
	}
	if o.Progress == nil {
		o.Progress = os.Stderr
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, fmt.Errorf("find the checkout: %w", err)
	}
	for ; !exists(filepath.Join(dir, "template.yaml")) || !exists(filepath.Join(dir, "go.mod")); dir = filepath.Dir(dir) {
		if dir == filepath.Dir(dir) {
			return nil, errors.New("this is no checkout of Spillway: no template.yaml here or in any folder above")
		}
	}
	return &Checkout{root: dir, buildDir: filepath.Join(dir, o.BuildDir), tags: o.Tags, progress: newProgress(o.Progress)}, nil
}

// path names a file in the checkout.
func (c *Checkout) path(elem ...string) string {
	return filepath.Join(append([]string{c.root}, elem...)...)
}

// tool names a program in the checkout's Python environment, and says how to get it when it is absent.
func (c *Checkout) tool(name string) (string, error) {
	file := c.path(".venv", "bin", name)
	if !exists(file) {
		return "", fmt.Errorf("%s is not installed: run `make .venv` first", name)
	}
	return file, nil
}

// localDir returns .local/, made if need be. It holds logs and what is known about the instance that stays up.
func (c *Checkout) localDir() (string, error) {
	dir := c.path(".local")
	return dir, os.MkdirAll(dir, 0o750)
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return !errors.Is(err, fs.ErrNotExist)
}
