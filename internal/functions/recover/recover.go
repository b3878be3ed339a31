// Package recover sets up the function that cleans up after sagas whose
// execution failed, timed out or was aborted before it recorded a result.
package recover

import (
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sfn"

	"github.com/spillway-go/spillway/internal/app"
	"github.com/spillway-go/spillway/pkg/saga"
	"github.com/spillway-go/spillway/pkg/tasktable"
)

// Setup reads the environment and returns the handler.
func Setup(env *app.Env) (any, error) {
	cfg := env.AWS()
	tableName := env.String("TASKS_TABLE")
	if err := env.Err(); err != nil {
		return nil, err
	}
	table := tasktable.New(dynamodb.NewFromConfig(cfg), tableName, nil)
	return saga.NewRecovery(sfn.NewFromConfig(cfg), table, nil).Handle, nil
}
