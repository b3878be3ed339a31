package main

import (
	"cmp"
	"time"

	"github.com/spf13/cobra"

	"github.com/spillway-go/spillway/pkg/client"
)

const (
	outputTable = "table"
	outputJSON  = "json"
)

// shippedTypes are offered by completion; a stack may know others.
var shippedTypes = []string{"webhook.deliver"}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:   "spillway",
		Short: "Submit tasks to a Spillway stack, follow them, and bring back what failed",
		Long: `Submit tasks to a Spillway stack, follow them, and bring back what failed.

The stack is found through CloudFormation with the usual AWS configuration
(environment, profiles, SSO; AWS_ENDPOINT_URL for a local one), or named by
--api-url. Where the stack asks callers for an API key, it is taken from the
environment variable SPILLWAY_API_KEY.

Exit codes: 0 done, 1 failed, 2 used wrongly, or nobody there to say yes, 3 a task
that was waited for, or replayed, ended other than succeeded, 130 interrupted.`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.errw)

	f := root.PersistentFlags()
	f.StringVar(&a.flags.stack, "stack", cmp.Or(a.getenv("SPILLWAY_STACK"), "spillway"),
		"CloudFormation stack to use (env SPILLWAY_STACK)")
	f.StringVar(&a.flags.apiURL, "api-url", a.getenv("SPILLWAY_API_URL"),
		"the API's base URL; CloudFormation is not asked then (env SPILLWAY_API_URL)")
	f.StringVar(&a.flags.region, "region", "", "AWS region (default from the AWS configuration)")
	f.StringVar(&a.flags.profile, "profile", "", "AWS profile (default from the AWS configuration)")
	a.flags.output = newChoice(outputTable, outputTable, outputJSON)
	f.VarP(&a.flags.output, "output", "o", "table for people, json for scripts")
	f.DurationVar(&a.flags.timeout, "timeout", 0, "give up after this time, for example 90s (default: demo 5m, doctor 1m, else no limit)")
	complete(root, "output", outputTable, outputJSON)
	complete(root, "stack")
	complete(root, "api-url")

	o := &operator{app: a}
	root.AddCommand(a.submitCommand(), a.getCommand(), a.listCommand(), a.cancelCommand(),
		o.taskCommand(), o.dlqCommand(), o.streamCommand(), o.sagaCommand(), o.chaosCommand(),
		a.demoCommand(), a.doctorCommand(), a.probeCommand(), a.versionCommand())
	return root
}

func (a *app) getCommand() *cobra.Command {
	var wait bool
	cmd := &cobra.Command{
		Use:               "get ID",
		Short:             "Show one task",
		Example:           "  spillway get 01JZ8Q4W7M6T3V9X2K5B0N1C8D\n  spillway get 01JZ8Q4W7M6T3V9X2K5B0N1C8D --wait --timeout 2m",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().BoolVar(&wait, "wait", false, "wait until the task has finished; exits 3 if it did not succeed")
	cmd.RunE = a.action(0, a.withClient(func(c *call, args []string) error {
		if wait {
			return a.wait(c, args[0], nil)
		}
		t, err := c.client.Get(c.ctx, args[0])
		if err != nil {
			return err
		}
		return a.showTask(t)
	}))
	return cmd
}

// wait shows the task once it has finished, or as last seen when that fails.
func (a *app) wait(c *call, id string, last *client.Task) error {
	t, err := c.client.Wait(c.ctx, id)
	if t == nil {
		t = last
	}
	if t != nil {
		if err := a.showTask(t); err != nil {
			return err
		}
	}
	if err != nil {
		return err
	}
	if t.Status != client.Succeeded {
		return &exitError{code: exitNotSucceed, msg: "the task ended as " + string(t.Status)}
	}
	return nil
}

func (a *app) cancelCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "cancel ID",
		Short:             "Cancel a task",
		Long:              "Cancel a task. A queued one is canceled at once, a running one is asked to stop.",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: a.action(0, a.withClient(func(c *call, args []string) error {
			t, err := c.client.Cancel(c.ctx, args[0])
			if err != nil {
				return err
			}
			return a.showTask(t)
		})),
	}
}

// since is the age of t as a short text.
func since(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return shortDuration(time.Since(t))
}
