package main

import (
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/spillway-go/spillway/internal/adminapi"
	"github.com/spillway-go/spillway/pkg/task"
)

// filterFlags are the flags of a filter.
type filterFlags struct {
	adminapi.Filter
	older, newer time.Duration
	status       choice
	flags        *pflag.FlagSet
}

// filterNames are the flags that choose what a command works on.
var filterNames = slices.Clip([]string{"type", "tenant", "error-contains", "older-than", "newer-than", "id"})

// addTo gives cmd the flags. of is what they choose from, "messages".
func (f *filterFlags) addTo(cmd *cobra.Command, of string) {
	f.flags = cmd.Flags()
	f.flags.StringVar(&f.Type, "type", "", "only "+of+" of this task type")
	f.flags.StringVar(&f.Tenant, "tenant", "", "only "+of+" of this tenant")
	f.flags.StringVar(&f.ErrorContains, "error-contains", "", "only "+of+" with this text in the error's code or message")
	f.flags.DurationVar(&f.older, "older-than", 0, "only "+of+" that failed longer ago than this, for example 2h")
	f.flags.DurationVar(&f.newer, "newer-than", 0, "only "+of+" that failed since then, for example 30m")
	f.flags.StringSliceVar(&f.IDs, "id", nil, "only "+of+" with this task or message id; may be given several times")
	complete(cmd, "type", shippedTypes...)
	for _, name := range []string{"tenant", "error-contains", "older-than", "newer-than", "id"} {
		complete(cmd, name)
	}
}

// addStatus adds --status, for tasks.
func (f *filterFlags) addStatus(cmd *cobra.Command) {
	f.status = newChoice("", string(task.Failed), string(task.DeadLettered))
	cmd.Flags().Var(&f.status, "status", "only tasks that ended so (default: both)")
	complete(cmd, "status", f.status.allowed...)
}

// filter returns what the flags say, nil if they say nothing.
func (f *filterFlags) filter() (*adminapi.Filter, error) {
	given := false
	for _, name := range append(filterNames, "status") {
		flag := f.flags.Lookup(name)
		if flag == nil || !flag.Changed {
			continue
		}
		given = true
		// A filter that a script left empty would match everything.
		if flag.Value.String() == "" || flag.Value.String() == "[]" {
			return nil, usagef("--%s is empty, which would match everything: leave it out for that", name)
		}
	}
	for name, d := range map[string]time.Duration{"older-than": f.older, "newer-than": f.newer} {
		if f.flags.Changed(name) && d <= 0 {
			return nil, usagef("--%s must be more than nothing", name)
		}
	}
	if f.older > 0 && f.newer > 0 && f.older >= f.newer {
		return nil, usagef("nothing is older than %s and newer than %s", f.older, f.newer)
	}
	if !given {
		return nil, nil
	}
	out := f.Filter
	out.Status = task.Status(f.status.value)
	if f.older > 0 {
		out.OlderThan = f.older.String()
	}
	if f.newer > 0 {
		out.NewerThan = f.newer.String()
	}
	return &out, nil
}

// givenWords are the flags that were given, to be typed again.
func givenWords(flags *pflag.FlagSet, names ...string) []string {
	var words []string
	for _, name := range names {
		flag := flags.Lookup(name)
		switch {
		case flag == nil || !flag.Changed:
		case name == "id":
			ids, _ := flags.GetStringSlice(name)
			for _, id := range ids {
				words = append(words, "--id", id)
			}
		case flag.Value.Type() == "bool":
			words = append(words, "--"+name)
		default:
			words = append(words, "--"+name, flag.Value.String())
		}
	}
	return words
}
