package main

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"github.com/spillway-go/spillway/pkg/client"
)

func awsError(code, msg string) error { return &smithy.GenericAPIError{Code: code, Message: msg} }

func TestStackIsFound(t *testing.T) {
	t.Parallel()
	inCloud(t, func(c *cloud) {
		ta := c.newOperator()
		ta.env["SPILLWAY_STACK"] = "mine"
		ta.stack = stackOf("mine", "UPDATE_COMPLETE", map[string]string{"ApiUrl": cloudAPI + "/"})
		c.run(ta, exitOK, "list")
		ta = c.newOperator()
		ta.env["SPILLWAY_API_URL"] = cloudAPI
		c.run(ta, exitOK, "list")
	})
}

func TestAPIKeyIsSent(t *testing.T) {
	t.Parallel()
	inCloud(t, func(c *cloud) {
		t := c.t
		for _, key := range []string{"", "key-of-the-plan"} {
			ta := c.newOperator()
			ta.env["SPILLWAY_API_KEY"] = key
			c.run(ta, exitOK, "--api-url", cloudAPI, "list")
			if sent := c.api.last().Header.Get("X-Api-Key"); sent != key {
				t.Errorf("sent %q, want %q", sent, key)
			}
		}
	})
}

func TestExplainsWhatToDo(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		set  func(*testApp)
		args []string
		want []string
	}{
		{"no stack", func(ta *testApp) { ta.stack = stackOf("other", "CREATE_COMPLETE", nil) }, nil, []string{`no stack named "spillway"`, "make deploy", "--stack"}},
		{"no output", func(ta *testApp) { ta.stack = stackOf("spillway", "CREATE_COMPLETE", nil) }, nil, []string{"not a Spillway stack"}},
		{"being made", func(ta *testApp) { ta.stack = stackOf("spillway", "CREATE_IN_PROGRESS", nil) }, nil, []string{"wait for the deployment"}},
		{"stack not allowed", func(ta *testApp) { ta.stack = failing(awsError("AccessDenied", "no")) }, nil, []string{"cloudformation:DescribeStacks", "--api-url"}},
		{"expired", func(ta *testApp) { ta.stack = failing(awsError("ExpiredToken", "old")) }, nil, []string{"expired", "aws sso login"}},
		{"wrong keys", func(ta *testApp) { ta.stack = failing(awsError("InvalidClientTokenId", "no")) }, nil, []string{"does not accept these credentials"}},
		{"other", func(ta *testApp) { ta.stack = failing(awsError("Throttling", "slow down")) }, nil, []string{"Throttling: slow down"}},
		{"no credentials", func(ta *testApp) { ta.cfg.Credentials = nil }, nil, []string{"no AWS credentials", "aws configure"}},
		{"sso", func(ta *testApp) { ta.cfg.Credentials = broken("the SSO session has expired or is invalid") }, nil, []string{"aws sso login"}},
		{"no profile", nil, []string{"--profile", "lost"}, []string{"profile", "aws configure list-profiles"}},
		{"no region", func(ta *testApp) { ta.cfg.Region = "" }, nil, []string{"--region"}},
		{"local is down", func(ta *testApp) {
			ta.cfg.BaseEndpoint = aws.String("http://127.0.0.1:4566")
			ta.stack = failing(&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED})
		}, nil, []string{"http://127.0.0.1:4566", "make run"}},
		{"API is down", nil, []string{"--api-url", "http://127.0.0.1:1"}, []string{"http://127.0.0.1:1", "make run"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ta := newTestApp(t)
			if tt.set != nil {
				tt.set(ta)
			}
			if code := ta.try(t, "", append([]string{"list"}, tt.args...)...); code != exitFailed {
				t.Errorf("exit %d", code)
			}
			mustContain(t, "stderr", ta.stderr.String(), tt.want...)
		})
	}
}

func failing(err error) stackFunc {
	return func(string) (*cloudformation.DescribeStacksOutput, error) { return nil, err }
}

func broken(msg string) aws.CredentialsProvider {
	return aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{}, errors.New(msg)
	})
}

func TestExplainsWhatTheAPISays(t *testing.T) {
	t.Parallel()
	tests := []struct {
		status     int
		code, want string
	}{
		{400, "invalid_request", "refused this (400 invalid_request)"},
		{403, "forbidden", "execute-api:Invoke"},
		{404, "not_found", "no such task"},
		{413, "input_too_large", "input_too_large"},
		{422, "idempotency_key_reused", "take a new one"},
		{501, "http_501", "could not answer"},
	}
	for _, tt := range tests {
		t.Run(tt.code, func(t *testing.T) {
			t.Parallel()
			ta := newTestApp(t)
			ta.api = &apiWire{answer: problem("", tt.status, tt.code)}
			if code := ta.play(t, "get", "x", "--api-url", cloudAPI); code != exitFailed {
				t.Errorf("exit %d", code)
			}
			mustContain(t, "stderr", ta.stderr.String(), tt.want)
		})
	}
	a := newTestApp(t).app
	for _, tt := range []struct {
		err  *client.APIError
		want string
	}{
		{&client.APIError{Status: 403, Code: "forbidden", Detail: "Signature expired: 2020 is now earlier than 2026"}, "clock"},
		{&client.APIError{Status: 403, Code: "forbidden", Detail: "The security token included in the request is expired"}, "aws sso login"},
		{&client.APIError{Status: 403, Code: "forbidden", Detail: "Missing Authentication Token", Foreign: true}, "no Spillway API"},
		{&client.APIError{Status: 404, Code: "not_found", Foreign: true}, "no Spillway API"},
		{&client.APIError{Status: 429, Code: "too_many_requests"}, "--concurrency"},
	} {
		mustContain(t, "advice", a.explain(tt.err), tt.want)
	}
}

