package main

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/spillway-go/spillway/pkg/client"
)

const (
	// skewWarn is a clock that is off, skewFail one that makes signatures
	// invalid soon: AWS refuses them beyond five minutes.
	skewWarn = 30 * time.Second
	skewFail = 4 * time.Minute
)

func (a *app) checkConfiguration(r *report) {
	tg := a.target
	switch {
	case tg.endpoint == "":
		r.add("endpoint", gradeOK, "AWS itself", "")
	case tg.local:
		r.add("endpoint", gradeOK, tg.endpoint+" (on this machine)", "")
	case strings.HasPrefix(tg.endpoint, "http://"):
		r.add("endpoint", gradeWarn, tg.endpoint, "requests travel unencrypted to another machine: use https, or unset AWS_ENDPOINT_URL")
	default:
		r.add("endpoint", gradeOK, tg.endpoint, "")
	}
	switch {
	case tg.standInRegion:
		r.add("region", gradeOK, localRegion+" (none is configured; this serves because the endpoint is on this machine)", "")
	case tg.cfg.Region == "":
		r.add("region", gradeFail, "none is configured", "give one with --region or AWS_REGION")
	default:
		r.add("region", gradeOK, tg.cfg.Region, "")
	}
}

func (a *app) checkCredentials(ctx context.Context, r *report) {
	tg := a.target
	if tg.credsErr != nil {
		r.add("credentials", gradeFail, rootCause(tg.credsErr).Error(), a.explain(&credentialsError{tg.credsErr}))
		return
	}
	creds, err := tg.cfg.Credentials.Retrieve(ctx)
	if err != nil {
		r.add("credentials", gradeFail, rootCause(err).Error(), a.explain(&credentialsError{err}))
		return
	}
	found := fmt.Sprintf("from %s", creds.Source)
	if tg.standInCreds {
		found = fmt.Sprintf("%s/%s (none of your own are usable; these serve because the endpoint is on this machine)", localKey, localKey)
	}
	if tg.local && tg.endpoint == "" {
		r.add("credentials", gradeOK, found+"; not tried, the API is on this machine and no AWS endpoint is", "")
		return
	}
	if tg.cfg.Region == "" {
		r.add("credentials", gradeWarn, found+"; not tried without a region", "")
		return
	}
	account, arn, err := a.identityOf(ctx)
	if err != nil {
		r.add("credentials", gradeFail, found+", refused: "+rootCause(err).Error(), a.explain(err))
		return
	}
	found += fmt.Sprintf(", account %s, %s", account, arn)
	if left := time.Until(creds.Expires); creds.CanExpire && left < 10*time.Minute {
		r.add("credentials", gradeWarn, found, fmt.Sprintf("they expire in %s: sign in again before long work", shortDuration(left)))
		return
	}
	r.add("credentials", gradeOK, found, "")
}

func (a *app) checkStack(ctx context.Context, r *report) {
	if a.target.apiURL != "" {
		r.add("stack", gradeOK, "not asked for: the API's address is given", "")
		return
	}
	if a.target.credsErr != nil || a.target.cfg.Region == "" {
		r.add("stack", gradeWarn, "not checked, since that needs credentials and a region", "")
		return
	}
	s, err := a.findStack(ctx)
	if err != nil {
		r.add("stack", gradeFail, rootCause(err).Error(), a.explain(err))
		return
	}
	found := fmt.Sprintf("%s, %s, %d outputs", s.name, s.status, len(s.outputs))
	u, err := s.apiURL()
	if err != nil {
		r.add("stack", gradeFail, found, err.Error())
		return
	}
	a.target.apiURL = u
	switch {
	case strings.HasSuffix(s.status, "_IN_PROGRESS"):
		r.add("stack", gradeWarn, found, "it is being changed: wait for the deployment to end")
	case s.status == "UPDATE_ROLLBACK_COMPLETE":
		r.add("stack", gradeWarn, found, "the last deployment was undone: see the stack's events for why, then `make deploy` again")
	case strings.Contains(s.status, "FAILED"), strings.Contains(s.status, "ROLLBACK"), strings.HasPrefix(s.status, "DELETE"):
		r.add("stack", gradeFail, found, "the deployment did not work out: see the stack's events for why, then `make deploy` again")
	default:
		r.add("stack", gradeOK, found, "")
	}
	checkStackVersion(r, s.outputs["Version"], buildVersion().Version)
}

// developed matches what the Go toolchain calls a program that is not a
// release: a build in a checkout, of a commit, or of changed files.
var developed = regexp.MustCompile(`^\(devel\)$|[-.]\d{14}-[0-9a-f]{12}(\+|$)|\+dirty$`)

// checkStackVersion compares the template that was deployed, "0.1.0", with this
// program, "v0.1.0".
func checkStackVersion(r *report, deployed, program string) {
	const name, install = "stack version", "go install github.com/spillway-go/spillway/cmd/spillway@v"
	switch {
	case deployed == "":
		r.add(name, gradeWarn, "the stack does not say", "its template is older than this program: deploy the newer one with `make deploy`")
	case developed.MatchString(program):
		r.add(name, gradeOK, deployed+"; not compared, this program is a development build", "")
	case "v"+deployed == program:
		r.add(name, gradeOK, deployed, "")
	default:
		r.add(name, gradeWarn, deployed+", and this program is "+program, fmt.Sprintf(
			"bring the older one up: the program with `%s%s`, or the stack with `make deploy` in a checkout of %s", install, deployed, program))
	}
}

func (a *app) checkAPI(ctx context.Context, r *report, transport http.RoundTripper) {
	if a.target.apiURL == "" || a.target.credsErr != nil {
		r.add("api", gradeWarn, "not checked, since that needs an address and credentials", "")
		return
	}
	c, err := a.newClient(transport)
	if err != nil {
		r.add("api", gradeFail, a.target.apiURL, a.explain(err))
		return
	}
	began := time.Now()
	page, err := c.List(ctx, client.ListRequest{Limit: 1})
	if err != nil {
		r.add("api", gradeFail, a.target.apiURL, a.explain(err))
		return
	}
	found := fmt.Sprintf("%s answers in %s", a.target.apiURL, shortDuration(time.Since(began)))
	if len(page.Tasks) > 0 {
		found += ", newest task " + page.Tasks[0].ID
	}
	r.add("api", gradeOK, found, "")
}

func checkClock(r *report, clock *dateKeeper) {
	ahead, seen := clock.skew()
	if !seen {
		r.add("clock", gradeWarn, "not checked, since no answer told the time", "")
		return
	}
	found := fmt.Sprintf("within %s of the API's", shortDuration(max(ahead.Abs().Round(time.Second), time.Second)))
	todo := "set this machine's clock, for example with NTP: signatures are refused when it is 5 minutes off"
	switch off := ahead.Abs(); {
	case off > skewFail:
		r.add("clock", gradeFail, found, todo)
	case off > skewWarn:
		r.add("clock", gradeWarn, found, todo)
	default:
		r.add("clock", gradeOK, found, "")
	}
}
