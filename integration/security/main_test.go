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

// buildDir takes the functions and the template, apart from those of other suites.
var buildDir = filepath.Join(".aws-sam", "security")

// root is the checkout.
var root = filepath.Join("..", "..")

func TestMain(m *testing.M) {
	if os.Getenv("SPILLWAY_TEST_ENDPOINT") != "" {
		fmt.Println("security: the template is the same wherever it is deployed, so the run without an endpoint is enough")
		return
	}
	os.Exit(m.Run())
}

// build runs `sam build`, once.
var build = sync.OnceValues(func() (*localaws.Checkout, error) {
	checkout, err := localaws.Open(&localaws.Options{BuildDir: buildDir})
	if err != nil {
		return nil, err
	}
	return checkout, checkout.Build(context.Background())
})

// built is a file that `sam build` left.
func built(tb testing.TB, elem ...string) string {
	tb.Helper()
	if _, err := build(); err != nil {
		tb.Fatal(err)
	}
	return filepath.Join(append([]string{root, buildDir}, elem...)...)
}