// TestStandIns: test/test and us-east-1 serve on this machine, and nowhere else.
func TestStandIns(t *testing.T) {
	t.Parallel()
	inCloud(t, func(c *cloud) {
		t := c.t
		bare := func() *testApp {
			ta := c.newOperator()
			ta.cfg = aws.Config{}
			return ta
		}

		ta := bare()
		ta.cfg.BaseEndpoint = aws.String("http://localhost:4566")
		ta.stack = stackOf("spillway", "CREATE_COMPLETE", map[string]string{"ApiUrl": cloudAPI})
		c.run(ta, exitOK, "list")
		if auth := c.api.last().Header.Get("Authorization"); !strings.Contains(auth, "Credential=test/") || !strings.Contains(auth, "/us-east-1/") {
			t.Errorf("Authorization = %q", auth)
		}
		c.run(bare(), exitOK, "list", "--api-url", cloudAPI)

		ta = bare()
		ta.cfg.BaseEndpoint = aws.String("http://localhost:4566")
		ta.stack = stackOf("spillway", "CREATE_COMPLETE", map[string]string{"ApiUrl": "https://api.example.com"})
		c.run(ta, exitFailed, "list")
		mustContain(t, "stderr", ta.stderr.String(), "for this machine only")

		for _, endpoint := range []string{"https://emulator.example.com", "http://10.0.0.1:4566", "http://localhost.example.com", ""} {
			ta = bare()
			ta.cfg.Region = "eu-west-1"
			ta.cfg.BaseEndpoint = &endpoint
			c.run(ta, exitFailed, "list")
			mustContain(t, "stderr", ta.stderr.String(), "no AWS credentials")
		}

		ta = bare() // a profile that was named must not be passed over
		ta.cfg.BaseEndpoint = aws.String("http://[::1]:4566")
		c.run(ta, exitFailed, "list", "--profile", "work")
	})
}

func TestDoctor(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		set  func(*testApp)
		code int
		want map[string]string // grade of each check
		text string
	}{
		{"well", nil, exitOK, map[string]string{"version": "ok", "endpoint": "ok", "region": "ok", "credentials": "ok", "stack": "ok", "stack version": "ok", "api": "ok", "clock": "ok"}, "arn:aws:iam::123456789012:user/me"},
		{"local", func(ta *testApp) { ta.cfg = aws.Config{BaseEndpoint: aws.String("http://127.0.0.1:4566")} }, exitOK, map[string]string{"region": "ok", "credentials": "ok"}, "test/test"},
		{"no credentials", func(ta *testApp) { ta.cfg.Credentials = nil }, exitFailed, map[string]string{"credentials": "fail", "stack": "warn", "api": "warn", "clock": "warn"}, "aws configure"},
		{"refused credentials", func(ta *testApp) {
			ta.caller = func() (*sts.GetCallerIdentityOutput, error) { return nil, awsError("ExpiredToken", "old") }
		}, exitFailed, map[string]string{"credentials": "fail", "api": "ok"}, "aws sso login"},
		{"credentials end soon", func(ta *testApp) {
			ta.cfg.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
				return aws.Credentials{AccessKeyID: "A", SecretAccessKey: "S", CanExpire: true, Expires: time.Now().Add(time.Minute), Source: "SSO"}, nil
			})
		}, exitOK, map[string]string{"credentials": "warn", "api": "ok"}, "expire in"},
		{"no region", func(ta *testApp) { ta.cfg.Region = "" }, exitFailed, map[string]string{"region": "fail", "credentials": "warn"}, "AWS_REGION"},
		{"no stack", func(ta *testApp) { ta.stack = stackOf("x", "", nil) }, exitFailed, map[string]string{"stack": "fail", "api": "warn"}, "make deploy"},
		{"rolled back", func(ta *testApp) {
			ta.stack = stackOf("spillway", "UPDATE_ROLLBACK_COMPLETE", map[string]string{"ApiUrl": cloudAPI})
		}, exitOK, map[string]string{"stack": "warn", "api": "ok"}, "undone"},
		{"old stack", func(ta *testApp) {
			ta.stack = stackOf("spillway", "UPDATE_COMPLETE", map[string]string{"ApiUrl": cloudAPI})
		}, exitOK, map[string]string{"stack": "ok", "stack version": "warn", "api": "ok"}, "does not say"},
		{"in progress", func(ta *testApp) {
			ta.stack = stackOf("spillway", "UPDATE_IN_PROGRESS", map[string]string{"ApiUrl": cloudAPI})
		}, exitOK, map[string]string{"stack": "warn"}, "wait"},
		{"failed", func(ta *testApp) {
			ta.stack = stackOf("spillway", "UPDATE_ROLLBACK_FAILED", map[string]string{"ApiUrl": cloudAPI})
		}, exitFailed, map[string]string{"stack": "fail"}, "stack's events"},
		{"unencrypted", func(ta *testApp) { ta.cfg.BaseEndpoint = aws.String("http://10.1.2.3:4566") }, exitOK, map[string]string{"endpoint": "warn"}, "unencrypted"},
		{"API is down", func(ta *testApp) {
			ta.api = roundTrip(func(*http.Request) (*http.Response, error) {
				return nil, &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
			})
		}, exitFailed, map[string]string{"api": "fail", "clock": "warn"}, "make run"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			inCloud(t, func(c *cloud) {
				t := c.t
				for _, format := range []string{"table", "json"} {
					ta := c.newOperator()
					if tt.set != nil {
						tt.set(ta)
					}
					c.run(ta, tt.code, "doctor", "-o", format)
					mustContain(t, "stdout", ta.stdout.String(), tt.text)
					if format == "table" {
						continue
					}
					var r report
					if err := json.Unmarshal([]byte(ta.stdout.String()), &r); err != nil {
						t.Fatal(err)
					}
					got := map[string]string{}
					for _, c := range r.Checks {
						got[c.Name] = c.Grade
						if c.Grade != gradeOK && c.Todo == "" && !strings.Contains(c.Found, "not checked") && !strings.Contains(c.Found, "not tried") {
							t.Errorf("%s: %s, and nothing to do", c.Name, c.Grade)
						}
					}
					for name, grade := range tt.want {
						if got[name] != grade {
							t.Errorf("%s = %q, want %q", name, got[name], grade)
						}
					}
					if r.OK != (tt.code == exitOK) {
						t.Errorf("ok = %t", r.OK)
					}
				}
			})
		})
	}
}

