package api

import (
	"strings"

	"github.com/aws/aws-lambda-go/events"
)

// defaultTenant is everybody, where the endpoint does not say who calls.
const defaultTenant = "default"

// tenant is who called: the API key's id where a usage plan tells callers
// apart, else the unique id of the IAM principal without its session name, so
// that all sessions of a role are one tenant.
func tenant(identity events.APIGatewayRequestIdentity) string {
	if identity.APIKeyID != "" {
		return identity.APIKeyID
	}
	principal, _, _ := strings.Cut(identity.Caller, ":")
	if principal != "" {
		return principal
	}
	return defaultTenant
}

// baseURL is the URL of the API that the request came in by, without a slash
// at its end. endpoint is the emulator's, empty on AWS.
func baseURL(r *request, endpoint string) string {
	if endpoint != "" {
		return strings.TrimSuffix(endpoint, "/") + "/restapis/" + r.RequestContext.APIID + "/" + r.RequestContext.Stage + "/_user_request_"
	}
	// The context's path holds what stands before the resource: the stage, or
	// the base path of a custom domain.
	return "https://" + r.RequestContext.DomainName + strings.TrimSuffix(r.RequestContext.Path, r.Path)
}

// header finds a header whatever its case; a client chooses that.
func header(r *request, name string) (string, bool) {
	for k, v := range r.Headers {
		if strings.EqualFold(k, name) {
			return v, true
		}
	}
	for k, vs := range r.MultiValueHeaders {
		if strings.EqualFold(k, name) && len(vs) > 0 {
			return vs[0], true
		}
	}
	return "", false
}
