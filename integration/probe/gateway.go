package probe

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
)

const gatewayGuide = "https://docs.aws.amazon.com/apigateway/latest/developerguide/"

var gatewayFeatures = []Feature{
	{
		UnsignedRefused, "API Gateway", "IAM authorisation", "answers 403 to a request without a signature",
		gatewayGuide + "permissions.html", tryUnsigned,
	},
	{
		GatewaySignature, "API Gateway", "signatures with IAM authorisation", "answers 403 to a signature made with another secret",
		gatewayGuide + "permissions.html", tryGatewaySignature,
	},
	{
		APIKey, "API Gateway", "API keys", "answers 403 without one where a method asks for it",
		gatewayGuide + "api-gateway-api-usage-plans.html", tryAPIKey,
	},
	{
		UsagePlanThrottle, "API Gateway", "throttling by usage plan", "answers 429 above the rate of an API key",
		gatewayGuide + "api-gateway-request-throttling.html", tryUsagePlan,
	},
	{
		MethodThrottle, "API Gateway", "throttling by method", "answers 429 above the rate that a stage has for a method",
		gatewayGuide + "api-gateway-request-throttling.html", tryMethodThrottle,
	},
	{
		RequestValidation, "API Gateway", "request validation", "answers 400 to a body that is not as its model",
		gatewayGuide + "api-gateway-method-request-validation.html", tryRequestValidation,
	},
	{
		GatewayResponses, "API Gateway", "gateway responses", "refuses with the body that the API has for it",
		gatewayGuide + "api-gateway-gatewayResponse-definition.html", tryGatewayResponses,
	},
	{
		InvokePermission, "API Gateway", "permission to invoke", "answers 500 where the function's policy does not allow the API to call it",
		lambdaGuide + "access-control-resource-based.html", tryInvokePermission,
	},
}

// gateway is a REST API of its own. Features share it, because API Gateway lets
// an account make one in three seconds and remove one in thirty:
// https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html
type gateway struct {
	id, root string // of the API, and of its resource /
	url      string // of the stage, with a slash at its end
	function string // ARN of what /allowed and /denied call

	// errs is what went wrong with a part that only one feature needs.
	errs map[ID]error
}

const probeStage = "probe"

// sharedGateway returns the one there is, or makes it.
func (b *bench) sharedGateway(ctx context.Context) (*gateway, error) {
	p := b.Prober
	p.gateway.Lock()
	defer p.gateway.Unlock()
	if p.gateway.gateway == nil {
		made, err := (&bench{Prober: p, name: p.prefix + "-api"}).makeGateway(ctx)
		if err != nil {
			return nil, err
		}
		p.gateway.gateway = made
	}
	return p.gateway.gateway, nil
}

func (b *bench) makeGateway(ctx context.Context) (*gateway, error) {
	g := &gateway{errs: map[ID]error{}}
	api, err := b.api.rest(ctx, "apigateway", http.MethodPost, "/restapis", object{"name": b.name, "endpointConfiguration": object{"types": []string{"REGIONAL"}}})
	if err != nil {
		return nil, err
	}
	g.id = text(api, "id")
	path := "/restapis/" + g.id
	b.laterDelete("apigateway", path)
	if g.root, err = b.rootOf(ctx, api); err != nil {
		return nil, err
	}
	for _, r := range []struct {
		part string
		more object
	}{
		{"open", object{"authorizationType": "NONE"}},
		{"signed", object{"authorizationType": "AWS_IAM"}},
		{"keyed", object{"authorizationType": "NONE", "apiKeyRequired": true}},
		{"throttled", object{"authorizationType": "NONE"}},
	} {
		if err := b.route(ctx, g, r.part, http.MethodGet, r.more, nil); err != nil {
			return nil, err
		}
	}
	g.errs[RequestValidation] = b.validatedRoute(ctx, g)
	g.errs[InvokePermission] = b.functionRoutes(ctx, g)
	_, g.errs[GatewayResponses] = b.api.rest(ctx, "apigateway", http.MethodPut, path+"/gatewayresponses/INVALID_API_KEY", object{
		"responseTemplates": object{"application/json": `{"refused":"by the probe"}`},
	})
	if _, err := b.api.rest(ctx, "apigateway", http.MethodPost, path+"/deployments", object{"stageName": probeStage}); err != nil {
		return nil, err
	}
	_, g.errs[MethodThrottle] = b.api.rest(ctx, "apigateway", http.MethodPatch, path+"/stages/"+probeStage, object{"patchOperations": []object{
		{"op": "replace", "path": "/~1throttled/GET/throttling/rateLimit", "value": "1"},
		{"op": "replace", "path": "/~1throttled/GET/throttling/burstLimit", "value": "1"},
	}})
	if b.api.cfg.BaseEndpoint != nil {
		g.url = b.api.endpoint("apigateway") + "/restapis/" + g.id + "/" + probeStage + "/_user_request_/"
	} else {
		g.url = "https://" + g.id + ".execute-api." + b.api.cfg.Region + ".amazonaws.com/" + probeStage + "/"
	}
	answered := 0
	open, err := until(ctx, 30*time.Second, func() (bool, error) {
		answered, _, err = g.get(ctx, b, "open", nil)
		return answered == http.StatusOK, err
	})
	if err == nil && !open {
		err = fmt.Errorf("an API that was deployed answers %d", answered)
	}
	return g, err
}

