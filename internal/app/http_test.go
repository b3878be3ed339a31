package app_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/spillway-go/spillway/internal/app"
)

// flawed is a request's body that is good to read, and whose shortcut fails, as
// that of the SDK's does after the answer.
type flawed struct{ *strings.Reader }

func (flawed) Close() error { return nil }

func (flawed) WriteTo(io.Writer) (int64, error) { return 0, errors.New("the shortcut was taken") }

func TestHTTPClientReadsBodies(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body) // what is missing is noticed below
		_, _ = w.Write(body)
	}))
	t.Cleanup(server.Close)
	client := from(lambdaGives(nil)).AWS().HTTPClient
	for _, content := range []string{"", "{}", strings.Repeat("x", 100_000)} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL, flawed{strings.NewReader(content)})
		if err != nil {
			t.Fatal(err)
		}
		r.ContentLength = int64(len(content))
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || string(got) != content {
			t.Errorf("%d bytes, %v, want %d", len(got), err, len(content))
		}
	}
}

// No call lasts for ever.
func TestHTTPClientIsBounded(t *testing.T) {
	t.Parallel()
	if d := app.CallTimeout(from(lambdaGives(nil)).AWS().HTTPClient); d <= 0 || d > 10*time.Second {
		t.Errorf("a call may last %s", d)
	}
}
