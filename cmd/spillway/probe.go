package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/spf13/cobra"

	"github.com/spillway-go/spillway/integration/probe"
)

// probeOptions are what the command line says.
type probeOptions struct {
	only []string
	aws  bool
	arch choice
}

func (a *app) probeCommand() *cobra.Command {
	o := probeOptions{arch: newChoice("", "amd64", "arm64")}
	cmd := &cobra.Command{
		Use:   "probe",
		Short: "Find out by trying what an AWS endpoint does as AWS does",
		Long: `Find out by trying what an AWS endpoint does as AWS does, and show it beside what AWS does by its documentation.

No stack is needed: each feature is tried with small resources of its own, whose
names begin with spillway-probe-, and which are removed in the end, also after
Ctrl-C (once). It takes one or two minutes. Building the Lambda function that features are
tried with takes Go.

Exits 0 whatever the endpoint lacks, and 1 if something could not be tried.`,
		Example: "  AWS_ENDPOINT_URL=http://127.0.0.1:4566 spillway probe\n" +
			"  spillway probe --only stream-bisect,move-tasks -o json",
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	f := cmd.Flags()
	f.StringSliceVar(&o.only, "only", nil, "features to try, by id (default all)")
	f.BoolVar(&o.aws, "aws", false, "try them on AWS itself, which takes longer and costs some cents")
	f.Var(&o.arch, "arch", "what the function is built for (default this machine's)")
	var ids []string
	for _, feature := range probe.Features() {
		ids = append(ids, string(feature.ID))
	}
	complete(cmd, "only", ids...)
	complete(cmd, "arch", o.arch.allowed...)
	cmd.RunE = a.action(0, func(ctx context.Context, _ []string) error {
		features, err := chosenFeatures(o.only)
		if err != nil {
			return err
		}
		if err := a.probeTarget(ctx, o.aws); err != nil {
			return err
		}
		return a.probe(ctx, probe.New(a.target.cfg, &probe.Options{Architecture: o.arch.value}), features)
	})
	return cmd
}

// chosenFeatures are those with the given ids, or all.
func chosenFeatures(ids []string) ([]probe.Feature, error) {
	all := probe.Features()
	if len(ids) == 0 {
		return all, nil
	}
	var chosen []probe.Feature
	known := make([]string, len(all))
	for i, f := range all {
		known[i] = string(f.ID)
		if slices.Contains(ids, string(f.ID)) {
			chosen = append(chosen, f)
		}
	}
	for _, id := range ids {
		if !slices.Contains(known, id) {
			return nil, usagef("--only: there is no feature %q. There are:\n  %s", id, strings.Join(known, "\n  "))
		}
	}
	return chosen, nil
}

// probeTarget finds out where to try. AWS itself has to be asked for.
func (a *app) probeTarget(ctx context.Context, allowed bool) error {
	if err := a.loadTarget(ctx); err != nil {
		return err
	}
	tg := &a.target
	if isAmazons(tg.endpoint) && !allowed {
		return &exitError{exitUsage, "this is AWS itself: a probe makes some 20 tables and streams, 25 Lambda functions with their roles and logs, 40 queues, " +
			"15 state machines, a REST API, an API key, rules, schedules, secrets, alarms and stacks, whose names begin with spillway-probe-, and removes them again. " +
			"That costs some cents. Say --aws to have it done, or set AWS_ENDPOINT_URL to an emulator"}
	}
	switch {
	case tg.credsErr != nil:
		return &credentialsError{tg.credsErr}
	case tg.cfg.Region == "":
		return errNoRegion
	}
	if isAmazons(tg.endpoint) {
		tg.cfg.BaseEndpoint = nil // each service has an endpoint of its own
	}
	return nil
}

// isAmazons reports whether an endpoint, which is empty by default, is one of
// Amazon's own.
func isAmazons(endpoint string) bool {
	u, err := url.Parse(endpoint)
	if err != nil || endpoint == "" {
		return err == nil
	}
	host := "." + strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	return slices.ContainsFunc([]string{".amazonaws.com", ".amazonaws.com.cn", ".api.aws"}, func(suffix string) bool {
		return strings.HasSuffix(host, suffix)
	})
}

// probeReport is the output for scripts.
type probeReport struct {
	Endpoint string         `json:"endpoint,omitempty"` // empty: AWS itself
	Target   string         `json:"target"`
	Version  string         `json:"version,omitempty"`
	Features []probeFinding `json:"features"`
}

type probeFinding struct {
	ID      probe.ID      `json:"id"`
	Service string        `json:"service"`
	Name    string        `json:"name"`
	Verdict probe.Verdict `json:"verdict"` // empty: it could not be tried
	Detail  string        `json:"detail,omitempty"`
	Seconds float64       `json:"seconds"`
	AWS     string        `json:"aws"`
	Source  string        `json:"source"`
}

// probe tries features out, removes what that took, and shows what was found.
func (a *app) probe(ctx context.Context, p *probe.Prober, features []probe.Feature) error {
	report := probeReport{Endpoint: aws.ToString(a.target.cfg.BaseEndpoint)}
	report.Target, report.Version = p.Endpoint(ctx)
	ids := make([]probe.ID, len(features))
	for i, f := range features {
		ids[i] = f.ID
	}
	view := a.newProbeView(len(ids))
	results, err := p.All(ctx, ids, view.progress)
	view.say("removing what was made (another Ctrl-C leaves it there)")
	// Also when interrupted, and then in the time that it takes.
	closeErr := p.Close(context.WithoutCancel(ctx))
	view.end()
	if ctx.Err() != nil {
		if closeErr != nil { // of which an interruption tells nothing
			view.say(clean(closeErr.Error()))
		}
		return ctx.Err()
	}
	for i, r := range results {
		f := features[i]
		report.Features = append(report.Features, probeFinding{
			f.ID, f.Area, f.Name, r.Verdict, r.Detail, float64(r.Took.Milliseconds()) / 1000, f.AWS, f.Source,
		})
	}
	if showErr := a.showProbe(report); showErr != nil {
		return showErr
	}
	return errors.Join(err, closeErr)
}

func (a *app) showProbe(r probeReport) error {
	if a.json() {
		return writeJSON(a.out, r)
	}
	p := &printer{w: a.out}
	width, _ := a.screen(a.out)
	count := map[probe.Verdict]int{}
	var rows [][]string
	for _, f := range r.Features {
		found := string(f.Verdict)
		if f.Verdict == "" {
			found = "not tried"
		}
		if f.Detail != "" {
			found += ": " + cut(clean(f.Detail), 80)
		}
		count[f.Verdict]++
		rows = append(rows, []string{string(f.ID), f.Service, found, f.Name + ": " + f.AWS})
	}
	p.table(width, []column{{title: "FEATURE"}, {title: "SERVICE"}, {title: "THIS ENDPOINT"}, {title: "AWS, BY ITS DOCUMENTATION"}}, rows)
	p.printf("\n%s: %d as on AWS, %d differ, %d are missing, %d could not be found out\n",
		strings.TrimSpace(r.Target+" "+clean(r.Version)), count[probe.AsOnAWS], count[probe.Differs], count[probe.Missing], count[probe.Unknown]+count[""])
	return p.err
}

// probeView tells on standard error how far it is.
type probeView struct {
	a         *app
	width     int
	repaint   bool
	done, all int
	trying    []probe.ID
}

func (a *app) newProbeView(all int) *probeView {
	v := &probeView{a: a, all: all}
	v.width, v.repaint = a.screen(a.errw)
	return v
}

// progress implements [probe.Progress].
func (v *probeView) progress(f probe.Feature, r *probe.Result, err error) {
	if r == nil {
		v.trying = append(v.trying, f.ID)
	} else {
		v.trying = slices.DeleteFunc(v.trying, func(id probe.ID) bool { return id == f.ID })
		v.done++
	}
	switch {
	case v.repaint:
		var ids []string
		for _, id := range v.trying {
			ids = append(ids, string(id))
		}
		v.say(fmt.Sprintf("%d of %d tried; trying %s", v.done, v.all, strings.Join(ids, ", ")))
	case err != nil:
		v.say(fmt.Sprintf("%d of %d: %s: %s", v.done, v.all, f.ID, clean(err.Error())))
	case r != nil:
		v.say(fmt.Sprintf("%d of %d: %s: %s (%s)", v.done, v.all, f.ID, r.Verdict, shortDuration(r.Took)))
	}
}

func (v *probeView) say(line string) {
	if v.repaint {
		_, _ = fmt.Fprint(v.a.errw, "\r\x1b[K"+cut(line, v.width-1))
		return
	}
	_, _ = fmt.Fprintln(v.a.errw, line)
}

func (v *probeView) end() {
	if v.repaint {
		_, _ = fmt.Fprint(v.a.errw, "\r\x1b[K")
	}
}
