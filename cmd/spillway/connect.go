package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"

	"github.com/spillway-go/spillway/pkg/client"
)

// What emulators on this machine are content with.
const (
	localKey    = "test"
	localRegion = "us-east-1"
)

// target is what a command talks to.
type target struct {
	apiURL   string
	endpoint string // of AWS, when it is not Amazon's own
	local    bool   // endpoint, or without one the API, is on this machine
	cfg      aws.Config

	credsErr      error // none were found; nil if a stand-in serves
	standInCreds  bool
	standInRegion bool
}

// call is one command's connection.
type call struct {
	ctx    context.Context
	client *client.Client
}

// withClient connects before it runs fn.
func (a *app) withClient(fn func(c *call, args []string) error) func(context.Context, []string) error {
	return func(ctx context.Context, args []string) error {
		c, err := a.connect(ctx)
		if err != nil {
			return err
		}
		return fn(&call{ctx: ctx, client: c}, args)
	}
}

// connect finds the API and makes a client for it.
func (a *app) connect(ctx context.Context) (*client.Client, error) {
	if err := a.loadTarget(ctx); err != nil {
		return nil, err
	}
	if a.target.credsErr != nil {
		return nil, &credentialsError{a.target.credsErr}
	}
	if a.target.apiURL == "" {
		s, err := a.findStack(ctx)
		if err != nil {
			return nil, err
		}
		if a.target.apiURL, err = s.apiURL(); err != nil {
			return nil, err
		}
	}
	return a.newClient(a.api)
}

// loadTarget fills a.target as far as configuration on this machine goes.
func (a *app) loadTarget(ctx context.Context) error {
	opts := []func(*config.LoadOptions) error{}
	if a.flags.region != "" {
		opts = append(opts, config.WithRegion(a.flags.region))
	}
	if a.flags.profile != "" {
		opts = append(opts, config.WithSharedConfigProfile(a.flags.profile))
	}
	cfg, err := a.loadAWS(ctx, opts...)
	if err != nil {
		return fmt.Errorf("AWS configuration: %w", err)
	}
	tg := target{apiURL: strings.TrimRight(a.flags.apiURL, "/"), endpoint: aws.ToString(cfg.BaseEndpoint)}
	tg.local = isLoopback(tg.endpoint) || (tg.endpoint == "" && isLoopback(tg.apiURL))
	if tg.local {
		// The role of the machine is none of an emulator's business, and where
		// there is none, looking for it takes seconds.
		opts = append(opts, config.WithEC2IMDSClientEnableState(imds.ClientDisabled))
		if cfg, err = a.loadAWS(ctx, opts...); err != nil {
			return fmt.Errorf("AWS configuration: %w", err)
		}
		if cfg.Region == "" {
			cfg.Region, tg.standInRegion = localRegion, true
		}
	}
	if cfg.Credentials == nil {
		tg.credsErr = errors.New("none are configured")
	} else if _, err := cfg.Credentials.Retrieve(ctx); err != nil {
		tg.credsErr = err
	}
	// A profile that was asked for by name must work, or say why it does not.
	if tg.credsErr != nil && tg.local && a.flags.profile == "" && ctx.Err() == nil {
		cfg.Credentials = aws.NewCredentialsCache(credentials.NewStaticCredentialsProvider(localKey, localKey, ""))
		tg.credsErr, tg.standInCreds = nil, true
	}
	tg.cfg = cfg
	a.target = tg
	return nil
}

// newClient makes a client for a.target's API. A nil transport is the client's
// own.
func (a *app) newClient(transport http.RoundTripper) (*client.Client, error) {
	tg := a.target
	if tg.standInCreds && !isLoopback(tg.apiURL) {
		return nil, &credentialsError{fmt.Errorf("stand-ins are for this machine only, and the API is at %s", tg.apiURL)}
	}
	opts := &client.Options{
		Credentials: tg.cfg.Credentials,
		Region:      tg.cfg.Region,
		APIKey:      a.getenv("SPILLWAY_API_KEY"),
		UserAgent:   "spillway/" + buildVersion().Version,
	}
	if transport != nil {
		opts.HTTPClient = &http.Client{
			Transport:     transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}
	}
	c, err := client.New(tg.apiURL, opts)
	if err != nil && a.flags.apiURL != "" && !errors.Is(err, client.ErrNoRegion) {
		return nil, usagef("--api-url: %s", strings.TrimPrefix(err.Error(), "client: "))
	}
	return c, err
}

// isLoopback reports whether rawURL's host is this machine by its very name;
// names that DNS resolves to it are not trusted.
func isLoopback(rawURL string) bool {
	u, err := url.Parse(rawURL)
	if err != nil || rawURL == "" {
		return false
	}
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