// rootOf finds the resource / of an API.
func (b *bench) rootOf(ctx context.Context, api object) (string, error) {
	if root := text(api, "rootResourceId"); root != "" {
		return root, nil
	}
	resources, err := b.api.rest(ctx, "apigateway", http.MethodGet, "/restapis/"+text(api, "id")+"/resources", nil)
	if err != nil {
		return "", err
	}
	for _, r := range append(list(resources, "item"), list(at(resources, "_embedded"), "item")...) {
		if text(r, "path") == "/" {
			return text(r, "id"), nil
		}
	}
	return "", errors.New("an API without a root")
}

// route adds a resource with one method, which API Gateway answers by itself, or
// which a function with an ARN answers.
func (b *bench) route(ctx context.Context, g *gateway, part, verb string, method object, function *string) error {
	path := "/restapis/" + g.id
	resource, err := b.api.rest(ctx, "apigateway", http.MethodPost, path+"/resources/"+g.root, object{"pathPart": part})
	if err != nil {
		return err
	}
	at := path + "/resources/" + text(resource, "id") + "/methods/" + verb
	type call struct {
		method, path string
		in           object
	}
	calls := []call{{http.MethodPut, at, method}}
	if function != nil {
		calls = append(calls, call{http.MethodPut, at + "/integration", object{
			"type": "AWS_PROXY", "httpMethod": http.MethodPost,
			"uri": "arn:aws:apigateway:" + b.api.cfg.Region + ":lambda:path" + functions + *function + "/invocations",
		}})
	} else {
		calls = append(
			calls,
			call{http.MethodPut, at + "/responses/200", object{}},
			call{http.MethodPut, at + "/integration", object{"type": "MOCK", "requestTemplates": object{"application/json": `{"statusCode": 200}`}}},
			call{http.MethodPut, at + "/integration/responses/200", object{"responseTemplates": object{"application/json": `{}`}}},
		)
	}
	for _, c := range calls {
		if _, err := b.api.rest(ctx, "apigateway", c.method, c.path, c.in); err != nil {
			return err
		}
	}
	return nil
}

// validatedRoute adds one that takes orders with a count only.
func (b *bench) validatedRoute(ctx context.Context, g *gateway) error {
	path := "/restapis/" + g.id
	_, err := b.api.rest(ctx, "apigateway", http.MethodPost, path+"/models", object{
		"name": "Order", "contentType": "application/json",
		"schema": `{"$schema":"http://json-schema.org/draft-04/schema#","type":"object","required":["count"],"properties":{"count":{"type":"integer"}}}`,
	})
	if err != nil {
		return err
	}
	validator, err := b.api.rest(ctx, "apigateway", http.MethodPost, path+"/requestvalidators", object{"name": "body", "validateRequestBody": true})
	if err != nil {
		return err
	}
	return b.route(ctx, g, "validated", http.MethodPost, object{
		"authorizationType": "NONE", "requestModels": object{"application/json": "Order"}, "requestValidatorId": text(validator, "id"),
	}, nil)
}

