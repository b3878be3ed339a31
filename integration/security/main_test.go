//go:build integration

package security

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/spillway-go/spillway/internal/localaws"
)

// root is the checkout.
var root = filepath.Join("..", "..")

func TestMain(m *testing.M) {
	if os.Getenv("SPILLWAY_TEST_ENDPOINT") != "" {
		fmt.Println("security: the template is the same wherever it is deployed, so the run without an endpoint is enough")
		return
	}
	code := m.Run()
	if err := removeBuild(); err != nil {
		fmt.Fprintln(os.Stderr, "security:", err)
		code = 1
	}
	os.Exit(code)
}

// removeBuild is what remains to be done with the build.
var removeBuild = func() error { return nil }

// build builds the functions, once.
var build = sync.OnceValues(func() (*localaws.Checkout, error) {
	checkout, remove, err := localaws.OpenBuilt(context.Background(), nil)
	if err == nil {
		removeBuild = remove
	}
	return checkout, err
})

// built is a file that `sam build` left.
func built(tb testing.TB, elem ...string) string {
	tb.Helper()
	checkout, err := build()
	if err != nil {
		tb.Fatal(err)
	}
	return filepath.Join(append([]string{checkout.BuildDir()}, elem...)...)
}
