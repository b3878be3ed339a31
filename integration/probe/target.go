package probe

import (
	"context"
	"encoding/json"
	"net/http"
)

// Target tells which AWS the endpoint is: "aws", "localstack", "ministack", or
// "ministack-auth", which is MiniStack when it enforces the policies of roles;
// "unknown" for another.
func (p *Prober) Target(ctx context.Context) (string, error) {
	name, _ := p.Endpoint(ctx)
	if name == "ministack" {
		r, err := p.Probe(ctx, ExecutionRole)
		if err != nil {
			return "", err
		}
		if r.Verdict == AsOnAWS {
			name += "-auth"
		}
	}
	return name, nil
}

// Endpoint tells what the endpoint says it is: "aws", which Amazon's own is,
// "localstack", "ministack", or "unknown"; and its version if it tells that.
func (p *Prober) Endpoint(ctx context.Context) (name, version string) {
	if p.api.cfg.BaseEndpoint == nil {
		return "aws", ""
	}
	for _, name := range []string{"ministack", "localstack"} {
		if health, ok := p.health(ctx, "/_"+name+"/health"); ok {
			return name, text(health, "version")
		}
	}
	return "unknown", ""
}

// health is the JSON that a path of the endpoint answers.
func (p *Prober) health(ctx context.Context, path string) (health object, ok bool) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.api.endpoint("")+path, http.NoBody)
	if err != nil {
		return nil, false
	}
	answer, err := p.api.answer(req)
	return health, err == nil && json.Unmarshal(answer.body, &health) == nil
}