// functionRoutes adds two that a function answers. Its policy allows the one.
func (b *bench) functionRoutes(ctx context.Context, g *gateway) (err error) {
	if g.function, err = b.function(ctx, functionSpec{}); err != nil {
		return err
	}
	name, _ := nameOf(g.function)
	parts := strings.Split(g.function, ":")
	_, err = b.api.rest(ctx, "lambda", http.MethodPost, functions+name+"/policy", object{
		"StatementId": "probe", "Action": "lambda:InvokeFunction", "Principal": "apigateway.amazonaws.com",
		"SourceArn": fmt.Sprintf("arn:aws:execute-api:%s:%s:%s/*/GET/allowed", parts[3], parts[4], g.id),
	})
	if err != nil {
		return err
	}
	for _, part := range []string{"allowed", "denied"} {
		if err := b.route(ctx, g, part, http.MethodGet, object{"authorizationType": "NONE"}, &g.function); err != nil {
			return err
		}
	}
	return nil
}

// get calls a route, unsigned, and returns the status and the answer.
func (g *gateway) get(ctx context.Context, b *bench, route string, header http.Header) (int, string, error) {
	return g.call(ctx, b, http.MethodGet, route, header, "", nil)
}

// call calls a route, as somebody if sign is not nil.
func (g *gateway) call(ctx context.Context, b *bench, verb, route string, header http.Header, body string, sign *aws.Config) (int, string, error) {
	req, err := http.NewRequestWithContext(ctx, verb, g.url+route, bytes.NewReader([]byte(body)))
	if err != nil {
		return 0, "", err
	}
	if header != nil {
		req.Header = header.Clone()
	}
	if sign != nil {
		creds, err := sign.Credentials.Retrieve(ctx)
		if err != nil {
			return 0, "", err
		}
		sum := sha256.Sum256([]byte(body))
		if err := b.api.signer.SignHTTP(ctx, creds, req, hex.EncodeToString(sum[:]), "execute-api", sign.Region, time.Now()); err != nil {
			return 0, "", err
		}
	}
	answer, err := b.api.answer(req)
	if answer.status == 0 {
		return 0, "", err
	}
	return answer.status, string(answer.body), nil
}

// tryUnsigned: a route that IAM authorises does not answer a request without a
// signature.
func tryUnsigned(ctx context.Context, b *bench) (Result, error) {
	g, err := b.sharedGateway(ctx)
	if err != nil {
		return Result{}, err
	}
	status, _, err := g.call(ctx, b, http.MethodGet, "signed", nil, "", &b.api.cfg)
	if err != nil {
		return Result{}, err
	}
	if status != http.StatusOK {
		return differs(fmt.Sprintf("a signed request is answered %d", status))
	}
	if status, _, err = g.get(ctx, b, "signed", nil); err != nil {
		return Result{}, err
	}
	return where(status == http.StatusForbidden, Missing, fmt.Sprintf("an unsigned request is answered %d", status))
}

func tryGatewaySignature(ctx context.Context, b *bench) (Result, error) {
	g, err := b.sharedGateway(ctx)
	if err != nil {
		return Result{}, err
	}
	creds, err := b.api.cfg.Credentials.Retrieve(ctx)
	if err != nil {
		return Result{}, err
	}
	cfg := b.api.cfg.Copy()
	cfg.Credentials = credentials.NewStaticCredentialsProvider(creds.AccessKeyID, "not the secret", creds.SessionToken)
	status, _, err := g.call(ctx, b, http.MethodGet, "signed", nil, "", &cfg)
	if err != nil {
		return Result{}, err
	}
	return where(status == http.StatusForbidden, Missing, fmt.Sprintf("one that was made with another secret is answered %d", status))
}

func tryAPIKey(ctx context.Context, b *bench) (Result, error) {
	g, err := b.sharedGateway(ctx)
	if err != nil {
		return Result{}, err
	}
	status, _, err := g.get(ctx, b, "keyed", nil)
	if err != nil {
		return Result{}, err
	}
	return where(status == http.StatusForbidden, Missing, fmt.Sprintf("a request without a key is answered %d", status))
}

