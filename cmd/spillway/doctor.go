package main

import (
	"cmp"
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/spf13/cobra"
)

// identityAPI is what is used of STS.
type identityAPI interface {
	GetCallerIdentity(context.Context, *sts.GetCallerIdentityInput, ...func(*sts.Options)) (*sts.GetCallerIdentityOutput, error)
}

var _ identityAPI = (*sts.Client)(nil)

// The grades of a check.
const (
	gradeOK   = "ok"
	gradeWarn = "warn"
	gradeFail = "fail"
)

// check is one line of the doctor's report.
type check struct {
	Name  string `json:"name"`
	Grade string `json:"grade"`
	Found string `json:"found"`
	Todo  string `json:"todo,omitempty"`
}

// report is all of them.
type report struct {
	OK     bool    `json:"ok"` // none failed
	Checks []check `json:"checks"`
}

func (r *report) add(name, grade, found, todo string) {
	r.Checks = append(r.Checks, check{name, grade, found, todo})
	r.OK = r.OK && grade != gradeFail
}

func (a *app) doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Check credentials, region, stack and API",
		Long: `Check credentials, region, stack and API, and say what to do about what is wrong.

Changes nothing. Exits 1 if any check failed.`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: a.action(time.Minute, func(ctx context.Context, _ []string) error {
			r := a.examine(ctx)
			if err := a.showReport(r); err != nil {
				return err
			}
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if !r.OK {
				return &exitError{code: exitFailed}
			}
			return nil
		}),
	}
}

// examine makes all checks. One that needs another's result is not made when
// that failed, and says so.
func (a *app) examine(ctx context.Context) *report {
	r := &report{OK: true, Checks: []check{}}
	r.add("version", gradeOK, buildVersion().String(), "")
	if err := a.loadTarget(ctx); err != nil {
		r.add("configuration", gradeFail, rootCause(err).Error(), a.explain(err))
		return r
	}
	clock := &dateKeeper{next: cmp.Or(a.api, http.DefaultTransport)}
	a.checkConfiguration(r)
	a.checkCredentials(ctx, r)
	a.checkStack(ctx, r)
	a.checkAPI(ctx, r, clock)
	checkClock(r, clock)
	return r
}

func (a *app) showReport(r *report) error {
	if a.json() {
		return writeJSON(a.out, r)
	}
	var rows [][]string
	for _, c := range r.Checks {
		rows = append(rows, []string{c.Grade, c.Name, clean(c.Found)})
		if c.Todo != "" {
			rows = append(rows, []string{"", "", "→ " + clean(c.Todo)})
		}
	}
	p := &printer{w: a.out}
	p.table(0, []column{{}, {}, {}}, rows)
	return p.err
}

// dateKeeper remembers by how much the clock of the server that answered last
// is ahead of this machine's.
type dateKeeper struct {
	next http.RoundTripper

	mu    sync.Mutex
	ahead time.Duration
	seen  bool
}

// RoundTrip implements http.RoundTripper.
func (d *dateKeeper) RoundTrip(r *http.Request) (*http.Response, error) {
	began := time.Now()
	resp, err := d.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if at, perr := http.ParseTime(resp.Header.Get("Date")); perr == nil {
		// The header was written about midway, and its second is cut off.
		midway := began.Add(time.Since(began) / 2)
		d.mu.Lock()
		d.ahead, d.seen = at.Add(500*time.Millisecond).Sub(midway), true
		d.mu.Unlock()
	}
	return resp, nil
}

func (d *dateKeeper) skew() (time.Duration, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ahead, d.seen
}

// identityOf asks who the credentials are.
func (a *app) identityOf(ctx context.Context) (account, arn string, err error) {
	out, err := a.identity(a.target.cfg).GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return "", "", err
	}
	return aws.ToString(out.Account), aws.ToString(out.Arn), nil
}
