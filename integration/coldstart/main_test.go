//go:build integration

package coldstart

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/spillway-go/spillway/internal/localaws"
)

// folder takes the functions, built for this machine. It goes when the tests end.
var folder string

func TestMain(m *testing.M) {
	if os.Getenv("SPILLWAY_TEST_ENDPOINT") != "" {
		fmt.Println("coldstart: nothing here meets an emulator, so the run without an endpoint is enough")
		return
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	var err error
	if folder, err = os.MkdirTemp("", "spillway-coldstart-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(folder)
	return m.Run()
}

// build builds the functions and bare as a deployment does, once.
var build = sync.OnceValue(func() error {
	cmd := exec.Command("go", "build", "-o", folder+string(filepath.Separator), "./functions/...", "./integration/coldstart/bare")
	cmd.Dir = filepath.Join("..", "..")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS="+localaws.BuildFlags)
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build the functions: %w\n%s", err, output)
	}
	return nil
})

// binary returns the file of a function.
func binary(tb testing.TB, name string) string {
	tb.Helper()
	if err := build(); err != nil {
		tb.Fatal(err)
	}
	return filepath.Join(folder, name)
}
