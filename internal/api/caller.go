package api

import (
	"slices"
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
	principal, session, _ := strings.Cut(identity.Caller, ":")
	switch {
	case principal == "":
		return defaultTenant
	case principal == identity.AccountID && session != "":
		return identity.Caller // a federated user: the account's id says nothing of who
	default:
		return principal
	}
}

// baseURL is the URL of the API that the request came in by, without a slash
// at its end. endpoint is the emulator's, empty on AWS.
func baseURL(r *request, endpoint string) string {
	if endpoint != "" {
		return strings.TrimSuffix(endpoint, "/") + "/restapis/" + r.RequestContext.APIID + "/" + r.RequestContext.Stage + "/_user_request_"
	}
	// The context's path is the URL's: the stage or the base path of a custom
	// domain, then the resource. The event's own path is of no help, because
	// it holds a custom domain's base path too, but not the stage.
	before := strings.TrimSuffix(strings.TrimSuffix(r.RequestContext.Path, "/"), r.Resource)
	return "https://" + r.RequestContext.DomainName + before
}

// header finds a header whatever its case; a client chooses that. One that was
// sent several times is joined as RFC 9110 section 5.3 says, so that none of
// the values wins by chance.
func header(r *request, name string) (string, bool) {
	var values []string
	for k, vs := range r.MultiValueHeaders {
		if strings.EqualFold(k, name) {
			values = append(values, vs...)
		}
	}
	if values == nil {
		for k, v := range r.Headers {
			if strings.EqualFold(k, name) {
				values = append(values, v)
			}
		}
	}
	slices.Sort(values) // maps have no order
	return strings.Join(values, ", "), values != nil
}