// tryUsagePlan: an API key that may call once a second calls thirty times.
func tryUsagePlan(ctx context.Context, b *bench) (Result, error) {
	g, err := b.sharedGateway(ctx)
	if err != nil {
		return Result{}, err
	}
	key, err := b.api.rest(ctx, "apigateway", http.MethodPost, "/apikeys", object{"name": b.name, "enabled": true})
	if err != nil {
		return Result{}, err
	}
	b.laterDelete("apigateway", "/apikeys/"+text(key, "id"))
	plan, err := b.api.rest(ctx, "apigateway", http.MethodPost, "/usageplans", object{
		"name": b.name, "apiStages": []object{{"apiId": g.id, "stage": probeStage}}, "throttle": object{"rateLimit": 1, "burstLimit": 1},
	})
	if err != nil {
		return Result{}, err
	}
	b.laterDelete("apigateway", "/usageplans/"+text(plan, "id"))
	// An API goes only after the plans that it is in.
	b.later(func(ctx context.Context) error {
		_, err := b.api.rest(ctx, "apigateway", http.MethodPatch, "/usageplans/"+text(plan, "id"), object{"patchOperations": []object{
			{"op": "remove", "path": "/apiStages", "value": g.id + ":" + probeStage},
		}})
		return err
	})
	_, err = b.api.rest(ctx, "apigateway", http.MethodPost, "/usageplans/"+text(plan, "id")+"/keys", object{"keyId": text(key, "id"), "keyType": "API_KEY"})
	if err != nil {
		return Result{}, err
	}
	header := http.Header{"X-Api-Key": {text(key, "value")}}
	known, err := until(ctx, b.within(time.Minute, 2*time.Second), func() (bool, error) { // a key and a plan may be known late
		status, _, err := g.get(ctx, b, "keyed", header)
		return status != http.StatusForbidden, err
	})
	if err != nil {
		return Result{}, err
	}
	if !known {
		return unknown("a new API key is not accepted")
	}
	return b.throttled(ctx, g, "keyed", header)
}

// throttled calls a route that may be called once a second thirty times.
func (b *bench) throttled(ctx context.Context, g *gateway, route string, header http.Header) (Result, error) {
	statuses := map[int]int{}
	for range 30 {
		status, _, err := g.get(ctx, b, route, header)
		if err != nil {
			return Result{}, err
		}
		statuses[status]++
		if status == http.StatusTooManyRequests {
			return asOnAWS()
		}
	}
	if n := statuses[http.StatusOK]; n < 30 {
		return unknown(fmt.Sprintf("of thirty calls %d were answered 200", n))
	}
	return missing("thirty calls at once are answered where one a second is allowed")
}

func tryMethodThrottle(ctx context.Context, b *bench) (Result, error) {
	g, err := b.sharedGateway(ctx)
	if err = partOf(err, g, MethodThrottle); err != nil {
		return Result{}, err
	}
	return b.throttled(ctx, g, "throttled", nil)
}

// partOf is the error of the gateway, or else of a part of it.
func partOf(err error, g *gateway, part ID) error {
	if err != nil {
		return err
	}
	return g.errs[part]
}

func tryRequestValidation(ctx context.Context, b *bench) (Result, error) {
	g, err := b.sharedGateway(ctx)
	if err = partOf(err, g, RequestValidation); err != nil {
		return Result{}, err
	}
	var statuses []int
	for _, body := range []string{`{"count":1}`, `{"count":"one"}`} {
		status, _, err := g.call(ctx, b, http.MethodPost, "validated", http.Header{"Content-Type": {"application/json"}}, body, nil)
		if err != nil {
			return Result{}, err
		}
		statuses = append(statuses, status)
	}
	if statuses[0] != http.StatusOK {
		return differs(fmt.Sprintf("a body that is right is answered %d", statuses[0]))
	}
	return where(statuses[1] == http.StatusBadRequest, Missing, fmt.Sprintf("a body that is wrong is answered %d", statuses[1]))
}

func tryGatewayResponses(ctx context.Context, b *bench) (Result, error) {
	g, err := b.sharedGateway(ctx)
	if err = partOf(err, g, GatewayResponses); err != nil {
		return Result{}, err
	}
	status, answer, err := g.get(ctx, b, "keyed", nil)
	if err != nil {
		return Result{}, err
	}
	if status == http.StatusOK {
		return unknown("nothing is refused")
	}
	var body struct{ Refused string }
	_ = json.Unmarshal([]byte(answer), &body) // anything else is not ours
	return where(body.Refused == "by the probe", Missing, "refuses with a body of its own")
}

func tryInvokePermission(ctx context.Context, b *bench) (Result, error) {
	g, err := b.sharedGateway(ctx)
	if err = partOf(err, g, InvokePermission); err != nil {
		return Result{}, err
	}
	allowed, _, err := g.get(ctx, b, "allowed", nil)
	if err != nil {
		return Result{}, err
	}
	denied, _, err := g.get(ctx, b, "denied", nil)
	if err != nil {
		return Result{}, err
	}
	if allowed != http.StatusOK {
		return unknown(fmt.Sprintf("the function that may be called is answered for with %d", allowed))
	}
	return where(denied >= http.StatusInternalServerError, Missing, "calls a function whose policy does not allow it")
}
