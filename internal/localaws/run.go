package localaws

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// region is where local stacks live; emulators do not care.
const region = "us-east-1"

// Env returns the variables that point an AWS client at endpoint, with the credentials that emulators expect.
func Env(endpoint string) []string {
	return []string{
		"AWS_ENDPOINT_URL=" + endpoint,
		"AWS_ACCESS_KEY_ID=test",
		"AWS_SECRET_ACCESS_KEY=test",
		"AWS_REGION=" + region,
		"AWS_DEFAULT_REGION=" + region,
		// A person's own profiles, endpoints and role settings have no say on a local stack.
		"AWS_CONFIG_FILE=" + os.DevNull,
		"AWS_SHARED_CREDENTIALS_FILE=" + os.DevNull,
		"AWS_EC2_METADATA_DISABLED=true",
	}
}

// Environ returns the environment of this process with every AWS setting in it replaced by [Env]'s.
func Environ(endpoint string) []string {
	var environ []string
	noProxy := "127.0.0.1,localhost"
	for _, entry := range os.Environ() {
		name, value, _ := strings.Cut(entry, "=")
		switch {
		case strings.EqualFold(name, "no_proxy"):
			if value != "" {
				noProxy = value + "," + noProxy
			}
		case !strings.HasPrefix(name, "AWS_"):
			environ = append(environ, entry)
		}
	}
	return append(append(environ, "NO_PROXY="+noProxy, "no_proxy="+noProxy), Env(endpoint)...)
}

// sam runs the SAM CLI in the checkout's root. Nobody sees its output unless it fails; then the error ends with its last
// lines.
func (c *Checkout) sam(ctx context.Context, environ []string, args ...string) error {
	file, err := c.tool("sam")
	if err != nil {
		return err
	}
	var output bytes.Buffer
	cmd := exec.CommandContext(ctx, file, args...)
	cmd.Dir = c.root
	path := filepath.Dir(file) + string(os.PathListSeparator) + os.Getenv("PATH")
	cmd.Env = slices.Concat(environ, []string{"SAM_CLI_TELEMETRY=0", "PATH=" + path})
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := runToEnd(cmd); err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("sam %s: %w", args[0], context.Cause(ctx))
		}
		return fmt.Errorf("sam %s: %w; it said:\n%s", args[0], err, tail(output.String(), 30))
	}
	return nil
}

// tail returns the last n lines of text that say something.
func tail(text string, n int) string {
	var lines []string
	for line := range strings.Lines(text) {
		if line = strings.TrimRight(line, " \r\n"); line != "" {
			lines = append(lines, "  | "+line)
		}
	}
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
