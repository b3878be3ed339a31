// Bare is the smallest function there is: a constant answer. What it takes to
// its first response is what Go and Lambda's runtime library cost by themselves,
// which is what the functions' cold starts are compared with.
package main

import (
	"context"

	"github.com/aws/aws-lambda-go/lambda"
)

func main() {
	lambda.Start(func(context.Context) (string, error) { return "ok", nil })
}
