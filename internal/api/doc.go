// Package api is the HTTP API behind API Gateway: it turns proxy events into
// calls of intake and task table, and what comes back into answers. The
// answers' form is described in openapi.yaml beside it, which a test holds
// against the handlers.
package api
