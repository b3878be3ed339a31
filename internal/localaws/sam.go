package localaws

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
)

// BuildFlags are the GOFLAGS that functions are built with. Static (CGO_ENABLED=0) and stripped, a function is half as
// big and starts quicker; without paths and version stamps in it, the same source gives the same bytes, so that a
// deployment uploads only what changed.
const BuildFlags = "-trimpath -buildvcs=false -tags=lambda.norpc -ldflags=-s"

// buildFlags returns [BuildFlags] with more build tags; of two -tags the last counts.
func buildFlags(tags []string) string {
	if len(tags) == 0 {
		return BuildFlags
	}
	return BuildFlags + " -tags=lambda.norpc," + strings.Join(tags, ",")
}

// Parameters returns the template parameters of a local stack: those of the local section in samconfig.toml, and the
// two that depend on the machine.
func Parameters(endpoint string) map[string]string {
	return map[string]string{
		"EndpointUrl":                endpoint,
		"Architecture":               architecture(),
		"Size":                       "local",
		"AllowPrivateWebhookTargets": "true",
		"ChaosEnabled":               "true",
		"RetryBaseDelay":             "200ms",
		"WebhookTimeout":             "3s",
	}
}

// architecture names the machine's processor as Lambda does.
func architecture() string {
	if runtime.GOARCH == "arm64" {
		return "arm64"
	}
	return "x86_64"
}

// Build builds the functions for this machine. It takes a few seconds when Go's cache is warm, whatever changed.
func (c *Checkout) Build(ctx context.Context) error {
	mains, err := filepath.Glob(c.path("functions", "*", "main.go"))
	if err != nil {
		return err
	}
	steps, err := filepath.Glob(c.path("functions", "*", "*", "main.go"))
	if err != nil {
		return err
	}
	return c.progress.step(fmt.Sprintf("building %d functions", len(mains)+len(steps)), func() error {
		err := c.sam(ctx, c.buildEnviron(), "build", "--build-dir", c.buildDir,
			"--parameter-overrides", "Architecture="+architecture())
		if err != nil && ctx.Err() == nil {
			// SAM hides what the compiler said, so ask it once more.
			if goErr := c.compile(ctx, os.DevNull, "./functions/..."); goErr != nil {
				return goErr
			}
		}
		return err
	})
}

// buildEnviron is the environment that functions are built in.
func (c *Checkout) buildEnviron() []string {
	return append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS="+buildFlags(c.tags), "AWS_DEFAULT_REGION="+region)
}

// compile builds programs as functions are built.
func (c *Checkout) compile(ctx context.Context, output, packages string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-o", output, packages)
	cmd.Dir, cmd.Env = c.root, c.buildEnviron()
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s: %w; it said:\n%s", packages, err, tail(string(text), 30))
	}
	return nil
}

// Deploy deploys what [Checkout.Build] built to endpoint and returns the stack's outputs. The parameters are those of
// [Parameters] with params on top. Deploying again updates the stack, or does nothing when nothing changed.
func (c *Checkout) Deploy(ctx context.Context, endpoint, stackName string, params map[string]string) (map[string]string, error) {
	all := Parameters(endpoint)
	maps.Copy(all, params)
	args := []string{
		"deploy", "--template-file", filepath.Join(c.buildDir, "template.yaml"), "--stack-name", stackName,
		// A folder of its own, because `sam delete` deletes what was uploaded, which another stack may need.
		"--resolve-s3", "--s3-prefix", stackName, "--capabilities", "CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND",
		"--no-confirm-changeset", "--no-fail-on-empty-changeset", "--no-progressbar", "--parameter-overrides",
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		args = append(args, fmt.Sprintf("ParameterKey=%s,ParameterValue=%s", name, all[name]))
	}
	// SAM asks every 5 s whether it is done; an emulator is within one.
	environ := append(Environ(endpoint), "SAM_CLI_POLL_DELAY=0.2")
	err := c.progress.step("deploying stack "+stackName, func() error { return c.sam(ctx, environ, args...) })
	if err != nil {
		return nil, err
	}
	return Outputs(ctx, endpoint, stackName)
}

// DeployIfChanged does what [Checkout.Deploy] does, unless instance already has exactly this.
func (c *Checkout) DeployIfChanged(ctx context.Context, instance *Instance, stackName string) (map[string]string, error) {
	built, err := c.digest()
	if err != nil {
		return nil, err
	}
	want := map[string]string{"built": built, "stack": stackName, "instance": fmt.Sprint(instance.PID, " ", instance.StartTime)}
	file := c.path(".local", "deployed.json")
	have := map[string]string{}
	if text, err := os.ReadFile(file); err == nil && json.Unmarshal(text, &have) == nil && maps.Equal(have, want) {
		if outputs, err := Outputs(ctx, instance.Endpoint, stackName); err == nil {
			c.progress.say("stack %s is up to date", stackName)
			return outputs, nil
		}
	}
	outputs, err := c.Deploy(ctx, instance.Endpoint, stackName, nil)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(want)
	if err != nil {
		return nil, err
	}
	return outputs, os.WriteFile(file, text, 0o600)
}

// digest sums up what [Checkout.Build] built.
func (c *Checkout) digest() (string, error) {
	sum := sha256.New()
	err := filepath.WalkDir(c.buildDir, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(file)
		fmt.Fprintf(sum, "%s %x\n", file, sha256.Sum256(content))
		return err
	})
	return hex.EncodeToString(sum.Sum(nil)), err
}

// Config is what clients of an emulator are made from. Nothing of the caller's own AWS settings is in it.
func Config(endpoint string) aws.Config {
	return aws.Config{Region: region, BaseEndpoint: &endpoint, Credentials: credentials.NewStaticCredentialsProvider("test", "test", "")}
}

// Outputs returns the outputs of a stack that was deployed.
func Outputs(ctx context.Context, endpoint, stackName string) (map[string]string, error) {
	out, err := cloudformation.NewFromConfig(Config(endpoint)).DescribeStacks(ctx, &cloudformation.DescribeStacksInput{StackName: &stackName})
	if err != nil {
		return nil, fmt.Errorf("read the outputs of stack %s: %w", stackName, err)
	}
	if len(out.Stacks) != 1 {
		return nil, fmt.Errorf("read the outputs of stack %s: %d stacks of this name", stackName, len(out.Stacks))
	}
	// A stack that failed half way may still have outputs.
	if status := string(out.Stacks[0].StackStatus); !strings.HasSuffix(status, "_COMPLETE") || strings.Contains(status, "ROLLBACK") {
		return nil, errors.New("stack " + stackName + " is " + status)
	}
	outputs := make(map[string]string)
	for _, o := range out.Stacks[0].Outputs {
		outputs[aws.ToString(o.OutputKey)] = aws.ToString(o.OutputValue)
	}
	return outputs, nil
}

// Delete deletes a stack and waits until it is gone.
func (c *Checkout) Delete(ctx context.Context, endpoint, stackName string) error {
	return c.progress.step("deleting stack "+stackName, func() error {
		return c.sam(ctx, Environ(endpoint), "delete", "--stack-name", stackName, "--no-prompts", "--region", region)
	})
}
