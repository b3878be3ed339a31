package ddbfake

import (
	"time"

	streams "github.com/aws/aws-sdk-go-v2/service/dynamodbstreams/types"
)

// Identity says who made a change; it is nil for a request.
type Identity = streams.Identity

type stream struct{ arn string }

func streamARN(table string, at time.Time) string {
	return "arn:aws:dynamodb:us-east-1:000000000000:table/" + table + "/stream/" + at.UTC().Format("2006-01-02T15:04:05.000")
}

func (s *stream) add(t *table, old, now Item, by *Identity) {}