func TestDoctorWithAddress(t *testing.T) {
	t.Parallel()
	inCloud(t, func(c *cloud) {
		t := c.t
		ta := c.newOperator()
		ta.cfg = aws.Config{}
		ta.caller = func() (*sts.GetCallerIdentityOutput, error) {
			t.Error("stand-in credentials were sent to AWS")
			return nil, awsError("InvalidClientTokenId", "no")
		}
		c.run(ta, exitOK, "doctor", "--api-url", cloudAPI)
		mustContain(t, "stdout", ta.stdout.String(), "not asked for", "not tried")
	})
}

func TestStackVersion(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ deployed, program, grade, todo string }{
		{"0.1.0", "v0.1.0", gradeOK, ""},
		{"0.2.0-rc.1", "v0.2.0-rc.1", gradeOK, ""},
		{"0.2.0", "v0.1.0", gradeWarn, "/cmd/spillway@v0.2.0`"},
		{"0.1.0", "v0.2.0", gradeWarn, "`make deploy` in a checkout of v0.2.0"},
		{"0.2.0", "v0.2.0-rc.1", gradeWarn, "@v0.2.0`"},
		{"", "v0.1.0", gradeWarn, "make deploy"},
		{"", "(devel)", gradeWarn, "make deploy"},
		// Development builds, as https://go.dev/ref/mod#pseudo-versions has them.
		{"0.2.0", "(devel)", gradeOK, ""},
		{"0.2.0", "v0.0.0-20261122082224-626f8e0abcde", gradeOK, ""},
		{"0.2.0", "v0.1.1-0.20261122082224-626f8e0abcde+dirty", gradeOK, ""},
		{"0.2.0", "v0.2.0-rc.1.0.20261122082224-626f8e0abcde", gradeOK, ""},
		{"0.2.0", "v0.1.0+dirty", gradeOK, ""},
	} {
		r := &report{OK: true}
		checkStackVersion(r, tt.deployed, tt.program)
		if c := r.Checks[0]; c.Grade != tt.grade || !strings.Contains(c.Todo, tt.todo) || (c.Todo == "") != (tt.grade == gradeOK) {
			t.Errorf("stack %q, program %s: %+v", tt.deployed, tt.program, c)
		}
	}
}

func TestClock(t *testing.T) {
	t.Parallel()
	for off, want := range map[time.Duration]string{
		time.Second: gradeOK, -time.Minute: gradeWarn, 10 * time.Minute: gradeFail,
	} {
		d := &dateKeeper{next: roundTrip(func(*http.Request) (*http.Response, error) {
			return &http.Response{Body: http.NoBody, Header: http.Header{"Date": {time.Now().Add(off).UTC().Format(http.TimeFormat)}}}, nil
		})}
		resp, err := d.RoundTrip(nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		r := &report{OK: true}
		checkClock(r, d)
		if got := r.Checks[0].Grade; got != want {
			t.Errorf("off by %s: %s, want %s", off, got, want)
		}
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
